. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted
equal 1 grep -c 'begin\|certificates of cluster.ca_certs' "$bundle"
