within 3 has_started rke2-server
within 3 is_reached multi-user.target
# The stages once more, while systemd waits for the next attempt: that one stays as far away as it was.
must kairos-agent run-stage boot
within 8 has_started rke2-server 2
equal 2 starts rke2-server
