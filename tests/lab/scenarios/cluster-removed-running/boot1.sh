# Where systemd runs at agent.boot (agent mode): what runs goes on running, and nobody is kept from starting it again.
within 5 is_active rke2-server
printf '#cloud-config\n' >/oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
must is_active rke2-server
equal 1 starts rke2-server
must test -e /usr/local/cloud-config/cluster.kairos.yaml.retired
must systemctl restart rke2-server
equal 2 starts rke2-server
