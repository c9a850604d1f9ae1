//! What a reset asks of the service manager: the only place that knows which one it is.

use std::time::{Duration, Instant};

use crate::findings::Reason;
use crate::host::Host;
use crate::rke2::Unit;
use crate::service;
use crate::service::kind::Kind;
use crate::service::manager::Verb;
use crate::service::systemd::Systemd;

/// How long a unit may take to stop, and then to be gone.
const STOP: Duration = Duration::from_secs(60);
const KILLED: Duration = Duration::from_secs(10);

/// The units that run or are about to, those too of which it is not known, and what was said in place of an answer. Where no service manager
/// runs there is nobody to ask; with another root than `/` it is all units.
pub(super) fn busy(host: &Host) -> (Vec<Unit>, Vec<String>) {
    if !host.is_real() {
        return (Unit::ALL.to_vec(), Vec::new());
    }
    let (mut busy, mut notes) = (Vec::new(), Vec::new());
    let Some(manager) = service::running(host) else { return (busy, notes) };
    for unit in Unit::ALL {
        match manager.show(unit.name()) {
            Ok(state) if !state.is_busy() => {}
            Ok(_) => busy.push(unit),
            Err(error) => {
                notes.push(error.to_string());
                busy.push(unit);
            }
        }
    }
    (busy, notes)
}

/// Stops a unit and waits for it, with SIGKILL for all of it in the end. With another root than `/` gives what would have been ordered.
pub(super) fn stop(host: &Host, unit: Unit, end: Instant) -> Result<Vec<String>, Reason> {
    let (mut manager, unit) = (service::manager(host), unit.name());
    manager.order(Verb::Stop, unit)?;
    if !host.is_real() {
        return Ok(std::mem::take(manager.said()));
    }
    for (is_last, wait) in [(false, STOP), (true, KILLED)] {
        // OpenRC's supervisor has sent it by then.
        if is_last && Kind::of(host) == Kind::Systemd {
            Systemd::of(host).order(&["kill", "--signal", "SIGKILL", &manager.name(unit)])?;
        }
        if service::wait_until_gone(&*manager, unit, end.min(Instant::now() + wait))? {
            return Ok(Vec::new());
        }
    }
    Err("it is still there after SIGKILL".into())
}
