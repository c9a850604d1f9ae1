. /lab/scenario/verify.sh
within 5 is_active rke2-server
must neither one
must neither two
must trusted three
equal '' find /usr/local/share/ca-certificates -name 'provider-rke2-*'
equal '' find /etc/ssl/certs -xtype l
must_not test -e /usr/local/lib/provider-rke2/trust
equal 3 runs
must "$provider" apply trust
equal 3 runs
