within 5 is_active rke2-server
must status_is ok
