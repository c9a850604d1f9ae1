within 20 is_active rke2-server
equal 1 starts rke2-server
within 5 status_is ok
