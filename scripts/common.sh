# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts beside it share: they hand over to our program, and do the work themselves where it is missing, as after a
# rollback to an image with the Go provider. Sourced with `here`, the directory of the scripts; for any POSIX sh, busybox' too.

name=${0##*/}
status=0
newline='
'
# The prefix of agent mode, if the scripts lie below one.
root=${here%/opt/rke2/scripts}
[ "$root" != "$here" ] || root=

# One sentence on stderr, in one line whatever a name in it contains.
say() {
    { printf '%s: %s' "$name" "$1" | tr '\000-\037\177' '?'; echo; } >&2
}

# The same about something that went wrong: the rest is done all the same.
failed() {
    say "$1"
    status=1
}

refuse() {
    say "$1"
    exit 1
}

# Runs a command for so many seconds at most, where there is `timeout`.
bounded() {
    if command -v timeout >/dev/null; then
        timeout -s KILL "$@"
    else
        shift
        "$@"
    fi
}

# Whether a program is ours: the Go provider's has the same name, and takes its first argument for an event.
is_ours() {
    # Children of it may keep the pipe open.
    [ -f "$1" ] && [ -x "$1" ] && bounded 5 "$1" --version </dev/null 2>/dev/null | bounded 6 grep -q '^agent-provider-rke2 '
}

# Becomes our program with these arguments, if it is there.
hand_over() {
    for program in ${root:+"$root/system/providers/agent-provider-rke2"} /system/providers/agent-provider-rke2 \
        /usr/local/system/providers/agent-provider-rke2 "$(command -v agent-provider-rke2)"; do
        ! is_ours "$program" || exec "$program" "$@"
    done
}

# Leaves if it was called with options, which only our program knows: a rehearsal must not become the real thing.
without_options() {
    [ $# -eq 0 ] || {
        say "$1: is an option of provider-rke2, which is not on this image; call the script without options"
        exit 2
    }
    [ "$(id -u)" = 0 ] || refuse "is not run by root: cannot stop or remove anything; call it as root"
}

config=/etc/rancher/rke2/config.yaml
default=/var/lib/rancher/rke2

# Directories that nobody gives to RKE2 alone.
system='/
/bin
/boot
/dev
/efi
/etc
/etc/rancher
/etc/rancher/rke2
/home
/lib
/lib64
/media
/mnt
/nix
/oem
/opt
/ostree
/persistent
/proc
/root
/run
/sbin
/srv
/state
/sys
/sysroot
/system
/system/providers
/tmp
/usr
/usr/bin
/usr/lib
/usr/lib64
/usr/libexec
/usr/local
/usr/local/bin
/usr/local/lib
/usr/sbin
/usr/share
/var
/var/cache
/var/home
/var/lib
/var/lib/kubelet
/var/lib/rancher
/var/local
/var/log
/var/spool
/var/tmp'

# Sets `data` to the data directory that RKE2's configuration names, in JSON as provider-rke2 writes it or in YAML; leaves if it
# cannot be RKE2's own.
find_data() {
    for tool in awk find grep sed sort stat tr; do
        command -v "$tool" >/dev/null || refuse "$tool: is not installed, so nothing was done; install it"
    done
    data=
    [ ! -r "$config" ] || data=$(tr -d '\r' <"$config" | sed -nE -e '/^[[:space:]]*#/d' \
        -e 's/^(.*[{,])?[[:space:]]*"(data-dir|d)"[[:space:]]*:[[:space:]]*//p' \
        -e "s/^'?(data-dir|d)'?[[:space:]]*:[[:space:]]+//p" | tail -n 1)
    case $data in
    '"'*) data=${data#?} data=${data%%\"*} ;;
    "'"*) data=${data#?} data=${data%%\'*} ;;
    *)
        data=${data%%[[:space:]]#*}
        data=${data%%[,\}]*}
        data=${data%"${data##*[![:space:]]}"}
        ;;
    esac
    data=${data:-$default}
    case $data/ in
    [!/]* | */./* | */../* | *\\*)
        refuse "data-dir in $config: $data is not a plain absolute path, so nothing was done; correct it"
        ;;
    esac
    case $root in
    *"$newline"*) refuse "$root: has a line break in its name, so nothing was done; rename it" ;;
    esac
    data=$(printf '%s\n' "$data" | sed -E -e 's|/+|/|g' -e 's|(.)/$|\1|')
    for prefix in ${root:+"$root"} ''; do
        need_allowed "$prefix$data"
    done
}

# Leaves if a data directory is the system's, or is reached through a symlink.
need_allowed() {
    why=
    case $newline$system$newline in
    *"$newline$1$newline"*) why='is a directory of the system' ;;
    esac
    case $1 in
    /dev/* | /proc/* | /sys/*) why='is a directory of the system' ;;
    esac
    if [ -z "$why" ] && { [ -e "$1" ] || [ -L "$1" ]; }; then
        identity=$(stat -L -c '%d:%i' "$1" 2>/dev/null)
        if [ "$(CDPATH='' cd -P -- "$1" 2>/dev/null && pwd -P)" != "$1" ]; then
            why='is no directory, or leads through a symlink'
        # By a bind mount.
        elif printf '%s\n' "$system" | xargs stat -L -c '%d:%i' 2>/dev/null | grep -qxF -e "$identity"; then
            why='is a directory of the system under another name'
        fi
    fi
    [ -z "$why" ] || refuse "$1: $why, so nothing was done; correct data-dir in $config"
}

# Whether RKE2 has made a directory: names as common as `server` and `data` prove nothing, but in the default one.
is_rke2s() {
    [ "$data" != "$default" ] || return 0
    for mark in "$1/server/tls" "$1/server/db" "$1/agent/etc" "$1/agent/client-kubelet.crt" "$1"/data/v[0-9]*; do
        [ ! -e "$mark" ] || return 0
    done
    return 1
}

# Sets `data_dirs` to the data directories that RKE2 has made, one a line; leaves if there is none but something is where it would be.
find_data_dirs() {
    find_data
    # What is mounted must be known before anything is taken away.
    grep -q . /proc/self/mountinfo 2>/dev/null || refuse "/proc: is not mounted, so nothing was done; mount it"
    data_dirs=
    others=
    for prefix in ${root:+"$root"} ''; do
        if is_rke2s "$prefix$data"; then
            data_dirs=$data_dirs$prefix$data$newline
        elif [ -n "$(ls -A "$prefix$data" 2>/dev/null)" ]; then
            others=$prefix$data
        fi
    done
    [ -n "$data_dirs" ] || [ -z "$others" ] || refuse "$others: has nothing that only RKE2 makes (server/tls, server/db, agent/etc, \
data/v…), so nothing was done; correct data-dir in $config"
}

# Sets `pids` to the processes of RKE2 and of its pods: their program lies in its directories, or they are in control groups of its
# units and pods, because the program of a container has a path of its own.
find_processes() {
    pids=
    for process in /proc/[0-9]*; do
        # Who has called this script is not ended by it.
        case $spared in *" ${process#/proc/} "*) continue ;; esac
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        if is_program "$program" || is_in_group "$process/cgroup"; then
            pids="$pids ${process#/proc/}"
        fi
    done
}

is_program() {
    case $1 in
    /run/k3s/*) return 0 ;;
    "$root$data"/*) is_data_dir "$root$data" ;;
    "$data"/*) is_data_dir "$data" ;;
    *) return 1 ;;
    esac
}

is_data_dir() {
    case $newline$data_dirs in
    *"$newline$1$newline"*) ;;
    *) return 1 ;;
    esac
}

is_in_group() {
    [ -r "$1" ] || return 1
    while IFS=: read -r _ _ group; do
        case $group/ in
        /system.slice/rke2-server.service/* | /system.slice/rke2-agent.service/* | /kubepods.slice/* | /kubepods/*) return 0 ;;
        esac
    done 2>/dev/null <"$1"
    return 1
}

# This shell and all above it.
spared=" 1 $$ "
parent=$PPID
while [ "${parent:-0}" -gt 1 ]; do
    spared="$spared$parent "
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$parent/status" 2>/dev/null)
done

# What is mounted below the directories in `below` (one a line) and, with `namespaces`, the network namespaces of pods: the deepest
# first, of several at one place the last first. In each line the depth, the number, whether it may go lazily because it stores
# nothing itself, whether its unmounts reach a copy elsewhere, and the place with its escapes. Nothing goes lazily below `kept`.
mounts() {
    below=$1 kept=${2-} namespaces=${3-} awk '
        function decoded(text,    done) {
            while (match(text, /\\[0-7][0-7][0-7]/)) {
                done = done substr(text, 1, RSTART - 1) sprintf("%c", substr(text, RSTART + 1, 1) * 64 + \
                    substr(text, RSTART + 2, 1) * 8 + substr(text, RSTART + 3, 1))
                text = substr(text, RSTART + 4)
            }
            return done text
        }
        function is_below(path, list,    parts, count, at) {
            count = split(list, parts, "\n")
            for (at = 1; at <= count; at++) if (parts[at] != "" && index(path, parts[at] "/") == 1) return 1
            return 0
        }
        {
            path = decoded($5)
            shared = ""
            for (at = 7; at <= NF && $at != "-"; at++) if ($at ~ /^shared:/) shared = $at
            is_namespace = ENVIRON["namespaces"] && index(path, "/run/netns/cni-") == 1
            if (!is_namespace && !is_below(path, ENVIRON["below"])) {
                devices[$3] = 1
                peers[shared] = 1
                next
            }
            kind = $(at + 1)
            stores_nothing[NR] = kind == "nsfs" || kind == "overlay" || kind == "proc" || ($4 != "/" && kind != "btrfs")
            stays[NR] = is_below(path, ENVIRON["kept"])
            device[NR] = $3
            group[NR] = shared
            place[NR] = $5
        }
        END {
            for (number in place)
                print gsub("/", "/", place[number]), number, !stays[number] && (stores_nothing[number] || device[number] in devices), \
                    group[number] != "" && group[number] in peers, place[number]
        }' /proc/self/mountinfo | sort -k1,1nr -k2,2nr
}

# Sets `place` to a place of a mount, without its escapes.
decode() {
    # `printf` wants a zero before the three digits; the x keeps a line break at the end.
    place=$(printf '%bx' "$(printf '%s' "$1" | sed 's/\\/\\0/g')")
    place=${place%x}
}
