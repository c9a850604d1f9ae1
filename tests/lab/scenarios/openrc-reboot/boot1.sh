within 5 is_active rke2-server
remember /etc/init.d/rke2-server /etc/init.d/rke2-agent /etc/rancher/rke2/config.yaml
# For good, as a person would.
must rc-update add rke2-server default
must rc-update add rke2-agent boot
