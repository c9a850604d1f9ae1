must has busybox <(readlink -f /bin/sh /usr/bin/setsid /usr/bin/find)
within 5 is_active rke2-server
equal 1 starts rke2-server
variable() { tr '\0' '\n' <"/proc/$(pid rke2-server)/environ" | grep "^$1=" | cut -d = -f 2-; }
equal /root variable HOME
equal 'not a name' variable unit
# shellcheck disable=SC2016
equal 'it'\''s "quoted" `twice` $HOME $(id) \ \\ %i %% ;&|<>#!*?[a]{b}~ = é😀  two' variable QUOTES
equal "$(ulimit -H -n)" awk '/^Max open files/ { print $4 }' "/proc/$(pid rke2-server)/limits"
must grep -E '^Max core file size +unlimited' "/proc/$(pid rke2-server)/limits"
must kill -9 "$(pid rke2-server)"
within 8 has_started rke2-server 2
within 5 is_active rke2-server

# The log is bounded: the watcher of a start looks at it at once.
head -c 34000000 /dev/zero >>/var/log/rke2-server.log
must rc-service rke2-server restart
is_put_aside() { [ -e /var/log/rke2-server.log.1 ] && [ "$(stat -c %s /var/log/rke2-server.log)" -lt 100000 ]; }
within 5 is_put_aside
within 5 is_active rke2-server
must test "$(stat -c %s /var/log/rke2-server.log.1)" -ge 34000000
equal '0600 0:0' mode /var/log/rke2-server.log.1
