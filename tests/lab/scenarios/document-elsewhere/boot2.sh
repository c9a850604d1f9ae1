# Moved: one document of ours is in force, not two.
within 5 is_active rke2-server
equal 1 starts rke2-server
must test -e /usr/local/cloud-config/50_rke2.yaml
must_not test -e /usr/local/cloud-config/cluster.kairos.yaml
