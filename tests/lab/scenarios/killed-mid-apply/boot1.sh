within 5 is_active rke2-server
# Two sets of staged files with what says that they are in force, and the config.yaml of each.
mkdir /run/lab/old /run/lab/new
keep() {
    cp -a /run/provider-rke2/{plan.yaml,values,config.d,plan-id} "/run/lab/$1/"
    hash_of[$1]=$(sha256sum </etc/rancher/rke2/config.yaml)
}
declare -A hash_of
keep old
install -m 0600 /lab/scenario/changed.yaml /oem/90_custom.yaml
must kairos-agent notify agent.boot
must kairos-agent run-stage boot
keep new
must test "${hash_of[old]}" != "${hash_of[new]}"

# Killed at some moment, again and again: the old or the new one, whole, and ready only with the one that was asked for.
exec 8<> <(:)
killed=0 halfway=0 before="${hash_of[new]} ready"
round=0
until [ $killed -ge 20 ] && [ $halfway -ge 3 ] || [ $round = 1500 ]; do
    round=$((round + 1))
    if [ $((round % 2)) = 0 ]; then asked=old; else asked=new; fi
    cp -a /run/lab/$asked/. /run/provider-rke2/
    "$provider" apply config &
    pid=$!
    read -r -t "0.00$((round % 4))$((RANDOM % 10))" -u 8
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    [ $? != 137 ] || killed=$((killed + 1))
    now=$(sha256sum </etc/rancher/rke2/config.yaml)
    must test "$now" = "${hash_of[old]}" -o "$now" = "${hash_of[new]}"
    if [ -e /run/provider-rke2/ready-rke2-server ]; then
        # Another one only if this round never began: everything is as it was before it.
        [ "$now" = "${hash_of[$asked]}" ] || equal "$before" echo "$now ready"
        before="$now ready"
    else
        halfway=$((halfway + 1))
        before="$now closed"
    fi
done
echo "killed $killed of $round, $halfway of them between closing and opening the gate"
must test "$round" -lt 1500
# And with the stages themselves still in the middle of it when the power goes, on the way to the new one.
cp -a /run/lab/old/. /run/provider-rke2/
must "$provider" apply config
cp /run/lab/new/plan-id /run/provider-rke2/
kairos-agent run-stage boot >/dev/null 2>&1 &
sleep 0.02
kill -KILL $!
pid=$(pidof agent-provider-rke2) && kill -KILL $pid
