# A proxy is set, so RKE2 waits for an address.
must interface eth0 'veth peer name eth0-peer' 10.10.0.17/24
within 15 is_active rke2-server
equal '"SECRET-agent"' flag rke2-server agent-token
equal '"SECRET-s3"' flag rke2-server etcd-s3-secret-key
equal '["A=SECRET-extra"]' flag rke2-server kube-apiserver-extra-env
must has 'SECRET-{{ .Values.token }}`$(id)`' "$(last rke2-server)/flags"
