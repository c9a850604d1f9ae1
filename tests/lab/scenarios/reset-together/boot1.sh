# While the boot stages run, which have read the document before it goes: whoever is first, nothing is started after the reset.
. /lab/reset.sh
within 5 is_active rke2-server
for delay in 0 0.02 0.05 0.1 0.2 0.3; do
    must kairos-agent notify agent.boot
    kairos-agent run-stage boot >/dev/null 2>&1 &
    stages=$!
    sleep "$delay"
    must $provider reset
    before=$(starts rke2-server)
    wait "$stages"
    sleep 0.2
    equal inactive state rke2-server
    equal "$before" starts rke2-server
    must_not test -e /etc/rancher/rke2/config.yaml
done
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
within 5 is_active rke2-server
# Whatever was started before a reset, it was with its configuration.
for record in /run/lab/starts/*/; do must has SECRET-token-of-the-cluster "$record/config.yaml"; done
