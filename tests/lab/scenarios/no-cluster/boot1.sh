must_not test -e /usr/local/cloud-config/cluster.kairos.yaml
must_not test -e /etc/rancher
must_not test -e /etc/issue.d/50-provider-rke2.issue
must_not ls /run/systemd/system/rke2-server.service.d
equal inactive state rke2-server
equal inactive state rke2-agent
