within 5 has_started rke2-server
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
sleep 0.5
# A restart would kill it in the middle of making its cluster.
equal 1 starts rke2-server
must_not test -e "$(last rke2-server)/sigterm"
must has calico /etc/rancher/rke2/config.yaml
"$provider" status >/tmp/status
must has 'restart pending: yes' /tmp/status
equal pending head -n 1 /tmp/status
