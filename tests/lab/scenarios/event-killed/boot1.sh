within 5 is_active rke2-server
mkdir -p /var/lib/rancher/rke2/server/db
