within 5 is_active rke2-server
equal '"anode1"' flag rke2-server node-name
within 5 sh -c "$provider status | head -n 1 | grep -qx ok"
