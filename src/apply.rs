//! The apply phase: the steps that yip's boot stages call, and `apply` without a step, which takes them all.

use std::time::Duration;

use crate::Context;
use crate::boot;
use crate::check::Findings;
use crate::cloud_config;
use crate::cluster::{DOCUMENT_PATH, SCANNED};
use crate::document;
use crate::environment;
use crate::gate;
use crate::host::{Host, Lock};
use crate::log::{Level, Log};
use crate::node;
use crate::staged::Staged;
use crate::status;
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
}

/// How long another run of the program is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(30);

fn locked(host: &Host) -> Result<Lock, String> {
    let locked = host.make_dir(gate::RUN, 0o700).and_then(|()| host.lock(gate::LOCK, LOCK_WAIT));
    locked.map_err(|error| error.to_string())
}

/// Takes one step, or all of them from the document on. Gives the sentences of what was done and of what failed.
pub fn run(context: &Context, step: Option<Step>) -> (Vec<String>, Vec<String>) {
    let host = context.host;
    if node::is_idle(host) {
        return (vec!["nothing is done in this mode of the boot".into()], Vec::new());
    }
    let apply = Apply { context, host, log: Log::new(host, context.version) };
    let ready = locked(host).map_err(|sentence| vec![sentence]).and_then(|lock| match (step, gate::refused(host)) {
        (None, Some(sentences)) => Err(sentences),
        (None, None) => stage(host).map(|()| lock).map_err(|sentence| vec![sentence]),
        (Some(_), _) => Ok(lock),
    });
    let mut lock = match ready {
        Ok(lock) => Some(lock),
        Err(sentences) => {
            // The other steps do not decide whether RKE2 may start.
            let decides = matches!(step, None | Some(Step::Config | Step::Environment));
            let failed = if decides { apply.not_configured(sentences) } else { sentences };
            apply.say(Level::Error, step.unwrap_or(Step::Config), &failed);
            return (Vec::new(), failed);
        }
    };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for step in step.map_or(Step::ALL.to_vec(), |step| vec![step]) {
        // Copying images takes minutes; they have a lock of their own.
        if step == Step::Images {
            drop(lock.take());
        } else if lock.is_none() {
            match locked(host) {
                Ok(taken) => lock = Some(taken),
                Err(sentence) => {
                    apply.say(Level::Error, step, std::slice::from_ref(&sentence));
                    failed.push(sentence);
                    break;
                }
            }
        }
        match apply.step(step) {
            Ok(sentences) => {
                apply.say(Level::Info, step, &sentences);
                done.extend(sentences);
            }
            Err(sentences) => {
                apply.say(Level::Error, step, &sentences);
                failed.extend(sentences);
            }
        }
    }
    (done, failed)
}

/// `apply images` as a person or a script calls it: as a rehearsal, or with another content directory. Gives the same.
pub fn images(context: &Context, call: &images::Call) -> (Vec<String>, Vec<String>) {
    let host = context.host;
    if node::is_idle(host) {
        return (vec!["nothing is done in this mode of the boot".into()], Vec::new());
    }
    let result = match Staged::read(host) {
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

impl Apply<'_> {
    fn say(&self, level: Level, step: Step, sentences: &[String]) {
        for sentence in sentences {
            self.log.line(level, step.name(), sentence);
        }
    }

    fn step(&self, step: Step) -> Result<Vec<String>, Vec<String>> {
        let host = self.host;
        let staged = || Staged::read(host).map_err(|sentence| vec![sentence]);
        match (step, gate::refused(host)) {
            (Step::Swap, _) | (_, None) => {}
            (Step::Config, Some(sentences)) => return self.config(Err(sentences)),
            (_, Some(sentences)) => return Err(sentences),
        }
        match step {
            // Swap is switched off whatever became of the plan, unless there is one that keeps it.
            Step::Swap if Staged::read(host).is_ok_and(|staged| staged.keep_swap) => Ok(vec!["swap is kept".into()]),
            Step::Swap => swap::run(host),
            Step::Config => self.config(staged().and_then(|staged| config::run(self.context, &staged))),
            Step::Host => {
                let result = staged().and_then(|staged| {
                    let outcome = steps::host::run(host, &staged);
                    let done = self.found(step, outcome.done, &outcome.findings);
                    if outcome.failed.is_empty() {
                        return Ok(done);
                    }
                    self.say(Level::Info, step, &done);
                    Err(outcome.failed)
                });
                self.prepared(step, result)
            }
            Step::Trust => self.prepared(step, staged().and_then(|staged| steps::trust::run(host, &staged))),
            Step::Environment => {
                let result = staged()
                    .and_then(|staged| environment::install(host, &staged).map_err(|error| vec![error.to_string()]));
                // With another environment RKE2 may look for its state elsewhere, so it is not started.
                result.map_err(|sentences| self.not_configured(sentences))
            }
            Step::Images => {
                let result = staged().and_then(|staged| images::run(host, &staged, &images::Call::default()));
                let _lock = locked(host);
                self.prepared(step, result)
            }
            Step::Service => service::run(self.context, staged()?.role).map_err(|sentence| vec![sentence]),
        }
    }

    /// Tells what became of a step without which RKE2 starts all the same.
    fn prepared(&self, step: Step, result: Result<Vec<String>, Vec<String>>) -> Result<Vec<String>, Vec<String>> {
        let failed = result.as_ref().err().map(Vec::as_slice).unwrap_or_default();
        if let Err(error) = status::step(self.host, self.context.version, step.name(), failed) {
            self.log.line(Level::Warning, step.name(), &error.to_string());
        }
        result
    }

    /// Tells what was found on the way; gives what was done.
    fn found(&self, step: Step, done: Vec<String>, findings: &Findings) -> Vec<String> {
        for (severity, sentence) in findings.sentences(|_| true) {
            self.log.line(boot::level(severity), step.name(), &sentence);
        }
        done
    }

    /// Tells what became of the configuration: in the log, in the status, and above the login prompt.
    fn config(&self, result: Result<(Vec<String>, Findings), Vec<String>>) -> Result<Vec<String>, Vec<String>> {
        match result {
            Ok((done, findings)) => {
                self.report(&[]);
                Ok(self.found(Step::Config, done, &findings))
            }
            Err(sentences) => Err(self.not_configured(sentences)),
        }
    }

    /// Shuts the gate, and tells why. Gives all that failed.
    fn not_configured(&self, mut sentences: Vec<String>) -> Vec<String> {
        if let Err(error) = gate::close(self.host) {
            sentences.push(format!("{error}, so RKE2 may start with another configuration than the one asked for"));
        }
        self.report(&sentences);
        sentences
    }

    fn report(&self, sentences: &[String]) {
        let role = Staged::read_at_once(self.host).ok().map(|staged| staged.role);
        if let Err(error) = status::configured(self.host, self.context.version, role, sentences) {
            self.log.line(Level::Warning, "config", &error.to_string());
        }
    }
}

/// Where a document of ours may be: the default path, then wherever Kairos looks for boot stages.
fn document(host: &Host) -> Result<String, String> {
    let below = |directory: &str| -> Vec<String> {
        let names = host.list(directory).unwrap_or_default();
        names
            .into_iter()
            .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
            .map(|name| format!("{directory}/{name}"))
            .collect()
    };
    let elsewhere = SCANNED.into_iter().flat_map(below);
    let paths = std::iter::once(DOCUMENT_PATH.to_owned()).chain(elsewhere);
    let mut texts =
        paths.filter_map(|path| host.read(&path, LIMIT).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    texts.find(|text| cloud_config::is_ours(text)).ok_or_else(|| {
        format!("{DOCUMENT_PATH}: there is no document of this program, there or elsewhere, run agent.boot first")
    })
}

/// How much of a document is read.
const LIMIT: u64 = 16 << 20;

/// Lays out the staged files of the document, as yip does, for hosts without it. What yip has laid out of the same plan stays.
fn stage(host: &Host) -> Result<(), String> {
    let told = |error: crate::host::Error| error.to_string();
    let text = document(host)?;
    for (path, content) in document::staged_files(&text, &values(host))? {
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
