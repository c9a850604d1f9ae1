sleep 1
equal 0 starts rke2-server
must has 'server: stands in a file that RKE2 reads after ' /etc/issue.d/50-provider-rke2.issue
must has '(/etc/rancher/rke2/config.yaml.d/site.yaml line ' /etc/issue.d/50-provider-rke2.issue
# Mended, it runs.
rm /etc/rancher/rke2/config.yaml.d/site.yaml
must kairos-agent run-stage boot
within 5 is_active rke2-server
must_not test -e /etc/issue.d/50-provider-rke2.issue
