# The document of the first boot ran, and started nothing; what was good stays whole.
systemctl start rke2-server
sleep 0.3
equal 0 starts rke2-server
must unchanged /etc/rancher/rke2/config.yaml
must unchanged /usr/local/cloud-config/cluster.kairos.yaml
must has 'cluster.cluster_token' /etc/issue.d/50-provider-rke2.issue
must has 'cluster.cluster_token' /run/provider-rke2/refused
