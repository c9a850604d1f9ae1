. /lab/reset.sh
within 5 is_active rke2-server
live rke2-server
must bash -c "$provider reset --dry-run | grep '^stop rke2-server$'"
equal active state rke2-server
must $provider reset
is_clean rke2-server
# Neither a person nor a boot stage starts it again.
systemctl start rke2-server
must_not $provider apply
must kairos-agent run-stage boot
sleep 0.5
equal inactive state rke2-server
equal 1 starts rke2-server
must $provider reset
