# Two at a time, while RKE2 is still starting, and with the plan made anew beside them.
for round in 1 2 3; do
    kairos-agent run-stage boot >/dev/null &
    kairos-agent notify agent.boot >/dev/null &
    kairos-agent run-stage boot >/dev/null &
    wait
done
within 5 is_active rke2-server
equal 1 starts rke2-server
must_not grep -E ' error ' /var/log/provider-rke2.log
