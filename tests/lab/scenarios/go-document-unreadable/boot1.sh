# The first boot after the Go provider, and a file is broken: what runs goes on running, behind no gate that nobody would open.
within 5 is_active rke2-server
must test -e /etc/go-ran
equal '"of-go"' flag rke2-server node-name
must_not test -e /run/systemd/system/rke2-server.service.d/50-provider-rke2.conf
must test -L /etc/systemd/system/multi-user.target.wants/rke2-server.service
equal degraded status_word
must has '/oem/95_cluster.yaml' <("$provider" status)
