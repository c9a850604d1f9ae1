within 5 is_active rke2-agent
equal agent variable rke2-agent ROLE_IS
must_not test -e /etc/default/rke2-server
