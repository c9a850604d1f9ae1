. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted one
must trusted two
must trusted three
must has 'lacks 1 of 3 cluster.ca_certs although trust ran' /run/provider-rke2/status.yaml
must_not "$provider" apply trust
equal 4 grep -c extract /var/lib/update-ca-trust
