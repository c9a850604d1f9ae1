# Killed or not, the node runs with it.
within 5 is_active rke2-server
equal 1 starts rke2-server
equal '"server-2"' flag rke2-server node-name
must_not test -e /run/provider-rke2/refused
