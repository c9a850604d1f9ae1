# The boot after: nothing is said of newer data any more.
within 5 is_active rke2-server
must status_is ok
