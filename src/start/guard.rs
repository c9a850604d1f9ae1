//! `guard`: the condition of the unit. It judges what RKE2 would do on this node when it starts with what is installed.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Context;
use crate::findings::code::Code;
use crate::findings::path::Path;
use crate::findings::{Findings, Reason};
use crate::host::Host;
use crate::identity::accept::Accept;
use crate::identity::guards::{self, Intent, Situation};
use crate::identity::home::Home;
use crate::identity::{self, critical, recall};
use crate::plan::plan::Plan;
use crate::plan::{self, staged};
use crate::report::log::{Level, Log};
use crate::report::outcome::Outcome;
use crate::rke2::effective::{self, Effective};
use crate::rke2::overrides;
use crate::rke2::{DATA_DIR, Unit};
use crate::service::kind::Kind;
use crate::status::{self, Waiting};

/// How this phase is called in the log and the status.
pub(crate) const NAME: &str = "guard";

/// How long a disk is waited for that is not mounted yet. Under systemd the condition is cut off after 10 s, and asked again once the boot stages
/// are done.
const DISK_SYSTEMD: Duration = Duration::from_secs(5);
const DISK_OPENRC: Duration = Duration::from_secs(30);

/// How long a cluster may take to answer, the resolution of its name included.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// Where a server answers those that join.
pub(crate) const PORT: u16 = 9345;

/// What a plan makes of a node with the options that RKE2 will read.
pub(crate) fn intent<'a>(host: &'a Host, plan: &'a Plan, read: &'a Effective) -> Intent<'a> {
    Intent {
        founds: !plan.role.joins() && read.server.is_none(),
        ..of_unit(host, plan.role.unit(), read, &plan.env, &plan.settings.accept)
    }
}

/// The same where there is only what RKE2 reads.
fn of_unit<'a>(
    host: &'a Host,
    unit: Unit,
    read: &'a Effective,
    env: &'a BTreeMap<String, String>,
    accept: &'a Accept,
) -> Intent<'a> {
    let variables = move || overrides::variables_with(host, unit, env);
    Intent {
        unit,
        founds: unit == Unit::Server && read.server.is_none(),
        has_datastore: LazyCell::new(Box::new(move || guards::has_datastore(&read.options, &variables()))),
        critical: LazyCell::new(Box::new(move || critical::of(&[&read.options], &variables()))),
        token: read.token.as_deref(),
        accept,
    }
}

/// Judges whether a unit may start. What failed is why it may not.
pub fn run(context: &Context, unit: Unit) -> Outcome {
    let host = context.host;
    if identity::is_idle(host) {
        return Outcome::default();
    }
    let plan = staged::applied(host).ok().filter(|plan| plan.role.unit() == unit);
    let read = effective::read(host, unit).unwrap_or_default();
    let mut findings = Findings::default();
    let home = match disk(context, plan.as_ref(), &read) {
        Ok(home) => home,
        Err(reason) => return told(context, Outcome::failed(reason)),
    };
    let known = recall::recall(host, &home, &|| plan::last_unit(host));
    let (no_env, accept) = (BTreeMap::new(), Accept::default());
    let intent = match &plan {
        Some(plan) => intent(host, plan, &read),
        None => of_unit(host, unit, &read, &no_env, &accept),
    };
    let situation = Situation { host, home: &home, known: &known, intent };
    guards::judge(&situation, &mut findings);
    if let Some(name) = plan.as_ref().and_then(|plan| plan.control_plane_host.as_deref()) {
        cluster_answers(&situation, name, &mut findings);
    }
    let (failed, notes) = findings.reasons().into_iter().partition(guards::stops);
    told(context, Outcome { notes, failed, ..Outcome::default() })
}

/// The home of this node, once its disk is mounted. Fails if that does not come.
fn disk(context: &Context, plan: Option<&Plan>, read: &Effective) -> Result<Home, Reason> {
    let host = context.host;
    let option = read.get("data-dir").and_then(|value| value.texts().first());
    let data_dir = plan.map(|plan| plan.data_dir.as_str()).or(option.map(String::as_str)).unwrap_or(DATA_DIR);
    let mut home = Home::of(host, data_dir);
    let bound = if Kind::of(host) == Kind::Systemd { DISK_SYSTEMD } else { DISK_OPENRC };
    let (end, mut waiting) = (Instant::now() + bound, None);
    while let Some(mount) = &home.unmounted {
        // They may mount it.
        let stages_run = super::boot_stages_run(context)?;
        if !stages_run || Instant::now() >= end {
            if stages_run {
                super::look_again(context)?;
            }
            let sentence = format!(
                "{mount}: is not mounted, and {} of this node lies on it, so RKE2 is not started; mount the disk, or reset the node",
                home.data_dir
            );
            return Err(Reason::failed(Code::DataUnmounted, sentence));
        }
        waiting.get_or_insert_with(|| Waiting::begin(context, NAME, &format!("the disk of {mount}")));
        sleep(Duration::from_millis(100));
        home = Home::of(host, data_dir);
    }
    Ok(home)
}

/// Whether a node without data would found a second cluster beside one that is there.
fn cluster_answers(situation: &Situation, name: &str, findings: &mut Findings) {
    let Situation { host, home, intent, known } = situation;
    let used = known.record.as_ref().map(|record| record.accepted.as_slice()).unwrap_or_default();
    let is_fresh = intent.unit == Unit::Server && intent.founds && !*intent.has_datastore;
    if !is_fresh || guards::has_db(host, &home.data_dir) || intent.accept.line(Code::ClusterAnswers, used).is_some() {
        return;
    }
    if host.hears_tls(name, PORT, ANSWER) {
        let rest = format!(
            "a cluster answers at port {PORT} of this host already, and init would found a second one; write controlplane to join it, {}",
            guards::way_out(Code::ClusterAnswers)
        );
        findings.refuse(Code::ClusterAnswers, Path::of("cluster").key("control_plane_host").at(1), &rest);
    }
}

fn told(context: &Context, outcome: Outcome) -> Outcome {
    let log = Log::new(context.host, context.version);
    outcome.failed.iter().for_each(|it| log.line(Level::Error, NAME, &it.sentence));
    status::guarded(context, NAME, &outcome);
    outcome
}
