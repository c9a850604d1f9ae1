# The agent waits in systemd's queue for the network when the role changes.
equal 0 starts rke2-agent
must test -n "$(systemctl list-jobs --no-legend rke2-agent.service)"
install -m 0600 /lab/scenario/join.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 12 is_active rke2-server
sleep 0.3
equal 1 starts rke2-server
equal 0 starts rke2-agent
