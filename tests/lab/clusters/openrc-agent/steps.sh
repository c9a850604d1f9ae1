# An agent under OpenRC: it joins, changes, boots again, is reset to what it was before, and rejoins under its name.
boot server1 worker1
snapshot worker1 fresh
within 90 on server1 is_active rke2-server
config worker1 joins.yaml
replan worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 20 pod worker1
within 60 runs worker1
within 30 on worker1 status_is ok
must on worker1 'test -e /usr/local/lib/provider-rke2/node.json'

# A changed option: one restart, and the pod does not notice.
before=$(container worker1)
config worker1 changed.yaml
replan worker1
within 60 on worker1 has_started rke2-agent 2
within 60 on worker1 is_active rke2-agent
within 30 has_label worker1 site lab
within 30 ready worker1
equal "$before" container worker1
within 30 on worker1 status_is ok
equal 2 on worker1 starts rke2-agent

reboot worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 60 runs_anew worker1
equal 1 on worker1 starts rke2-agent
within 30 on worker1 status_is ok

# With a pod that runs.
must on worker1 '"$provider" reset'
must_not on worker1 is_running rke2-agent
snapshot worker1 reset
equal '' changed worker1

reboot worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 30 on worker1 status_is ok
