within 5 is_active rke2-server
# Gone while it runs: it goes on, and OpenRC can stop it.
printf '#cloud-config\nhostname: node1\n' >/oem/90_custom.yaml
must kairos-agent notify agent.boot
must is_running rke2-server
must_not test -e /etc/init.d/rke2-agent
must rc-service rke2-server stop
must_not is_running rke2-server
