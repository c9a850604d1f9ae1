//! `record`: what the unit runs once RKE2 is ready. It keeps what this node became.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{LOCK_WAIT, guard, started};
use crate::Context;
use crate::findings::code::Code;
use crate::findings::{Findings, Reason};
use crate::identity::data;
use crate::identity::guards::{self, Situation};
use crate::identity::home::Home;
use crate::identity::recall::{self, Known};
use crate::identity::record::Record;
use crate::plan::plan::Plan;
use crate::plan::staged;
use crate::report::log::{Level, Log};
use crate::report::outcome::Outcome;
use crate::rke2::{Unit, effective};
use crate::service::gate;
use crate::service::kind::Kind;
use crate::service::unit::Active;

/// How this phase is called in the log.
const NAME: &str = "record";

/// How long a service of OpenRC may take to be ready; systemd calls when it is.
const READY: Duration = Duration::from_secs(30 * 60);

/// Keeps what the unit has become. Gives what did not work out; the node runs all the same.
pub fn run(context: &Context, unit: Unit) -> Outcome {
    if !is_ready(context, unit) {
        return Outcome::default();
    }
    let outcome = Outcome { failed: keep(context, unit).err().into_iter().collect(), ..Outcome::default() };
    let log = Log::new(context.host, context.version);
    outcome.failed.iter().for_each(|it| log.line(Level::Error, NAME, &it.sentence));
    outcome
}

fn is_ready(context: &Context, unit: Unit) -> bool {
    let host = context.host;
    if Kind::of(host) == Kind::Systemd || !host.is_real() {
        return true;
    }
    let (manager, end) = (crate::service::manager(host), Instant::now() + READY);
    while Instant::now() < end {
        match manager.show(unit.name()).map(|state| state.active) {
            Ok(Active::Active) => return true,
            Ok(Active::Activating) => sleep(Duration::from_secs(2)),
            _ => return false,
        }
    }
    false
}

fn keep(context: &Context, unit: Unit) -> Result<(), Reason> {
    let host = context.host;
    host.make_dir(gate::RUN, 0o700)?;
    let _lock = host.lock(gate::LOCK, LOCK_WAIT)?;
    let plan = staged::applied(host).ok().filter(|plan| plan.role.unit() == unit);
    let before = Record::read(host).unwrap_or_default();
    let used = plan.as_ref().map(|plan| used(context, plan, before)).unwrap_or_default();
    if let Some(record) = recall::became(host, unit, plan.as_ref().map(|plan| plan.data_dir.as_str()), used) {
        record.write(host)?;
        data::is_remembered(host, &record.data_dir)?;
    }
    gate::set_fresh(host, unit, false)?;
    Ok(started::bootstrapped(host, unit)?)
}

/// The lines of the plan by which a guard has let pass what is so now.
fn used(context: &Context, plan: &Plan, before: Option<Record>) -> Vec<String> {
    let (host, unit) = (context.host, plan.role.unit());
    let home = Home::of(host, &plan.data_dir);
    let read = effective::read(host, unit).unwrap_or_default();
    let founded = before.as_ref().is_none_or(|record| !record.was_ready);
    let known = Known { record: before, ..Known::default() };
    let situation = Situation { host, home: &home, known: &known, intent: guard::intent(host, plan, &read) };
    let mut lines = guards::judge(&situation, &mut Findings::default());
    // Nobody knows any more whether one would have answered.
    let line = plan.settings.accept.line(Code::ClusterAnswers, &[]).filter(|_| founded && situation.intent.founds);
    lines.extend(line.map(str::to_owned));
    lines
}
