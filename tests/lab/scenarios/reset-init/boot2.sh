# With a cluster section the next boot makes a fresh node.
. /lab/reset.sh
within 5 is_active rke2-server
equal 1 starts rke2-server
must_not test -e /var/lib/rancher/rke2/server/db/etcd/of-the-first-life
must_not test -e /run/provider-rke2/refused
live rke2-server
# By the event, which the agent's plugins answer.
echo '{"name":"cluster.reset","data":"{\"config\":\"\"}"}' | $provider cluster.reset >/tmp/answer
must grep -q '"error":""' /tmp/answer
is_clean rke2-server
