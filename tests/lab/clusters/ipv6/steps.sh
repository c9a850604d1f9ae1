# Nodes that have only IPv6.
boot server1 worker1
within 90 on server1 is_active rke2-server
within 60 on worker1 is_active rke2-agent
for node in "${nodes[@]}"; do
    within 60 ready $node
    within 30 on $node status_is ok
    within 20 pod $node
done
for node in "${nodes[@]}"; do within 60 runs $node; done
for node in "${nodes[@]}"; do
    equal "$(address $node 6)" kubectl get node $node -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
    equal fd00:42::2 kubectl get pod on-$node -o 'jsonpath={.status.podIPs[*].ip}'
done
equal 127.0.0.0/8,::1,localhost,fd00:42::/56,fd00:43::/112,fd17::/64,fd17::11,.svc,.svc.cluster,.svc.cluster.local,.cluster.local \
    on worker1 variable rke2-agent NO_PROXY
