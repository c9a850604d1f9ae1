within 5 is_active rke2-agent
equal 1 starts rke2-agent
equal 0 starts rke2-server
equal '"https://[2001:db8::1]:9345"' flag rke2-agent server
equal '["site=north"]' flag rke2-agent node-label
# Not for agents.
equal '' flag rke2-agent tls-san
must_not has write-kubeconfig-mode /etc/rancher/rke2/config.yaml
