# Without one it starts nothing.
sleep 0.5
equal inactive state rke2-server
equal inactive state rke2-agent
must_not test -e /run/lab/starts/1
must_not test -e /usr/local/cloud-config/cluster.kairos.yaml
must_not test -e /etc/rancher/rke2
