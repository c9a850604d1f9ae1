within 5 is_active rke2-server
mkdir -p /var/lib/rancher/rke2/server/db
remember /usr/local/cloud-config/cluster.kairos.yaml
remember /etc/rancher/rke2/config.yaml
within 5 status_is ok
