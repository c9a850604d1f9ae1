# What the lab's scripts share. Everything here runs in mount, pid and network namespaces of its own (see `isolated`): nothing of it
# is left when they end, however they end.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lab=$(cd "$repository" && realpath -m "${CARGO_TARGET_DIR:-target}/lab")

# isolated COMMAND…: with its own mounts, processes, host name and network; dies with the caller. /run is empty, for nspawn keeps
# state there.
isolated() {
    exec unshare --mount --uts --ipc --net --pid --fork --kill-child --mount-proc --propagation private -- bash -euc '
        hostname lab
        mount -t tmpfs -o mode=755 lab /run
        "$@"
        exit $?' lab "$@"
}

# make_node DIR [LAYER…]: a node at DIR/root, writable, in memory, from the parts of target/lab; upper layers first. With $init `openrc`
# it is one with OpenRC; $base_root is another root than `root`; $node_size is what it may write.
make_node() {
    local directory=$1 layers= layer
    shift
    mount -t tmpfs -o "size=${node_size:-1g},mode=755" lab "$directory"
    local base=(node program rke2 kairos-agent yip "${base_root:-root}")
    [ "${init-}" != openrc ] || base=(openrc-node program rke2 kairos-agent openrc)
    for layer in "$@" "${base[@]}"; do
        layers+=${layers:+:}$(readlink -f "$lab/$layer")
    done
    mkdir "$directory"/{upper,work,root,run}
    mount -t overlay lab -o "lowerdir=$layers,upperdir=$directory/upper,workdir=$directory/work" "$directory/root"
}

# initramfs DIR COMMAND…: runs in the node as in its initramfs: a chroot, no systemd, no network, kernel settings read-only.
# /run is DIR/run, /lab/scenario is $scenario.
initramfs() {
    local directory=$1
    shift
    unshare --mount --uts --ipc --net --pid --fork --kill-child --propagation private -- bash -euc '
        root=$1/root run=$1/run scenario=$2
        shift 2
        hostname localhost
        mount -t proc proc "$root/proc"
        mount --bind "$root/proc/sys" "$root/proc/sys"
        mount -o remount,bind,ro "$root/proc/sys"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount -t tmpfs -o mode=755 lab "$root/dev"
        for device in null zero full random urandom; do
            touch "$root/dev/$device"
            mount --bind "/dev/$device" "$root/dev/$device"
        done
        mount -t tmpfs lab "$root/tmp"
        mount --bind "$run" "$root/run"
        if [ -n "$scenario" ]; then
            mkdir -p "$root/lab/scenario"
            mount --bind "$scenario" "$root/lab/scenario"
        fi
        chroot "$root" env -i PATH=/usr/bin:/usr/sbin:/bin:/sbin "$@" </dev/null
        exit $?' lab "$directory" "${scenario-}" "$@"
}
