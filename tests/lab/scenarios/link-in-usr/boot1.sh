# systemd has queued both before the stages run: the gate holds them back, and only the asked-for one starts, once.
within 5 is_active rke2-agent
equal 1 starts rke2-agent
equal 0 starts rke2-server
