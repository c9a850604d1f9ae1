must interface eth0 'veth peer name eth0-peer' 10.10.0.17/24
within 15 is_active rke2-server
equal 'kept as it is' variable rke2-server MINE
equal 1 variable rke2-server MORE
# Ours is read last.
equal north variable rke2-server SITE
equal http://new.example.com:3128 variable rke2-server HTTP_PROXY
equal http://new.example.com:3128 variable rke2-server CONTAINERD_HTTP_PROXY
no_proxy=127.0.0.0/8,::1,localhost,10.42.0.0/16,10.43.0.0/16,10.10.0.0/24,k8s.example.com,.svc,.svc.cluster,.svc.cluster.local,.cluster.local,.example.com
equal "$no_proxy" variable rke2-server NO_PROXY
equal "$no_proxy" variable rke2-server CONTAINERD_NO_PROXY
must has 'was not written by this program, so it stays' /var/log/provider-rke2.log
equal '0600 0:0' mode /run/provider-rke2/rke2-server.env

# A change restarts once, here too; what is no longer asked for is the site's again.
must kairos-agent run-stage boot
sleep 0.5
equal 1 starts rke2-server
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 has_started rke2-server 2
within 5 is_active rke2-server
must kairos-agent run-stage boot
sleep 0.5
equal 2 starts rke2-server
equal south variable rke2-server SITE
equal http://old.example.com:80 variable rke2-server HTTP_PROXY
must_not variable rke2-server CONTAINERD_HTTP_PROXY
for file in /etc/default/rke2-server /etc/default/rke2-agent /etc/sysconfig/rke2-server; do must unchanged "$file"; done
