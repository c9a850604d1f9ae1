//! The gate: RKE2 does not start before its configuration is installed.
//!
//! Removing a `*.wants` link does not stop a job that systemd has queued already, and links in /usr cannot be removed; a condition
//! holds against both (systemd.unit(5), `ConditionPathExists`). It stands in a runtime drop-in, so it is gone with the boot.

use crate::host::{Error, Host};

/// The directory of everything that lives as long as the boot.
pub const RUN: &str = "/run/provider-rke2";

/// The lock that plan and apply hold.
pub const LOCK: &str = "/run/provider-rke2/lock";

/// The sentence of a plan that was refused; while it exists, `apply` fails.
pub const REFUSED: &str = "/run/provider-rke2/refused";

/// The units of both roles.
pub const UNITS: [&str; 2] = ["rke2-server", "rke2-agent"];

/// The same for both units; `%N` is the unit's name without its suffix.
const DROP_IN: &str = "\
# written by provider-rke2: no start before the configuration is installed
[Unit]
ConditionPathExists=/run/provider-rke2/ready-%N
";

/// Where systemd keeps what was enabled for good; Kairos keeps it across boots.
const LINKS: &str = "/etc/systemd/system";

fn drop_in(unit: &str) -> (String, String) {
    let directory = format!("/run/systemd/system/{unit}.service.d");
    let file = format!("{directory}/50-provider-rke2.conf");
    (directory, file)
}

/// Shuts the gate for both units and removes what would start them at boot. Gives whether systemd has something to reload.
pub fn shut(host: &Host) -> Result<bool, Error> {
    let mut changed = false;
    for unit in UNITS {
        let (directory, file) = drop_in(unit);
        host.make_dir(&directory, 0o755)?;
        changed |= host.install(&file, DROP_IN.as_bytes(), 0o644, false)?;
    }
    Ok(changed | remove_links(host)?)
}

/// Takes the gate away, where RKE2 is none of our business any more. Gives whether systemd has something to reload.
pub fn remove(host: &Host) -> Result<bool, Error> {
    let mut changed = false;
    for unit in UNITS {
        changed |= host.remove(&drop_in(unit).1)?;
    }
    Ok(changed)
}

/// Removes the persistent links by path: `systemctl disable` would delete a unit that is itself a link (kairos-io/provider-k3s#146).
fn remove_links(host: &Host) -> Result<bool, Error> {
    let mut changed = false;
    for directory in host.list(LINKS)? {
        if directory.ends_with(".wants") || directory.ends_with(".requires") {
            for unit in UNITS {
                let link = format!("{LINKS}/{directory}/{unit}.service");
                changed |= host.remove(&link)?;
            }
        }
    }
    Ok(changed)
}

/// Says that the plan was refused, or that it no longer is.
pub fn set_refused(host: &Host, sentences: &[String]) -> Result<(), Error> {
    if sentences.is_empty() {
        host.remove(REFUSED)?;
    } else {
        host.install(REFUSED, format!("{}\n", sentences.join("\n")).as_bytes(), 0o600, false)?;
    }
    Ok(())
}
