within 5 is_active rke2-server
equal '["site.example.com","k8s.example.com"]' flag rke2-server tls-san
equal '["max-pods=200"]' flag rke2-server kubelet-arg
equal '"SECRET-token-of-the-cluster"' flag rke2-server token
remember /etc/rancher/rke2/config.yaml
