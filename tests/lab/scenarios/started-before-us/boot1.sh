# Agent mode: RKE2 was brought up by somebody else, and runs; then comes the provider, without a reboot.
mkdir -p /etc/rancher/rke2 /var/lib/rancher/rke2/server/db
echo 'node-name: of-before' >/etc/rancher/rke2/config.yaml
must systemctl start rke2-server
within 5 is_active rke2-server
equal 1 starts rke2-server
install -m 0600 /lab/scenario/asked.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
# With what it started nobody knows, but it is not what is installed now.
within 5 has_started rke2-server 2
within 5 is_active rke2-server
equal '"server-1"' flag rke2-server node-name
within 5 status_is ok
settled() {
    must kairos-agent run-stage boot
    sleep 0.5
    equal "$1" starts rke2-server
    within 5 is_active rke2-server
    within 5 status_is ok
}
# Nothing changes: nothing happens.
settled 2
# RKE2 reads more than config.yaml.
mkdir /etc/rancher/rke2/config.yaml.d
echo 'debug: true' >/etc/rancher/rke2/config.yaml.d/10-site.yaml
equal pending status_word
settled 3
settled 3
rm /etc/rancher/rke2/config.yaml.d/10-site.yaml
settled 4
# And it may be another program.
cp /usr/bin/rke2 /usr/bin/rke2.new
mv /usr/bin/rke2.new /usr/bin/rke2
settled 5
settled 5
