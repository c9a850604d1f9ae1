# An agent that ignores SIGTERM is killed by systemd; until then the server waits.
within 5 is_active rke2-agent
install -m 0600 /lab/scenario/join.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 10 is_active rke2-server
equal 1 starts rke2-server
must_not is_active rke2-agent
