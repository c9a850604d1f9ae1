. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted one
must trusted three
equal 4 grep -c extract /var/lib/update-ca-trust
