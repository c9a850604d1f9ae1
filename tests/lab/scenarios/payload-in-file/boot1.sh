within 5 is_active rke2-server
equal '["cilium"]' flag rke2-server cni
equal '' find /tmp -name 'pluggable*'
