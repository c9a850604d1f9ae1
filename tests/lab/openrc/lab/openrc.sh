# The words of lib.sh that ask the service manager, for OpenRC.

# state UNIT: started, starting, stopping, failed or stopped.
state() {
    local state
    for state in starting stopping started failed; do
        [ ! -L "/run/openrc/$state/$1" ] || {
            echo "$state"
            return
        }
    done
    echo stopped
}

# is_active UNIT: the stand-in runs, is ready, and OpenRC knows.
is_active() {
    local record
    # The engine is an agent, whose kubelet listens then.
    if [ -f /lab/addresses ]; then
        [ "$(state "$1")" = started ] && is_running "$1" && grep -q ':280A [0-9A-F:]* 0A ' /proc/net/tcp /proc/net/tcp6
        return
    fi
    record=$(last "$1")
    # A process that has just begun has no record yet: the last one is of the process before.
    [ "$(state "$1")" = started ] && [ -e "$record/ready" ] && [ "$(pid "$1")" = "$(cat "$record/pid")" ]
}

# is_running UNIT: there is a process of it.
is_running() { pgrep -f "^/usr/bin/rke2 ${1#rke2-}\$" >/dev/null; }

# pid UNIT: of the stand-in.
pid() { pgrep -f "^/usr/bin/rke2 ${1#rke2-}\$"; }

# entered default: milliseconds from OpenRC's start to the end of that runlevel's services.
entered() {
    if [ -e /run/lab/default ]; then
        awk -v from="$(cat /run/lab/booted)" '{ printf "%d\n", ($1 - from) * 1000 }' /run/lab/default
    else
        echo never
    fi
}
