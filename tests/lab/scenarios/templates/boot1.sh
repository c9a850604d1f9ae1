within 5 is_active rke2-server
equal '"edge-node1"' flag rke2-server node-name
must_not has '.Values' "$(last rke2-server)/config.yaml"
