within 5 is_active rke2-server
within 5 has '"cni": "calico"' /usr/local/lib/provider-rke2/node.json
