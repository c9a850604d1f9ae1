must_not test -e /run/provider-rke2
must_not test -e /etc/rancher
must_not test -e /var/log/provider-rke2.log
must test -e /usr/local/cloud-config/cluster.kairos.yaml
must "$provider" apply
must_not test -e /run/provider-rke2
equal 0 starts rke2-server
equal inactive state rke2-server
