within 10 status_is degraded
equal 0 starts rke2-server
is_inactive() { [ "$(state rke2-server)" = inactive ]; }
within 3 is_inactive
equal 0 systemctl show -p NRestarts --value rke2-server
must has data-unmounted <("$provider" status)
must has 'is not mounted' /etc/issue.d/50-provider-rke2.issue
must_not test -e /var/lib/rancher/rke2
# By hand, once the disk is there.
mount --bind /srv/disk /var/lib/rancher
must systemctl start rke2-server
within 5 is_active rke2-server
within 5 status_is ok
