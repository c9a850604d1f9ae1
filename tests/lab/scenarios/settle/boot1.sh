# RKE2 started after 30 s, before the file was there; once the stages are done, it is restarted for it, once.
within 10 has_started rke2-server 2
within 10 is_active rke2-server
must grep -q ' /etc/rancher/rke2/registries.yaml$' "$(last rke2-server)/files"
must has 'prestart: waits for the boot stages of cos-setup-boot' /var/log/provider-rke2.log
within 5 status_is ok
sleep 1
equal 2 starts rke2-server
equal inactive state provider-rke2-settle
must has 'rke2-server.service runs with what is asked for' <("$provider" apply service 2>&1)
