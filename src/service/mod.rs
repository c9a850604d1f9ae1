//! The service manager of the node, and what the program asks of it.

pub mod gate;
pub mod kind;
pub mod manager;
pub mod openrc;
pub(crate) mod systemd;
pub(crate) mod unit;

use std::thread::sleep;
use std::time::{Duration, Instant};

use kind::Kind;
use manager::Manager;
use openrc::OpenRc;
use systemd::Systemd;

use crate::host::{Error, Host};

/// Runs a command in a session of its own, which holds no pipe of ours.
const DETACHED: &str = r#"setsid "$@" </dev/null >/dev/null 2>&1 &"#;

/// How long that may take.
const QUICK: Duration = Duration::from_secs(5);

/// The service manager of a host, for orders.
pub(crate) fn manager(host: &Host) -> Box<dyn Manager + '_> {
    match Kind::of(host) {
        Kind::Systemd => Box::new(Systemd::of(host)),
        Kind::OpenRc => Box::new(OpenRc::of(host)),
    }
}

/// The manager that runs on this very host and can be asked for the state of a service, if one does.
pub(crate) fn running(host: &Host) -> Option<Box<dyn Manager + '_>> {
    let runs = match Kind::of(host) {
        Kind::Systemd => systemd::runs_here(host),
        // Its state is files.
        Kind::OpenRc => host.is_dir(openrc::RUN),
    };
    runs.then(|| manager(host))
}

/// Starts a command that outlives this process and what called it, once a service that is being started has come to an end. Gives what was
/// done; with another root nothing is.
pub(crate) fn in_background(host: &Host, after: &str, name: &str, command: &[&str]) -> Result<String, Error> {
    let told = command.join(" ");
    if !host.is_real() {
        return Ok(format!("would start {told}"));
    }
    if Kind::of(host) == Kind::Systemd && systemd::runs_here(host) {
        // What a service starts itself ends with it.
        Systemd::of(host).run_after(after, name, command)?;
    } else {
        let words: Vec<&str> = ["-c", DETACHED, "sh"].into_iter().chain(command.iter().copied()).collect();
        host.run("sh", &words, QUICK)?;
    }
    Ok(format!("started {told}"))
}

/// Waits until a service neither runs nor is about to, at most until `end`; gives whether it is so.
pub(crate) fn wait_until_gone(manager: &dyn Manager, unit: &str, end: Instant) -> Result<bool, Error> {
    loop {
        let is_gone = !manager.show(unit)?.is_busy();
        if is_gone || Instant::now() >= end {
            return Ok(is_gone);
        }
        sleep(Duration::from_millis(100));
    }
}
