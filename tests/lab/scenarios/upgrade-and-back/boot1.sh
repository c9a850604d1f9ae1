within 5 is_active rke2-server
must has '"rke2": "v1.36.5+rke2r1"' <("$provider" status --format json)
must_not ls -d /var/lib/rancher/rke2/server/db-*
echo 'of 1.36' >>/var/lib/rancher/rke2/server/db/etcd/member/snap/db
