within 5 has_started rke2-agent
within 5 is_reached multi-user.target
within 5 is_reached getty.target
equal activating state rke2-agent
for target in multi-user getty; do
    before=$(cat /var/lib/lab/$target) now=$(entered $target.target)
    echo "$target: $before ms without RKE2, $now ms with it"
    # Room for a busy machine; a boot that waits takes ten seconds, or for ever.
    must test "$now" -lt $((before * 2 + 2000))
done
