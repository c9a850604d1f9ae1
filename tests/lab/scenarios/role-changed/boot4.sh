within 5 is_active rke2-agent
must status_is ok
