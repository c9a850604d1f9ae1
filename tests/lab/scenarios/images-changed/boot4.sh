# Ours goes, theirs stays.
within 10 is_active rke2-server
must images_are keep.tar others.tar renamed.tar
for name in keep others; do must unchanged "$images/$name.tar"; done
