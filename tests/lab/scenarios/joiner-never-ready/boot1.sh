# The same boot without RKE2, to measure against.
within 5 is_reached multi-user.target
within 5 is_reached getty.target
mkdir -p /var/lib/lab
entered multi-user.target >/var/lib/lab/multi-user
entered getty.target >/var/lib/lab/getty
