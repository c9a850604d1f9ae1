# Another file is broken: the plan is made, with a warning.
within 5 is_active rke2-server
must unchanged /etc/rancher/rke2/config.yaml
must has '/oem/96_other.yaml' /var/log/provider-rke2.log
must has 'plan: planned' /run/provider-rke2/status.yaml
