//! The apply phase: the steps that yip's boot stages call, and `apply` without a step, which takes them all.

use std::time::Duration;

use crate::Context;
use crate::boot;
use crate::check::Findings;
use crate::cloud_config;
use crate::cluster::DOCUMENT_PATH;
use crate::document;
use crate::gate;
use crate::host::Host;
use crate::log::{Level, Log};
use crate::node;
use crate::staged::Staged;
use crate::status;
use crate::steps::{config, service, swap};

/// A step of the apply phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// Switches swap off for this boot
    Swap,
    /// Installs RKE2's configuration and opens the gate
    Config,
    /// Queues the unit of the role
    Service,
}

impl Step {
    /// In the order in which they are taken.
    pub const ALL: [Step; 3] = [Step::Swap, Step::Config, Step::Service];

    fn name(self) -> &'static str {
        match self {
            Step::Swap => "swap",
            Step::Config => "config",
            Step::Service => "service",
        }
    }
}

/// How long another run of the program is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Takes one step, or all of them from the document on. Gives the sentences of what was done and of what failed.
pub fn run(context: &Context, step: Option<Step>) -> (Vec<String>, Vec<String>) {
    let host = context.host;
    if node::is_idle(host) {
        return (vec!["nothing is done in this mode of the boot".into()], Vec::new());
    }
    let apply = Apply { context, host, log: Log::new(host, context.version) };
    let lock = host.make_dir(gate::RUN, 0o700).and_then(|()| host.lock(gate::LOCK, LOCK_WAIT));
    let _lock = match lock {
        Ok(lock) => lock,
        Err(error) => {
            apply.log.line(Level::Error, "apply", &error.to_string());
            return (Vec::new(), vec![error.to_string()]);
        }
    };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    if step.is_none()
        && let Err(sentence) = stage(host)
    {
        failed.push(sentence);
        return (done, failed);
    }
    for step in step.map_or(Step::ALL.to_vec(), |step| vec![step]) {
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
        match step {
            // Swap is switched off whatever became of the plan, unless there is one that keeps it.
            Step::Swap if Staged::read(host).is_ok_and(|staged| staged.keep_swap) => Ok(vec!["swap is kept".into()]),
            Step::Swap => swap::run(host),
            Step::Config => {
                let result = match gate::refused(host) {
                    Some(sentence) => Err(vec![sentence]),
                    None => staged().and_then(|staged| config::run(self.context, &staged)),
                };
                self.config(result)
            }
            Step::Service => service::run(host, staged()?.role).map_err(|sentence| vec![sentence]),
        }
    }

    /// Tells what became of the configuration: in the log, in the status, and above the login prompt.
    fn config(&self, result: Result<(String, Findings), Vec<String>>) -> Result<Vec<String>, Vec<String>> {
        let sentences = match &result {
            Ok((_, findings)) => {
                for (severity, sentence) in findings.sentences(|_| true) {
                    self.log.line(boot::level(severity), "config", &sentence);
                }
                Vec::new()
            }
            Err(sentences) => {
                let _ = gate::close(self.host);
                sentences.clone()
            }
        };
        if let Err(error) = status::configured(
            self.host,
            self.context.version,
            Staged::read(self.host).ok().map(|it| it.role),
            &sentences,
        ) {
            self.log.line(Level::Warning, "config", &error.to_string());
        }
        result.map(|(done, _)| vec![done])
    }
}

/// Lays out the staged files of the document, as yip does, for hosts without it.
fn stage(host: &Host) -> Result<(), String> {
    if Staged::read(host).is_ok() {
        return Ok(());
    }
    let bytes = host.read(DOCUMENT_PATH, 16 << 20).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    if !cloud_config::is_ours(&text) {
        return Err(format!("{DOCUMENT_PATH}: is not a document of this program, run agent.boot first"));
    }
    let values = values(host);
    for (path, content) in
        document::staged_files(&text, &values).map_err(|error| format!("{DOCUMENT_PATH}: {error}"))?
    {
        let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
        host.make_dir(parent, 0o700).map_err(|error| error.to_string())?;
        host.install(&path, content.as_bytes(), 0o600, false).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The values of yip that its own templates most often name (yip `pkg/utils/common.go`), as far as a file tells them.
fn values(host: &Host) -> String {
    let line = |path: &str| {
        host.read(path, 1 << 16).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default()
    };
    serde_json::json!({"node": {"hostname": line("/etc/hostname"), "machineid": line("/etc/machine-id")}}).to_string()
}
