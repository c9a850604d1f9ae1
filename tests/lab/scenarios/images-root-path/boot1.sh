within 10 is_active rke2-server
must images_are a.tar
equal '0755 0:0' mode /persistent/root/opt/rke2/scripts/import.sh
must_not test -e /opt/rke2/scripts/import.sh
