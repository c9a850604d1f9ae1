#!/bin/sh
# For callers that know this path: the node is reset by agent-provider-rke2 (see its docs/reset.md), to which options are passed on, or
# here where that is not on the image: RKE2 is stopped and its state deleted; its binary, its units and /etc/rancher/node stay.
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
# shellcheck source=scripts/common.sh
. "$here/common.sh"
hand_over reset "$@"
without_options "$@"
find_data_dirs
sh "$here/rke2-killall.sh" || status=1
find_processes
[ -z "$pids" ] || refuse "processes$pids: are still there, so nothing was deleted; end them and call it again"

# Deletes a file, or a directory with all that is in it. Nothing is reached through a symlink, and nothing in another mount is touched; a
# directory that is a mount itself is emptied and stays.
delete() {
    [ -e "$1" ] || [ -L "$1" ] || return 0
    if [ "$(CDPATH='' cd -P -- "${1%/*}/" && pwd -P)" != "${1%/*}" ]; then
        failed "$1: is behind a symlink, so it was not deleted; delete it by hand"
    elif [ -L "$1" ] || [ ! -d "$1" ]; then
        rm -f "$1" || failed "$1: cannot be deleted; see the line before"
    elif mounted=$(mounts "$1" | head -n 1) && [ -n "$mounted" ]; then
        decode "${mounted##* }"
        failed "$1: $place is still mounted, so it was not deleted; unmount that and call it again"
    else
        # Not every busybox has -delete.
        find "$1" -xdev -mindepth 1 ! -type d -exec rm -f {} +
        find "$1" -xdev -depth -mindepth 1 -type d -exec rmdir {} +
        rmdir "$1" 2>/dev/null || [ -z "$(ls -A "$1")" ] || failed "$1: cannot be deleted; see the line before"
    fi
}

left=
for prefix in ${root:+"$root"} ''; do
    data_dir=$prefix$data
    is_data_dir "$data_dir" || continue
    [ ! -L "$data_dir/data" ] || delete "$data_dir/data"
    # What others have put beside these stays.
    for path in "$data_dir/server" "$data_dir/agent" "$data_dir/bin" "$data_dir"/runtime-[0-9]* "$data_dir"/data/v[0-9]* \
        "$data_dir/data/current"; do
        delete "$path"
    done
    rmdir "$data_dir/data" "$data_dir" 2>/dev/null
    [ ! -e "$data_dir/server" ] && [ ! -e "$data_dir/agent" ] || left=$data_dir
done
# What RKE2, kubelet and the CNI keep elsewhere, each of which is theirs alone.
for prefix in ${root:+"$root"} ''; do
    for path in /var/lib/kubelet /etc/cni /var/lib/cni /var/lib/calico /var/log/pods /var/log/containers /var/log/calico; do
        delete "$prefix$path"
    done
done
for path in /run/k3s /run/flannel /run/calico /run/netns/cni-*; do
    delete "$path"
done
# What starts RKE2 at the next boot; the units themselves are the image's.
for unit in rke2-server rke2-agent; do
    for path in /etc/systemd/system/*/"$unit.service" /run/systemd/system/*/"$unit.service" /etc/runlevels/*/"$unit"; do
        case ${path%/*} in
        *.wants | *.requires | *.upholds | /etc/runlevels/*) [ ! -L "$path" ] || delete "$path" ;;
        esac
    done
done
# What names the data directory and the document are the last: until then this can be repeated.
if [ -n "$left" ] && [ "$data" != "$default" ]; then
    failed "/etc/rancher/rke2: stays, because it names $left, where state is left; call it again"
else
    delete /etc/rancher/rke2
    # What our program remembers that this node was.
    delete /usr/local/lib/provider-rke2
fi
for prefix in ${root:+"$root"} ''; do
    delete "$prefix/usr/local/cloud-config/cluster.kairos.yaml"
done
exit "$status"
