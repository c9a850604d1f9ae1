# A first server, a second one, an agent, each with a pod of an image that it imported.
boot server1
within 90 on server1 is_active rke2-server
within 60 ready server1
boot server2 worker1
within 60 on worker1 is_active rke2-agent
within 150 on server2 is_active rke2-server
for node in server2 worker1; do within 60 ready $node; done
within 30 has_members server1 server2
for node in "${nodes[@]}"; do
    within 30 on $node status_is ok
    within 20 pod $node
done
for node in "${nodes[@]}"; do within 60 runs $node; done
equal lab kubectl get node worker1 -o 'jsonpath={.metadata.labels.site}'

has_capacity() { [ "$(kubectl get node "$1" -o 'jsonpath={.status.capacity.pods}')" = "$2" ]; }

# A changed option: one restart, and the pod does not notice.
before=$(container worker1)
config worker1 changed.yaml
replan worker1
within 60 on worker1 has_started rke2-agent 2
within 60 on worker1 is_active rke2-agent
within 30 has_label worker1 rack r7
within 30 ready worker1
equal 2 on worker1 starts rke2-agent
within 30 has_capacity worker1 77
equal "$before" container worker1
within 30 on worker1 status_is ok
must on worker1 kairos-agent run-stage boot
equal 2 on worker1 starts rke2-agent

# Images that it pulls: from a registry with a password and a CA that only ca_certs has, and through a proxy. Nothing of the cluster goes there.
must pod worker1 mirror site.example/lab/app:1
must pod worker1 outside outside.example:5443/lab/app:1
environ() { echo "/proc/\$(busybox pidof $1)/environ"; }
# asks PROGRAM HOST: as that program would.
asks() {
    on worker1 "xargs -0 sh -c 'exec env -i \"\$@\" /var/lib/rancher/rke2/bin/kubectl --request-timeout=1s --server=http://$2:81 get --raw /' sh <$(environ "$1")"
}
asking=()
for program in containerd kubelet; do
    must on worker1 "tr '\\0' '\\n' <$(environ $program) | grep -Fx HTTPS_PROXY=http://proxy.lab:3128"
    for host in server1 10.17.0.11 10.42.0.9 10.43.0.1 kubernetes.default.svc localhost "$program.example"; do
        asks $program $host >"$out/asked-$program-$host" 2>&1 &
        asking+=($!)
    done
done
wait "${asking[@]}" || true
within 60 runs mirror
within 60 runs outside
equal $'CONNECT outside.example:5443\nGET containerd.example:81\nGET kubelet.example:81' asked
must_not on worker1 "find /var/lib/rancher/rke2/agent/images -name '*app*' | grep ."

# A reboot of each, without a registry: what is imported stays imported, and what was pulled is there.
end_services
for node in worker1 server2 server1; do
    unit=rke2-server
    [ $node != worker1 ] || unit=rke2-agent
    must on $node 'remember $images/pause.tar $images/pod.tar'
    reboot $node
    within 120 on $node is_active $unit
    kubectl_on=server1
    within 60 ready $node
    within 60 runs_anew $node
    [ $node != worker1 ] || for name in mirror outside; do within 60 runs_anew $name; done
    must on $node 'unchanged $images/pause.tar && unchanged $images/pod.tar'
    must_not on $node 'journalctl --boot --quiet -u rke2-server -u rke2-agent | grep "Importing images from"'
    equal 1 on $node starts $unit
    within 30 on $node status_is ok
done
