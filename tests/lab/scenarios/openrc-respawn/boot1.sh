variable() { tr '\0' '\n' <"/proc/$(pid rke2-server)/environ" | grep "^$1=" | cut -d = -f 2-; }
within 5 is_active rke2-server
equal 'FROM=default' cat /etc/default/rke2-server
equal 'the cloud-config' variable FROM
equal one variable SITE
first=$(pid rke2-server)

# Both are read again, and prestart runs again, when the supervisor starts it anew.
printf 'SITE="two"\n' >/etc/sysconfig/rke2-server
rm -r /run/provider-rke2/started
must kill -9 "$first"
sleep 2
equal 1 starts rke2-server
within 6 has_started rke2-server 2
within 5 is_active rke2-server
must test "$(pid rke2-server)" != "$first"
equal two variable SITE
equal 'the cloud-config' variable FROM
must test -e /run/provider-rke2/started/rke2-server/config.yaml
equal started state rke2-server

# What no shell understands keeps nothing from starting, and is not quoted.
printf 'SITE="SECRET-unterminated\n' >/etc/sysconfig/rke2-server
must kill -9 "$(pid rke2-server)"
within 8 has_started rke2-server 3
within 5 is_active rke2-server
equal '' variable SITE
equal 'the cloud-config' variable FROM
must has '/etc/sysconfig/rke2-server: is not read' /var/log/rke2-server.log
rm /etc/sysconfig/rke2-server
