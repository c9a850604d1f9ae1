within 5 is_active rke2-server
equal 1 starts rke2-server
must_not test -e /etc/go-ran
equal '0755 0:0' mode /etc/rancher
equal '0755 0:0' mode /etc/rancher/rke2
equal '0700 0:0' mode /etc/rancher/rke2/config.d
equal '0600 0:0' mode /etc/rancher/rke2/config.yaml
equal '["cilium"]' flag rke2-server cni
must_not test -e /etc/systemd/system/multi-user.target.wants/rke2-server.service
