# Full, but the document stays as it is.
within 5 is_active rke2-server
must unchanged /usr/local/cloud-config/cluster.kairos.yaml
