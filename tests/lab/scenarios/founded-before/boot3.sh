within 5 is_active rke2-server
within 5 has '"founded-before: decided by the operator"' /usr/local/lib/provider-rke2/node.json
must status_is ok
