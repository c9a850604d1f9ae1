within 5 is_active rke2-server
must grep -q '^UUID=1234' /etc/fstab
must_not has swapoff /run/lab/argv
equal static systemctl is-enabled swap.target
