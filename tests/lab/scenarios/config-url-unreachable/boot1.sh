within 5 is_active rke2-server
remember /etc/rancher/rke2/config.yaml
