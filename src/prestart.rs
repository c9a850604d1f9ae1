//! `prestart`: what the unit runs before each start of RKE2, whoever started it. It never fails the start, and all of its waits are bounded.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::Context;
use crate::check::Code;
use crate::config::{CONFIG, is_drop_in};
use crate::environment;
use crate::gate::{self, RUN};
use crate::host::{Error, Host};
use crate::log::{Level, Log};
use crate::no_proxy;
use crate::node;
use crate::report::outcome::{Outcome, Reason};
use crate::report::status::{self, Waiting};
use crate::rke2;
use crate::service;
use crate::staged::Staged;
use crate::steps::images;

/// How this phase is called in the log and the status.
const NAME: &str = "prestart";

/// How long the user's boot stages are waited for: they may write files that RKE2 reads.
const BOOT_STAGES: Duration = Duration::from_secs(30);

/// The service that runs them on Kairos, under systemd and under OpenRC.
const COS_SETUP_BOOT: &str = "cos-setup-boot";

/// The unit that looks, once they are done, whether they have changed what RKE2 reads.
const SETTLE: &str = "provider-rke2-settle";

/// How much of a file that RKE2 reads is kept.
const LIMIT: u64 = 16 << 20;

/// Marks a start of a server that held no state of RKE2 before.
const FIRST: &str = "first-start";

/// What the cloud-config asked of the environment, which the unit's own file says only where it is ours.
const ASKED: &str = "environment";

/// Says that something that RKE2 reads was changed since a start of which nobody has kept what it read.
const CHANGED: &str = "/run/provider-rke2/changed";

/// RKE2's own drop-ins (k3s `pkg/configfilearg/parser.go`).
const DROP_INS: &str = "/etc/rancher/rke2/config.yaml.d";

fn started(unit: &str) -> String {
    format!("{RUN}/started/{unit}")
}

/// What RKE2 reads when it starts, by the name under which it is kept: its configuration (k3s `pkg/configfilearg`), the environment files of its
/// unit (rke2 `bundle/lib/systemd/system`), and which program it is. What is not there has no entry, nor what cannot be read, which is told.
fn inputs(host: &Host, unit: &str) -> (BTreeMap<String, Vec<u8>>, Vec<Error>) {
    let mut files = vec![
        (CONFIG.to_owned(), "config.yaml".to_owned()),
        ("/etc/rancher/rke2/registries.yaml".into(), "registries.yaml".into()),
        (environment::path(unit), "default".into()),
        (format!("/etc/sysconfig/{unit}"), "sysconfig".into()),
        (format!("/usr/local/lib/systemd/system/{unit}.env"), "local.env".into()),
        (format!("/usr/lib/systemd/system/{unit}.env"), "image.env".into()),
    ];
    let names = host.list(DROP_INS).unwrap_or_default().into_iter().filter(|name| is_drop_in(name));
    files.extend(names.map(|name| (format!("{DROP_INS}/{name}"), format!("config.yaml.d-{name}"))));
    let (mut inputs, mut failed) = (BTreeMap::new(), Vec::new());
    for (path, name) in files {
        match host.read(&path, LIMIT) {
            Ok(bytes) => drop(inputs.insert(name, bytes)),
            Err(error) if error.is_absent() => {}
            Err(error) => failed.push(error),
        }
    }
    if let Some(binary) = rke2::binary(host) {
        let program = format!("{binary} {:?} {:?}", host.file_identity(binary), host.size_and_second(binary));
        inputs.insert("program".into(), program.into_bytes());
    }
    (inputs, failed)
}

/// How long an address is waited for, where a proxy makes the node's networks matter.
const ADDRESS: Duration = Duration::from_secs(120);

/// How long nothing may change before the addresses of the first start in a boot count as all: those of the other family come a little later.
const SETTLED: Duration = Duration::from_secs(5);

/// Waits for the boot stages, with a proxy for the network, and for images; then keeps copies of what RKE2 is about to read. Gives what did
/// not work out.
pub fn run(context: &Context, unit: &str) -> Vec<String> {
    let host = context.host;
    let mut failed: Vec<String> = wait_for_boot_stages(context).err().into_iter().collect();
    let staged = Staged::applied(host);
    match &staged {
        Ok(staged) if staged.role.unit() == unit => {
            failed.extend(environment(context, staged).err().map(|error| error.to_string()));
            failed.extend(images::prestart(context, staged));
        }
        // The gate was open for what is no longer whole: what an earlier start found is better than nothing.
        Err(sentence) if gate::is_open(host, unit) => failed.push(sentence.clone()),
        // A unit that is not the plan's, or no plan: it gets nothing of what another start left behind.
        _ => failed.extend(host.remove(&environment::late_path(unit)).err().map(|error| error.to_string())),
    }
    let staged = staged.ok().filter(|staged| staged.role.unit() == unit);
    failed.extend(record(host, unit, staged.as_ref()).into_iter().map(|error| error.to_string()));
    let reasons = failed.iter().map(|sentence| Reason::failed(Code::StepFailed, sentence)).collect();
    if staged.is_some() {
        status::step(context, NAME, None, &Outcome { failed: reasons, ..Outcome::default() });
    }
    let log = Log::new(host, context.version);
    for sentence in &failed {
        log.line(Level::Error, NAME, sentence);
    }
    failed
}

/// Waits until the boot stages are done, or for as long as they may take. In the latter case somebody looks again once they are.
fn wait_for_boot_stages(context: &Context) -> Result<(), String> {
    let host = context.host;
    let Some(manager) = service::running(host) else { return Ok(()) };
    let are_running = || match manager.show(COS_SETUP_BOOT) {
        Ok(unit) => Ok(unit.active == "activating" && host.is_real()),
        Err(error) => Err(error.to_string()),
    };
    if !are_running()? {
        return Ok(());
    }
    let _waiting = Waiting::begin(context, NAME, &format!("the boot stages of {COS_SETUP_BOOT}"));
    let end = Instant::now() + BOOT_STAGES;
    while Instant::now() < end {
        sleep(Duration::from_millis(100));
        if !are_running()? {
            return Ok(());
        }
    }
    manager.run_after(COS_SETUP_BOOT, SETTLE, &[context.program, "apply", "service"]).map_err(|error| {
        format!("{error}, so what the boot stages change from now on reaches RKE2 at its next start only")
    })
}

/// Writes what of the service's environment is known only now: the networks of the node, for what must not go through a proxy.
fn environment(context: &Context, staged: &Staged) -> Result<(), Error> {
    let (host, unit) = (context.host, staged.role.unit());
    let nodes = if environment::has_proxy(&staged.env) { node_networks(context, staged) } else { Vec::new() };
    let late = environment::late(staged, &nodes, environment::is_ours(host, unit)?);
    let path = environment::late_path(unit);
    if late.is_empty() {
        return host.remove(&path).map(drop);
    }
    host.install(&path, environment::text(&late).as_bytes(), 0o600, false).map(drop)
}

/// The networks of the node, once it has an address and, at the first start in a boot, no more come.
fn node_networks(context: &Context, staged: &Staged) -> Vec<IpNet> {
    let host = context.host;
    // The address of the control plane host is one too: on a single server it is the only one.
    let look = || no_proxy::node_networks(&host.interfaces(), None);
    let mut all = look();
    let is_first = !host.is_dir(&started(staged.role.unit()));
    let (end, mut since) = (Instant::now() + ADDRESS, Instant::now());
    let is_early = |all: &[IpNet], since: Instant| all.is_empty() || (is_first && since.elapsed() < SETTLED);
    if host.is_real() && is_early(&all, since) {
        let _waiting = Waiting::begin(context, NAME, "the addresses of this node, because of the proxy");
        while Instant::now() < end && is_early(&all, since) {
            sleep(Duration::from_millis(200));
            let now = look();
            if now != all {
                (all, since) = (now, Instant::now());
            }
        }
    }
    no_proxy::node_networks(&host.interfaces(), staged.control_plane_host.as_deref())
}

/// Keeps what can be kept; gives what failed.
fn record(host: &Host, unit: &str, staged: Option<&Staged>) -> Vec<Error> {
    let directory = started(unit);
    let made = [RUN, &format!("{RUN}/started"), &directory].into_iter().try_for_each(|path| host.make_dir(path, 0o700));
    if let Err(error) = made {
        return vec![error];
    }
    let (mut kept, mut failed) = inputs(host, unit);
    if let Some(staged) = staged {
        kept.insert(ASKED.into(), environment::asked_for(staged).into_bytes());
        if unit == gate::SERVER && !node::has_state(host, &staged.data_dir) {
            kept.insert(FIRST.into(), Vec::new());
        }
    }
    let stale = host.list(&directory).unwrap_or_default().into_iter();
    // The first start lasts until the server is ready, however often it is started again.
    let stale = stale.filter(|name| !kept.contains_key(name) && name != FIRST);
    let removed = stale.map(|name| host.remove(&format!("{directory}/{name}")).map(drop)).collect::<Vec<_>>();
    let written =
        kept.iter().map(|(name, bytes)| host.install(&format!("{directory}/{name}"), bytes, 0o600, false).map(drop));
    failed.extend(removed.into_iter().chain(written).filter_map(Result::err));
    failed.extend(host.remove(CHANGED).err());
    failed
}

/// Says that something that RKE2 reads is changed: where nobody has kept what it started with, it has to be restarted.
pub fn set_changed(host: &Host) -> Result<(), Error> {
    host.install(CHANGED, b"", 0o600, false).map(drop)
}

/// Whether what RKE2 reads has changed since its last start in this boot; nothing if it is not known what it started with, nor that anything
/// was changed since.
pub fn changed(host: &Host, unit: &str) -> Option<bool> {
    let directory = started(unit);
    if !host.exists(&format!("{directory}/config.yaml")) && !host.exists(&format!("{directory}/{ASKED}")) {
        return host.exists(CHANGED).then_some(true);
    }
    let (mut now, _) = inputs(host, unit);
    let asked = Staged::applied(host).ok().filter(|staged| staged.role.unit() == unit);
    let copy = |name: &str| host.read(&format!("{directory}/{name}"), LIMIT).ok();
    match asked {
        Some(staged) => drop(now.insert(ASKED.into(), environment::asked_for(&staged).into_bytes())),
        None => now.extend(copy(ASKED).map(|bytes| (ASKED.to_owned(), bytes))),
    }
    let names = host.list(&directory).unwrap_or_default();
    let then: BTreeMap<String, Vec<u8>> =
        names.into_iter().filter(|name| name != FIRST).filter_map(|name| Some((name.clone(), copy(&name)?))).collect();
    Some(now != then)
}

/// Whether a server started on a node without state and has not been seen ready since, or nobody knows how it started: nothing may interrupt it.
/// An agent has nothing that could be left half-made.
pub fn is_bootstrapping(host: &Host, unit: &str) -> bool {
    let directory = started(unit);
    unit == gate::SERVER && (!host.is_dir(&directory) || host.exists(&format!("{directory}/{FIRST}")))
}

/// Says that the unit has been ready: its first bootstrap is over.
pub fn bootstrapped(host: &Host, unit: &str) -> Result<(), Error> {
    host.remove(&format!("{}/{FIRST}", started(unit))).map(drop)
}
