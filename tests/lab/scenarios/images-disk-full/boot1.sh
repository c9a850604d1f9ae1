# Nothing half-done, and RKE2 starts all the same.
within 15 is_active rke2-server
equal "" find /var/lib/rancher -name "*.tar"
must has 'has no room for the images of /opt/content/images: 2.1 MiB needed' /var/log/provider-rke2.log /run/provider-rke2/status.yaml
