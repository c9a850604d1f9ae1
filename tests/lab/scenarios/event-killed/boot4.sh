within 5 is_active rke2-server
equal '"server-2"' flag rke2-server node-name
equal degraded status_word
must has 'event-missing' <("$provider" status)
