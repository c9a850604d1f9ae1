within 5 is_active rke2-server
must has data-slightly-newer <("$provider" status)
