# What the steps of a scenario of several nodes are made of. The first one that fails ends the scenario.
#
#   boot NODE…              initramfs, then systemd; returns when the boot stages have run
#   on NODE COMMAND…        in the node, with the commands of node/lab/lib.sh; a first word with blanks is a script
#   kubectl ARGS            on $kubectl_on, server1 at first
#   config NODE FILE        another cloud-config, from the scenario's directory of the node
#   replan NODE             what a boot does with it, without one
#   stop NODE, reboot NODE  checks what holds for every node, then shuts it down
#   cut_off NODE            ends it as a power cut does
#   lose_disk NODE          all that it had is gone
#   asked                   what the site's proxy was asked for, each once; end_services: registry and proxy are gone
#   snapshot NODE NAME      what runs, is mounted, is up, is a rule or a control group; differs NODE NAME NAME prints what came and went
#
#   must, must_not, within, equal as in node/lab/lib.sh

kubectl_on=server1
say() { printf '%4s s  %s\n' "$((SECONDS - ${began:-$SECONDS}))" "$*"; }

failed() {
    printf '%s:%s: %s\n' "steps.sh" "${BASH_LINENO[1]}" "$*"
    exit 1
}

must() {
    local said
    said=$("$@" 2>&1) || failed "failed: $*${said:+ ($said)}"
}

must_not() {
    local said
    ! said=$("$@" 2>&1) || failed "should fail: $*${said:+ ($said)}"
}

equal() {
    local expected=$1 found
    shift
    found=$("$@" 2>&1) || true
    [ "$found" = "$expected" ] || failed "$*: expected '$expected', found '$found'"
}

within() {
    local bound=$1 until said=
    shift
    until=$((SECONDS + bound))
    until said=$("$@" 2>&1); do
        [ "$SECONDS" -lt "$until" ] || failed "not within $bound s: $*${said:+ ($said)}"
        sleep 0.3
    done
    say "$*"
}

# ---- the nodes ----

setting() { sed -n "s/^$1=//p" "$directory/settings" 2>/dev/null || true; }

# address NODE [4|6]
address() {
    local number=0 node
    for node in "${nodes[@]}"; do
        number=$((number + 1))
        [ "$node" != "$1" ] || break
    done
    if [ "${2-4}" = 4 ]; then echo "10.17.0.$((10 + number))"; else echo "fd17::$((10 + number))"; fi
}

# of_node NODE NAME: a setting of one node.
of_node() { sed -n "s/^$2=//p" "$directory/$1/settings" 2>/dev/null || true; }

make_bridge() {
    families=$(setting families)
    families=${families:-4}
    ip link add lab0 type bridge
    ip link set lab0 up
    ip link set lo up
    [[ $families != *4* ]] || ip address add 10.17.0.1/24 dev lab0
    [ -z "$(setting services)" ] || ip address add 10.17.0.2/24 dev lab0
    [[ $families != *6* ]] || ip address add fd17::1/64 dev lab0 nodad
}

# Whatever a site has beside its nodes.
start_services() {
    services=/run/services
    mkdir "$services"
    "$lab/services/services" "$lab/engine/usr/lib/lab/pause" "$services" >"$out/services.log" 2>&1 &
    services_process=$!
    within 10 test -e "$services/ca.pem"
}

end_services() {
    kill "$services_process"
    ! wait "$services_process" || true
    cp "$services/proxy.log" "$out/"
    # Nor does anybody say that nobody is there.
    ip address delete 10.17.0.2/24 dev lab0
    say "registry and proxy are gone"
}

asked() { sort -u "$services/proxy.log"; }

make_cluster_node() {
    local node=$1 place=/run/nodes/$1 other family
    boots[$node]=0
    mkdir -p "$place"
    init=$(of_node "$node" init) node_size=3g make_node "$place" engine
    # RKE2's own directories are on a file system that is no overlay, as on a node.
    mkdir -p "$place"/state/{rancher,kubelet} "$place/root/opt/content"
    mkdir -p "$place"/root/var/lib/{rancher,kubelet}
    cp -r "$lab/engine/usr/share/lab/images" "$place/root/opt/content/images"
    printf '%s\n' "$node" >"$place/root/etc/hostname"
    {
        printf '127.0.0.1 localhost\n::1 localhost\n'
        [ -z "$(setting services)" ] || printf '10.17.0.2 registry.lab proxy.lab\n'
        for family in 4 6; do
            [[ $families == *$family* ]] || continue
            for other in "${nodes[@]}"; do printf '%s %s\n' "$(address "$other" $family)" "$other"; done
        done
    } >"$place/root/etc/hosts"
    # Nobody answers there, and says so at once.
    printf 'nameserver %s\noptions timeout:1 attempts:1\n' "$([[ $families == *4* ]] && echo 10.17.0.1 || echo fd17::1)" >"$place/root/etc/resolv.conf"
    {
        [[ $families != *4* ]] || printf '%s/24 10.17.0.1\n' "$(address "$node" 4)"
        [[ $families != *6* ]] || printf '%s/64 fd17::1\n' "$(address "$node" 6)"
    } >"$place/root/lab/addresses"
    [ -z "$(setting services)" ] || install -D -m 0644 "$services/ca.pem" "$place/root/etc/site/ca.pem"
    [ ! -d "$directory/$node/files" ] || cp -a --no-preserve=ownership "$directory/$node/files/." "$place/root/"
    config "$node" cloud-config.yaml
}

config() { install -D -m 0600 "$directory/$1/$2" "/run/nodes/$1/root/oem/90_custom.yaml"; }

hierarchies() {
    local each
    for each in /sys/fs/cgroup/*/"$LAB_CGROUP" /sys/fs/cgroup/"$LAB_CGROUP"; do
        [ ! -d "$each" ] || [ -L "${each%/*}" ] || printf '%s\n' "$each"
    done
}

# enter_cgroups NODE PID: moves the process into groups of the node's own in every hierarchy.
enter_cgroups() {
    local group file
    hierarchies | while read -r group; do
        mkdir -p "$group/$1"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$group/$1/$file" ] || [ -e "$group/cgroup.controllers" ] || cat "$group/$file" >"$group/$1/$file"
        done
        echo "$2" >"$group/$1/cgroup.procs"
    done
}

# What a kubelet has left would be in the way of the next one.
leave_cgroups() {
    local group tries
    hierarchies | while read -r group; do
        for tries in {1..40}; do
            [ -d "$group/$1" ] || break
            find "$group/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ ! -d "$group/$1" ] || sleep 0.05
        done
    done
}

# leader NODE: its process 1.
leader() {
    local status
    for status in /proc/[0-9]*/status; do
        if [ "$(sed -n 's/^PPid:\t//p' "$status" 2>/dev/null)" = "${pids[$1]}" ] && grep -q '^NSpid:.*\s1$' "$status" 2>/dev/null; then
            status=${status#/proc/}
            echo "${status%/status}"
            return
        fi
    done
    return 1
}

is_up() {
    leader "$1" >/dev/null || return
    case $(of_node "$1" init) in
    openrc) on "$1" test -L /run/openrc/started/cos-setup-boot ;;
    *) [ "$(on "$1" systemctl is-active cos-setup-boot.service)" = active ] ;;
    esac
}

boot() {
    local node place evidence
    for node; do
        place=/run/nodes/$node
        boots[$node]=$((boots[$node] + 1))
        evidence=$out/$node/boot${boots[$node]}
        mkdir -p "$evidence"
        rm -rf "${place:?}/run"/* "$place/root/var/log/journal"
        mkdir -p "$place/run/cos" "$place/root/var/log/journal"
        # The whole node is in memory.
        touch "$place/run/cos/active_mode" "$place/run/cos/in_ram_mode"
        printf 0 >"$place/root/lab/boot"
        (
            scenario=$directory/$node
            mount --bind "$place/state/rancher" "$place/root/var/lib/rancher"
            mount --bind "$place/state/kubelet" "$place/root/var/lib/kubelet"
            timeout -k 1 40 bash -c '. "$0"; scenario=$1; shift; initramfs "$@"' "$repository/tests/lab/lib.sh" "$scenario" "$place" kairos-agent run-stage initramfs \
                >"$evidence/initramfs.log" 2>&1
            umount "$place/root/var/lib/rancher" "$place/root/var/lib/kubelet"
        ) || failed "$node: kairos-agent run-stage initramfs fails, see $evidence/initramfs.log"
        leave_cgroups "$node"
        (
            enter_cgroups "$node" "$BASHPID"
            export SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
            exec systemd-nspawn --quiet --register=no --keep-unit --machine="$node" --hostname="$node" --network-bridge=lab0 \
                --capability=all --bind=/dev/kmsg --directory="$place/root" --bind-ro="$place/run:/lab/run" \
                --bind="$place/state/rancher:/var/lib/rancher" --bind="$place/state/kubelet:/var/lib/kubelet" \
                --bind-ro="$directory/$node:/lab/scenario" --bind="$evidence:/lab/out" \
                --bind-ro="$directory/$node:/run/initramfs/lab/scenario" --bind="$evidence:/run/initramfs/lab/out" \
                --setenv=LAB_TARGET=multi-user.target --console=read-only --kill-signal=SIGRTMIN+3 /lab/init </dev/null >"$evidence/console.log" 2>&1
        ) &
        pids[$node]=$!
    done
    for node; do within 30 is_up "$node"; done
}

on() {
    local node=$1
    shift
    nsenter --target "$(leader "$node")" --mount --uts --ipc --net --pid --cgroup --root --wd -- /usr/bin/env -i \
        PATH=/var/lib/rancher/rke2/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root KUBECONFIG=/etc/rancher/rke2/rke2.yaml \
        bash -c 'cd /; . /lab/lib.sh; case $1 in *" "*) eval "$1";; *) "$@";; esac' "$node" "$@" </dev/null
}

kubectl() { case $1 in *" "*) on "$kubectl_on" "$1" ;; *) on "$kubectl_on" kubectl "$@" ;; esac; }

# ready NODE: the cluster says so of it.
ready() { [ "$(kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }

# has_label NODE NAME VALUE
has_label() { [ "$(kubectl get node "$1" -o "jsonpath={.metadata.labels.$2}")" = "$3" ]; }

# pod NODE [NAME IMAGE]: a pod of an image that the node has imported, which nobody else has; or another, of an image that it pulls.
pod() {
    local policy=Never
    [ $# = 1 ] || policy=IfNotPresent
    kubectl "kubectl create -f - <<end
{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"on-${2-$1}\"}, \"spec\": {\"nodeName\": \"$1\", \"terminationGracePeriodSeconds\": 1,
\"tolerations\": [{\"operator\": \"Exists\"}], \"containers\": [{\"name\": \"main\", \"image\": \"${3-lab/pod:1}\", \"imagePullPolicy\": \"$policy\"}]}}
end"
}

# runs NODE, runs NAME: its pod does; runs_anew NODE: in another container than the first; container NODE: which container it has, and how often it was started anew.
runs() { [ "$(kubectl get pod "on-$1" -o 'jsonpath={.status.phase}')" = Running ]; }
runs_anew() { [[ $(kubectl get pod "on-$1" -o 'jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.running}') == [1-9]*startedAt* ]]; }
container() { kubectl get pod "on-$1" -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}'; }

# members: the names of the nodes whose etcd the cluster has, sorted.
members() { kubectl get nodes -l node-role.kubernetes.io/etcd=true -o 'jsonpath={.items[*].metadata.name}' | tr ' ' '\n' | sort | xargs; }

has_members() { [ "$(members)" = "$*" ]; }

# has_link_local NODE: the kernel has found that nobody else uses its address, which takes it a second or two; the address has a route from then on.
has_link_local() { [ -n "$(on "$1" ip -6 address show dev host0 scope link -tentative)" ]; }

snapshot() {
    within 10 has_link_local "$1"
    on "$1" 'lab_snapshot=1 /lab/snapshot' >"$out/$1/$2.snapshot"
}

# differs NODE NAME NAME: what came and what went between two snapshots.
differs() { diff "$out/$1/$2.snapshot" "$out/$1/$3.snapshot" | sed -n 's/^\([<>]\) [0-9]* /\1 /p'; }

# changed NODE: what is not as it was before the first start, but for what docs/reset.md says stays, the marks of the reset, which last until
# the next boot, routes that the kernel adds because RKE2 has switched forwarding on, and what is not RKE2's alone: empty directories of runc, containerd and network namespaces, containerd's socket for plugins, agetty's mark,
# the group of OpenRC's service that starts RKE2.
changed() {
    differs "$1" fresh reset | grep -vE '^[<>] route6? anycast ' | grep -vxE '[<>] (cgroup /sys/fs/cgroup/unified/cos-setup-boot|file (/etc/init\.d/rke2-(server|agent)|/etc/rancher(/node(/password)?)?|/opt/cni(/bin(/[a-z-]+)?)?|/opt/rke2(/scripts(/[a-z0-9-]+\.sh)?)?|/run/provider-rke2(/.*)?|/run/tmpfiles\.d(/provider-rke2\.conf)?|/run/nri(/nri\.sock)?|/run/containerd(/runc(/k8s\.io)?|/s)?|/run/netns|/run/agetty\.reload))' || true
}

replan() {
    must on "$1" kairos-agent notify agent.boot
    must on "$1" kairos-agent run-stage boot
}

# ---- its end ----

# evidence_of NODE: what a person looks at.
evidence_of() {
    local node=$1 place=/run/nodes/$1 evidence
    evidence=$out/$node/boot${boots[$node]}
    journalctl --directory="$place/root/var/log/journal" --output=short-monotonic --no-hostname >"$evidence/journal.log" 2>&1 || true
    cp "$place/root/var/log"/{provider-rke2,rke2-agent,rke2-server}.log "$evidence/" 2>/dev/null || true
    cp "$place/state/rancher/rke2/agent/logs/kubelet.log" "$place/state/rancher/rke2/agent/containerd/containerd.log" "$evidence/" 2>/dev/null || true
}

# check NODE: what holds for every node, whatever the steps are about.
check() {
    local evidence=$out/$1/boot${boots[$1]}
    on "$1" bash /lab/assert >"$evidence/assert.log" 2>&1 || true
    evidence_of "$1"
    grep -rnaF -- SECRET- "$evidence"/{initramfs.log,console.log,journal.log,status,status.json,argv,log,issue.d,kubelet.log,containerd.log,rke2-agent.log,rke2-server.log} 2>/dev/null |
        sed "s|^$evidence/|a secret was said in |" | cut -c1-300 >>"$evidence/failures" || true
    [ -f "$evidence/done" ] || failed "$1: the assertions did not get to their end, see $evidence/assert.log"
    [ ! -s "$evidence/failures" ] || failed "$1: $(cat "$evidence/failures")"
}

# gone NODE: waits until it is.
gone() {
    local tries
    for tries in {1..150}; do
        kill -0 "${pids[$1]}" 2>/dev/null || break
        [ "$tries" != 100 ] || kill -KILL "$(leader "$1")" 2>/dev/null || true
        sleep 0.2
    done
    wait "${pids[$1]}" 2>/dev/null || true
    evidence_of "$1"
    unset "pids[$1]"
    leave_cgroups "$1"
    # nspawn ends before the kernel has taken the interface away.
    ip link delete "vb-$1" 2>/dev/null || true
}

stop() {
    check "$1"
    case $(of_node "$1" init) in
    openrc) must on "$1" openrc-shutdown -p now ;;
    *) kill -s RTMIN+4 "$(leader "$1")" ;;
    esac
    gone "$1"
    say "$1 is off"
}

reboot() {
    stop "$1"
    boot "$1"
}

cut_off() {
    kill -KILL "$(leader "$1")"
    gone "$1"
    say "$1 is cut off"
}

lose_disk() {
    local node=$1 place=/run/nodes/$1 boot=${boots[$1]}
    umount "$place/root" "$place"
    make_cluster_node "$node"
    boots[$node]=$boot
}
