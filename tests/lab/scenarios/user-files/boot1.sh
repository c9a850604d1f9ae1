# RKE2 waits for the boot stages: it sees what they write, although it was queued before them.
within 5 is_active rke2-server
equal 1 starts rke2-server
must grep -q ' /etc/rancher/rke2/registries.yaml$' "$(last rke2-server)/files"
must test /run/user-stage-done -ot "$(last rke2-server)/when"
