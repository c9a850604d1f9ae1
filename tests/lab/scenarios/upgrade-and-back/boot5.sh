# The fallback, and a snapshot that is restored by hand, with the steps of docs/upgrades.md.
server=/var/lib/rancher/rke2/server
must_not is_active rke2-server
systemctl stop rke2-server
must rke2 server --cluster-reset --cluster-reset-restore-path=$server/db/snapshots/of-v1.36.5+rke2r1
systemctl start --no-block rke2-server
within 5 is_active rke2-server
must_not test -e $server/db/reset-flag
must has '"data": "v1.36.5+rke2r1"' <("$provider" status --format json)
systemctl restart --no-block rke2-server
within 5 is_active rke2-server
