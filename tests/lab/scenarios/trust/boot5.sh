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
# What was cut off is done anew.
equal 3 runs
echo '-----BEGIN CERTIFICATE-----' >"$bundle.new"
echo unfinished >/usr/local/lib/provider-rke2/trust
mv /usr/sbin/update-ca-certificates.real /usr/sbin/update-ca-certificates
must "$provider" apply trust
equal 4 runs
must "$provider" apply trust
equal 4 runs
must trusted one
equal $(($(cat /var/lib/certificates) + 2)) certificates
chmod 0600 /usr/local/share/ca-certificates/provider-rke2-1.crt
must "$provider" apply trust
equal '0644 0:0' mode /usr/local/share/ca-certificates/provider-rke2-1.crt
equal 5 runs
