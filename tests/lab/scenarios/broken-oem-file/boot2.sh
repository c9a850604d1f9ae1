# The file with the cluster section has a key twice: Kairos drops it without a word, which is not "no cluster section".
within 5 is_active rke2-server
must unchanged /usr/local/cloud-config/cluster.kairos.yaml
must unchanged /etc/rancher/rke2/config.yaml
must has '/oem/95_cluster.yaml' /var/log/provider-rke2.log
must has '/oem/95_cluster.yaml' /etc/issue.d/50-provider-rke2.issue
