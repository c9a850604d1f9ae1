# Every nasty text of one line, a variable each (`expected`, as the provider cleans it), as it reaches RKE2 by systemd, and as each shell reads the file.
within 5 is_active rke2-server
differs() { diff <(grep -a '^N_' | LC_ALL=C sort) <(LC_ALL=C sort /lab/scenario/expected); }
must differs < <(environment rke2-server)
for shell in dash bash 'busybox sh'; do
    # shellcheck disable=SC2086 # a shell may have an argument
    must differs < <(env -i $shell -c 'set -a; . /etc/default/rke2-server; exec /usr/bin/env -0' | tr '\0' '\n')
done
# systemd has nothing to say about the file.
must_not has /etc/default/rke2-server <(journalctl --boot --identifier=systemd --output=cat)
