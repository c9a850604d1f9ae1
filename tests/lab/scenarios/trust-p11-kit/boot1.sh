. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted one
must_not trusted two
must trusted three
equal '0644 0:0' mode /etc/pki/ca-trust/source/anchors/provider-rke2-1.crt
equal 2 grep -c extract /var/lib/update-ca-trust
remember "$bundle"
must "$provider" apply trust
must unchanged "$bundle"
