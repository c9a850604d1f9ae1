within 5 is_active rke2-server
equal 1 starts rke2-server
must cmp /lab/theirs /etc/init.d/rke2-server
must has '/etc/init.d/rke2-server: was not written by this program, so it stays' /var/log/provider-rke2.log
must_not ls /etc/runlevels/default/rke2-server
