# supervise-daemon would give up after ten; every five seconds, for as long as it takes.
within 20 has_started rke2-server 3
equal started state rke2-server
must has '--respawn-max 0' <(ps axww -o args)
echo ready=0 >/etc/lab/rke2
within 10 is_active rke2-server
