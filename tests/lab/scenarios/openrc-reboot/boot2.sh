within 5 is_active rke2-server
equal 1 starts rke2-server
equal 0 starts rke2-agent
must unchanged /etc/init.d/rke2-server
must unchanged /etc/init.d/rke2-agent
must unchanged /etc/rancher/rke2/config.yaml
must_not ls /etc/runlevels/*/rke2-server
must_not ls /etc/runlevels/*/rke2-agent
