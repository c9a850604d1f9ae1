within 5 is_active rke2-server
equal 1 starts rke2-server
must unchanged /etc/rancher/rke2/config.yaml
must has config_url /var/log/provider-rke2.log
must has 'plan: unreadable' /run/provider-rke2/status.yaml
