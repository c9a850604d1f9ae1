equal 0 starts rke2-server
must status_is refused
must has founded-before /etc/issue.d/50-provider-rke2.issue <("$provider" status)
must has 'would found a second cluster' /etc/issue.d/50-provider-rke2.issue
systemctl start rke2-server
equal 0 starts rke2-server
