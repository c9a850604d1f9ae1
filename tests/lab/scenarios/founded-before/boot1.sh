within 5 is_active rke2-server
within 5 has '"was_ready": true' /usr/local/lib/provider-rke2/node.json
equal '0600 0:0' mode /usr/local/lib/provider-rke2/node.json
must has '"ready": "v1.34.1+rke2r1"' /usr/local/lib/provider-rke2/node.json
must_not has SECRET- /usr/local/lib/provider-rke2/node.json
must_not test -e /run/provider-rke2/fresh-rke2-server
must status_is ok
