# The plan of the last boot may be another than the one asked for now.
equal 0 starts rke2-server
equal refused status_word
must has 'agent.boot has not finished' /etc/issue.d/50-provider-rke2.issue
must_not systemctl is-active rke2-server
# A late event puts it right.
mkdir -p /etc/lab && touch /etc/lab/mended
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 is_active rke2-server
equal '"server-2"' flag rke2-server node-name
within 5 status_is ok
