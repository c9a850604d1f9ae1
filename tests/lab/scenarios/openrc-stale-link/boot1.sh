within 5 is_active rke2-agent
equal 1 starts rke2-agent
equal 0 starts rke2-server
must_not ls /etc/runlevels/*/rke2-server
must_not ls /etc/runlevels/*/rke2-agent
