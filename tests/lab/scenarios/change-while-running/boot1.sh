within 5 is_active rke2-server
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 has_started rke2-server 2
within 5 is_active rke2-server
equal 2 starts rke2-server
equal '["site=north"]' flag rke2-server node-label
