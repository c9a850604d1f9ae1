# Really gone: put aside, and the node with its state says so.
must_not test -e /usr/local/cloud-config/cluster.kairos.yaml
equal 0 starts rke2-server
equal degraded status_word
must has 'section-gone' <("$provider" status)
must has '/var/lib/rancher/rke2 holds state of RKE2' /etc/issue.d/50-provider-rke2.issue
must has 'no cluster section' <("$provider" check /oem/90_custom.yaml)
