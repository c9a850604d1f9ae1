within 5 is_active rke2-server
cp /usr/local/cloud-config/cluster.kairos.yaml /run/lab/older.yaml
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 has_started rke2-server 2
within 5 is_active rke2-server
remember /etc/rancher/rke2/config.yaml
# A run of the boot stages that was slow: it has loaded the document before it was written anew.
yip -s boot.before /run/lab/older.yaml
must has 'is not of the plan in force' /var/log/provider-rke2.log
must unchanged /etc/rancher/rke2/config.yaml
must test -e /run/provider-rke2/ready-rke2-server
sleep 0.5
equal 2 starts rke2-server
equal '"server-2"' flag rke2-server node-name
within 5 status_is ok
# Two runs that have mixed their files: what is in force is laid out anew.
sed -i 's/^# plan .*/# plan 0123456789abcdef/' /run/provider-rke2/config.d/90_userdata.yaml
must "$provider" apply config
must unchanged /etc/rancher/rke2/config.yaml
