# Full, but nothing has to be written.
within 5 is_active rke2-server
equal 1 starts rke2-server
must unchanged /etc/rancher/rke2/config.yaml
# Still full, and changed while it runs: the gate is shut, RKE2 runs on with what it has read.
install -m 0600 /lab/scenario/cloud-config3.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
must_not test -e /run/provider-rke2/ready-rke2-server
must unchanged /etc/rancher/rke2/config.yaml
must is_active rke2-server
equal 1 starts rke2-server
