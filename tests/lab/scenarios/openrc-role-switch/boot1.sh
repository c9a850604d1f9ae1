within 5 is_active rke2-agent
install -m 0600 /lab/scenario/join.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 is_active rke2-server
equal 1 starts rke2-server
equal 1 starts rke2-agent
equal stopped state rke2-agent
must_not is_running rke2-agent
must test -e "$(last rke2-agent)/sigterm"
equal '"https://k8s.example.com:9345"' flag rke2-server server
must_not test -e /run/provider-rke2/ready-rke2-agent
must_not rc-service rke2-agent start
