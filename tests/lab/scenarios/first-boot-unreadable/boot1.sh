# The image enables the unit, and nobody knows what is asked of the node: it founds no cluster of its own.
sleep 1
equal 0 starts rke2-server
equal degraded status_word
must has 'there is no earlier plan' <("$provider" status)
systemctl start rke2-server
equal 0 starts rke2-server
