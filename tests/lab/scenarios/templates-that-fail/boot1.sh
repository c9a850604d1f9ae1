for option in 'node-name: holds a template that fails' 'kubelet-arg: holds a template that fails' \
    'kubelet-arg: holds a template of a value'; do
    must has "$option" /etc/issue.d/50-provider-rke2.issue
    must has "$option" /run/provider-rke2/status.yaml
done
must has 'cluster.config.agent-token: holds a template, which is not evaluated in a secret' /run/provider-rke2/status.yaml
# Nobody else evaluates them.
must_not "$provider" apply
systemctl start rke2-server
sleep 0.3
equal 0 starts rke2-server
must_not test -e /etc/rancher/rke2/config.yaml
