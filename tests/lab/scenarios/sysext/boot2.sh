provider=/usr/bin/agent-provider-rke2
# The boot stages ran with the last plan, behind the gate.
within 10 is_active rke2-server
equal '"server-1"' flag rke2-server node-name
# The event brings the plan that is asked for now, and one restart.
must kairos-agent notify agent.bootstrap
is_server_2() { [ "$(flag rke2-server node-name)" = '"server-2"' ]; }
within 15 is_server_2
within 10 is_active rke2-server
equal 2 starts rke2-server
within 5 status_is ok
ln -s $provider /system/providers/agent-provider-rke2
