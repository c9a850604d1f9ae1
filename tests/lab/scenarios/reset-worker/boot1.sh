. /lab/reset.sh
within 5 is_active rke2-agent
live rke2-agent
must bash -c "$provider reset --dry-run | grep '^stop rke2-agent$'"
equal active state rke2-agent
must $provider reset
is_clean rke2-agent
# Neither a person nor a boot stage starts it again.
systemctl start rke2-agent
must_not $provider apply
must kairos-agent run-stage boot
sleep 0.5
equal inactive state rke2-agent
equal 1 starts rke2-agent
must $provider reset
