within 5 is_active rke2-agent
# What the Go provider left on every node: the unit enabled for good.
ln -s /usr/lib/systemd/system/rke2-agent.service /etc/systemd/system/multi-user.target.wants/rke2-agent.service
