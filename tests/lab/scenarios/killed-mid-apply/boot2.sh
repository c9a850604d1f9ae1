within 5 is_active rke2-server
equal 1 starts rke2-server
equal '["calico"]' flag rke2-server cni
equal '' find /etc/rancher /usr/local/cloud-config -name '.*.provider-rke2'
