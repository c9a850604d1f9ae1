within 5 is_active rke2-server
equal '"a{{ fail \"on purpose\" }}"' flag rke2-server node-name
equal '["y={{ range }}","z=<no value>","e=node1"]' flag rke2-server kubelet-arg
within 5 sh -c "$provider status | head -n 1 | grep -qx degraded"
