within 5 is_active rke2-server
remember /etc/rancher/rke2/config.yaml
# Somebody holds the lock and does not let go: a disk that hangs.
exec 7>>/run/provider-rke2/lock
flock 7
must kairos-agent notify agent.boot
must_not test -e /run/provider-rke2/refused
must_not timeout 60 "$provider" apply config
# Nobody's time-out shuts the gate, or refuses what has not changed.
must test -e /run/provider-rke2/ready-rke2-server
must_not test -e /run/provider-rke2/refused
must unchanged /etc/rancher/rke2/config.yaml
must has 'apply: waits for another run that holds /run/provider-rke2/lock' /var/log/provider-rke2.log
exec 7>&-
must "$provider" apply config
within 5 is_active rke2-server
equal 1 starts rke2-server
within 5 status_is ok
