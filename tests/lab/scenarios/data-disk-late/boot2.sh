within 10 is_active rke2-server
equal 1 starts rke2-server
must_not test -e /run/provider-rke2/fresh-rke2-server
must status_is ok
