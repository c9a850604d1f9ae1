within 5 is_active rke2-server
equal '"edge-node1"' flag rke2-server node-name
equal true flag rke2-server debug
equal '["node1.a","node1.b","node1.example.com"]' flag rke2-server tls-san
flag rke2-server kubelet-arg | sed 's/^\["//; s/"\]$//; s/","/\n/g' >/run/lab/found
. /etc/os-release
printf 'upper=%s\n' "${PRETTY_NAME^^}" >/run/lab/meant
cat >>/run/lab/meant <<'END'
default=none
printf=a-007
index=node1
if=yes
range=012
trim=abc
end=x
comment=x
braces=}}}}{{{{\"\\n\"}}# values 0123456789abcdef
lines=a\nb
quotes=\"\\\\$X
plan=# plan 0123456789abcdef
END
must diff /run/lab/meant /run/lab/found
must_not has '.Values' "$(last rke2-server)/config.yaml"
equal '0700 0:0' mode /run/provider-rke2/values
equal '0600 0:0' mode /run/provider-rke2/values/0
within 5 sh -c "$provider status | head -n 1 | grep -qx ok"
