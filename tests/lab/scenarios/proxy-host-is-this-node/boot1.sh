# The only server: its one address is the control plane host. RKE2 waits for an address, not for another one.
must interface eth0 'veth peer name eth0-peer' 10.10.0.17/24
within 15 is_active rke2-server
equal 1 starts rke2-server
must has ,10.10.0.17,.svc, <(variable rke2-server NO_PROXY)
