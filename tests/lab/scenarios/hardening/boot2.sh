within 5 is_active rke2-server
# The same ids as the data, whatever the image has.
equal 'uid=4711(etcd) gid=4712(etcd) groups=4712(etcd)' id etcd
log=/var/log/provider-rke2.log
must has 'vm.overcommit_memory: is 0 and cannot be set to 1' "$log"
must has 'kernel.panic: is 0 and cannot be set to 10' "$log"
must_not has 'vm.panic_on_oom: is' "$log"
must has 'vm.overcommit_memory: is 0 and cannot be set to 1' /etc/issue.d/50-provider-rke2.issue
must has 'kernel module lab-module: modprobe failed with exit status 1: no such module' "$log"
must_not "$provider" status
# Once the kernel does, all is well.
for name in vm/overcommit_memory kernel/panic kernel/panic_on_oops fs/inotify/max_user_instances; do
    mount -o remount,bind,rw "/proc/sys/$name"
done
printf '#!/bin/sh\n' >/usr/sbin/modprobe
must "$provider" apply host
must "$provider" status
must_not test -e /etc/issue.d/50-provider-rke2.issue
