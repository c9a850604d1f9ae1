equal 0 starts rke2-server
must status_is refused
must has '10.52.0.0/16' /etc/issue.d/50-provider-rke2.issue
must has '10.62.0.0/16' /etc/issue.d/50-provider-rke2.issue
must has 'cluster.config.cni' /etc/issue.d/50-provider-rke2.issue
