within 5 is_active rke2-server
within 5 has '"started": "v1.34.1+rke2r1"' /usr/local/lib/provider-rke2/node.json
