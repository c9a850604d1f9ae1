within 5 is_active rke2-server
equal 1 starts rke2-server
equal 0 starts rke2-agent
# systemctl disable would have deleted the unit.
must test -L /etc/systemd/system/rke2-server.service
must test -L /etc/systemd/system/rke2-agent.service
must_not test -e /etc/systemd/system/multi-user.target.wants/rke2-server.service
