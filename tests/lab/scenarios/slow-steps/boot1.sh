within 30 is_active rke2-server
equal 1 starts rke2-server
within 5 status_is ok
# Another certificate, so the tool runs again, for 8 s; meanwhile a second event and the boot stages again.
cp /etc/site/ca.pem /etc/site/other.pem
rm /usr/local/lib/provider-rke2/trust
"$provider" apply trust &
slow=$!
sleep 0.5
before=$SECONDS
must kairos-agent notify agent.boot
[ $((SECONDS - before)) -le 3 ] || echo "the event took $((SECONDS - before)) s" >>"$failures"
must_not test -e /run/provider-rke2/refused
must "$provider" apply config
must test -e /run/provider-rke2/ready-rke2-server
[ $((SECONDS - before)) -le 4 ] || echo "event and apply config took $((SECONDS - before)) s" >>"$failures"
must kill -0 $slow
must kairos-agent run-stage boot
wait $slow || echo 'the slow step failed' >>"$failures"
equal 1 starts rke2-server
within 5 status_is ok
