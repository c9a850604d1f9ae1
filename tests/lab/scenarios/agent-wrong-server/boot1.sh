# It waits for a server that is not there.
within 5 has_started rke2-agent
equal pending status_word
must has 'being ready' <("$provider" status)
must_not timeout 5 "$provider" status --wait 1 --format bogus
equal pending head -n 1 <("$provider" status --wait 1)
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
echo ready=0 >/etc/lab/rke2
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 has_started rke2-agent 2
equal '"https://k8s.example.com:9345"' flag rke2-agent server
equal ok head -n 1 <("$provider" status --wait 5)
