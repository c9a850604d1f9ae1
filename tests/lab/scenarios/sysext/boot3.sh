provider=/usr/bin/agent-provider-rke2
within 10 is_active rke2-server
equal '"server-2"' flag rke2-server node-name
# Refused: what runs goes on, nothing is started any more, and the agent is not told of an error, which it would repeat.
must kairos-agent notify agent.bootstrap
must has 'is not a role' /run/provider-rke2/refused
equal refused status_word
must is_active rke2-server
equal 1 starts rke2-server
ln -s $provider /system/providers/agent-provider-rke2
