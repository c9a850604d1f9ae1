# runs_on TEXT: the node runs with its last plan, and everybody is told of the file and the reason.
runs_on() {
    within 5 is_active rke2-server
    equal 1 starts rke2-server
    must unchanged /usr/local/cloud-config/cluster.kairos.yaml
    must unchanged /etc/rancher/rke2/config.yaml
    equal degraded status_word
    must has "/oem/90_custom.yaml: $1" /var/log/provider-rke2.log /etc/issue.d/50-provider-rke2.issue /lab/out/status.now
}
"$provider" status >/lab/out/status.now
