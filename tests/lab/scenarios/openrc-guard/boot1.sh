within 5 is_active rke2-server
within 10 has '"ready": "v1.34.1+rke2r1"' /usr/local/lib/provider-rke2/node.json
must_not test -e /run/provider-rke2/fresh-rke2-server
