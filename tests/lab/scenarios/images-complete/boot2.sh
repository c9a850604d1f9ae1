# Nothing has changed: nothing is touched, and RKE2 starts at once.
within 5 is_active rke2-server
for file in $images/*.tar $images/.cache.json; do must unchanged "$file"; done
must has '0 imported, 2 unchanged' /var/log/rke2-import-images.log
