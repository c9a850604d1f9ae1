within 5 is_active rke2-server
equal 1 starts rke2-server
equal '"https://k8s.example.com:9345"' flag rke2-server server
equal '"SECRET-token-of-the-cluster"' flag rke2-server token
equal '["a=b:NoSchedule","c=d:NoExecute"]' flag rke2-server node-taint
