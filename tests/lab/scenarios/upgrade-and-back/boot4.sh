# The newer image again: another copy.
within 5 is_active rke2-server
server=/var/lib/rancher/rke2/server
must has 'of 1.36' $server/db-before-v1.37.1+rke2r1/etcd/member/snap/db
must has '"data": "v1.37.1+rke2r1"' <("$provider" status --format json)
must status_is ok
