within 5 is_active rke2-server
equal 1 starts rke2-server
must unchanged /usr/local/cloud-config/cluster.kairos.yaml
must unchanged /etc/rancher/rke2/config.yaml
must unchanged /etc/rancher/rke2/config.d/90_userdata.yaml
must unchanged /etc/rancher/rke2/config.d/99_userdata.yaml
# The gate was there before systemd.
equal 0 reloads
