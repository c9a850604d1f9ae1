//! `prestart`: what the unit runs before each start of RKE2, whoever started it. It never fails the start, and never delays it for long.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::config::CONFIG;
use crate::gate::RUN;
use crate::host::{Error, Host};
use crate::node;
use crate::staged::Staged;
use crate::systemd::Systemd;

/// How long the user's boot stages are waited for: they may write files that RKE2 reads.
const BOOT_STAGES: Duration = Duration::from_secs(30);

/// The unit that runs them on Kairos.
const COS_SETUP_BOOT: &str = "cos-setup-boot";

/// How much of a file that RKE2 reads is kept.
const LIMIT: u64 = 16 << 20;

/// Marks a start of a node that held no state of RKE2 before.
const FIRST: &str = "first-start";

/// The files that RKE2 reads when it starts (k3s `pkg/configfilearg`; the unit's `EnvironmentFile`), and under what name they are kept.
fn inputs(unit: &str) -> [(String, &'static str); 4] {
    [
        (CONFIG.into(), "config.yaml"),
        ("/etc/rancher/rke2/registries.yaml".into(), "registries.yaml"),
        (format!("/etc/default/{unit}"), "default"),
        (format!("/etc/sysconfig/{unit}"), "sysconfig"),
    ]
}

fn started(unit: &str) -> String {
    format!("{RUN}/started/{unit}")
}

/// Waits for the boot stages, then keeps copies of what RKE2 is about to read. Gives what did not work out.
pub fn run(host: &Host, unit: &str) -> Vec<String> {
    let mut failed = Vec::new();
    if host.systemd_runs_here()
        && let Err(error) = wait_for_boot_stages(host)
    {
        failed.push(error.to_string());
    }
    failed.extend(record(host, unit).into_iter().map(|error| error.to_string()));
    failed
}

fn wait_for_boot_stages(host: &Host) -> Result<(), Error> {
    let end = Instant::now() + BOOT_STAGES;
    let systemd = Systemd::of(host);
    while systemd.show(COS_SETUP_BOOT)?.active == "activating" && Instant::now() < end {
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Keeps what can be kept; gives what failed.
fn record(host: &Host, unit: &str) -> Vec<Error> {
    let directory = started(unit);
    let made = [RUN, &format!("{RUN}/started"), &directory].into_iter().try_for_each(|path| host.make_dir(path, 0o700));
    if let Err(error) = made {
        return vec![error];
    }
    let keep = |(path, name): (String, &str)| {
        let copy = format!("{directory}/{name}");
        match host.read(&path, LIMIT) {
            Ok(bytes) => host.install(&copy, &bytes, 0o600, false),
            Err(error) => {
                // No copy is better than one of an earlier start.
                host.remove(&copy)?;
                if error.is_absent() { Ok(false) } else { Err(error) }
            }
        }
    };
    let mut failed: Vec<Error> = inputs(unit).into_iter().filter_map(|input| keep(input).err()).collect();
    if Staged::read(host).is_ok_and(|staged| !node::has_state(host, &staged.data_dir)) {
        failed.extend(host.install(&format!("{directory}/{FIRST}"), b"", 0o600, false).err());
    }
    failed
}

/// Whether what RKE2 reads has changed since its last start in this boot; nothing if it is not known what it started with.
pub fn changed(host: &Host, unit: &str) -> Option<bool> {
    let directory = started(unit);
    if !host.is_dir(&directory) {
        return None;
    }
    let content = |path: &str| host.read(path, LIMIT).ok();
    Some(inputs(unit).into_iter().any(|(path, name)| content(&path) != content(&format!("{directory}/{name}"))))
}

/// Whether the unit started on a node without state and has not been seen ready since: nothing may interrupt it.
pub fn is_bootstrapping(host: &Host, unit: &str) -> bool {
    host.exists(&format!("{}/{FIRST}", started(unit)))
}

/// Says that the unit has been ready: its first bootstrap is over.
pub fn bootstrapped(host: &Host, unit: &str) -> Result<(), Error> {
    host.remove(&format!("{}/{FIRST}", started(unit))).map(drop)
}
