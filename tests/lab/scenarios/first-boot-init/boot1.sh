within 5 is_active rke2-server
equal 1 starts rke2-server
equal 0 starts rke2-agent
equal '"SECRET-token-of-the-cluster"' flag rke2-server token
equal '"server-1"' flag rke2-server node-name
equal '["cilium"]' flag rke2-server cni
equal '["k8s.example.com"]' flag rke2-server tls-san
equal '' flag rke2-server server
equal '0755 0:0' mode /etc/rancher
equal '0755 0:0' mode /etc/rancher/rke2
equal '0700 0:0' mode /etc/rancher/rke2/config.d
equal '0600 0:0' mode /etc/rancher/rke2/config.yaml
equal '0400 0:0' mode /etc/rancher/rke2/config.d/90_userdata.yaml
equal '0400 0:0' mode /etc/rancher/rke2/config.d/99_userdata.yaml
equal '0600 0:0' mode /var/log/provider-rke2.log
equal '0700 0:0' mode /run/provider-rke2
# Enabled for this boot only.
equal enabled-runtime systemctl is-enabled rke2-server
must_not test -e /etc/systemd/system/multi-user.target.wants/rke2-server.service
must_not test -e /etc/issue.d/50-provider-rke2.issue
must "$provider" status
