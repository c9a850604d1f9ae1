within 5 status_is degraded
equal 0 starts rke2-server
must has data-newer <("$provider" status)
