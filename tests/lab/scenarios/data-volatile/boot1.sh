within 5 is_active rke2-server
must has data-volatile <("$provider" status)
must has 'is on overlay' /etc/issue.d/50-provider-rke2.issue
