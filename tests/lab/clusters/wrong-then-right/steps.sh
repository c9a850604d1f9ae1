# A wrong token, a wrong host: what the status says; with the right ones the node joins without a reboot. Then it changes its role.
boot server1 worker1
within 90 on server1 is_active rke2-server
within 60 ready server1
within 60 on worker1 "journalctl --boot --quiet -u rke2-agent | grep 'not authorized'"
equal pending on worker1 status_word
must on worker1 'has "being ready; server1:9345 answers" <("$provider" status)'

config worker1 wrong-host.yaml
replan worker1
within 30 on worker1 has_started rke2-agent 2
equal pending on worker1 status_word
must on worker1 'has "being ready; nobody answers at 10.17.0.99:9345" <("$provider" status)'

config worker1 right.yaml
replan worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 30 on worker1 status_is ok
equal 3 on worker1 starts rke2-agent
within 20 pod worker1
within 60 runs worker1

# An agent may become a server.
config worker1 controlplane.yaml
replan worker1
within 150 on worker1 is_active rke2-server
within 30 has_members server1 worker1
within 60 ready worker1
within 30 on worker1 status_is ok
must_not on worker1 is_active rke2-agent
within 60 runs worker1

# A server becomes an agent only after a reset: its etcd member would be lost.
config worker1 right.yaml
must_not on worker1 kairos-agent notify agent.boot
must on worker1 'has role-changed <("$provider" status)'
must on worker1 is_active rke2-server
within 30 has_members server1 worker1
must kubectl delete node worker1
within 60 has_members server1
must on worker1 '"$provider" reset'
reboot worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 30 has_members server1
within 30 on worker1 status_is ok
