must_not "$provider" status
must test -s /run/provider-rke2/refused
equal 0 starts rke2-agent
must_not rc-service rke2-agent start
must has 'rke2-agent: its configuration is not installed, so it is not started' <(rc-service rke2-agent start 2>&1)
equal 0 starts rke2-agent
must_not is_running rke2-agent
must_not ls /etc/runlevels/default/rke2-agent
must_not "$provider" apply service
