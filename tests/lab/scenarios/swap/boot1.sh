must grep -q '^#UUID=1234' /etc/fstab
# Swap in use, of which the lab has none.
printf 'Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n' >/tmp/swaps
must mount --bind /tmp/swaps /proc/swaps
must "$provider" apply swap
must has 'swapoff -a' /run/lab/argv
equal masked-runtime systemctl is-enabled swap.target
must kairos-agent run-stage boot
equal 1 grep -c '^#UUID' /etc/fstab
