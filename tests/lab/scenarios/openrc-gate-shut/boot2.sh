within 5 is_active rke2-agent
equal 1 starts rke2-agent

# Shut while it runs: it goes on, but does not start again until there is a configuration.
rm /run/provider-rke2/ready-rke2-agent
must kill -9 "$(pid rke2-agent)"
sleep 7
equal 1 starts rke2-agent
must has 'rke2-agent: waits until its configuration is installed' /var/log/rke2-agent.log
must "$provider" apply
within 8 has_started rke2-agent 2
within 5 is_active rke2-agent
