within 5 is_active rke2-server
must has critical-differs <("$provider" status)
