//! The apply phase: the steps that yip's boot stages call, and `apply` without a step, which takes them all.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Context;
use crate::boot;
use crate::check::{Code, Severity};
use crate::cluster::{DOCUMENT_PATH, Role};
use crate::document;
use crate::environment;
use crate::find;
use crate::gate::{self, Refused};
use crate::host::{Error, Host, Lock};
use crate::log::{Level, Log};
use crate::node;
use crate::report::outcome::{Outcome, Reason};
use crate::report::status::{self, Waiting};
use crate::reset;
use crate::staged::{Staged, Unstaged};
use crate::steps::{self, config, images, service, swap};

/// A step of the apply phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// Switches swap off for this boot
    Swap,
    /// Installs RKE2's configuration and opens the gate
    Config,
    /// Prepares the host for RKE2's hardening profile
    Host,
    /// Trusts the certificates of the cloud-config
    Trust,
    /// Writes the environment file of RKE2's service
    Environment,
    /// Imports local images
    Images,
    /// Queues the unit of the role
    Service,
}

impl Step {
    /// In the order in which they are taken.
    pub const ALL: [Step; 7] =
        [Step::Swap, Step::Config, Step::Host, Step::Trust, Step::Environment, Step::Images, Step::Service];

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Step::Swap => "swap",
            Step::Config => "config",
            Step::Host => "host",
            Step::Trust => "trust",
            Step::Environment => "environment",
            Step::Images => "images",
            Step::Service => "service",
        }
    }

    /// What a run of it holds, so that there is one at a time.
    pub fn lock(self) -> String {
        format!("{}/{}.lock", gate::RUN, self.name())
    }
}

/// How long an `agent.boot` that is under way is waited for; it is answered within 20 s.
const EVENT_WAIT: Duration = Duration::from_secs(25);

/// How often it is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long the lock is waited for under which files change. Nobody holds it while a child process runs.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How long another run of the same step is waited for; a switch of the role takes a minute.
const TURN_WAIT: Duration = Duration::from_secs(120);

/// How often the configuration is made anew because a new plan came in between.
const TRIES: usize = 3;

/// Takes one step, or all of them from the document on. Gives the sentences of what was done and of what failed.
pub fn run(context: &Context, step: Option<Step>) -> (Vec<String>, Vec<String>) {
    let host = context.host;
    if node::is_idle(host) {
        return (vec!["nothing is done in this mode of the boot".into()], Vec::new());
    }
    let apply = Apply { context, host, log: Log::new(host, context.version) };
    let Some(step) = step else { return apply.all() };
    apply.take(step)
}

/// `apply images` as a person or a script calls it: as a rehearsal, or with another content directory. Gives the same.
pub fn images(context: &Context, call: &images::Call) -> (Vec<String>, Vec<String>) {
    let host = context.host;
    if node::is_idle(host) {
        return (vec!["nothing is done in this mode of the boot".into()], Vec::new());
    }
    let result = match Staged::applied(host) {
        Ok(staged) => images::run(host, &staged, call),
        Err(_) if call.from.is_some() => images::run_without_plan(host, call),
        Err(sentence) => Err(vec![sentence]),
    };
    result.map_or_else(|failed| (Vec::new(), failed), |done| (done, Vec::new()))
}

struct Apply<'a> {
    context: &'a Context<'a>,
    host: &'a Host,
    log: Log<'a>,
}

/// Why there is no lock.
enum Locked {
    /// Somebody else is at it, for longer than was waited for.
    ByAnother(String),
    /// The system does not give one.
    Never(String),
}

/// What became of a step.
enum Taken {
    /// It was taken, for a plan of this role where that is known.
    Done(Option<Role>, Outcome),
    /// What is staged is of another plan than the one in force: an older run of the boot stages, which is left alone and is no failure.
    Left(String),
}

impl Apply<'_> {
    /// All steps, from the document on.
    fn all(&self) -> (Vec<String>, Vec<String>) {
        if self.refused("apply").is_some() {
            return self.take(Step::Config);
        }
        let laid_out = match self.locked() {
            Ok(_lock) => stage(self.host).map_err(|sentence| self.not_configured(Outcome::failed(sentence))),
            Err(locked) => Err(self.without_lock(Step::Config, locked)),
        };
        if let Err(outcome) = laid_out {
            return self.tell(Step::Config, Taken::Done(None, outcome));
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for step in Step::ALL {
            let (of_step, not) = self.take(step);
            done.extend(of_step);
            failed.extend(not.into_iter().filter(|sentence| !failed.contains(sentence)).collect::<Vec<_>>());
        }
        (done, failed)
    }

    /// One step, once no other run is at it and nobody is about to plan the node anew.
    fn take(&self, step: Step) -> (Vec<String>, Vec<String>) {
        let turn = match step {
            // Who imports takes it itself, and the start of RKE2 does so too.
            Step::Images => Ok(None),
            _ => self.lock(step.name(), &step.lock(), TURN_WAIT).map(Some),
        };
        match turn {
            Ok(_held) => self.tell(step, self.step(step)),
            Err(locked) => self.tell(step, Taken::Done(None, self.without_lock(step, locked))),
        }
    }

    /// Takes a lock. That it is waited for is told before.
    fn lock(&self, who: &str, path: &str, wait: Duration) -> Result<Lock, Locked> {
        let locked = self.host.make_dir(gate::RUN, 0o700).and_then(|()| self.host.lock(path, Duration::ZERO));
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
    fn locked(&self) -> Result<Lock, Locked> {
        let lock = self.lock("apply", gate::LOCK, LOCK_WAIT)?;
        match self.host.is_locked(reset::LOCK) {
            true => Err(Locked::ByAnother("a reset is under way on this node".into())),
            false => Ok(lock),
        }
    }

    /// A step that cannot be taken, because there is no lock. Who holds it may have opened the gate, so that stays as it is; where there can
    /// be no lock at all, what decides whether RKE2 may start shuts it.
    fn without_lock(&self, step: Step, locked: Locked) -> Outcome {
        match (locked, step) {
            (Locked::Never(sentence), Step::Config | Step::Environment) => {
                self.not_configured(Outcome::failed(sentence))
            }
            (Locked::Never(sentence) | Locked::ByAnother(sentence), _) => Outcome::failed(sentence),
        }
    }

    /// Why nothing may be installed or started, once no event is under way any more: until then nobody knows what is asked for.
    fn refused(&self, who: &str) -> Option<Refused> {
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

    /// Tells what a step came to, in the log and the status; gives it.
    fn tell(&self, step: Step, taken: Taken) -> (Vec<String>, Vec<String>) {
        let name = step.name();
        match taken {
            Taken::Left(sentence) => {
                self.log.line(Level::Info, name, &sentence);
                (Vec::new(), vec![sentence])
            }
            Taken::Done(role, outcome) => {
                outcome.done.iter().for_each(|sentence| self.log.line(Level::Info, name, sentence));
                outcome.notes.iter().for_each(|it| self.log.line(boot::level(it.severity), name, &it.sentence));
                outcome.failed.iter().for_each(|it| self.log.line(Level::Error, name, &it.sentence));
                status::step(self.context, name, role, &outcome);
                let worth_telling = outcome.notes.iter().filter(|it| it.severity > Severity::Note);
                let notes = worth_telling.map(|it| it.sentence.clone());
                (outcome.done.into_iter().chain(notes).collect(), Reason::sentences(&outcome.failed))
            }
        }
    }

    fn step(&self, step: Step) -> Taken {
        match step {
            Step::Swap => {
                self.refused(step.name());
                return Taken::Done(None, self.swap());
            }
            Step::Config => return self.config(),
            _ => {}
        }
        if let Some(refused) = self.refused(step.name()) {
            return Taken::Done(None, Outcome::refused(refused.reasons));
        }
        let staged = match Staged::applied(self.host) {
            Ok(staged) => staged,
            Err(sentence) => return Taken::Done(None, Outcome::failed(sentence)),
        };
        let outcome = match step {
            Step::Host => steps::host::run(self.host, &staged),
            Step::Trust => steps::trust::run(self.host, &staged).into(),
            Step::Environment => self.environment(&staged),
            Step::Images => images::step(self.context, &staged),
            Step::Swap | Step::Config | Step::Service => service::run(self.context, &staged),
        };
        Taken::Done(Some(staged.role), outcome)
    }

    /// Swap is switched off whatever became of the plan, unless there is one that keeps it.
    fn swap(&self) -> Outcome {
        match Staged::applied(self.host) {
            Ok(staged) if staged.keep_swap => Outcome::done(vec!["swap is kept".into()]),
            _ => swap::run(self.host).into(),
        }
    }

    /// With another environment RKE2 may look for its state elsewhere, so it is not started.
    fn environment(&self, staged: &Staged) -> Outcome {
        let lock = match self.locked() {
            Ok(lock) => lock,
            Err(locked) => return self.without_lock(Step::Environment, locked),
        };
        let outcome = match environment::install(self.host, staged) {
            Ok(done) => Outcome::done(done),
            Err(error) => self.not_configured(Outcome::failed(error.to_string())),
        };
        drop(lock);
        outcome
    }

    /// Makes the configuration of what is staged, and installs it if it is of the plan in force then.
    fn config(&self) -> Taken {
        for _ in 0..TRIES {
            // Nothing must start RKE2 by what an earlier plan has opened.
            if let Some(refused) = self.refused("config") {
                return Taken::Done(None, self.not_configured(Outcome::refused(refused.reasons)));
            }
            let staged = match self.accepted() {
                Ok(staged) => staged,
                Err(Unstaged::Other(sentence)) => return Taken::Left(sentence),
                Err(unstaged) => {
                    return Taken::Done(None, self.not_configured(Outcome::failed(unstaged.sentence())));
                }
            };
            let role = Some(staged.role);
            let prepared = match config::prepare(self.host, &staged) {
                Ok(prepared) => prepared,
                Err(outcome) => return Taken::Done(role, self.not_configured(outcome)),
            };
            let lock = match self.locked() {
                Ok(lock) => lock,
                Err(locked) => return Taken::Done(role, self.without_lock(Step::Config, locked)),
            };
            if gate::refused(self.host).is_none() && staged.is_in_force(self.host) {
                let outcome = config::install(self.context, &staged, prepared);
                let is_installed = outcome.failed.is_empty();
                return Taken::Done(role, if is_installed { outcome } else { self.not_configured(outcome) });
            }
            // Meanwhile the node is, or was, planned anew.
            drop(lock);
        }
        let sentence = "agent.boot has not finished, or plans this node anew all the time; run apply again";
        Taken::Done(None, Outcome::failed(sentence))
    }

    /// What is staged, kept for the other steps. Where two runs of the boot stages have mixed it, the document in force is laid out again.
    fn accepted(&self) -> Result<Staged, Unstaged> {
        let staged = match Staged::read(self.host) {
            Err(Unstaged::Mixed(_)) => {
                stage(self.host).map_err(Unstaged::Torn)?;
                Staged::read(self.host)?
            }
            other => other?,
        };
        staged.accept(self.host).map_err(|error| Unstaged::Torn(error.to_string()))?;
        Ok(staged)
    }

    /// Shuts the gate: what is installed is not what is asked for.
    fn not_configured(&self, mut outcome: Outcome) -> Outcome {
        if let Err(error) = gate::close(self.host) {
            let sentence = format!("{error}, so RKE2 may start with another configuration than the one asked for");
            outcome.failed.push(Reason::failed(Code::StepFailed, sentence));
        }
        outcome
    }
}

/// How much of a document is read.
const LIMIT: u64 = 16 << 20;

/// Lays out the staged files of the document in force, as yip does, for hosts without it. What yip has laid out of the same plan stays.
fn stage(host: &Host) -> Result<(), String> {
    let told = |error: Error| error.to_string();
    let found = find::in_force(host).ok_or_else(|| {
        format!("{DOCUMENT_PATH}: there is no document of this program, there or elsewhere; run agent.boot first")
    })?;
    for (path, content) in document::staged_files(&found.text, &values(host))? {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("/", &path));
        let id = content.lines().last().unwrap_or_default();
        // yip's own values say more than ours.
        let is_kept = name == VALUES
            && host.read(&path, LIMIT).is_ok_and(|bytes| bytes.ends_with(format!("\n{id}\n").as_bytes()));
        if !is_kept {
            host.make_dir(parent, 0o700).map_err(told)?;
            host.install(&path, content.as_bytes(), 0o600, false).map_err(told)?;
        }
    }
    Ok(())
}

/// The staged file that holds yip's values.
const VALUES: &str = "values.json";

/// The values of yip that its own templates most often name (yip `pkg/utils/common.go`), as far as a file tells them.
fn values(host: &Host) -> String {
    let line = |path: &str| {
        host.read(path, 1 << 16).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default()
    };
    serde_json::json!({"node": {"hostname": line("/etc/hostname"), "machineid": line("/etc/machine-id")}}).to_string()
}
