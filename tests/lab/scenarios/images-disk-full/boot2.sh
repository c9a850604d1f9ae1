within 10 is_active rke2-server
must images_are a.tar
must_not has 'no room' /run/provider-rke2/status.yaml
