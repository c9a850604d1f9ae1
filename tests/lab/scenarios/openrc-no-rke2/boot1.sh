must has 'rke2-server: is not on this host' /var/log/provider-rke2.log
must_not rc-service rke2-server start
must has 'there is no rke2 in' <(rc-service rke2-server start 2>&1)
