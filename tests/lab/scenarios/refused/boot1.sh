must has 'cluster.role: "master" is not a role' /etc/issue.d/50-provider-rke2.issue
must has 'cluster.role: "master" is not a role' /var/log/provider-rke2.log
must has 'cluster.role: \"master\" is not a role' /run/provider-rke2/status.yaml
"$provider" status >/tmp/status && echo 'status should fail' >>"$failures"
must has 'cluster.role: "master" is not a role' /tmp/status
equal refused head -n 1 /tmp/status
# By hand neither.
systemctl start rke2-server
systemctl start rke2-agent
must_not "$provider" apply
must_not "$provider" apply service
sleep 0.3
equal 0 starts rke2-server
equal 0 starts rke2-agent
must_not test -e /etc/rancher/rke2/config.yaml
