# Another archive of the same size and time: RKE2's cache must see it.
within 10 is_active rke2-server
must imported b.tar
must_not unchanged $images/b.tar
must test "$(stat -c %Y $images/b.tar)" -gt "$(stat -c %Y $content/b.tar)"
for name in keep others; do must unchanged "$images/$name.tar"; done
