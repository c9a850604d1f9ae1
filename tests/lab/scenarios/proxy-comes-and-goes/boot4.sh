# No variable is left, so no file is.
within 3 is_active rke2-server
must_not test -e /etc/default/rke2-server
must_not variable rke2-server SITE
