# The new plan cannot be written: the old document is whole, and starts nothing.
must unchanged /usr/local/cloud-config/cluster.kairos.yaml
must unchanged /etc/rancher/rke2/config.yaml
systemctl start rke2-server
sleep 0.3
equal 0 starts rke2-server
must has /usr/local/cloud-config/cluster.kairos.yaml /etc/issue.d/50-provider-rke2.issue
equal '' find /usr/local -name '.*.provider-rke2'
