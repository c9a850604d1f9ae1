//! The service manager of the node, and what the program asks of it.

pub mod openrc;
pub mod systemd;

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::host::{Error, Host};

use openrc::OpenRc;
use systemd::Systemd;

/// Which service manager a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// systemd, the only one that RKE2 ships units for.
    Systemd,
    /// OpenRC.
    OpenRc,
}

/// What systemd is started from (Debian before the merged /usr has the second).
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// What runs OpenRC's init scripts.
const OPENRC_RUN: &str = "/sbin/openrc-run";

impl Kind {
    /// The manager that runs: systemd if `/run/systemd/system` is there (`sd_booted(3)`), OpenRC if `/run/openrc` is. Where none runs, in the
    /// initramfs and in another root, the one that is installed: OpenRC if there is `/sbin/openrc-run` and no systemd, else systemd.
    ///
    /// Nothing of ours makes `/run/systemd/system` where OpenRC is: RKE2 would take the node for one with systemd.
    pub fn of(host: &Host) -> Kind {
        if host.is_dir("/run/systemd/system") {
            Kind::Systemd
        } else if host.is_dir(openrc::RUN) || (host.exists(OPENRC_RUN) && !SYSTEMD.iter().any(|path| host.exists(path)))
        {
            Kind::OpenRc
        } else {
            Kind::Systemd
        }
    }

    /// The manager itself, for orders.
    pub fn manager(self, host: &Host) -> Box<dyn Manager + '_> {
        match self {
            Kind::Systemd => Box::new(Systemd::of(host)),
            Kind::OpenRc => Box::new(OpenRc::of(host)),
        }
    }
}

/// The manager that runs on this very host and can be asked for the state of a service, if one does.
pub fn running(host: &Host) -> Option<Box<dyn Manager + '_>> {
    let kind = Kind::of(host);
    let runs = match kind {
        Kind::Systemd => host.systemd_runs_here(),
        // Its state is files.
        Kind::OpenRc => host.is_dir(openrc::RUN),
    };
    runs.then(|| kind.manager(host))
}

/// Waits until a service neither runs nor is about to, at most until `end`; gives whether it is so.
pub fn wait_until_gone(manager: &dyn Manager, unit: &str, end: Instant) -> Result<bool, Error> {
    loop {
        let is_gone = !manager.show(unit)?.is_busy();
        if is_gone || Instant::now() >= end {
            return Ok(is_gone);
        }
        sleep(Duration::from_millis(100));
    }
}

/// The state of a service, in the words of systemctl(1), `show`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active: String,
    /// `running`, `start`, `auto-restart`, …; with OpenRC its own word, such as `started`.
    pub sub: String,
    /// Whether a job of it is queued or running.
    pub job: bool,
    /// How often the manager has started it again by itself.
    pub restarts: u32,
    /// How it ended last: `success`, `exit-code`, …; empty where nobody knows.
    pub result: String,
    /// Since when it is in this state, in the manager's words; empty where nobody knows.
    pub since: String,
}

impl Unit {
    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading" | "refreshing")
    }

    /// Whether it runs or is about to.
    pub fn is_busy(&self) -> bool {
        self.is_up() || self.active == "deactivating" || self.job
    }
}

/// What a service is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To start.
    Start,
    /// To stop.
    Stop,
    /// To stop, if it runs, and start.
    Restart,
}

/// A service manager. Every question and order has a deadline, and no order waits for what it sets in motion. With another root than `/`
/// nothing is started: what would have been ordered is said.
pub trait Manager {
    /// What a person calls a service.
    fn name(&self, unit: &str) -> String;
    /// Has it read what is new on the disk.
    fn reload(&mut self) -> Result<(), Error>;
    /// The state of a service.
    fn show(&self, unit: &str) -> Result<Unit, Error>;
    /// Gives an order.
    fn order(&mut self, verb: Verb, unit: &str) -> Result<(), Error>;
    /// Makes a service a part of this boot, and of no other.
    fn enable(&mut self, unit: &str) -> Result<(), Error>;
    /// Has a command run once, as a service of its own by this name, when a service that is being started has come to an end. One that waits
    /// for that already is enough.
    fn run_after(&self, service: &str, name: &str, command: &[&str]) -> Result<(), Error>;
    /// What was ordered, or would have been.
    fn said(&mut self) -> &mut Vec<String>;
}
