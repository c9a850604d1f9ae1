within 5 is_active rke2-server
must status_is ok
must_not test -e /etc/issue.d/50-provider-rke2.issue
