within 15 is_active rke2-server
must cmp /opt/arriving.tar $images/arriving.tar
must images_are arriving.tar
must as_started rke2-server arriving.tar
echo "multi-user.target after $(entered multi-user.target) ms, RKE2 after $(entered rke2-server.service) ms"
# RKE2 waits, the boot does not; what was cut off for a while is no reason to act any more.
must test "$(entered multi-user.target)" -lt 4000
must test "$(entered rke2-server.service)" -ge 4000
must has 'arriving.tar: is cut off after 100000 bytes' /var/log/provider-rke2.log
must_not has 'cut off' /run/provider-rke2/status.yaml
