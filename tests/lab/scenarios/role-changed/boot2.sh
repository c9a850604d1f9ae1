equal 0 starts rke2-server
equal 0 starts rke2-agent
must status_is refused
must has role-changed <("$provider" status)
