# The fallback to the older image. The copy is put back with the steps of docs/upgrades.md.
server=/var/lib/rancher/rke2/server
must_not is_active rke2-server
must "$provider" reset --keep-state
must has '"rke2": "v1.36.5+rke2r1"' <("$provider" status --format json)
must sh -ec "$("$provider" status --format json | sed -n 's/^ *"command": "\(.*\)",\{0,1\}$/\1/p')"
systemctl start --no-block rke2-server
within 5 is_active rke2-server
must has 'of 1.36' $server/db/etcd/member/snap/db
must has '"data": "v1.36.5+rke2r1"' <("$provider" status --format json)
must status_is ok
