within 5 is_active rke2-server
equal 1 starts rke2-server
must_not test -e /etc/issue.d/50-provider-rke2.issue
must_not test -e /run/provider-rke2/refused
