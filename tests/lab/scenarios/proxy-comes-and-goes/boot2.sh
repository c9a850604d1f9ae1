# A quiet boot: nothing is written, one start, the same values.
must interface eth0 'veth peer name eth0-peer' 10.10.0.17/24
within 15 is_active rke2-server
equal 1 starts rke2-server
must unchanged /etc/default/rke2-server
equal "$(cat /var/lib/lab/proxies)" eval 'environment rke2-server | grep PROXY'

# The proxy goes in the same boot: one restart, and nothing of it is left.
install -m 0600 /lab/scenario/without.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 has_started rke2-server 2
within 5 is_active rke2-server
must kairos-agent run-stage boot
sleep 0.5
equal 2 starts rke2-server
must_not eval 'environment rke2-server | grep -i proxy'
equal north variable rke2-server SITE
must_not test -e /run/provider-rke2/rke2-server.env
must_not has PROXY /etc/default/rke2-server
