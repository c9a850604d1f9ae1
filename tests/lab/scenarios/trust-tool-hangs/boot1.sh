. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted one
links() { find /etc/ssl/certs -type l ! -lname '*provider-rke2*' | wc -l; }
before="$(links) $(certificates)"
# It hangs in the middle of its work, and is killed at its limit.
printf '#!/bin/sh\nexec sleep 1000\n' >/usr/sbin/openssl
chmod 0755 /usr/sbin/openssl
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must_not "$provider" apply
rm /usr/sbin/openssl
# What the host trusted before it trusts still, and it is told.
equal "$before" echo "$(links) $(certificates)"
must_not test -e "$bundle.new"
equal degraded status_word
must has 'update-ca-certificates did not end' <("$provider" status)
must is_active rke2-server
# The next run does it anew.
must "$provider" apply trust
must trusted two
must neither one
within 5 status_is ok
