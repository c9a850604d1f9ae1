//! `apply config`: drop-ins and config.yaml installed, whole, then the gate opened.

use super::prepared::{self, Prepared};
use super::step::{Apply, Step, Taken};
use crate::environment;
use crate::findings::Reason;
use crate::findings::code::Code;
use crate::identity::recall;
use crate::plan;
use crate::plan::plan::Plan;
use crate::plan::staged::{self, Staged, Unstaged};
use crate::report::outcome::Outcome;
use crate::rke2::merge::{CONFIG, DROP_INS, OWNER, USER};
use crate::service::gate;
use crate::start::started;

/// The step.
pub(crate) const STEP: Step = Step {
    name: "config",
    what: "Installs RKE2's configuration and opens the gate",
    stages: &["20-config.yaml"],
    run,
    // What it installs is RKE2's own directory, which a reset deletes whole.
    leaves: &[],
};

/// How often the configuration is made anew because a new plan came in between.
const TRIES: usize = 3;

/// Makes the configuration of what is staged, and installs it if it is of the plan in force then.
fn run(apply: &Apply) -> Taken {
    let host = apply.host;
    for _ in 0..TRIES {
        // Nothing must start RKE2 by what an earlier plan has opened.
        if let Some(refused) = apply.refused("config") {
            return Taken::Done(None, apply.not_configured(Outcome { failed: refused.reasons, ..Outcome::default() }));
        }
        let staged = match accepted(apply) {
            Ok(staged) => staged,
            Err(Unstaged::Other(sentence)) => return Taken::Left(sentence),
            Err(unstaged) => return Taken::Done(None, apply.not_configured(Outcome::failed(unstaged.sentence()))),
        };
        let plan = &staged.plan;
        let role = Some(plan.role);
        let prepared = match prepared::prepare(host, &staged) {
            Ok(prepared) => prepared,
            Err(outcome) => return Taken::Done(role, apply.not_configured(outcome)),
        };
        let lock = match apply.locked() {
            Ok(lock) => lock,
            Err(locked) => return Taken::Done(role, apply.without_lock(locked)),
        };
        if gate::refused(host).is_none() && staged::is_in_force(host, plan) {
            let mut notes = prepared.notes.clone();
            let outcome = match install(apply, plan, prepared, &mut notes) {
                Ok(done) => Outcome { done, notes, ..Outcome::default() },
                Err(reason) => apply.not_configured(Outcome { notes, ..Outcome::failed(reason) }),
            };
            return Taken::Done(role, outcome);
        }
        // Meanwhile the node is, or was, planned anew.
        drop(lock);
    }
    let sentence = "agent.boot has not finished, or plans this node anew all the time; run apply again";
    Taken::Done(None, Outcome::failed(sentence))
}

/// What is staged, kept for the other steps. Where two runs of the boot stages have mixed it, the document in force is laid out again.
fn accepted(apply: &Apply) -> Result<Staged, Unstaged> {
    let mut staged = match staged::read(apply.host) {
        Err(Unstaged::Mixed(_)) => {
            plan::lay_out(apply.host).map_err(|reason| Unstaged::Torn(reason.sentence))?;
            staged::read(apply.host)?
        }
        other => other?,
    };
    // Every other step goes by it too.
    let kept = prepared::settle_home(apply.host, &mut staged.plan);
    staged.troubles.extend(kept);
    staged::accept(apply.host, &staged.plan).map_err(|error| Unstaged::Torn(error.to_string()))?;
    Ok(staged)
}

/// Installs it, under the lock of the program, and opens the gate. The gate is shut before anything is changed that RKE2 reads.
///
/// If it fails, config.yaml is the old or the new one; the caller shuts the gate. Nothing is written that has the bytes already.
fn install(apply: &Apply, plan: &Plan, prepared: Prepared, notes: &mut Vec<Reason>) -> Result<Vec<String>, Reason> {
    let (host, unit, asked) = (apply.host, plan.role.unit(), plan.environment());
    host.make_dir("/etc/rancher", 0o755)?;
    host.make_dir("/etc/rancher/rke2", 0o755)?;
    host.make_dir(DROP_INS, 0o700)?;
    let changes = !host.holds(CONFIG, prepared.config.as_bytes());
    if changes || !environment::is_installed(host, &asked) {
        gate::close(host)?;
        // If nobody knows what RKE2 has read, this is not what it runs with.
        started::set_changed(host)?;
    }
    // First, so that a config.yaml that this program has not installed is known as such.
    if let Err(error) = recall::keep(host, prepared.known, prepared.allowed, Some(&prepared.config)) {
        notes.push(Reason::warning(Code::StepFailed, format!("{error}, so what this node became is not remembered")));
    }
    for (name, text) in [(USER, &prepared.user), (OWNER, &prepared.provider)] {
        host.install(&format!("{DROP_INS}/{name}"), text.as_bytes(), 0o400)?;
    }
    host.install(CONFIG, prepared.config.as_bytes(), 0o600)?;
    // A queued unit starts as soon as the gate opens, so what it reads must be there.
    let mut done = environment::install(host, &asked)?;
    gate::set_fresh(host, unit, prepared.is_fresh_init)?;
    gate::open(apply.context, unit, &plan.id)?;
    let config = if changes { "written" } else { "unchanged" };
    done.push(format!("{CONFIG} {config}, {unit} may start"));
    Ok(done)
}
