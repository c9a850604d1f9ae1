# Full, and the configuration is to change: the old one stays whole and RKE2 does not start with it.
must unchanged /etc/rancher/rke2/config.yaml
systemctl start rke2-server
sleep 0.3
equal 0 starts rke2-server
must_not test -e /run/provider-rke2/ready-rke2-server
must has /etc/rancher/rke2 /etc/issue.d/50-provider-rke2.issue
must has /etc/rancher/rke2 /var/log/provider-rke2.log
must_not "$provider" status
equal '' find /etc/rancher -name '.*.provider-rke2'
