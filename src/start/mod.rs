//! The start phase: what the unit runs before each start of RKE2, by whatever it is started. It never fails the start, and all of its waits are bounded.

mod before_upgrade;
pub mod guard;
pub mod ready;
pub mod started;

use std::thread::sleep;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::Context;
use crate::environment::{self, no_proxy};
use crate::findings::Reason;
use crate::host::{Error, Host, Interface};
use crate::identity::recall;
use crate::images;
use crate::plan::plan::Plan;
use crate::plan::staged;
use crate::report::log::{Level, Log};
use crate::report::outcome::Outcome;
use crate::rke2::{Unit, is_unpacking, overrides};
use crate::service::unit::Active;
use crate::service::{self, gate};
use crate::status::{self, Waiting};

/// How this phase is called in the log and the status.
const NAME: &str = "prestart";

/// How long it may take to delete what was left half done.
const TIDYING: Duration = Duration::from_secs(60);

/// How long the user's boot stages are waited for: they may write files that RKE2 reads.
const BOOT_STAGES: Duration = Duration::from_secs(30);

/// The service that runs them on Kairos, under systemd and under OpenRC.
const COS_SETUP_BOOT: &str = "cos-setup-boot";

/// The unit that looks, once they are done, whether they have changed what RKE2 reads.
const SETTLE: &str = "provider-rke2-settle";

/// How long an address is waited for, where a proxy makes the node's networks matter.
const ADDRESS: Duration = Duration::from_secs(120);

/// How long nothing may change before the addresses of the first start in a boot count as all: those of the other family come a little later.
const SETTLED: Duration = Duration::from_secs(5);

/// Waits for the boot stages, with a proxy for the network, and for images, and copies the data before a newer minor version; then
/// keeps copies of what RKE2 is about to read. Gives what did
/// not work out.
pub fn run(context: &Context, unit: Unit) -> Outcome {
    let host = context.host;
    let mut failed: Vec<Reason> = wait_for_boot_stages(context).err().into_iter().collect();
    let plan = staged::applied(host);
    match &plan {
        Ok(plan) if plan.role.unit() == unit => {
            failed.extend(environment(context, plan).err().map(Reason::from));
            failed.extend(images::import::prestart(context, &plan.images()));
        }
        // The gate was open for what is no longer whole: what an earlier start found is better than nothing.
        Err(sentence) if gate::is_open(host, unit) => failed.push(sentence.clone().into()),
        // A unit that is not the plan's, or no plan: it gets nothing of what another start left behind.
        _ => failed.extend(host.remove(&overrides::late_file(unit)).err().map(Reason::from)),
    }
    let plan = plan.ok().filter(|plan| plan.role.unit() == unit);
    let mut done = Vec::new();
    if let Some(plan) = plan.as_ref().filter(|_| unit == Unit::Server) {
        match before_upgrade::run(context, NAME, plan) {
            Ok(sentence) => done.extend(sentence),
            Err(reason) => failed.push(reason),
        }
    }
    if let Some(plan) = &plan {
        tidy(host, &plan.data_dir);
    }
    failed.extend(remember(host, unit).err().map(Reason::from));
    failed.extend(started::record(host, unit, plan.as_ref()).into_iter().map(Reason::from));
    let outcome = Outcome { done, failed, ..Outcome::default() };
    if plan.is_some() {
        status::step(context, NAME, None, &outcome);
    }
    let log = Log::new(host, context.version);
    outcome.done.iter().for_each(|it| log.line(Level::Info, NAME, it));
    outcome.failed.iter().for_each(|it| log.line(Level::Error, NAME, &it.sentence));
    outcome
}

/// Deletes what RKE2, or a reset that was cut off, has left half done in the data directory. Without that it only takes room.
fn tidy(host: &Host, data_dir: &str) {
    for name in host.list(data_dir).unwrap_or_default().into_iter().filter(|name| is_unpacking(name)) {
        let _ = host.delete(&format!("{data_dir}/{name}"), false, Instant::now() + TIDYING);
    }
}

/// Says, before RKE2 touches the data, which version has used it.
fn remember(host: &Host, unit: Unit) -> Result<(), Error> {
    host.make_dir(gate::RUN, 0o700)?;
    let _lock = host.lock(gate::LOCK, LOCK_WAIT)?;
    recall::starts(host, unit)
}

/// How long the lock is waited for under which files change; nobody holds it for long.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Whether the boot stages are under way.
fn boot_stages_run(context: &Context) -> Result<bool, Error> {
    let host = context.host;
    let Some(manager) = service::running(host).filter(|_| host.is_real()) else { return Ok(false) };
    Ok(manager.show(COS_SETUP_BOOT)?.active == Active::Activating)
}

/// Has the unit looked at again once they are done.
fn look_again(context: &Context) -> Result<(), Error> {
    let Some(manager) = service::running(context.host) else { return Ok(()) };
    manager.run_after(COS_SETUP_BOOT, SETTLE, &[context.program, "apply", "service"])
}

/// Waits until the boot stages are done, or for as long as they may take. In the latter case somebody looks again once they are.
fn wait_for_boot_stages(context: &Context) -> Result<(), Reason> {
    if !boot_stages_run(context)? {
        return Ok(());
    }
    let _waiting = Waiting::begin(context, NAME, &format!("the boot stages of {COS_SETUP_BOOT}"));
    let end = Instant::now() + BOOT_STAGES;
    while Instant::now() < end {
        sleep(Duration::from_millis(100));
        if !boot_stages_run(context)? {
            return Ok(());
        }
    }
    let told =
        |error| format!("{error}, so what the boot stages change from now on reaches RKE2 at its next start only");
    look_again(context).map_err(|error| told(error).into())
}

/// Writes what of the service's environment is known only now: the networks of the node, for what must not go through a proxy.
fn environment(context: &Context, plan: &Plan) -> Result<(), Error> {
    let (host, asked) = (context.host, plan.environment());
    let nodes = if environment::has_proxy(asked.env) { node_networks(context, plan) } else { Vec::new() };
    let late = environment::late(host, &asked, &nodes)?;
    let path = overrides::late_file(asked.unit);
    if late.is_empty() {
        return host.remove(&path).map(drop);
    }
    host.put(&path, environment::text(&late).as_bytes(), 0o600).map(drop)
}

/// The networks of the node, once it has an address and, at the first start in a boot, no more come.
fn node_networks(context: &Context, plan: &Plan) -> Vec<IpNet> {
    let host = context.host;
    // The address of the control plane host is one too: on a single server it is the only one.
    let networks = |interfaces: &[Interface]| no_proxy::node_networks(interfaces, None);
    let interfaces = host.interfaces();
    let mut all = networks(&interfaces);
    let is_first = !started::is_known(host, plan.role.unit());
    let start = Instant::now();
    let end = start + ADDRESS;
    // Addresses that have been there for long have settled before anybody looked.
    let mut since = no_proxy::quiet(&interfaces).and_then(|quiet| start.checked_sub(quiet)).unwrap_or(start);
    let is_early = |all: &[IpNet], since: Instant| all.is_empty() || (is_first && since.elapsed() < SETTLED);
    if host.is_real() && is_early(&all, since) {
        let _waiting = Waiting::begin(context, NAME, "the addresses of this node, because of the proxy");
        while Instant::now() < end && is_early(&all, since) {
            sleep(Duration::from_millis(200));
            let now = networks(&host.interfaces());
            if now != all {
                (all, since) = (now, Instant::now());
            }
        }
    }
    no_proxy::node_networks(&host.interfaces(), plan.control_plane_host.as_deref())
}
