must_not test -e /usr/local/cloud-config/cluster.kairos.yaml
must test -e /usr/local/cloud-config/cluster.kairos.yaml.retired
equal 0 starts rke2-server
must_not test -e /run/systemd/system/rke2-server.service.d/50-provider-rke2.conf
must has 'plan: absent' /run/provider-rke2/status.yaml
# Nobody is kept from starting it.
must systemctl start rke2-server
equal 1 starts rke2-server
