must has 'rke2-server.service: is masked' /var/log/provider-rke2.log
equal 0 starts rke2-server
must test -L /etc/systemd/system/rke2-server.service
