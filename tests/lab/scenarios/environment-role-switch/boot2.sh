within 5 is_active rke2-server
equal server variable rke2-server ROLE_IS
must_not variable rke2-server SECRET_OF_AGENT
must_not test -e /etc/default/rke2-agent

# And back in the same boot.
install -m 0600 /lab/scenario/back.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 is_active rke2-agent
equal inactive state rke2-server
equal 1 starts rke2-server
equal 1 starts rke2-agent
equal 'agent again' variable rke2-agent ROLE_IS
must_not test -e /etc/default/rke2-server
