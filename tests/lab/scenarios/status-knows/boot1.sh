within 5 is_active rke2-server
equal ok head -n 1 <("$provider" status --wait 5)
must has '"status": "ok"' <("$provider" status --format json)
equal '0644 0:0' mode /var/log/provider-rke2.status.json
must_not has SECRET /var/log/provider-rke2.status.json
# A rehearsal changes nothing, and there is nothing of the configuration to change.
everything() { find /etc /run/provider-rke2 /run/systemd/system /usr/local /opt -xdev -type f -printf '%p %T@ %m %s\n' | sort; }
everything >/run/lab/before
must "$provider" apply --dry-run >/run/lab/rehearsal
everything >/run/lab/after
must cmp /run/lab/before /run/lab/after
must_not has ' /etc/rancher' /run/lab/rehearsal
# It does not run, whoever stopped it.
systemctl stop rke2-server
equal degraded status_word
must has unit-stopped <("$provider" status)
systemctl start rke2-server
within 5 status_is ok
# It ends again and again.
mkdir -p /etc/lab; echo crash=1 >/etc/lab/rke2
systemctl restart --no-block rke2-server
# Between its stop and its start it is stopped for a moment.
restarts() { has unit-restarts <("$provider" status); }
within 10 restarts
equal degraded status_word
rm /etc/lab/rke2
within 10 status_is ok
# It has ended for good.
mkdir -p /run/systemd/system/rke2-server.service.d
printf '[Service]\nRestart=no\n' >/run/systemd/system/rke2-server.service.d/50-lab.conf
systemctl daemon-reload
echo crash=1 >/etc/lab/rke2
systemctl restart --no-block rke2-server
failed() { has unit-failed <("$provider" status); }
within 10 failed
equal degraded status_word
rm /etc/lab/rke2 /run/systemd/system/rke2-server.service.d/50-lab.conf
systemctl daemon-reload
systemctl start rke2-server
within 10 status_is ok
# It may not read what was recorded.
equal unknown head -n 1 <(setpriv --reuid 65534 --clear-groups "$provider" status)
setpriv --reuid 65534 --clear-groups "$provider" status >/dev/null
equal 2 echo $?
# There is nothing recorded where something should be.
mv /run/provider-rke2/status.yaml /run/lab/
equal unknown status_word
echo torn >/run/provider-rke2/status.yaml
equal unknown status_word
mv /run/lab/status.yaml /run/provider-rke2/
equal ok status_word
# Only `refused` itself says it.
echo 'somebody says no' >/run/provider-rke2/refused
equal refused status_word
must has 'somebody says no' <("$provider" status)
rm /run/provider-rke2/refused
equal ok status_word
# A step that failed, though RKE2 runs.
mkdir -p /run/lab/was && mv /etc/fstab /run/lab/was/ 2>/dev/null
mkdir /etc/fstab
must_not "$provider" apply swap
equal degraded status_word
must has '/etc/fstab' <("$provider" status) /etc/issue.d/50-provider-rke2.issue
rmdir /etc/fstab
must "$provider" apply swap
equal ok status_word
must_not test -e /etc/issue.d/50-provider-rke2.issue
