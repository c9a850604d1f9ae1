if [ ! -e /run/lab/again ]; then
    within 5 is_active rke2-server
    equal 1 starts rke2-server
    # Planned anew, but not applied; then systemd starts all over, with /run as it is.
    install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
    must kairos-agent notify agent.boot
    touch /run/lab/again
    systemctl start --no-block soft-reboot.target
    sleep 60
fi
# RKE2 waited for the boot stages, though its link and its marker were there.
within 8 is_active rke2-server
equal 2 starts rke2-server
equal '"server-2"' flag rke2-server node-name
within 5 status_is ok
