# Without a proxy nothing is waited for: there is no address in this boot.
within 3 is_active rke2-server
equal 1 starts rke2-server
equal north variable rke2-server SITE
must_not eval 'environment rke2-server | grep -i proxy'
must_not test -e /run/provider-rke2/rke2-server.env
