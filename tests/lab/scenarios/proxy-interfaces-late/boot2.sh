# The other way round; the address of the control plane has moved to another node.
ipv4() {
    must ip address add 203.0.113.9/32 dev bond0
    must ip address add 10.10.0.17/24 dev eth0
    must interface eth1 'veth peer name eth1-peer' 192.168.7.3/22
}
ipv6() {
    must interface bond0 bridge fd00:9::3/64
    must interface eth0 'veth peer name eth0-peer' 2001:db8:0:7::17/64
}
. /lab/scenario/late.sh "ipv6 ipv4"
