within 10 is_active rke2-server
must images_are a.tar b.tar keep.tar others.tar
remember $images/*.tar
