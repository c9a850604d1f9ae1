# Interfaces that come when the boot stages are long done. Each boot says in `ipv4` and `ipv6` how they come, and in what order.

# The network is said to be up, but there is no address: RKE2 waits, the boot does not.
within 5 is_reached multi-user.target
must interface docker0 bridge 172.17.0.1/16
must interface br-5f3a bridge 172.18.0.1/16
sleep 2
# Those of containers do not end the wait, nor does one that is of this link only.
must interface cni0 bridge 10.200.3.1/24 fd00:200:0:3::1/64
must interface flannel.1 'vxlan id 1 dstport 8472' 10.200.3.0/32
must interface cali12ab 'veth peer name veth12ab' 198.51.100.1/24
must interface virbr0 bridge 192.168.122.1/24
must interface eth9 'veth peer name eth9-peer' 169.254.7.7/16 fe80::7:7/64
must ip address add 198.51.100.7/32 dev lo
sleep 1
equal activating state rke2-agent
equal 0 starts rke2-agent

for family in $1; do
    "$family"
    sleep 1.5
done
within 15 is_active rke2-agent
# A container that comes now changes nothing.
must interface kube-ipvs0 bridge 10.201.0.1/32
equal 1 starts rke2-agent

expected=$(cat /lab/scenario/no-proxy)
for name in NO_PROXY CONTAINERD_NO_PROXY no_proxy; do equal "$expected" variable rke2-agent "$name"; done
for name in HTTP_PROXY CONTAINERD_HTTP_PROXY; do
    equal http://kairos:SECRET-proxy@proxy.example.com:3128 variable rke2-agent "$name"
done
must_not variable rke2-agent HTTPS_PROXY
equal '0600 0:0' mode /etc/default/rke2-agent
equal '0600 0:0' mode /run/provider-rke2/rke2-agent.env
must_not has -cidr /etc/rancher/rke2/config.yaml
