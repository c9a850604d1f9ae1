#!/bin/sh
# For callers that know this path: the node is reset by agent-provider-rke2, see its docs/reset.md. Options are passed on.
set -eu

# The prefix of agent mode, if this file lies below one.
root=${0%/opt/rke2/scripts/*}
[ "$root" != "$0" ] || root=
for provider in "$root/system/providers/agent-provider-rke2" /system/providers/agent-provider-rke2 \
    /usr/local/system/providers/agent-provider-rke2; do
    [ ! -x "$provider" ] || exec "$provider" reset "$@"
done
echo "rke2-uninstall.sh: there is no agent-provider-rke2 in /system/providers, nothing was reset" >&2
exit 1
