within 5 is_active rke2-server
equal 1 starts rke2-server
equal '"https://k8s.example.com:9345"' flag rke2-server server
must has '"master" is not a role' /var/log/provider-rke2.log
