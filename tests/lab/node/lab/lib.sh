# What assertions are made of. A failing one is printed with its line and what was found instead, and the script goes on.
#
#   must COMMAND…               succeeds
#   must_not COMMAND…           does not
#   equal TEXT COMMAND…         prints exactly that
#   within SECONDS COMMAND…     succeeds before the time is up
#
# Some commands for them: has, mode, starts, last, flag, variable, state, entered, reloads, unchanged. And one that does: interface.

failures=${failures:-/run/lab/failures}
provider=/system/providers/agent-provider-rke2

_failed() {
    printf '%s:%s: %s\n' "${0##*/}" "${BASH_LINENO[1]}" "$*" | tee -a "$failures"
}

must() {
    local said
    said=$("$@" 2>&1) || _failed "failed: $*${said:+ ($said)}"
}

must_not() {
    local said
    ! said=$("$@" 2>&1) || _failed "should fail: $*${said:+ ($said)}"
}

equal() {
    local expected=$1 found
    shift
    found=$("$@" 2>&1) || true
    [ "$found" = "$expected" ] || _failed "$*: expected '$expected', found '$found'"
}

within() {
    local bound=$1 tries=$(($1 * 20)) said=
    shift
    until said=$("$@" 2>&1); do
        if [ $((tries -= 1)) -lt 0 ]; then
            _failed "not within $bound s: $*${said:+ ($said)}"
            return 0
        fi
        sleep 0.05
    done
}

# has TEXT FILE…: some line of the files holds the text.
has() {
    local text=$1
    shift
    grep -qF -- "$text" "$@" || {
        tail -n 5 "$@"
        return 1
    }
}

# mode PATH: like `0600 0:0`.
mode() { stat -c '%04a %u:%g' "$1" | sed 's/^0*\([0-7]\{4\}\)/\1/'; }

# starts UNIT: how often the stand-in was started in this boot.
starts() { find /run/lab/starts -maxdepth 1 -name "*-$1*" | wc -l; }

# last UNIT: the record of its last start; files pid, argv, env, flags, files, config.yaml, when, ready, sigterm.
last() { find /run/lab/starts -maxdepth 1 -name "*-$1*" | sort | tail -n 1; }

# flag UNIT NAME: a flag as RKE2 reads it, in JSON.
flag() {
    local record
    record=$(last "$1")
    [ -n "$record" ] && sed -n "s/^$2 //p" "$record/flags"
}

# environment UNIT: the variables of its running main process, a line each, sorted.
environment() { tr '\0' '\n' <"/proc/$(systemctl show -p MainPID --value "$1")/environ" | LC_ALL=C sort; }

# variable UNIT NAME: one of them; fails if there is none.
variable() {
    local found
    found=$(environment "$1" | grep "^$2=") && printf '%s\n' "${found#*=}"
}

# interface NAME TYPE ADDRESS…: makes one that is up and has these addresses at once.
interface() {
    local name=$1 type=$2 address
    shift 2
    # shellcheck disable=SC2086 # a type may have parameters
    ip link add "$name" type $type && ip link set "$name" up || return
    for address in "$@"; do
        case $address in
        *:*) ip address add "$address" dev "$name" nodad ;;
        *) ip address add "$address" dev "$name" ;;
        esac || return
    done
}

# state UNIT: ActiveState.
state() { systemctl show -p ActiveState --value "$1"; }

is_active() { [ "$(state "$1")" = active ]; }

has_started() { [ "$(starts "$1")" -ge "${2-1}" ]; }

# reloads: how often systemd was told in this boot to read its files anew.
reloads() { journalctl --boot --quiet --output=cat _PID=1 | grep -c '^Reloading\( requested\|\.\)'; }

# entered UNIT: milliseconds from systemd's start to its being active; `never` if it is not.
entered() {
    local at from
    at=$(systemctl show -p ActiveEnterTimestampMonotonic --value "$1")
    from=$(systemctl show -p UserspaceTimestampMonotonic --value)
    [ "$at" != 0 ] && echo $(((at - from) / 1000)) || echo never
}

is_reached() { [ "$(entered "$1")" != never ]; }

# Where OpenRC runs, it is asked in other words.
[ ! -e /lab/openrc.sh ] || . /lab/openrc.sh

# remember PATH…: for unchanged in this or a later boot.
remember() {
    mkdir -p /var/lib/lab
    local path
    for path in "$@"; do _facts "$path" >"/var/lib/lab/${path//\//_}"; done
}

_facts() { stat -c '%n %a %u %g %i %s %y' "$1" && sha256sum <"$1"; }

# unchanged PATH: not even written anew since remember.
unchanged() { diff "/var/lib/lab/${1//\//_}" <(_facts "$1"); }

# Local images: the content directory, RKE2's, and whether a file of the one is in the other.
content=/opt/content/images
images=/var/lib/rancher/rke2/agent/images
imported() { cmp "$content/$1" "$images/${2:-${1##*/}}"; }

# images_are NAME…: these are in RKE2's directory, and nothing else, there or beside it.
images_are() {
    local beside
    beside=$(find "${images%/*}" -mindepth 1 -maxdepth 1 ! -name images -name '.*')
    [ -z "$beside" ] || { echo "$beside"; return 1; }
    diff <(printf '%s\n' .cache.json "$@" | sort) <(ls -A "$images" | sort)
}

# as_started UNIT NAME…: they were there when the stand-in was started last.
as_started() {
    local unit=$1 name
    shift
    for name; do
        [ "$(stat -c %Z "$images/$name")" -le "$(stat -c %Z "$(last "$unit")/argv")" ] || return 1
    done
}

# status_word: the first line of the status. status_is WORD: it is that.
status_word() { "$provider" status | head -n 1; }
status_is() { [ "$(status_word)" = "$1" ]; }
