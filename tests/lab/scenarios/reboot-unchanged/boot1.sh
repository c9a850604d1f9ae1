within 5 is_active rke2-server
remember /usr/local/cloud-config/cluster.kairos.yaml /etc/rancher/rke2/config.yaml
remember /etc/rancher/rke2/config.d/90_userdata.yaml /etc/rancher/rke2/config.d/99_userdata.yaml
# The gate was there before systemd.
equal 0 reloads
