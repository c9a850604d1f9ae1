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
    if let Err(error) = record(host, unit) {
        failed.push(error.to_string());
    }
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

fn record(host: &Host, unit: &str) -> Result<(), Error> {
    let directory = started(unit);
    host.make_dir(RUN, 0o700)?;
    host.make_dir(&format!("{RUN}/started"), 0o700)?;
    host.make_dir(&directory, 0o700)?;
    for (path, name) in inputs(unit) {
        let copy = format!("{directory}/{name}");
        match host.read(&path, LIMIT) {
            Ok(bytes) => drop(host.install(&copy, &bytes, 0o600, false)?),
            Err(error) if error.is_absent() => drop(host.remove(&copy)?),
            Err(error) => return Err(error),
        }
    }
    let first = format!("{directory}/{FIRST}");
    let fresh = Staged::read(host).is_ok_and(|staged| !node::has_state(host, &staged.data_dir));
    if fresh {
        host.install(&first, b"", 0o600, false)?;
    }
    Ok(())
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
