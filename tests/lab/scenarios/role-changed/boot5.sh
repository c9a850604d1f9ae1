within 5 is_active rke2-server
within 5 has '"unit": "rke2-server"' /usr/local/lib/provider-rke2/node.json
must status_is ok
