within 5 is_active rke2-server
within 10 has '"ready": "v1.34.2+rke2r1"' /usr/local/lib/provider-rke2/node.json
# A guard that fails keeps a node with state not down, and one without data is not started.
program=$(readlink -f "$provider")
printf '#!/bin/sh\nexit 3\n' >/run/lab/broken
chmod 0755 /run/lab/broken
mount --bind /run/lab/broken "$program"
rc-service rke2-server restart
within 5 is_active rke2-server
touch /run/provider-rke2/fresh-rke2-server
rc-service rke2-server stop
must_not rc-service rke2-server start
umount "$program"
must rc-service rke2-server start
