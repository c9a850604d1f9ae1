equal 0 starts rke2-server
must_not test -e /etc/init.d/rke2-server
must_not test -e /etc/init.d/rke2-agent
must "$provider" status
