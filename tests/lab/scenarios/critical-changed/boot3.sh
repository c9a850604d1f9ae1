within 5 is_active rke2-server
must status_is ok
equal "$(cat /var/lib/lab-fingerprint)" grep '"fingerprint"' <("$provider" status --format json)
