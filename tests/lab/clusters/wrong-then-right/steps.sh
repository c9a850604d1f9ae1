# A wrong token, a wrong host: what the status says; with the right ones agent and server join without a reboot. Then the agent changes its role.
boot server1 server2 worker1
within 90 on server1 is_active rke2-server
within 60 ready server1
within 60 on worker1 "journalctl --boot --quiet -u rke2-agent | grep 'not authorized'"
equal pending on worker1 status_word
must on worker1 'has "being ready; server1:9345 answers" <("$provider" status)'
# A server ends each time; what it has left by then makes it no server of a cluster.
within 60 on server2 "journalctl --boot --quiet -u rke2-server | grep 'not authorized'"
within 30 on server2 status_is degraded
must on server2 'has "does not become ready, restart" <("$provider" status)'
must on server2 'has "server1:9345 answers, so it may have another token, or still know a node of this name" <("$provider" status)'
config server2 right.yaml
replan server2
must_not on server2 'has token-changed <("$provider" status)'

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
within 150 on server2 is_active rke2-server
within 60 ready server2
within 30 has_members server1 server2
within 30 on server2 status_is ok

# An agent may become a server.
config worker1 controlplane.yaml
replan worker1
within 150 on worker1 is_active rke2-server
within 30 has_members server1 server2 worker1
within 60 ready worker1
within 30 on worker1 status_is ok
must_not on worker1 is_active rke2-agent
within 60 runs worker1

# A server becomes an agent only after a reset: its etcd member would be lost.
config worker1 right.yaml
must_not on worker1 kairos-agent notify agent.boot
must on worker1 'has role-changed <("$provider" status)'
must on worker1 is_active rke2-server
within 30 has_members server1 server2 worker1
must kubectl delete node worker1
within 60 has_members server1 server2
must on worker1 '"$provider" reset'
reboot worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 30 has_members server1 server2
within 30 on worker1 status_is ok
