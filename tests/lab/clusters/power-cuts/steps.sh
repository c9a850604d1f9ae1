# Power cuts in the first start, in a join and in a reset; then the disk of the first server is lost.
k8s_is() { sed -i "/ k8s$/d; \$a $(address "$2") k8s" "/run/nodes/$1/root/etc/hosts"; }
k8s_is server1 server1
boot server1
# Not before: an etcd that is killed after it has made its files, and before it has written into them that it is a member, never elects a leader.
within 60 on server1 "journalctl --boot --quiet -u rke2-server | grep 'became leader'"
cut_off server1
boot server1
within 120 on server1 is_active rke2-server
within 60 ready server1
within 30 on server1 status_is ok

boot server2 server3
within 90 on server2 'test -d /var/lib/rancher/rke2/server/tls'
cut_off server2
within 180 on server3 is_active rke2-server
boot server2
within 180 on server2 is_active rke2-server
for node in server2 server3; do within 60 ready $node; done
within 30 has_members server1 server2 server3

boot worker1
within 30 on worker1 'test -e /var/lib/rancher/rke2/agent/client-ca.crt'
cut_off worker1
boot worker1
within 90 on worker1 is_active rke2-agent
within 60 ready worker1
within 20 pod worker1
within 60 runs worker1

# In a reset: whatever is left of it, the node comes back.
on worker1 '"$provider" reset' >/dev/null 2>&1 &
sleep 0.3
cut_off worker1
wait $! || true
boot worker1
within 90 on worker1 is_active rke2-agent
within 60 ready worker1
within 30 on worker1 status_is ok

# In the reset of a server, in the middle of what it deletes: nothing half of it is left. The cluster has not been told, so RKE2 asks for that.
on server3 'mkdir -p /var/lib/rancher/rke2/server/db/snapshots && cd /var/lib/rancher/rke2/server/db/snapshots && touch {1..30000}'
process=$(leader server3)
on server3 '"$provider" reset' >/dev/null 2>&1 &
until [ ! -e /run/nodes/server3/state/rancher/rke2/server ]; do :; done
kill -KILL "$process"
gone server3
wait $! || true
must test -e /run/nodes/server3/root/usr/local/cloud-config/cluster.kairos.yaml
must test -e /run/nodes/server3/state/rancher/rke2/runtime-1/tls
boot server3
within 60 on server3 "journalctl --boot --quiet -u rke2-server | grep 'duplicate node name'"
must kubectl delete node server3
within 180 on server3 is_active rke2-server
within 60 ready server3
within 30 on server3 status_is ok
within 30 has_members server1 server2 server3
must_not on server3 'ls -d /var/lib/rancher/rke2/runtime-*'

# The first server comes back without its disk, with a cloud-config that still says init. The others are the cluster.
cut_off server1
lose_disk server1
k8s_is server1 server2
kubectl_on=server2
boot server1
within 30 on server1 'has cluster-answers <("$provider" status)'
must_not on server1 is_active rke2-server
equal 0 on server1 starts rke2-server
must_not on server1 'test -e /var/lib/rancher/rke2/server/db'
within 30 kubectl get nodes
