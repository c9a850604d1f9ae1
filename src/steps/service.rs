//! `apply service`: the role's unit queued, once, and the other role's stopped. Nothing here waits for RKE2.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cluster::Role;
use crate::gate;
use crate::host::Host;
use crate::prestart;
use crate::systemd::{Systemd, Unit};

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
/// boot. Fails with a sentence if the gate is shut, the unit is missing or masked, or systemd does not answer.
pub fn run(host: &Host, role: Role) -> Result<Vec<String>, String> {
    let unit = role.unit();
    if !gate::is_open(host, unit) {
        return Err(format!("{unit}: its configuration is not installed, run apply config first"));
    }
    let mut systemd = Systemd::of(host);
    set_in_motion(host, &mut systemd, unit).map(|()| systemd.said)
}

fn set_in_motion(host: &Host, systemd: &mut Systemd, unit: &str) -> Result<(), String> {
    let told = |error: crate::host::Error| error.to_string();
    systemd.order(&["daemon-reload"]).map_err(told)?;
    for other in gate::UNITS.into_iter().filter(|other| *other != unit) {
        stop(host, systemd, other)?;
    }
    // A link that stays starts nothing that the gate does not let pass.
    systemd.said.extend(gate::remove_links(host).1);
    if !host.is_real() {
        systemd.order(&["start", "--no-block", &format!("{unit}.service")]).map_err(told)?;
        return systemd.order(&["enable", "--runtime", "--no-reload", &format!("{unit}.service")]).map_err(told);
    }
    let state = systemd.show(unit).map_err(told)?;
    match state.load.as_str() {
        "loaded" => {}
        "masked" => return Err(format!("{unit}.service: is masked, so RKE2 cannot start, unmask it")),
        "not-found" => return Err(format!("{unit}.service: is not on this host, install RKE2 into the image")),
        other => return Err(format!("{unit}.service: cannot be loaded ({other}), see systemctl status {unit}")),
    }
    if state.active == "active" {
        prestart::bootstrapped(host, unit).map_err(told)?;
    }
    let name = format!("{unit}.service");
    match decide(&state, prestart::changed(host, unit), prestart::is_bootstrapping(host, unit)) {
        Action::Start => systemd.order(&["start", "--no-block", &name]).map_err(told)?,
        Action::Restart => systemd.order(&["restart", "--no-block", &name]).map_err(told)?,
        Action::Nothing => systemd.said.push(format!("{name} runs with what is asked for")),
        Action::Pending => systemd.said.push(format!("{name}: restart pending, it is in its first bootstrap")),
    }
    systemd.order(&["enable", "--runtime", "--no-reload", "--quiet", &name]).map_err(told)
}

/// Stops the other role's unit and waits until it is gone: RKE2's own condition lets both start while one is still activating.
fn stop(host: &Host, systemd: &mut Systemd, other: &str) -> Result<(), String> {
    let told = |error: crate::host::Error| error.to_string();
    if !host.is_real() || !systemd.show(other).map_err(told)?.is_busy() {
        return Ok(());
    }
    systemd.order(&["stop", "--no-block", &format!("{other}.service")]).map_err(told)?;
    let end = Instant::now() + STOP;
    while systemd.show(other).map_err(told)?.is_busy() {
        if Instant::now() >= end {
            return Err(format!(
                "{other}.service: does not stop within {} s, so the other role is not started",
                STOP.as_secs()
            ));
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
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
