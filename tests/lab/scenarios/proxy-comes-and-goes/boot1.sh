must interface eth0 'veth peer name eth0-peer' 10.10.0.17/24
within 15 is_active rke2-server
no_proxy=127.0.0.0/8,::1,localhost,10.42.0.0/16,10.43.0.0/16,10.10.0.0/24,k8s.example.com,.svc,.svc.cluster,.svc.cluster.local,.cluster.local
equal "$no_proxy" variable rke2-server NO_PROXY
equal "$no_proxy" variable rke2-server CONTAINERD_NO_PROXY
equal http://proxy.example.com:3128 variable rke2-server HTTPS_PROXY
equal http://proxy.example.com:3128 variable rke2-server CONTAINERD_HTTPS_PROXY
remember /etc/default/rke2-server
environment rke2-server | grep PROXY >/var/lib/lab/proxies

# The same again in the same boot.
remember /run/provider-rke2/rke2-server.env
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
sleep 0.5
must unchanged /etc/default/rke2-server
must unchanged /run/provider-rke2/rke2-server.env
equal 1 starts rke2-server
# An address more is no reason to restart; the next start knows it, at once.
must ip address add 2001:db8::17/64 dev eth0 nodad
must kairos-agent run-stage boot
sleep 0.5
equal 1 starts rke2-server
must systemctl kill -s KILL rke2-server
within 8 has_started rke2-server 2
within 2 is_active rke2-server
must has ,10.10.0.0/24,2001:db8::/64,k8s. <(variable rke2-server NO_PROXY)

# The first start in a boot does not wait for addresses that have been there for long.
sleep 5
must systemctl stop rke2-server
must rm -r /run/provider-rke2/started
must systemctl start --no-block rke2-server
within 2 has_started rke2-server 3
