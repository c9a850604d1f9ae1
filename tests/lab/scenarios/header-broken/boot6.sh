within 5 is_active rke2-server
within 5 status_is ok
