within 10 is_active rke2-agent
equal 1 starts rke2-agent
online=$(entered network-online.target)
echo "multi-user.target after $(entered multi-user.target) ms, the network after $online ms"
must test "$online" -ge 3000
must test "$(entered multi-user.target)" -lt "$online"
must test "$(entered getty.target)" -lt "$online"
must test "$(entered rke2-agent.service)" -ge "$online"
