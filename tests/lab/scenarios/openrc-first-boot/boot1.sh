within 5 is_active rke2-server
equal 1 starts rke2-server
equal 0 starts rke2-agent
# It waits for the boot stages, although it was started before them.
must grep -q ' /etc/rancher/rke2/registries.yaml$' "$(last rke2-server)/files"
must test /run/user-stage-done -ot "$(last rke2-server)/when"
equal '"SECRET-token-of-the-cluster"' flag rke2-server token
equal '0755 0:0' mode /etc/init.d/rke2-server
equal '0755 0:0' mode /etc/init.d/rke2-agent
equal '0600 0:0' mode /var/log/rke2-server.log
must_not ls /etc/runlevels/*/rke2-server
# RKE2 would take the node for one with systemd.
must_not test -e /run/systemd/system
must_not test -e /etc/issue.d/50-provider-rke2.issue
must "$provider" status
must has 'rke2-server, active (started)' <("$provider" status)

# The environment of the process itself, whatever the shell thinks of its characters and of its names.
variable() { tr '\0' '\n' <"/proc/$(pid rke2-server)/environ" | grep "^$1=" | cut -d = -f 2-; }
equal /root variable HOME
equal plain variable PLAIN
equal 'not a name' variable unit
equal /nowhere variable file
# shellcheck disable=SC2016
equal 'it'\''s "quoted" `twice` $HOME $(id) \ \\ %i %% ;&|<>#!*?[a]{b}~ = é😀  two' variable QUOTES
equal '' variable RC_SVCNAME
equal 6 bash -c "tr '\0' '\n' <'/proc/$(pid rke2-server)/environ' | grep -cvE '^(PWD|SHLVL|_)='"
limits() { awk -v name="$1" 'index($0, name) == 1 { print $4 }' "/proc/$(pid rke2-server)/limits"; }
equal "$(ulimit -H -n)" limits 'Max open files'
must grep -E '^Max core file size +unlimited' "/proc/$(pid rke2-server)/limits"

must rc-service rke2-server stop
must_not is_running rke2-server
must rc-service rke2-server start
within 5 is_active rke2-server
