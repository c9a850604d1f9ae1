#!/bin/sh
# For callers that know this path: RKE2 and its pods are stopped, their mounts and network cleared, and nothing is deleted. It is done
# by agent-provider-rke2 (see its docs/reset.md), to which options are passed on, or here where that is not on the image.
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
# shellcheck source=scripts/common.sh
. "$here/common.sh"
hand_over reset --keep-state "$@"
without_options "$@"
find_data_dirs

# A unit that is not there is none to stop.
stop_units() {
    for unit in rke2-server rke2-agent; do
        if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
            bounded 90 systemctl stop "$unit.service" >/dev/null 2>&1
            # 5: there is no such unit.
            case $? in
            0 | 5) ;;
            *) bounded 20 systemctl kill --signal SIGKILL "$unit.service" || failed "$unit: cannot be stopped; see systemctl status $unit" ;;
            esac
        elif command -v rc-service >/dev/null && rc-service --exists "$unit"; then
            bounded 90 rc-service "$unit" stop >/dev/null 2>&1 || failed "$unit: cannot be stopped; see rc-service $unit status"
        fi
    done
}

end_processes() {
    # A shim starts another process while it ends, so they are looked for again each time.
    for second in 0 1 2 3 4 5 6 7 8 9 10 11 12; do
        find_processes
        [ -n "$pids" ] || return 0
        case $second in 0) signal=TERM ;; 10) signal=KILL ;; *) signal= ;; esac
        for pid in ${signal:+$pids}; do
            kill -s "$signal" "$pid" 2>/dev/null
        done
        sleep 1
    done
    find_processes
    [ -z "$pids" ] || failed "processes$pids: are still there after SIGKILL; see what they wait for"
}

unmount_all() {
    kubelets=${root:+$root/var/lib/kubelet$newline}/var/lib/kubelet
    found=$(mounts "/run/k3s$newline$data_dirs$kubelets" "$kubelets" true)
    [ -n "$found" ] || return 0
    # Before the first goes: unmounting below it would reach copies that are none of our business.
    while read -r _ _ _ is_shared place; do
        decode "$place"
        [ "$is_shared" = 0 ] || mount --make-private "$place" || failed "$place: cannot be made private; see the line before"
    done <<MOUNTS
$found
MOUNTS
    while read -r _ _ may_hide _ place; do
        decode "$place"
        why=$(bounded 30 umount "$place" 2>&1) && continue
        [ "$may_hide" = 0 ] || ! bounded 30 umount -l "$place" 2>/dev/null || continue
        failed "$place: cannot be unmounted: ${why##*: }; end what uses it"
    done <<MOUNTS
$found
MOUNTS
}

# Interfaces of the CNI and of kube-proxy; calico and cilium name the host's end of a pod by a hash of the pod.
delete_links() {
    command -v ip >/dev/null || {
        say "ip is not installed, so network interfaces were not looked at"
        return 0
    }
    for link in $(ip -o link show | awk '
        BEGIN {
            count = split("cni0 flannel.1 flannel.4096 flannel-v6.1 flannel-v6.4096 flannel-wg flannel-wg-v6 vxlan.calico " \
                "vxlan-v6.calico wireguard.cali wg-v6.cali cilium_vxlan cilium_geneve cilium_host cilium_net cilium_wg0 " \
                "lxc_health kube-ipvs0 nodelocaldns", names, " ")
            for (at = 1; at <= count; at++) ours[names[at]] = 1
        }
        {
            name = $2
            sub(/:$/, "", name)
            sub(/@.*/, "", name)
            master = ""
            for (at = 3; at < NF && master == ""; at++) if ($at == "master") master = $(at + 1)
            size = length(name)
            if (name in ours || master == "cni0" || (name ~ /^cali[0-9a-f]*$/ && size == 15) ||
                (name ~ /^lxc[0-9a-f]*$/ && (size == 13 || size == 15))) print name
        }'); do
        # Either end of a pair takes the other with it.
        why=$(ip link delete dev "$link" 2>&1) || ! ip link show dev "$link" >/dev/null 2>&1 ||
            failed "network interface $link: cannot be deleted: $why; delete it by hand"
    done
}

# From the rules of a tool to the input of its restore that takes away the chains of Kubernetes and the CNI, the rules in other chains
# that lead to them, and those with a comment that only they write. A word of theirs elsewhere in a rule means nothing.
select_rules() {
    awk '
        function is_theirs(chain) { return chain ~ /^(KUBE-|CNI-|cali-|CILIUM_|OLD_CILIUM_|FLANNEL-)/ }
        /^\*/ { table = $0; rules = chains = 0; next }
        /^:/ { if (is_theirs(substr($1, 2))) chain[++chains] = substr($1, 2); next }
        /^COMMIT/ && rules + chains {
            print table
            for (at = 1; at <= rules; at++) print rule[at]
            for (at = 1; at <= chains; at++) print "-F " chain[at]
            for (at = 1; at <= chains; at++) print "-X " chain[at]
            print
        }
        { sub(/^\[[0-9:]*\] /, "") }
        /^-A / && !is_theirs($2) {
            words = $0
            gsub(/"([^"\\]|\\.)*"/, "text", words)
            if (words ~ / (-j|--jump|-g|--goto) (KUBE-|CNI-|cali-|CILIUM_|OLD_CILIUM_|FLANNEL-)/ ||
                / --comment "(cali:|flanneld |cilium: |cilium-feeder: |NodeLocal DNS Cache:)/) rule[++rules] = "-D" substr($0, 3)
        }'
}

delete_rules() {
    for family in ip ip6; do
        is_told=false
        for variant in -nft -legacy ''; do
            tool=${family}tables$variant
            command -v "$tool-save" >/dev/null || continue
            # Of the plain one nobody knows which it is; it counts where the others are not.
            [ -n "$variant" ] || ! $is_told || continue
            # Asking for tables that are not there would load them.
            [ "$variant" != -legacy ] || [ -n "$(cat "/proc/self/net/${family}_tables_names" 2>/dev/null)" ] || continue
            saved=$("$tool-save") || {
                failed "$tool-save: fails, so its rules were not looked at; see the line before"
                continue
            }
            is_told=true
            rules=$(printf '%s\n' "$saved" | select_rules)
            [ -z "$rules" ] || printf '%s\n' "$rules" | "$tool-restore" --noflush ||
                failed "$tool-restore: fails, so rules of RKE2 are left; see the line before"
        done
    done
}

stop_units
end_processes
unmount_all
delete_links
delete_rules
exit "$status"
