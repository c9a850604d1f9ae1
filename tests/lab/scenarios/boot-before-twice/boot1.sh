within 5 is_active rke2-server
remember /etc/rancher/rke2/config.yaml
must kairos-agent run-stage boot
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
# As the data source stage of Kairos does on a first boot with user data.
must kairos-agent run-stage initramfs
must kairos-agent run-stage boot
sleep 0.5
must unchanged /etc/rancher/rke2/config.yaml
equal 1 starts rke2-server
