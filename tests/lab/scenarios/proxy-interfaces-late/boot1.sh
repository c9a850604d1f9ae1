ipv4() {
    must interface eth1 'veth peer name eth1-peer' 192.168.7.3/22
    must interface eth0 'veth peer name eth0-peer' 10.10.0.17/24 203.0.113.9/32 10.10.0.5/32
}
ipv6() {
    must ip address add 2001:db8:0:7::17/64 dev eth0 nodad
    must interface bond0 bridge fd00:9::3/64
}
. /lab/scenario/late.sh "ipv4 ipv6"
