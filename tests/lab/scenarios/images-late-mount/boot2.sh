# As long as the directory is empty everything stays; once it is mounted, it counts.
must images_are a.tar b.tar
within 15 is_active rke2-server
must images_are a.tar c.tar
must unchanged $images/a.tar
must as_started rke2-server c.tar
must test "$(entered rke2-server.service)" -ge 3000
