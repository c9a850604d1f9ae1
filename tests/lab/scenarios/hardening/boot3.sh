within 5 is_active rke2-server
must_not test -e /etc/sysctl.d/90-provider-rke2.conf
must_not test -e /etc/NetworkManager/conf.d/90-provider-rke2.conf
must_not test -e /etc/modules-load.d/90-provider-rke2.conf
must_not getent passwd etcd
must has 'host: /etc/NetworkManager/conf.d/90-provider-rke2.conf: removed' /var/log/provider-rke2.log
must "$provider" status
