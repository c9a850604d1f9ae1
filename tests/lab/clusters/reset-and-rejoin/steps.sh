# In a cluster with IPv4 and IPv6: what a node is before its first start is what it is after a reset; it rejoins under its name.
boot server1 server2 worker1
snapshot server2 fresh
snapshot worker1 fresh
within 90 on server1 is_active rke2-server
within 60 ready server1
for node in server2 worker1; do
    config $node joins.yaml
    replan $node
done
within 60 on worker1 is_active rke2-agent
within 150 on server2 is_active rke2-server
for node in server2 worker1; do
    within 60 ready $node
    within 20 pod $node
done
for node in server2 worker1; do within 60 runs $node; done
within 30 has_members server1 server2
for node in server2 worker1; do
    equal "$(address $node 4) $(address $node 6)" kubectl get node $node -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
    must kubectl "[ \$(kubectl get pod on-$node -o 'jsonpath={.status.podIPs[*].ip}' | wc -w) = 2 ]"
done
equal 127.0.0.0/8,::1,localhost,10.42.0.0/16,fd00:42::/56,10.43.0.0/16,fd00:43::/112,10.17.0.0/24,fd17::/64,server1,.svc,.svc.cluster,.svc.cluster.local,.cluster.local \
    on worker1 variable rke2-agent NO_PROXY

# With a pod that runs.
must on worker1 '"$provider" reset'
snapshot worker1 reset
equal '' changed worker1

# The cluster is told before a server is reset: of two members one alone cannot remove the other.
must kubectl delete node server2
within 60 has_members server1
on server2 '"$provider" reset' >"$out/server2/reset" 2>&1 || failed "$(cat "$out/server2/reset")"
must grep -q 'kubectl delete node server2' "$out/server2/reset"
snapshot server2 reset
equal '' changed server2
must kubectl get nodes

reboot worker1
within 60 on worker1 is_active rke2-agent
within 60 ready worker1
within 60 runs worker1
reboot server2
within 150 on server2 is_active rke2-server
within 60 ready server2
within 30 has_members server1 server2
for node in "${nodes[@]}"; do within 30 on $node status_is ok; done
