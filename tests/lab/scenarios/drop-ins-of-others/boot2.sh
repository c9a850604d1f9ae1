systemctl start rke2-server
sleep 0.3
equal 0 starts rke2-server
must has /etc/rancher/rke2/config.d/97_broken.yml /etc/issue.d/50-provider-rke2.issue
must unchanged /etc/rancher/rke2/config.yaml
