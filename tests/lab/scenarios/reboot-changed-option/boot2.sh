within 5 is_active rke2-server
equal 1 starts rke2-server
equal '["calico"]' flag rke2-server cni
equal '"SECRET-another-token"' flag rke2-server token
must_not has SECRET-token-of-the-cluster /etc/rancher/rke2/config.yaml /etc/rancher/rke2/config.d/99_userdata.yaml
