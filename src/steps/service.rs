//! `apply service`: the role's unit queued, once, and the other role's stopped. Nothing here waits for RKE2.

use std::time::{Duration, Instant};

use crate::Context;
use crate::cluster::Role;
use crate::gate;
use crate::host::Host;
use crate::prestart;
use crate::service::{self, Kind, Manager, Unit, Verb, openrc};

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
/// `changed` is nothing if it is unknown what it started with; `bootstrapping` if the node held no state of RKE2 before this start.
#[allow(clippy::match_same_arms, reason = "the order of the arms is the rule")]
pub fn decide(unit: &Unit, changed: Option<bool>, bootstrapping: bool) -> Action {
    let changed = changed == Some(true);
    match (unit.active.as_str(), unit.sub.as_str()) {
        // Between two attempts: systemd starts it again by itself, and then it reads what is there.
        ("activating", "auto-restart" | "auto-restart-queued") => Action::Nothing,
        ("activating", _) if changed && bootstrapping => Action::Pending,
        ("active" | "activating" | "reloading" | "refreshing", _) if changed => Action::Restart,
        ("active" | "activating" | "reloading" | "refreshing", _) => Action::Nothing,
        _ => Action::Start,
    }
}

/// Sets the unit of the role in motion. Gives what was done.
///
/// The order keeps multi-user.target from waiting for RKE2: reload, the other role stopped, links removed, the unit queued, enabled for this
/// boot. Fails with a sentence if the gate is shut, the unit is missing or masked, or the service manager does not answer.
pub fn run(context: &Context, role: Role) -> Result<Vec<String>, String> {
    let (host, unit) = (context.host, role.unit());
    if !gate::is_open(host, unit) {
        return Err(format!("{unit}: its configuration is not installed, run apply config first"));
    }
    gate::write(context).map_err(|error| error.to_string())?;
    let mut manager = Kind::of(host).manager(host);
    set_in_motion(host, manager.as_mut(), unit)?;
    Ok(std::mem::take(manager.said()))
}

fn set_in_motion(host: &Host, manager: &mut dyn Manager, unit: &str) -> Result<(), String> {
    let told = |error: crate::host::Error| error.to_string();
    manager.reload().map_err(told)?;
    for other in gate::UNITS.into_iter().filter(|other| *other != unit) {
        stop(host, manager, other)?;
    }
    // A link that stays starts nothing that the gate does not let pass.
    manager.said().extend(gate::remove_links(host).1);
    if Kind::of(host) == Kind::OpenRc {
        manager.said().extend(openrc::of_others(host));
    }
    if !host.is_real() {
        manager.order(Verb::Start, unit).map_err(told)?;
        return manager.enable(unit).map_err(told);
    }
    let (state, name) = (manager.show(unit).map_err(told)?, manager.name(unit));
    match state.load.as_str() {
        "loaded" => {}
        "masked" => return Err(format!("{name}: is masked, so RKE2 cannot start, unmask it")),
        "not-found" => return Err(format!("{name}: is not on this host, install RKE2 into the image")),
        other => return Err(format!("{name}: cannot be loaded ({other}), see systemctl status {unit}")),
    }
    if state.active == "active" {
        prestart::bootstrapped(host, unit).map_err(told)?;
    }
    match decide(&state, prestart::changed(host, unit), prestart::is_bootstrapping(host, unit)) {
        Action::Start => manager.order(Verb::Start, unit).map_err(told)?,
        Action::Restart => manager.order(Verb::Restart, unit).map_err(told)?,
        Action::Nothing => manager.said().push(format!("{name} runs with what is asked for")),
        Action::Pending => manager.said().push(format!("{name}: restart pending, it is in its first bootstrap")),
    }
    manager.enable(unit).map_err(told)
}

/// Stops the other role's unit and waits until it is gone: RKE2's own condition lets both start while one is still activating.
fn stop(host: &Host, manager: &mut dyn Manager, other: &str) -> Result<(), String> {
    let told = |error: crate::host::Error| error.to_string();
    if !host.is_real() || !manager.show(other).map_err(told)?.is_busy() {
        return Ok(());
    }
    manager.order(Verb::Stop, other).map_err(told)?;
    if service::wait_until_gone(manager, other, Instant::now() + STOP).map_err(told)? {
        return Ok(());
    }
    let (name, seconds) = (manager.name(other), STOP.as_secs());
    Err(format!("{name}: does not stop within {seconds} s, so the other role is not started"))
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
