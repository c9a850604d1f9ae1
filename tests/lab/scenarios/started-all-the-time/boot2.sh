# The configuration of the boot before is on the disk all the time: nobody gets in with it.
within 5 is_active rke2-server
equal 1 starts rke2-server
equal '["calico"]' flag rke2-server cni

# And without the boot stages that a start waits for: refused, then mended.
systemctl stop impatient
systemctl stop rke2-server
install -m 0600 /lab/scenario/refused.yaml /oem/90_custom.yaml
must_not kairos-agent notify agent.boot
must_not "$provider" apply config
systemctl start impatient
sleep 0.2
equal 1 starts rke2-server
install -m 0600 /lab/scenario/third.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 is_active rke2-server
equal 2 starts rke2-server
equal '["canal"]' flag rke2-server cni
