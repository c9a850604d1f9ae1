//! `apply service`: the role's unit queued, once, and the other role's stopped. Nothing here waits for RKE2.

use std::time::{Duration, Instant};

use crate::Context;
use crate::check::{Code, Severity};
use crate::gate;
use crate::host::Error;
use crate::prestart;
use crate::report::outcome::{Outcome, Reason};
use crate::report::status::Waiting;
use crate::service::{self, Kind, Manager, Unit, Verb, openrc};
use crate::staged::Staged;

/// How long the other role's unit may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// What is to be done with the unit of the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It does not run: start it.
    Start,
    /// It runs with a configuration that is no longer asked for.
    Restart,
    /// It runs with what is asked for, or reads it at its next start anyway.
    Nothing,
    /// It has to be restarted, but not in the middle of its first bootstrap (etcd would be left half-made).
    Pending,
}

/// Decides by the state of the unit, and whether what it reads has changed since it started.
///
/// `changed` is nothing if that is unknown; `bootstrapping` if a server started without state and has not been ready since.
#[allow(clippy::match_same_arms, reason = "the order of the arms is the rule")]
pub fn decide(unit: &Unit, changed: Option<bool>, bootstrapping: bool) -> Action {
    let changed = changed == Some(true);
    match (unit.active.as_str(), unit.sub.as_str()) {
        // Between two attempts: systemd starts it again by itself, and then it reads what is there.
        ("activating", "auto-restart" | "auto-restart-queued") => Action::Nothing,
        ("activating", _) if changed && bootstrapping => Action::Pending,
        _ if unit.is_up() && changed => Action::Restart,
        _ if unit.is_up() => Action::Nothing,
        _ => Action::Start,
    }
}

/// Sets the unit of the role in motion.
///
/// The order keeps multi-user.target from waiting for RKE2: reload, the other role stopped, links removed, the unit queued, enabled for this
/// boot. Fails with a sentence if the gate is shut, the unit is missing or masked, or the service manager does not take the order. A service
/// manager that is slow ends nothing.
pub fn run(context: &Context, staged: &Staged) -> Outcome {
    let host = context.host;
    let mut motion = Motion { context, staged, manager: Kind::of(host).manager(host), notes: Vec::new() };
    let result = motion.set();
    let done = std::mem::take(motion.manager.said());
    let failed = result.err().map(|sentence| Reason::failed(Code::StepFailed, sentence));
    Outcome { done, notes: motion.notes, failed: failed.into_iter().collect() }
}

struct Motion<'a> {
    context: &'a Context<'a>,
    staged: &'a Staged,
    manager: Box<dyn Manager + 'a>,
    notes: Vec<Reason>,
}

impl Motion<'_> {
    /// What goes wrong, and does not keep RKE2 from being started.
    fn warn(&mut self, sentence: String) {
        self.notes.push(Reason { severity: Severity::Warning, code: Code::StepFailed, sentence });
    }

    fn is_open(&self) -> Result<(), String> {
        let unit = self.staged.role.unit();
        match gate::is_open(self.context.host, unit) {
            true => Ok(()),
            false => Err(format!("{unit}: its configuration is not installed; run apply config first")),
        }
    }

    fn set(&mut self) -> Result<(), String> {
        let (host, unit) = (self.context.host, self.staged.role.unit());
        let told = |error: Error| error.to_string();
        self.is_open()?;
        gate::write(self.context).map_err(told)?;
        if let Err(error) = self.manager.reload() {
            self.warn(error.to_string());
        }
        for other in gate::UNITS.into_iter().filter(|other| *other != unit) {
            self.stop(other)?;
        }
        // A link that stays starts nothing that the gate does not let pass.
        let (_, mut left) = gate::remove_links(host);
        if Kind::of(host) == Kind::OpenRc {
            left.extend(openrc::of_others(host));
        }
        for sentence in left {
            self.warn(sentence);
        }
        if !host.is_real() {
            self.manager.order(Verb::Start, unit).map_err(told)?;
            return self.manager.enable(unit).map_err(told);
        }
        self.order(unit)?;
        self.manager.enable(unit).map_err(told)
    }

    fn order(&mut self, unit: &'static str) -> Result<(), String> {
        let (host, name) = (self.context.host, self.manager.name(unit));
        let told = |error: Error| error.to_string();
        let action = match self.manager.show(unit) {
            Ok(state) => {
                match state.load.as_str() {
                    "loaded" => {}
                    "masked" => return Err(format!("{name}: is masked, so RKE2 cannot start; unmask it")),
                    "not-found" => return Err(format!("{name}: is not on this host; install RKE2 into the image")),
                    other => return Err(format!("{name}: cannot be loaded ({other}); see systemctl status {unit}")),
                }
                if state.active == "active" {
                    prestart::bootstrapped(host, unit).map_err(told)?;
                }
                decide(&state, prestart::changed(host, unit), prestart::is_bootstrapping(host, unit))
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
            Action::Start => self.manager.order(Verb::Start, unit).map_err(told)?,
            Action::Restart => self.manager.order(Verb::Restart, unit).map_err(told)?,
            Action::Nothing => self.manager.said().push(format!("{name} runs with what is asked for")),
            Action::Pending => {
                self.manager.said().push(format!("{name}: restart pending, because it is in its first bootstrap"));
            }
        }
        Ok(())
    }

    /// Stops the other role's unit and waits until it is gone: RKE2's own condition lets both start while one is still activating.
    fn stop(&mut self, other: &str) -> Result<(), String> {
        let told = |error: Error| error.to_string();
        let host = self.context.host;
        if !host.is_real() || !self.manager.show(other).map_err(told)?.is_busy() {
            return Ok(());
        }
        let name = self.manager.name(other);
        let _waiting = Waiting::begin(self.context, "service", &format!("{name} to stop"));
        self.manager.order(Verb::Stop, other).map_err(told)?;
        if service::wait_until_gone(&*self.manager, other, Instant::now() + STOP).map_err(told)? {
            return Ok(());
        }
        let seconds = STOP.as_secs();
        Err(format!(
            "{name}: does not stop within {seconds} s, so the other role is not started; stop it, then run apply service"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_restarted_on_change_only() {
        let unit = |active: &str, sub: &str| Unit { active: active.into(), sub: sub.into(), ..Unit::default() };
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
                decide(&unit(active, sub), changed, bootstrapping),
                action,
                "{active} {sub} {changed:?} {bootstrapping}"
            );
        }
    }
}
