within 5 is_active rke2-server
within 5 has '"cluster-cidr": "10.52.0.0/16"' /usr/local/lib/provider-rke2/node.json
"$provider" status --format json | grep '"fingerprint"' >/var/lib/lab-fingerprint
