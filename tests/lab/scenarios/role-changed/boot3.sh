within 5 is_active rke2-agent
within 5 has '"unit": "rke2-agent"' /usr/local/lib/provider-rke2/node.json
must has '"role-changed: decided by the operator"' /usr/local/lib/provider-rke2/node.json
must status_is ok
