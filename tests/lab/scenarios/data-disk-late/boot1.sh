within 10 is_active rke2-server
must test -d /srv/disk/rke2/server/db
within 5 has '"mount": "/var/lib/rancher"' /usr/local/lib/provider-rke2/node.json
