. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted one
must trusted two
must has 'update-ca-certificates failed with exit status 1: run-parts: No such file or directory, but' /var/log/provider-rke2.log
must_not has 'run-parts' /run/provider-rke2/status.yaml
must test -s /usr/local/lib/provider-rke2/trust
remember "$bundle"
must "$provider" apply trust
must unchanged "$bundle"
