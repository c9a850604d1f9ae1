. /lab/scenario/verify.sh
within 5 is_active rke2-server
equal 2 runs
equal $(($(cat /var/lib/certificates) + 2)) certificates
must trusted one
must trusted two
