. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted one
must trusted two
must trusted three
equal $(($(cat /var/lib/certificates) + 3)) certificates
equal '0644 0:0' mode /usr/local/share/ca-certificates/provider-rke2-1.crt
equal '0644 0:0' mode "$bundle"
equal 1 runs
remember "$bundle" /usr/local/share/ca-certificates/provider-rke2-1.crt
must "$provider" apply trust
must unchanged "$bundle"
equal 1 runs
