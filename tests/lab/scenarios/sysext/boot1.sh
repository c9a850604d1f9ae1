provider=/usr/bin/agent-provider-rke2
must test -x $provider
equal 0 starts rke2-server
# What `kairos-agent start` sends.
must kairos-agent notify agent.bootstrap
within 10 is_active rke2-server
must test -e /run/systemd/system/rke2-server.service.d/50-provider-rke2.conf
equal '"server-1"' flag rke2-server node-name
equal 1 starts rke2-server
within 5 status_is ok
# It has decided: once more, and nothing happens.
must kairos-agent notify agent.bootstrap
sleep 1
equal 1 starts rke2-server
equal enabled-runtime systemctl is-enabled rke2-server
# For what is looked at after every scenario.
ln -s $provider /system/providers/agent-provider-rke2
