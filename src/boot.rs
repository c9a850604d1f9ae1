//! The plan phase: what `agent.boot` does to the node.

use std::cell::Cell;
use std::time::Duration;

use crate::Context;
use crate::check::{Findings, Severity, limit, quoted};
use crate::cloud_config::{self, CloudConfig, Section, Source};
use crate::cluster::{self, Cluster, DOCUMENT_PATH};
use crate::document::document;
use crate::gate;
use crate::host::{Error, Host};
use crate::log::{Level, Log};
use crate::node;
use crate::plan::plan;
use crate::staged;
use crate::status::{self, Outcome};

/// How much of a source is read.
const SOURCE_LIMIT: u64 = 16 << 20;

/// How long another run of the program is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// What the bus is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Why the node cannot be configured; empty if it can, or if nobody knows.
    pub error: String,
    /// What was done, in a sentence without configuration.
    pub log: String,
}

/// Plans the node from the text of a cloud-config, or from the sentence why there is none.
///
/// Nothing is done in the modes of [`node::is_idle`]. Whatever fails on the way, RKE2 does not start with a configuration that is not
/// the one asked for.
pub fn boot(context: &Context, text: Result<&str, &str>) -> Answer {
    let host = context.host;
    if node::is_idle(host) {
        return Answer::default();
    }
    let boot = Boot { context, host, log: Log::new(host, context.version), gate_changed: Cell::new(false) };
    let lock = host.make_dir(gate::RUN, 0o700).and_then(|()| host.lock(gate::LOCK, LOCK_WAIT));
    // Before anything that may take long: a document of the last boot must not start RKE2 while this one is undecided.
    if lock.is_ok() && boot.is_ours(DOCUMENT_PATH) {
        boot.gate_changed.set(gate::write(context).unwrap_or(false));
    }
    let sources = text.map(|text| boot.sources(text)).unwrap_or_default();
    let answer = match text {
        Ok(text) => cloud_config::of_collected(text, &sources),
        Err(sentence) => CloudConfig::Unreadable(sentence.to_owned()),
    };
    let _lock = match lock {
        Ok(lock) => Some(lock),
        Err(_) if matches!(answer, CloudConfig::Absent) => None,
        Err(error) => return boot.failed(&error.to_string()),
    };
    match answer {
        CloudConfig::Present(section) => boot.present(&section, &sources),
        CloudConfig::Absent => boot.absent(&sources),
        CloudConfig::Unreadable(sentence) => boot.unreadable(&sentence, &sources, None),
    }
}

struct Boot<'a> {
    context: &'a Context<'a>,
    host: &'a Host,
    log: Log<'a>,
    /// Whether systemd has something to reload since the gate was written first.
    gate_changed: Cell<bool>,
}

impl Boot<'_> {
    fn sources(&self, text: &str) -> Vec<Source> {
        let files = cloud_config::sources(text).into_iter().filter(|source| cloud_config::is_file(source));
        files
            .map(|path| {
                let bytes = self.host.read(path, SOURCE_LIMIT).map_err(|error| error.to_string());
                let text = bytes.and_then(|bytes| {
                    String::from_utf8(bytes).map_err(|error| {
                        let at = error.utf8_error().valid_up_to();
                        format!("{}: is not UTF-8 from byte {at} on", crate::emit::escape(path))
                    })
                });
                Source { path: path.to_owned(), text }
            })
            .collect()
    }

    fn present(&self, section: &Section, sources: &[Source]) -> Answer {
        let mut findings = Findings::default();
        let state = node::state(self.host, &cluster::data_dir(section));
        let cluster = cluster::understand(section, state, &mut findings);
        cloud_config::place(&mut findings, section, sources);
        let Some(cluster) = cluster else {
            let own =
                section.node.get("cluster_config_path").and_then(|node| node.scalar()).map(|path| path.text.as_str());
            // A file that was left out may hold what is missing here.
            if !section.broken.is_empty() && self.documents(sources, own).next().is_some() {
                let (broken, refused) = (section.broken.join("; "), findings.refused().join("; "));
                return self.unreadable(
                    &format!("{broken}; without it the cluster section is refused: {refused}"),
                    sources,
                    own,
                );
            }
            self.say(section, &findings);
            return self.refused(&findings.refused(), "the cluster section is refused");
        };
        self.say(section, &findings);
        self.planned(cluster, sources)
    }

    /// Logs what was found; what was refused is logged as such.
    fn say(&self, section: &Section, findings: &Findings) {
        for sentence in &section.broken {
            self.log.line(Level::Warning, "plan", sentence);
        }
        for (severity, sentence) in findings.sentences(|severity| severity != Severity::Refused) {
            self.log.line(level(severity), "plan", &sentence);
        }
    }

    fn planned(&self, cluster: Cluster, sources: &[Source]) -> Answer {
        let (role, path) = (cluster.role, cluster.document_path.clone());
        match self.write_plan(cluster, &path, sources) {
            Ok(changed) => {
                let document = if changed { "written" } else { "unchanged" };
                let sentence = format!("planned role {} for {}, {path} {document}", role.as_str(), role.unit());
                self.log.line(Level::Info, "plan", &sentence);
                self.report(Outcome::Planned(role), &[]);
                Answer { error: String::new(), log: sentence }
            }
            Err(sentence) => self.failed(&sentence),
        }
    }

    fn write_plan(&self, cluster: Cluster, path: &str, sources: &[Source]) -> Result<bool, String> {
        if path != DOCUMENT_PATH && self.is_of_others(path) {
            return Err(format!(
                "cluster.cluster_config_path: found {}, which holds something that is not ours, accepted is a path of its own, choose another",
                quoted(path)
            ));
        }
        let text = document(&plan(cluster), self.context.program)?;
        let write = || -> Result<bool, Error> {
            self.shut_gate()?;
            let changed = self.host.install(path, text.as_bytes(), 0o600, true)?;
            self.retire(sources, Some(path))?;
            gate::set_refused(self.host, &[])?;
            Ok(changed)
        };
        write().map_err(|error| error.to_string())
    }

    /// A plan that could not be carried out: the plan before it is not what was asked for, so it must not start RKE2 either.
    fn failed(&self, sentence: &str) -> Answer {
        self.refused(&[format!("{sentence}, until then RKE2 is not started")], "the plan cannot be carried out")
    }

    fn refused(&self, sentences: &[String], summary: &str) -> Answer {
        let mut error = sentences.to_vec();
        for sentence in sentences {
            self.log.line(Level::Error, "plan", sentence);
        }
        for failure in [self.shut_gate(), gate::set_refused(self.host, sentences)].into_iter().filter_map(Result::err) {
            let failure = failure.to_string();
            self.log.line(Level::Error, "plan", &failure);
            error.push(failure);
        }
        self.report(Outcome::Refused, sentences);
        Answer { error: limit(&error.join("; ")), log: summary.into() }
    }

    /// The last plan stays in force, behind the same gate.
    fn unreadable(&self, sentence: &str, sources: &[Source], own: Option<&str>) -> Answer {
        let kept = self.documents(sources, own).next().is_some();
        let then =
            if kept { "the last plan stays in force" } else { "there is no earlier plan, so RKE2 is not configured" };
        let sentence = limit(&format!("{sentence}; {then}"));
        self.log.line(Level::Error, "plan", &sentence);
        let gate = if kept { self.shut_gate() } else { Ok(()) };
        if let Err(error) = gate.and_then(|()| gate::set_refused(self.host, &[])) {
            self.log.line(Level::Error, "plan", &error.to_string());
        }
        self.report(Outcome::Unreadable, std::slice::from_ref(&sentence));
        Answer { error: String::new(), log: sentence }
    }

    fn absent(&self, sources: &[Source]) -> Answer {
        let clean = || -> Result<bool, Error> {
            let retired = self.retire(sources, None)?;
            gate::set_refused(self.host, &[])?;
            // What is staged must not be installed by hand either.
            self.host.remove(staged::PLAN_PATH)?;
            if gate::remove(self.host)? {
                self.reload();
            }
            Ok(retired)
        };
        let (level, sentence) = match clean() {
            Ok(true) => (Level::Info, "no cluster section any more, so there is no plan".to_owned()),
            Ok(false) => (Level::Info, "no cluster section".to_owned()),
            Err(error) => (Level::Error, error.to_string()),
        };
        self.log.line(level, "plan", &sentence);
        self.report(Outcome::Absent, &[]);
        let error = if level == Level::Error { sentence.clone() } else { String::new() };
        Answer { error, log: sentence }
    }

    fn shut_gate(&self) -> Result<(), Error> {
        let (changed, failed) = gate::shut(self.context)?;
        for sentence in failed {
            self.log.line(Level::Warning, "plan", &sentence);
        }
        if changed | self.gate_changed.take() {
            self.reload();
        }
        Ok(())
    }

    /// In agent mode systemd runs already and must hear of the gate; at boot it reads it when it starts.
    fn reload(&self) {
        if self.host.systemd_runs_here()
            && let Err(error) = self.host.run("systemctl", &["daemon-reload"], Duration::from_secs(5))
        {
            self.log.line(Level::Error, "plan", &error.to_string());
        }
    }

    fn report(&self, outcome: Outcome, sentences: &[String]) {
        if let Err(error) = status::planned(self.host, self.context.version, outcome, sentences) {
            self.log.line(Level::Warning, "plan", &error.to_string());
        }
    }

    /// Documents of ours: at the default path, at the path that the section names, and among the sources.
    fn documents<'s>(&'s self, sources: &'s [Source], own: Option<&'s str>) -> impl Iterator<Item = &'s str> {
        let named = [Some(DOCUMENT_PATH), own.filter(|path| *path != DOCUMENT_PATH)].into_iter().flatten();
        let named = named.filter(|path| self.is_ours(path));
        let listed =
            sources.iter().filter(move |source| source.path != DOCUMENT_PATH && Some(source.path.as_str()) != own);
        let listed = listed.filter(|source| source.text.as_ref().is_ok_and(|text| cloud_config::is_ours(text)));
        named.chain(listed.map(|source| source.path.as_str()))
    }

    /// Whether there is something that somebody else wrote.
    fn is_of_others(&self, path: &str) -> bool {
        let text = self.host.read(path, SOURCE_LIMIT);
        text.is_ok_and(|bytes| !bytes.is_empty() && !cloud_config::is_ours(&String::from_utf8_lossy(&bytes)))
    }

    /// Whether a document is ours. One that the system does not let us read may be, and yip may still run it.
    fn is_ours(&self, path: &str) -> bool {
        match self.host.read(path, SOURCE_LIMIT) {
            Ok(bytes) => cloud_config::is_ours(&String::from_utf8_lossy(&bytes)),
            Err(error) => matches!(error, Error::Os { .. }) && !error.is_absent(),
        }
    }

    /// Renames documents of ours, so that yip passes them over: all but the one in force.
    fn retire(&self, sources: &[Source], keep: Option<&str>) -> Result<bool, Error> {
        let mut retired = false;
        let kept = |path: &str| keep.is_some_and(|keep| path == keep || self.host.is_same_file(path, keep));
        for path in self.documents(sources, None).filter(|path| !kept(path)) {
            self.host.rename(path, &format!("{path}.retired"))?;
            self.log.line(Level::Info, "plan", &format!("retired {path}, now {path}.retired"));
            retired = true;
        }
        Ok(retired)
    }
}

/// The level at which a finding is logged.
pub fn level(severity: Severity) -> Level {
    match severity {
        Severity::Refused | Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Info,
    }
}
