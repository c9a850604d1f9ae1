equal 0 starts rke2-server
must status_is refused
