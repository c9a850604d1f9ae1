apply() {
    install -m 0600 "/lab/scenario/$1" /oem/90_custom.yaml
    must kairos-agent notify agent.boot
    must kairos-agent run-stage boot
}
# Nobody else is about to start it.
within 20 is_active rke2-server
mkdir -p /etc/lab
echo ready=1000 >/etc/lab/rke2
must rc-service rke2-server restart
within 20 has_started rke2-server 2

# In the middle of its first bootstrap: not now.
apply changed.yaml
sleep 1
equal 2 starts rke2-server
must has 'restart pending' /var/log/provider-rke2.log
must has 'restart pending: yes' <("$provider" status)
must has 'rke2-server, activating (started)' <("$provider" status)

# Ready: its configuration has changed, so once.
mkdir -p /var/lib/rancher/rke2/server/db
echo ready=0 >/etc/lab/rke2
must rc-service rke2-server restart
within 20 is_active rke2-server
equal 3 starts rke2-server
must kairos-agent run-stage boot
sleep 1
equal 3 starts rke2-server
apply again.yaml
within 20 has_started rke2-server 4
within 20 is_active rke2-server
must kairos-agent run-stage boot
sleep 1
equal 4 starts rke2-server
equal '"other"' flag rke2-server node-name
must has 'restart pending: no' <("$provider" status)
