within 5 is_active rke2-server
equal 1 starts rke2-server
equal 0 starts rke2-agent
must_not test -e /etc/systemd/system/multi-user.target.wants/rke2-agent.service
must_not has node-label /etc/rancher/rke2/config.yaml
