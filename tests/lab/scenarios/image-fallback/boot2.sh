within 5 status_is degraded
equal 0 starts rke2-server
is_inactive() { [ "$(state rke2-server)" = inactive ]; }
within 3 is_inactive
equal 0 systemctl show -p NRestarts --value rke2-server
must has data-newer <("$provider" status)
must has 'boot the newer image' /etc/issue.d/50-provider-rke2.issue
systemctl start rke2-server
equal 0 starts rke2-server
