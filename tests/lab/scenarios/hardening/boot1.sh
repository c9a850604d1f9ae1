sysctl=/etc/sysctl.d/90-provider-rke2.conf
kernel() { cat "/proc/sys/$1"; }
accepted() { diff /var/lib/lab/pwck <(pwck -r) && diff /var/lib/lab/grpck <(grpck -r); }

within 5 is_active rke2-server
equal 1 starts rke2-server
equal 1 kernel vm/overcommit_memory
equal 10 kernel kernel/panic
equal 1 kernel kernel/panic_on_oops
equal 0 kernel vm/panic_on_oom
equal 77 kernel net/ipv4/ip_default_ttl
must has 'net.ipv4.ip_default_ttl: set to 77, was 64' /var/log/provider-rke2.log
equal 8192 kernel fs/inotify/max_user_instances
equal 1048576 kernel fs/inotify/max_user_watches
must test /run/lab/kernel/panic -ot "$(last rke2-server)/argv"
must test /etc/passwd -ot "$(last rke2-server)/argv"
equal '0644 0:0' mode "$sysctl"
has vm.overcommit_memory=1 "$sysctl"

# What systemd makes of the file.
echo 0 >/proc/sys/kernel/panic
must /usr/lib/systemd/systemd-sysctl "$sysctl"
equal 10 kernel kernel/panic

equal 'uid=379(etcd) gid=379(etcd) groups=379(etcd)' id etcd
equal 'etcd:x:379:379:etcd of RKE2:/:/usr/sbin/nologin' getent passwd etcd
equal 'etcd:x:379:' getent group etcd
equal 'etcd:!:::::::' getent shadow etcd
equal 'etcd:!::' getent gshadow etcd
must grep -q '^etcd L ' <(passwd -S etcd)
for file in passwd group shadow gshadow; do
    equal "$(mode "/var/lib/lab/etc/$file")" mode "/etc/$file"
    must cmp "/var/lib/lab/etc/$file" <(head -n -1 "/etc/$file")
done
must accepted

remember "$sysctl" /etc/passwd /etc/group /etc/shadow /etc/gshadow
must "$provider" apply host
for file in "$sysctl" /etc/passwd /etc/group /etc/shadow /etc/gshadow; do must unchanged "$file"; done

# By the hand of modprobe.
must has 'modprobe -- lab-module' /run/lab/modprobe
equal '0644 0:0' mode /etc/modules-load.d/90-provider-rke2.conf

# NetworkManager is told, once, and only where it runs.
unmanaged=/etc/NetworkManager/conf.d/90-provider-rke2.conf
must has 'unmanaged-devices+=interface-name:cali*;' "$unmanaged"
must_not test -e /run/lab/network-manager-reloaded
rm "$unmanaged"
must "$provider" apply host
must_not systemctl is-active NetworkManager
systemctl start NetworkManager
must "$provider" apply host
must_not test -e /run/lab/network-manager-reloaded
rm "$unmanaged"
must "$provider" apply host
within 3 test -e /run/lab/network-manager-reloaded

# Two runs that do not know of each other's lock, and shadow-utils, all at once: nobody's entry is lost.
cp -a /run/provider-rke2 /tmp/other-run
for i in {1..25}; do
    userdel etcd
    jobs=()
    "$provider" apply host 2>/dev/null & jobs+=($!)
    unshare --mount sh -c 'mount --bind /tmp/other-run /run/provider-rke2 && exec "$0" apply host 2>/dev/null' "$provider" & jobs+=($!)
    useradd --system --no-create-home "other$i" & jobs+=($!)
    groupadd "group$i" & jobs+=($!)
    for job in "${jobs[@]}"; do wait "$job" || must_not true "$i: of the jobs ${jobs[*]} fails $job"; done
done
for i in {1..25}; do
    must getent passwd "other$i"
    must getent shadow "other$i"
    must getent gshadow "group$i"
    must getent group "group$i"
done
for file in passwd group shadow gshadow; do equal 1 grep -c '^etcd:' "/etc/$file"; done
equal 'uid=379(etcd) gid=379(etcd) groups=379(etcd)' id etcd

# Killed at any moment: shadow-utils goes on, and the next run finishes.
for i in {1..25}; do
    userdel etcd 2>/dev/null
    "$provider" apply host 2>/dev/null & job=$!
    sleep "0.00$((RANDOM % 10))$((RANDOM % 10))"
    kill -KILL "$job"
    wait "$job" 2>/dev/null
    must useradd --system --no-create-home "killed$i"
done
must "$provider" apply host
must getent passwd killed25
equal 'uid=379(etcd) gid=379(etcd) groups=379(etcd)' id etcd
for file in passwd group shadow gshadow; do equal 1 grep -c '^etcd:' "/etc/$file"; done
equal '' find /etc -maxdepth 1 '(' -name '*.lock' ! -name .pwd.lock -o -name '.*.provider-rke2' ')'
# useradd's own accounts have no home either.
must_not grep etcd <(pwck -r; grpck -r)
