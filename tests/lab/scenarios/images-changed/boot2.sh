within 10 is_active rke2-server
must images_are b.tar keep.tar others.tar renamed.tar
for name in b keep others; do must unchanged "$images/$name.tar"; done
