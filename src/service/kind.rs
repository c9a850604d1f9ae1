//! Which service manager the node has.

use crate::host::Host;

/// Which service manager a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// systemd, the only one that RKE2 ships units for.
    Systemd,
    /// OpenRC.
    OpenRc,
}

/// What OpenRC keeps while it runs: a directory per state, a link per service in it (OpenRC `src/librc`).
pub(crate) const OPENRC: &str = "/run/openrc";

/// What systemd is started from (Debian before the merged /usr has the second).
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// What runs OpenRC's init scripts.
const OPENRC_RUN: &str = "/sbin/openrc-run";

impl Kind {
    /// The manager that runs: systemd if `/run/systemd/system` is there (`sd_booted(3)`), OpenRC if `/run/openrc` is. Where none runs, in the
    /// initramfs and in another root, the one that is installed: OpenRC if there is `/sbin/openrc-run` and no systemd, else systemd.
    ///
    /// Nothing of ours makes `/run/systemd/system` where OpenRC is: RKE2 would take the node for one with systemd.
    pub fn of(host: &Host) -> Kind {
        if host.is_dir("/run/systemd/system") {
            Kind::Systemd
        } else if host.is_dir(OPENRC) || (host.exists(OPENRC_RUN) && !SYSTEMD.iter().any(|path| host.exists(path))) {
            Kind::OpenRc
        } else {
            Kind::Systemd
        }
    }
}
