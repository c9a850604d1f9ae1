//! What a reset asks of the service manager: the only place that knows which one it is.

use std::time::{Duration, Instant};

use crate::gate;
use crate::host::{Error, Host};
use crate::service::systemd::Systemd;
use crate::service::{self, Kind, Verb};

/// How long a unit may take to stop, and then to be gone.
const STOP: Duration = Duration::from_secs(60);
const KILLED: Duration = Duration::from_secs(10);

/// The units that run or are about to, those too of which it is not known, and what was said in place of an answer. Where no service manager
/// runs there is nobody to ask; with another root than `/` it is all units.
pub fn busy(host: &Host) -> (Vec<&'static str>, Vec<String>) {
    if !host.is_real() {
        return (gate::UNITS.to_vec(), Vec::new());
    }
    let (mut busy, mut notes) = (Vec::new(), Vec::new());
    let Some(manager) = service::running(host) else { return (busy, notes) };
    for unit in gate::UNITS {
        match manager.show(unit) {
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
pub fn stop(host: &Host, unit: &str, end: Instant) -> Result<Vec<String>, String> {
    let told = |error: Error| error.to_string();
    let mut manager = Kind::of(host).manager(host);
    manager.order(Verb::Stop, unit).map_err(told)?;
    if !host.is_real() {
        return Ok(std::mem::take(manager.said()));
    }
    for (is_last, wait) in [(false, STOP), (true, KILLED)] {
        // OpenRC's supervisor has sent it by then.
        if is_last && Kind::of(host) == Kind::Systemd {
            Systemd::of(host).order(&["kill", "--signal", "SIGKILL", &manager.name(unit)]).map_err(told)?;
        }
        if service::wait_until_gone(&*manager, unit, end.min(Instant::now() + wait)).map_err(told)? {
            return Ok(Vec::new());
        }
    }
    Err("it is still there after SIGKILL".into())
}
