. /lab/scenario/verify.sh
within 5 is_active rke2-server
must unchanged "$bundle"
must unchanged /usr/local/share/ca-certificates/provider-rke2-1.crt
equal 1 runs
must trusted one
