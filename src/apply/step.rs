//! What a step is, and what every step does alike: waiting for the event, for the lock, for the plan.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Context;
use crate::cluster::role::Role;
use crate::environment;
use crate::findings::Reason;
use crate::host::{Error, Host, Lock};
use crate::plan::plan::Plan;
use crate::plan::staged;
use crate::report::log::Log;
use crate::report::outcome::Outcome;
use crate::rke2::Unit;
use crate::service::gate::{self, Refused};
use crate::status::Waiting;

/// How long an `agent.boot` that is under way is waited for; it is answered within 20 s.
const EVENT_WAIT: Duration = Duration::from_secs(25);

/// How often it is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long the lock is waited for under which files change. Nobody holds it while a child process runs.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// What is said in the modes of a boot in which a node is left alone.
pub(crate) const IDLE: &str = "nothing is done in this mode of the boot";

/// A wait as short as this is not worth telling.
const BLINK: Duration = Duration::from_millis(200);

/// A step of the apply phase.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The word of the command line.
    pub name: &'static str,
    /// What it does, for the command line.
    pub what: &'static str,
    /// The files of `stages/` that call it.
    pub stages: &'static [&'static str],
    /// Takes it.
    pub run: fn(&Apply) -> Taken,
    /// What it puts on the node for good, which a reset deletes.
    pub leaves: &'static [Leaf],
}

/// A file that a step puts on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// Somebody else may have one of this name; ours bears our mark.
    Marked(&'static str),
    /// The environment file of a unit: one of the Go provider is ours too.
    Environment(Unit),
    /// Only this program writes it.
    Ours(&'static str),
}

impl Leaf {
    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Leaf::Marked(path) | Leaf::Ours(path) => path,
            Leaf::Environment(unit) => environment::path(unit),
        }
    }
}

/// What became of a step.
#[derive(Debug)]
pub enum Taken {
    /// It was taken, for a plan of this role where that is known.
    Done(Option<Role>, Outcome),
    /// What is staged is of another plan than the one in force: an older run of the boot stages, which is left alone and is no failure.
    Left(String),
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum Locked {
    /// Another run holds it, for longer than was waited for.
    ByAnother(String),
    /// The system does not give one.
    Never(String),
}

impl From<Locked> for Reason {
    fn from(locked: Locked) -> Reason {
        let (Locked::ByAnother(sentence) | Locked::Never(sentence)) = locked;
        Reason::from(sentence)
    }
}

/// The node while steps are taken on it.
#[derive(Debug)]
pub struct Apply<'a> {
    /// The node, and this program on it.
    pub context: &'a Context<'a>,
    /// The door to the node.
    pub host: &'a Host,
    /// Its log.
    pub log: Log<'a>,
}

impl<'a> Apply<'a> {
    /// Steps on this node.
    pub(crate) fn new(context: &'a Context<'a>) -> Apply<'a> {
        Apply { context, host: context.host, log: Log::new(context.host, context.version) }
    }

    /// Takes a lock. That it is waited for is told before.
    pub(crate) fn lock(&self, who: &str, path: &str, wait: Duration) -> Result<Lock, Locked> {
        let locked = self.host.make_dir(gate::RUN, 0o700).and_then(|()| self.host.lock(path, BLINK));
        let locked = match locked {
            Err(Error::Held { .. }) => {
                let _waiting = Waiting::begin(self.context, who, &format!("another run that holds {path}"));
                self.host.lock(path, wait)
            }
            other => other,
        };
        locked.map_err(|error| match error {
            Error::Held { .. } => Locked::ByAnother(error.to_string()),
            error => Locked::Never(error.to_string()),
        })
    }

    /// The lock under which files change.
    pub(crate) fn locked(&self) -> Result<Lock, Locked> {
        let lock = self.lock("apply", gate::LOCK, LOCK_WAIT)?;
        match self.host.is_locked(gate::RESET_LOCK) {
            true => Err(Locked::ByAnother("a reset is under way on this node".into())),
            false => Ok(lock),
        }
    }

    /// Why nothing may be installed or started, once no event is under way any more: until then nobody knows what is asked for.
    pub(crate) fn refused(&self, who: &str) -> Option<Refused> {
        let end = Instant::now() + EVENT_WAIT;
        let (mut waiting, mut left_alone) = (None, 0);
        loop {
            let refused = gate::refused(self.host)?;
            if refused.is_decided {
                return Some(refused);
            }
            let is_live = self.host.is_locked(gate::REFUSED);
            left_alone = if is_live { 0 } else { left_alone + 1 };
            // An event makes the file just before it locks it.
            if left_alone > 2 || Instant::now() >= end {
                return Some(refused);
            }
            if is_live && waiting.is_none() {
                waiting = Some(Waiting::begin(self.context, who, "agent.boot to finish"));
            }
            sleep(TICK);
        }
    }

    /// Does something for the plan that `apply config` has accepted, unless the plan is refused.
    pub(crate) fn with_plan(&self, who: &str, work: impl FnOnce(&Plan) -> Outcome) -> Taken {
        if let Some(refused) = self.refused(who) {
            return Taken::Done(None, Outcome { failed: refused.reasons, ..Outcome::default() });
        }
        match staged::applied(self.host) {
            Ok(plan) => Taken::Done(Some(plan.role), work(&plan)),
            Err(sentence) => Taken::Done(None, Outcome::failed(sentence)),
        }
    }

    /// What RKE2 reads is not what is asked for: the gate is shut. Unless only another run was too slow, which may have opened it.
    pub(crate) fn without_lock(&self, locked: Locked) -> Outcome {
        let is_shut = matches!(locked, Locked::Never(_));
        let outcome = Outcome::failed(locked);
        if is_shut { self.not_configured(outcome) } else { outcome }
    }

    /// Shuts the gate: what is installed is not what is asked for.
    pub(crate) fn not_configured(&self, mut outcome: Outcome) -> Outcome {
        if let Err(error) = gate::close(self.host) {
            outcome
                .failed
                .push(format!("{error}, so RKE2 may start with another configuration than the one asked for").into());
        }
        outcome
    }
}
