within 5 is_active rke2-server
within 5 has '"was_ready": true' /usr/local/lib/provider-rke2/node.json
program=$(readlink -f "$provider")
# broken SCRIPT: another program in the place of ours, for as long as a start takes.
broken() {
    printf '#!/bin/sh\n%s\n' "$1" >/run/lab/broken
    chmod 0755 /run/lab/broken
    mount --bind /run/lab/broken "$program"
}
start() {
    systemctl stop rke2-server
    systemctl reset-failed rke2-server 2>/dev/null
    timeout 40 systemctl start rke2-server
}
kinds=('exit 3' 'exit 127' 'kill -SEGV $$' 'kill -KILL $$' '[ "$1" != guard ] || sleep 300')
# With state a guard that ends in any other way than 1 keeps nothing down.
for kind in "${kinds[@]}"; do
    broken "$kind"
    before=$(starts rke2-server)
    start
    umount "$program"
    equal active state rke2-server
    equal "$((before + 1))" starts rke2-server
    equal 0 systemctl show -p NRestarts --value rke2-server
done
# A missing one neither.
mv "$program" "$program.gone"
start
mv "$program.gone" "$program"
equal active state rke2-server
# A node without state founds nothing without it, and systemd does not try for ever.
touch /run/provider-rke2/fresh-rke2-server
for kind in "${kinds[@]}"; do
    broken "$kind"
    before=$(starts rke2-server)
    start
    umount "$program"
    equal inactive state rke2-server
    equal "$before" starts rke2-server
    equal 0 systemctl show -p NRestarts --value rke2-server
done
mv "$program" "$program.gone"
start
mv "$program.gone" "$program"
equal inactive state rke2-server
# It comes back.
start
equal active state rke2-server
