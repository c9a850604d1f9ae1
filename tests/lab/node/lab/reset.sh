# A life in a cluster for a node whose RKE2 is a stand-in, and what is to be left of it after a reset.
#
#   live UNIT        state, a busy overlay, processes: in the unit's control group, deaf, and somebody's
#   is_clean UNIT    nothing of it is left, and nothing else is lost
#
#   first_boot UNIT, second_boot UNIT, third_boot: the same life and end, whatever the role

data=/var/lib/rancher/rke2

live() {
    mkdir -p $data/{server/db/etcd,agent/etc,agent/images,data/v1/bin} /var/lib/kubelet/pods/u/secret /etc/rancher/node /run/k3s/1/rootfs /home/user
    touch $data/server/db/etcd/of-the-first-life $data/agent/images/mine.tar /home/user/file
    [ -e /etc/rancher/node/password ] || echo password >/etc/rancher/node/password
    mount -t tmpfs secret /var/lib/kubelet/pods/u/secret
    cp /bin/sleep $data/data/v1/bin/containerd
    cp /bin/bash $data/data/v1/bin/containerd-shim
    $data/data/v1/bin/containerd 10000 &
    containerd=$!
    $data/data/v1/bin/containerd-shim -c 'trap "" TERM; while :; do sleep 1; done' &
    shim=$!
    # One of the host's programs, which RKE2 has started: only the control group tells.
    sleep 10000 &
    started=$!
    local group hierarchy
    group=$(systemctl show -p ControlGroup --value "$1")
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ ! -e "$hierarchy$group/cgroup.procs" ] || echo "$started" >"$hierarchy$group/cgroup.procs"
    done
    sleep 10000 &
    other=$!
}

is_clean() {
    local path
    equal inactive state "$1"
    for path in /proc/$containerd/exe /proc/$shim/exe /proc/$started/exe; do must_not readlink "$path"; done
    must kill -0 "$other"
    for path in $data/{server,data,agent/etc} /var/lib/kubelet /run/k3s /etc/rancher/rke2 /usr/local/cloud-config/cluster.kairos.yaml \
        /etc/default/"$1" /run/provider-rke2/ready-"$1" /run/provider-rke2/plan.yaml; do
        must_not test -e "$path"
    done
    for path in $data/agent/images/mine.tar /home/user/file /etc/rancher/node/password /usr/bin/rke2 "/usr/lib/systemd/system/$1.service"; do
        must test -e "$path"
    done
}

first_boot() {
    within 5 is_active "$1"
    live "$1"
    must bash -c "$provider reset --dry-run | grep '^stop $1$'"
    equal active state "$1"
    must $provider reset
    is_clean "$1"
    # Neither a person nor a boot stage starts it again.
    systemctl start "$1"
    must_not $provider apply
    must kairos-agent run-stage boot
    sleep 0.5
    equal inactive state "$1"
    equal 1 starts "$1"
    must $provider reset
}

# With a cluster section the next boot makes a fresh node.
second_boot() {
    within 5 is_active "$1"
    equal 1 starts "$1"
    must_not test -e /var/lib/rancher/rke2/server/db/etcd/of-the-first-life
    must_not test -e /run/provider-rke2/refused
    live "$1"
    # By the event, which the agent's plugins answer.
    echo '{"name":"cluster.reset","data":"{\"config\":\"\"}"}' | $provider cluster.reset >/tmp/answer
    must grep -q '"error":""' /tmp/answer
    is_clean "$1"
}

# Without one it starts nothing.
third_boot() {
    sleep 0.5
    equal inactive state rke2-server
    equal inactive state rke2-agent
    must_not test -e /run/lab/starts/1
    must_not test -e /usr/local/cloud-config/cluster.kairos.yaml
    must_not test -e /etc/rancher/rke2
}
