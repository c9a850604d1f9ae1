within 5 is_active rke2-server
must has minor-skipped <("$provider" status)
within 5 has '"ready": "v1.36.1+rke2r1"' /usr/local/lib/provider-rke2/node.json
