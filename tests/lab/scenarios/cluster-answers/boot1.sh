within 8 is_active rke2-server
# A fresh node again, and a neighbour in a network of its own.
fresh() {
    systemctl stop rke2-server
    rm -rf /var/lib/rancher/rke2 /usr/local/lib/provider-rke2 /run/provider-rke2/started
    must "$provider" apply config
    must test -e /run/provider-rke2/fresh-rke2-server
}
cluster_is() { printf '127.0.0.1 localhost\n%s cluster.test\n' "$1" >/etc/hosts; }
# answers ADDRESS HOW: something stands at the port until the next call.
answers() {
    [ -z "${neighbour-}" ] || { kill "$neighbour"; wait "$neighbour" 2>/dev/null; }
    neighbour=
    [ $# = 0 ] || { nsenter --net=/run/neighbour rke2 answer "$1" "$2" & neighbour=$!; sleep 0.3; }
}
touch /run/neighbour
unshare --net=/run/neighbour true
ip link add here type veth peer name there
nsenter --net=/run/neighbour sleep 60 &
sleep 0.2
ip link set there netns $!
ip address add 10.9.9.1/24 dev here
ip link set here up
nsenter --net=/run/neighbour ip address add 10.9.9.2/24 dev there
nsenter --net=/run/neighbour ip link set there up
cluster_is 10.9.9.2

# A cluster: not started, and looked at again at each start.
fresh
before=$(starts rke2-server)
answers 10.9.9.2:9345 tls
systemctl start rke2-server
equal inactive state rke2-server
equal "$before" starts rke2-server
must has cluster-answers <("$provider" status)
must has 'cluster.control_plane_host: a cluster answers' /etc/issue.d/50-provider-rke2.issue
systemctl start rke2-server
equal "$before" starts rke2-server
answers
must systemctl start rke2-server
within 5 is_active rke2-server
within 5 status_is ok

# Who has data founds nothing, whoever answers.
answers 10.9.9.2:9345 tls
systemctl restart rke2-server
within 5 is_active rke2-server

# A load balancer without a server.
fresh
answers 10.9.9.2:9345 close
must systemctl start rke2-server
within 5 is_active rke2-server

# A VIP that is this node.
fresh
answers
ip address add 10.9.9.7/32 dev here
cluster_is 10.9.9.7
rke2 answer 10.9.9.7:9345 tls &
sleep 0.3
must systemctl start rke2-server
within 5 is_active rke2-server
kill %rke2 2>/dev/null || pkill -f 'rke2 answer'

# A firewall that drops: no longer than 3 s.
fresh
ip neigh add 10.9.9.77 lladdr 02:00:00:00:00:77 dev here
cluster_is 10.9.9.77
from=$(date +%s%N)
must systemctl start rke2-server
took=$((($(date +%s%N) - from) / 1000000))
must test "$took" -ge 2500
must test "$took" -le 5500
within 5 is_active rke2-server
