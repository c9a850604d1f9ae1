within 5 is_active rke2-server
equal '["calico"]' flag rke2-server cni
must_not test -e /etc/issue.d/50-provider-rke2.issue
