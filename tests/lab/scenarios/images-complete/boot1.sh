within 20 is_active rke2-server
must imported rke2-images-core.linux-amd64.tar
must imported "extra/with blanks.tar"
must images_are rke2-images-core.linux-amd64.tar "with blanks.tar"
must as_started rke2-server rke2-images-core.linux-amd64.tar "with blanks.tar"
equal '0644 0:0' mode $images/rke2-images-core.linux-amd64.tar
equal '0600 0:0' mode /var/log/rke2-import-images.log
must has 'cut.tar: is cut off after 20000 bytes' /var/log/rke2-import-images.log /var/log/provider-rke2.log /run/provider-rke2/status.yaml
must has 'rke2-images-cilium.linux-amd64.tar.zst is expected for the CNI cilium' /var/log/rke2-import-images.log
must_not has 'is expected for the core images' /var/log/rke2-import-images.log
equal '0755 0:0' mode /opt/rke2/scripts/import.sh
must /opt/rke2/scripts/import.sh /opt/content/images/extra
remember $images/*.tar $images/.cache.json
