//! `apply service`: the role's unit queued, once, and the other role's stopped. Nothing here waits for RKE2.

use std::time::{Duration, Instant};

use super::step::{Apply, Step};
use crate::findings::Reason;
use crate::findings::code::Code;
use crate::plan::plan::Plan;
use crate::report::outcome::Outcome;
use crate::rke2::Unit;
use crate::service::manager::{Manager, Verb};
use crate::service::unit::{Active, Load, UnitState};
use crate::service::{self, gate};
use crate::start::started;
use crate::status::Waiting;

/// The step.
pub(crate) const STEP: Step = Step {
    name: "service",
    what: "Queues the unit of the role",
    stages: &["70-systemd.yaml", "71-openrc.yaml"],
    run: |apply| apply.with_plan("service", |plan| run(apply, plan)),
    // Links of a boot, and init scripts, which go with the gate.
    leaves: &[],
};

/// How long the other role's unit may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// What is to be done with the unit of the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It does not run: start it.
    Start,
    /// It runs with a configuration that is no longer asked for.
    Restart,
    /// It runs with what is asked for, or reads it at its next start anyway.
    Nothing,
    /// It has to be restarted, but not in the middle of its first bootstrap (etcd would be left half-made).
    Pending,
}

/// What is known of the unit besides its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether what it reads has changed since it started; nothing if that is unknown.
    pub changed: Option<bool>,
    /// Whether a server started without state and has not been ready since.
    pub bootstrapping: bool,
}

/// Decides by the state of the unit, and what else is known of it.
pub(crate) fn decide(unit: &UnitState, known: Known) -> Action {
    let changed = known.changed == Some(true);
    match unit.active {
        // systemd starts it again by itself, and then it reads what is there.
        _ if unit.is_between_attempts() => Action::Nothing,
        Active::Activating if changed && known.bootstrapping => Action::Pending,
        _ if unit.is_up() => {
            if changed {
                Action::Restart
            } else {
                Action::Nothing
            }
        }
        _ => Action::Start,
    }
}

/// Sets the unit of the role in motion.
///
/// The order keeps multi-user.target from waiting for RKE2: reload where needed, the other role stopped, links removed, the unit queued, enabled for this
/// boot. Fails if the gate is shut, the unit is missing or masked, or the service manager does not take the order. A service manager that is
/// slow ends nothing.
fn run(apply: &Apply, plan: &Plan) -> Outcome {
    let (unit, manager) = (plan.role.unit(), service::manager(apply.host));
    let mut motion = Motion { apply, unit, plan_id: &plan.id, manager, notes: Vec::new() };
    let failed = motion.set().err().into_iter().collect();
    Outcome { done: std::mem::take(motion.manager.said()), notes: motion.notes, failed }
}

struct Motion<'a> {
    apply: &'a Apply<'a>,
    unit: Unit,
    plan_id: &'a str,
    manager: Box<dyn Manager + 'a>,
    notes: Vec<Reason>,
}

impl Motion<'_> {
    /// What goes wrong, and does not keep RKE2 from being started.
    fn warn(&mut self, sentence: String) {
        self.notes.push(Reason::warning(Code::StepFailed, sentence));
    }

    fn is_open(&self) -> Result<(), Reason> {
        match gate::is_open_by(self.apply.host, self.unit, self.plan_id) {
            true => Ok(()),
            false => Err(format!("{}: its configuration is not installed; run apply config first", self.unit).into()),
        }
    }

    fn set(&mut self) -> Result<(), Reason> {
        let (host, unit) = (self.apply.host, self.unit);
        self.is_open()?;
        // On a node where agent.boot ran before systemd the gate has been read already, and a reload would take long for nothing.
        let is_new = gate::write(self.apply.context)?;
        if is_new {
            self.reload();
        }
        self.stop(unit.other())?;
        // A link that stays starts nothing that the gate does not let pass.
        let (_, left) = gate::remove_links(host);
        for sentence in left {
            self.warn(sentence);
        }
        if host.is_real() {
            self.order(is_new)?;
        } else {
            self.manager.order(Verb::Start, unit.name())?;
        }
        Ok(self.manager.enable(unit.name())?)
    }

    fn reload(&mut self) {
        if let Err(error) = self.manager.reload() {
            self.warn(error.to_string());
        }
    }

    /// `reloaded`: the service manager has just read what is on the disk.
    fn order(&mut self, reloaded: bool) -> Result<(), Reason> {
        let (host, unit, name) = (self.apply.host, self.unit, self.manager.name(self.unit.name()));
        let mut state = self.manager.show(unit.name());
        if !reloaded && state.as_ref().is_ok_and(|state| state.stale || state.load != Load::Loaded) {
            self.reload();
            state = self.manager.show(unit.name());
        }
        let action = match state {
            Ok(state) => {
                match state.load {
                    Load::Loaded => {}
                    Load::Masked => return Err(format!("{name}: is masked, so RKE2 cannot start; unmask it").into()),
                    Load::NotFound => {
                        return Err(format!("{name}: is not on this host; install RKE2 into the image").into());
                    }
                    other => {
                        let word = other.as_str();
                        return Err(format!("{name}: cannot be loaded ({word}); see systemctl status {unit}").into());
                    }
                }
                if state.active == Active::Active {
                    started::bootstrapped(host, unit)?;
                }
                let bootstrapping = started::is_bootstrapping(host, unit);
                decide(&state, Known { changed: started::changed(host, unit), bootstrapping })
            }
            Err(error) => {
                // To start what runs already does nothing.
                self.warn(format!("{error}, so {name} is started without a look at its state"));
                Action::Start
            }
        };
        // Meanwhile the node may have been planned anew.
        self.is_open()?;
        match action {
            Action::Start => self.manager.order(Verb::Start, unit.name())?,
            Action::Restart => self.manager.order(Verb::Restart, unit.name())?,
            Action::Nothing => self.manager.said().push(format!("{name} runs with what is asked for")),
            Action::Pending => {
                self.manager.said().push(format!("{name}: restart pending, because it is in its first bootstrap"));
            }
        }
        Ok(())
    }

    /// Stops the other role's unit and waits until it is gone: RKE2's own condition lets both start while one is still activating.
    fn stop(&mut self, other: Unit) -> Result<(), Reason> {
        let host = self.apply.host;
        if !host.is_real() || !self.manager.show(other.name())?.is_busy() {
            return Ok(());
        }
        let name = self.manager.name(other.name());
        let _waiting = Waiting::begin(self.apply.context, STEP.name, &format!("{name} to stop"));
        self.manager.order(Verb::Stop, other.name())?;
        if service::wait_until_gone(&*self.manager, other.name(), Instant::now() + STOP)? {
            return Ok(());
        }
        let seconds = STOP.as_secs();
        Err(format!(
            "{name}: does not stop within {seconds} s, so the other role is not started; stop it, then run apply service"
        )
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_restarted_on_change_only() {
        let unit =
            |active: &str, sub: &str| UnitState { active: Active::of(active), sub: sub.into(), ..UnitState::default() };
        for (active, sub, changed, bootstrapping, action) in [
            ("inactive", "dead", Some(true), false, Action::Start),
            ("failed", "failed", Some(true), true, Action::Start),
            ("deactivating", "stop-sigterm", None, false, Action::Start),
            ("active", "running", Some(false), false, Action::Nothing),
            ("active", "running", None, false, Action::Nothing),
            ("active", "running", Some(true), false, Action::Restart),
            ("active", "running", Some(true), true, Action::Restart),
            ("activating", "start", Some(true), false, Action::Restart),
            ("activating", "start", Some(true), true, Action::Pending),
            ("activating", "start", Some(false), true, Action::Nothing),
            ("activating", "auto-restart", Some(true), false, Action::Nothing),
        ] {
            assert_eq!(
                decide(&unit(active, sub), Known { changed, bootstrapping }),
                action,
                "{active} {sub} {changed:?} {bootstrapping}"
            );
        }
    }
}
