# Neither the boot nor RKE2 waits for ever.
within 20 is_active rke2-server
equal 1 starts rke2-server
must has '/mnt/hang: does not answer for 2 s' /var/log/provider-rke2.log
must has '/mnt/hang: does not answer for 3 s' /var/log/provider-rke2.log
equal degraded status_word
must has '/mnt/hang: does not answer' <("$provider" status)
