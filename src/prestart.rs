//! `prestart`: what the unit runs before each start of RKE2, whoever started it. It never fails the start, and never delays it for long.

use std::thread::sleep;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::config::CONFIG;
use crate::environment;
use crate::gate::{self, RUN};
use crate::host::{Error, Host};
use crate::no_proxy;
use crate::node;
use crate::service;
use crate::staged::Staged;
use crate::steps::images;

/// How long the user's boot stages are waited for: they may write files that RKE2 reads.
const BOOT_STAGES: Duration = Duration::from_secs(30);

/// The service that runs them on Kairos, under systemd and under OpenRC.
const COS_SETUP_BOOT: &str = "cos-setup-boot";

/// How much of a file that RKE2 reads is kept.
const LIMIT: u64 = 16 << 20;

/// Marks a start of a node that held no state of RKE2 before.
const FIRST: &str = "first-start";

/// What the cloud-config asked of the environment, which the unit's own file says only where it is ours.
const ASKED: &str = "environment";

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

/// How long an address is waited for, where a proxy makes the node's networks matter.
const ADDRESS: Duration = Duration::from_secs(120);

/// How long nothing may change before the addresses of the first start in a boot count as all: those of the other family come a little later.
const SETTLED: Duration = Duration::from_secs(5);

/// Waits for the boot stages and, with a proxy, for the network; then keeps copies of what RKE2 is about to read. Gives what did not work out.
pub fn run(host: &Host, unit: &str) -> Vec<String> {
    let mut failed = Vec::new();
    if let Err(error) = wait_for_boot_stages(host) {
        failed.push(error.to_string());
    }
    match Staged::read(host) {
        Ok(staged) if staged.role.unit() == unit => {
            if let Err(error) = environment(host, &staged) {
                failed.push(error.to_string());
            }
            failed.extend(images::prestart(host, &staged));
        }
        // The gate was open for what is no longer whole: what an earlier start found is better than nothing.
        Err(sentence) if gate::is_open(host, unit) => failed.push(sentence),
        // A unit that is not the plan's, or no plan: it gets nothing of what another start left behind.
        _ => failed.extend(host.remove(&environment::late_path(unit)).err().map(|error| error.to_string())),
    }
    failed.extend(record(host, unit).into_iter().map(|error| error.to_string()));
    failed
}

fn wait_for_boot_stages(host: &Host) -> Result<(), Error> {
    let Some(manager) = service::running(host) else { return Ok(()) };
    let end = Instant::now() + BOOT_STAGES;
    while manager.show(COS_SETUP_BOOT)?.active == "activating" && host.is_real() && Instant::now() < end {
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Writes what of the service's environment is known only now: the networks of the node, for what must not go through a proxy.
fn environment(host: &Host, staged: &Staged) -> Result<(), Error> {
    let unit = staged.role.unit();
    let nodes = if environment::has_proxy(&staged.env) { node_networks(host, staged) } else { Vec::new() };
    let late = environment::late(staged, &nodes, environment::is_ours(host, unit)?);
    let path = environment::late_path(unit);
    if late.is_empty() {
        return host.remove(&path).map(drop);
    }
    host.install(&path, environment::text(&late).as_bytes(), 0o600, false).map(drop)
}

/// The networks of the node, once it has an address and, at the first start in a boot, no more come.
fn node_networks(host: &Host, staged: &Staged) -> Vec<IpNet> {
    // The address of the control plane host is one too: on a single server it is the only one.
    let look = || no_proxy::node_networks(&host.interfaces(), None);
    let mut all = look();
    let is_first = !host.is_dir(&started(staged.role.unit()));
    let (end, mut since) = (Instant::now() + ADDRESS, Instant::now());
    while host.is_real() && Instant::now() < end && (all.is_empty() || (is_first && since.elapsed() < SETTLED)) {
        sleep(Duration::from_millis(200));
        let now = look();
        if now != all {
            (all, since) = (now, Instant::now());
        }
    }
    no_proxy::node_networks(&host.interfaces(), staged.control_plane_host.as_deref())
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
    let Ok(staged) = Staged::read(host) else { return failed };
    let environment = environment::asked_for(&staged);
    failed.extend(host.install(&format!("{directory}/{ASKED}"), environment.as_bytes(), 0o600, false).err());
    if !node::has_state(host, &staged.data_dir) {
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
    let copy = |name: &str| content(&format!("{directory}/{name}"));
    let asked = Staged::read(host).ok().map(|staged| environment::asked_for(&staged).into_bytes());
    let other = copy(ASKED).is_some_and(|kept| asked.is_some_and(|asked| asked != kept));
    Some(other || inputs(unit).into_iter().any(|(path, name)| content(&path) != copy(name)))
}

/// Whether the unit started on a node without state and has not been seen ready since: nothing may interrupt it.
pub fn is_bootstrapping(host: &Host, unit: &str) -> bool {
    host.exists(&format!("{}/{FIRST}", started(unit)))
}

/// Says that the unit has been ready: its first bootstrap is over.
pub fn bootstrapped(host: &Host, unit: &str) -> Result<(), Error> {
    host.remove(&format!("{}/{FIRST}", started(unit))).map(drop)
}
