must has 'rke2-server.service: is not on this host' /var/log/provider-rke2.log
must_not "$provider" apply service
