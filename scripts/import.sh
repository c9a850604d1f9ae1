#!/bin/sh
# Imports the image archives below DIR into RKE2's image directory: import.sh DIR
# For callers that know this path; the work is done by agent-provider-rke2 apply images. It is written anew at each boot.
[ $# -eq 1 ] || {
    echo "usage: $0 DIR" >&2
    exit 2
}
directory=$(CDPATH='' cd -- "$1" 2>/dev/null && pwd) || directory=$1
# The prefix of agent mode, if this file lies below one.
root=${0%/opt/rke2/scripts/*}
[ "$root" != "$0" ] || root=
for program in "$root/system/providers/agent-provider-rke2" /system/providers/agent-provider-rke2 /usr/local/system/providers/agent-provider-rke2; do
    [ ! -x "$program" ] || exec "$program" apply images --from "$directory"
done
program=$(command -v agent-provider-rke2) || {
    echo "$0: there is no agent-provider-rke2 in /system/providers, install it" >&2
    exit 1
}
exec "$program" apply images --from "$directory"
