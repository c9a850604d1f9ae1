//! The plan phase: what `agent.boot` does to the node.
//!
//! Nobody knows what is asked of the node until the event has an outcome. So it begins by shutting everything: first `refused`, then the
//! gate. The outcome takes both back, or leaves what is right. An event that hangs, panics or is killed leaves them as they are, and
//! nothing is started. Only the event that made the document in force has nothing to decide when it comes again, and shuts nothing.

pub mod document;
pub(crate) mod find;
mod intent;
mod lay_out;
#[allow(clippy::module_inception, reason = "the plan of the plan phase")]
pub mod plan;
mod sources;
pub mod staged;
pub(crate) mod values;

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Context;
use crate::cluster::cloud_config::{self, CloudConfig, Section, Source, SourcesRead};
use crate::cluster::{self, Cluster, document_path};
use crate::environment;
use crate::findings::code::{Code, Severity};
use crate::findings::{Findings, Reason};
use crate::host::{Error, Host, Lock};
use crate::identity;
use crate::identity::guards::{self, Situation};
use crate::identity::home::Home;
use crate::identity::recall::{self, Known};
use crate::report::log::{Level, Log};
use crate::rke2::{DATA_DIR, Unit};
use crate::service::{gate, systemd};
use crate::status::record::Record;
use crate::status::{self, Decision, Steps};
use crate::text::escape::{escape, limit, quoted};
use find::Found;
pub(crate) use lay_out::lay_out;
use plan::Plan;

/// How long another event is waited for, and then another run of the program: nobody holds that lock for long.
const EVENT_WAIT: Duration = Duration::from_secs(6);
const LOCK_WAIT: Duration = Duration::from_secs(4);

/// How often another event is looked at.
const TICK: Duration = Duration::from_millis(20);

/// How long systemd may take to read the gate, where it runs already.
const RELOAD: Duration = Duration::from_secs(5);

/// What the bus is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Why the node cannot be configured; empty if it can, or if nobody knows.
    pub error: String,
    /// What was done, in a sentence without configuration.
    pub log: String,
}

/// An event that has begun and has no outcome yet.
#[derive(Debug)]
pub(crate) struct Boot<'a> {
    context: &'a Context<'a>,
    host: &'a Host,
    log: Log<'a>,
    mark: Mark,
    /// Whether this event has written the gate, which nobody takes away from the event that holds `refused`.
    is_gate_written: bool,
    /// Whether systemd has something to reload.
    gate_changed: bool,
}

/// Whether `refused` says that nothing is decided.
#[derive(Debug)]
enum Mark {
    /// Not yet, or there is nothing to decide: the document in force was made from this very event.
    NotYet,
    /// It does, and this event holds it.
    Ours(Lock),
    /// It cannot: another event holds it, or the file cannot be made.
    Not,
}

/// What the event asks for.
enum Asked {
    Present(Box<Understood>),
    /// With what stands in the place of a section.
    Absent(Findings),
    /// Nobody knows; the sentence why.
    Unreadable(String),
}

/// What a cluster section means.
struct Understood {
    /// Nothing if it is refused.
    cluster: Option<Cluster>,
    findings: Findings,
    /// Sentences about sources that do not parse.
    broken: Vec<String>,
    /// Where it says that the document is.
    document: Option<String>,
    /// What this node became.
    known: Known,
    /// Lines by which a person allows what a guard would stop.
    allowed: Vec<String>,
}

/// The unit that ran last, as far as something else than the record of the node tells: the link that the Go provider has left, or the document in
/// force. Must be asked before links are removed.
pub(crate) fn last_unit(host: &Host) -> Option<Unit> {
    let links = gate::lasting_links(host);
    let linked: Vec<Unit> = Unit::ALL.into_iter().filter(|unit| links.contains(unit)).collect();
    match linked.as_slice() {
        [unit] => Some(*unit),
        _ => find::in_force(host)?.plan().map(|plan| plan.role.unit()),
    }
}

/// Plans a node in a directory of its own, as an event does; gives the sentence what was planned.
pub(crate) fn simulated(context: &Context, cluster: Cluster) -> Result<String, String> {
    let mut boot = Boot::new(context).ok_or("nothing is done in this mode of the boot")?;
    boot.begin();
    boot.write_plan(cluster, &[], "").map(|(sentence, _)| sentence)
}

/// What the guards of this node say of a cluster section.
pub(crate) fn guarded(host: &Host, section: &Section, cluster: &Cluster, findings: &mut Findings) {
    let home = cluster::home(host, section);
    let known = recall::recall(host, &home, &|| last_unit(host));
    let situation = Situation { host, home: &home, known: &known, intent: intent::of(host, &known, cluster) };
    guards::judge(&situation, findings);
}

/// Whether an event has come to an end in this boot.
pub(crate) fn is_decided(host: &Host) -> bool {
    Record::read(host).is_ok_and(|record| record.plan.is_some())
}

/// Whether there is a document that stages a plan of ours.
pub(crate) fn has_document(host: &Host) -> bool {
    find::in_force(host).is_some_and(|found| found.stages_plan())
}

impl<'a> Boot<'a> {
    /// An event that has not begun. There is none in the modes of [`identity::is_idle`], in which nothing is done.
    pub(crate) fn new(context: &'a Context<'a>) -> Option<Boot<'a>> {
        let host = context.host;
        let log = Log::new(host, context.version);
        (!identity::is_idle(host)).then_some(Boot {
            context,
            host,
            log,
            mark: Mark::NotYet,
            is_gate_written: false,
            gate_changed: false,
        })
    }

    /// From here on nothing is started until there is an outcome: `refused` is there before anything else, then the gate.
    pub(crate) fn begin(&mut self) {
        if !matches!(self.mark, Mark::NotYet) {
            return;
        }
        let undecided = gate::undecided(self.host, Duration::ZERO).or_else(|error| match error {
            Error::Held { .. } => {
                self.log.line(Level::Info, "plan", "waits for another agent.boot to finish");
                gate::undecided(self.host, EVENT_WAIT)
            }
            error => Err(error),
        });
        self.mark = undecided.map_or_else(
            |error| {
                self.log.line(Level::Warning, "plan", &error.to_string());
                Mark::Not
            },
            Mark::Ours,
        );
        // An init script stays for good, so it is written only where a node has been planned.
        if !gate::is_lasting(self.host) || find::at(self.host, document_path::DEFAULT).is_some() {
            // What fails here fails again when the event comes to an outcome, which says so.
            let _ = self.write_gate();
        }
    }

    /// Plans the node from the text of a cloud-config, or from the sentence why there is none. Whatever fails on the way, RKE2 does not
    /// start with a configuration that is not the one asked for.
    pub(crate) fn finish(mut self, text: Result<&str, &str>) -> Answer {
        let answer = self.decide(text);
        // The lock is not held any more: systemd may take its time.
        if self.gate_changed
            && systemd::runs_here(self.host)
            && let Err(error) = self.host.run("systemctl", &["daemon-reload"], RELOAD)
        {
            self.log.line(Level::Warning, "plan", &format!("{error}, so systemd may not know the gate yet"));
        }
        answer
    }

    fn decide(&mut self, text: Result<&str, &str>) -> Answer {
        let payload = text.map(cloud_config::payload).unwrap_or_default();
        let is_known = self.is_known(&payload);
        if !is_known {
            self.begin();
        } else if let Err(error) = self.take_back() {
            return self.failed(&error.to_string());
        }
        let sources = text.map(|text| sources::read(self.host, text)).unwrap_or_default();
        // All that takes its time is done before the lock is taken.
        let asked = match text.map(|text| self.read(text, &sources)) {
            Ok(CloudConfig::Present(section, found)) => {
                Asked::Present(Box::new(self.understand(*section, found, &sources)))
            }
            Ok(CloudConfig::Absent(mut found)) => {
                cloud_config::place(&mut found, None, &sources, SourcesRead::default());
                Asked::Absent(found)
            }
            Ok(CloudConfig::Unreadable(sentence)) => Asked::Unreadable(sentence),
            Err(sentence) => Asked::Unreadable(sentence.to_owned()),
        };
        match (self.lock(), asked) {
            (Err(sentence), Asked::Present(_)) if is_known => {
                let sentence =
                    format!("{sentence}, so nothing is written anew; the plan in force is the one asked for");
                self.log.line(Level::Warning, "plan", &sentence);
                Answer { log: sentence, ..Answer::default() }
            }
            (Err(sentence), Asked::Present(_)) => self.cut_off(&sentence),
            _ if self.is_overtaken() => self.cut_off("another agent.boot, or a reset, has decided meanwhile"),
            (_held, Asked::Present(understood)) => self.present(*understood, &sources, &payload),
            (_held, Asked::Unreadable(sentence)) => self.unreadable(&sentence, &sources, None),
            (_held, Asked::Absent(found)) => self.absent(&sources, &found),
        }
    }

    /// The lock under which files change; held for the blink of an eye by everybody, unless a disk hangs.
    fn lock(&self) -> Result<Lock, String> {
        // The directory of a mark of ours is made.
        let made = if matches!(self.mark, Mark::Ours(_)) { Ok(()) } else { self.host.make_dir(gate::RUN, 0o700) };
        let lock = made.and_then(|()| self.host.lock(gate::LOCK, LOCK_WAIT)).map_err(|error| error.to_string())?;
        if self.host.is_locked(gate::RESET_LOCK) {
            return Err("a reset is under way on this node".into());
        }
        Ok(lock)
    }

    /// Whether the document in force was made from this very event, so that there is nothing to decide. Another event that is under way may
    /// be about to put another in force.
    fn is_known(&self, payload: &str) -> bool {
        let end = Instant::now() + EVENT_WAIT;
        let is_other_under_way = || !matches!(self.mark, Mark::Ours(_)) && self.host.is_locked(gate::REFUSED);
        while is_other_under_way() {
            if Instant::now() >= end {
                return false;
            }
            sleep(TICK);
        }
        find::in_force(self.host).is_some_and(|found| found.is_made_from(payload))
    }

    /// Whether somebody else decides, or has decided since this event began: another event, or a reset.
    fn is_overtaken(&self) -> bool {
        match &self.mark {
            Mark::Ours(lock) => lock.is_replaced(self.host, gate::REFUSED),
            Mark::NotYet | Mark::Not => self.host.is_locked(gate::REFUSED),
        }
    }

    /// There is an outcome, and it is not that the plan is refused.
    fn take_back(&mut self) -> Result<(), Error> {
        let is_overtaken = self.is_overtaken();
        self.mark = Mark::NotYet;
        if is_overtaken { Ok(()) } else { gate::set_refused(self.host, &[]) }
    }

    /// This event can come to no outcome; what holds as long as nothing is decided goes on to hold.
    fn cut_off(&self, sentence: &str) -> Answer {
        let sentence = limit(&format!(
            "{sentence}, so this agent.boot has not finished and its plan is not in force; run agent.boot again, or reboot"
        ));
        self.log.line(Level::Error, "plan", &sentence);
        Answer { error: sentence, log: "the event has no outcome".into() }
    }

    /// The three answers. Where there is a document of ours, "no cluster section" is believed only if nothing can have been left out.
    fn read(&self, text: &str, sources: &[Source]) -> CloudConfig {
        let answer = cloud_config::of_collected(text, sources);
        if !matches!(answer, CloudConfig::Absent(_)) || self.documents(sources, None).is_empty() {
            return answer;
        }
        let listed = cloud_config::sources(text);
        let doubt = if listed.is_empty() {
            Some("the event names no sources that it was collected from; run agent.boot again, or reboot".to_owned())
        } else {
            sources::left_out(self.host, &listed)
        };
        doubt.map_or(answer, |sentence| CloudConfig::Unreadable(format!("{sentence}; {}", cloud_config::NOT_KNOWN)))
    }

    fn understand(&self, section: Section, mut findings: Findings, sources: &[Source]) -> Understood {
        let home = cluster::home(self.host, &section);
        let known = recall::recall(self.host, &home, &|| last_unit(self.host));
        let mut cluster = cluster::understand(&section, &home, &mut findings);
        let mut allowed = Vec::new();
        if let Some(understood) = &cluster {
            let situation = Situation {
                host: self.host,
                home: &home,
                known: &known,
                intent: intent::of(self.host, &known, understood),
            };
            allowed = guards::judge(&situation, &mut findings);
        }
        if findings.worst() == Some(Severity::Refused) {
            cluster = None;
        }
        let text = |key: &str| Some(section.node.get(key)?.scalar()?.text.clone());
        let (options, document) = (text("config"), text("cluster_config_path"));
        // The section may be large, and so may each source be that is looked through for the lines.
        let Section { broken, read, .. } = section;
        cloud_config::place(&mut findings, options.as_deref(), sources, read);
        Understood { cluster, findings, broken, document, known, allowed }
    }

    fn present(&mut self, understood: Understood, sources: &[Source], payload: &str) -> Answer {
        let Understood { cluster, findings, broken, document, known, allowed } = understood;
        // Before anything is changed that tells what this node was.
        if let Err(error) = recall::keep(self.host, known, allowed, None) {
            self.log.line(Level::Warning, "plan", &format!("{error}, so what this node became is not remembered"));
        }
        let Some(cluster) = cluster else {
            let own = document.as_deref();
            // A file that was left out may hold what is missing here.
            if !broken.is_empty() && !self.documents(sources, own).is_empty() {
                let (broken, refused) = (broken.join("; "), findings.refused().join("; "));
                let sentence = format!("{broken}; without it the cluster section is refused: {refused}");
                return self.unreadable(&sentence, sources, own);
            }
            let told = self.say(&broken, &findings);
            let refused: Vec<Reason> = told.into_iter().filter(|it| it.severity == Severity::Refused).collect();
            return self.refused(&refused, "the cluster section is refused");
        };
        let mut reasons = self.say(&broken, &findings);
        reasons.retain(|reason| reason.severity >= Severity::Error);
        let left_out = broken.iter();
        reasons.extend(left_out.map(|sentence| Reason::failed(Code::SourceUnreadable, sentence)));
        let role = cluster.role;
        match self.write_plan(cluster, sources, payload) {
            Ok((sentence, steps)) => {
                self.log.line(Level::Info, "plan", &sentence);
                status::planned(self.context, Decision::Planned, Some(role), reasons, steps);
                Answer { error: String::new(), log: sentence }
            }
            Err(sentence) => self.failed(&sentence),
        }
    }

    /// Logs what was found, but for what was refused, which is logged as such. Gives it.
    fn say(&self, broken: &[String], findings: &Findings) -> Vec<Reason> {
        for sentence in broken {
            self.log.line(Level::Warning, "plan", sentence);
        }
        let reasons = findings.reasons();
        for reason in reasons.iter().filter(|reason| reason.severity != Severity::Refused) {
            self.log.line(Level::of(reason.severity), "plan", &reason.sentence);
        }
        reasons
    }

    /// Puts a plan in force. Gives what to log, and what becomes of what steps came to.
    fn write_plan(&mut self, cluster: Cluster, sources: &[Source], payload: &str) -> Result<(String, Steps), String> {
        let (role, path) = (cluster.role, cluster.document_path.clone());
        if path != document_path::DEFAULT && find::is_of_others(self.host, &path) {
            return Err(format!(
                "cluster.cluster_config_path: {} was not written by this program; choose a path that no other file has",
                quoted(&path)
            ));
        }
        let plan = Plan::of(cluster)?;
        let text = find::made_from(&document::document(&plan, self.context.program)?, payload);
        let steps = self.steps_of(Some(&plan.id));
        let mut write = || -> Result<bool, Error> {
            self.shut_gate()?;
            self.take_over(sources, &path);
            let changed = self.host.install(&path, text.as_bytes(), 0o600)?;
            self.retire(sources, Some(&path))?;
            // Where they stay, it is the one that is written.
            if steps == Steps::AreForgotten {
                staged::set_plan_id(self.host, Some(&plan.id))?;
            }
            // The last thing: from here on a step that waits for this event goes on, and finds all of it.
            self.take_back()?;
            Ok(changed)
        };
        let changed = write().map_err(|error| error.to_string())?;
        let document = if changed { "written" } else { "unchanged" };
        Ok((format!("planned role {} for {}, {path} {document}", role.as_str(), role.unit()), steps))
    }

    /// Marks what the Go provider has written for RKE2's service as ours, while its document still says so. Where that fails, the file stays.
    fn take_over(&self, sources: &[Source], own: &str) {
        let retired = find::at(self.host, &find::retired(document_path::DEFAULT));
        for found in self.documents(sources, Some(own)).into_iter().chain(retired) {
            match environment::take_over(self.host, &found.files_of_go_provider()) {
                Ok(taken) => taken.iter().for_each(|sentence| self.log.line(Level::Info, "plan", sentence)),
                Err(error) => self.log.line(Level::Warning, "plan", &error.to_string()),
            }
        }
    }

    /// What steps came to counts for the plan that they ran for.
    fn steps_of(&self, plan_id: Option<&String>) -> Steps {
        let is_same = plan_id.is_some() && staged::plan_id(self.host).as_ref() == plan_id;
        if is_same { Steps::Stay } else { Steps::AreForgotten }
    }

    /// A plan that could not be carried out: the plan before it is not what was asked for, so it must not start RKE2 either.
    fn failed(&mut self, sentence: &str) -> Answer {
        let reason = Reason::failed(Code::PlanRefused, format!("{sentence} (until then RKE2 is not started)"));
        self.refused(&[reason], "the plan cannot be carried out")
    }

    fn refused(&mut self, reasons: &[Reason], summary: &str) -> Answer {
        let sentences = Reason::sentences(reasons);
        let mut error = sentences.clone();
        for sentence in &sentences {
            self.log.line(Level::Error, "plan", sentence);
        }
        let written =
            [self.shut_gate(), staged::set_plan_id(self.host, None), gate::set_refused(self.host, &sentences)];
        for failure in written.into_iter().filter_map(Result::err) {
            let failure = failure.to_string();
            self.log.line(Level::Error, "plan", &failure);
            error.push(failure);
        }
        status::planned(self.context, Decision::Refused, None, reasons.to_vec(), Steps::AreForgotten);
        Answer { error: limit(&error.join("; ")), log: summary.into() }
    }

    /// The last plan stays in force, behind the same gate. A document of the Go provider knows nothing of the gate, so there is none; and
    /// without any document nothing is known of this node, so nothing is started unless it has state already.
    fn unreadable(&mut self, sentence: &str, sources: &[Source], own: Option<&str>) -> Answer {
        let kept = self.documents(sources, own).into_iter().next();
        let then = match &kept {
            Some(_) => "the last plan stays in force",
            None => "there is no earlier plan, so RKE2 is not configured",
        };
        let sentence = limit(&format!("{sentence}; {then}"));
        self.log.line(Level::Error, "plan", &sentence);
        let plan = kept.as_ref().and_then(Found::plan);
        let plan_id = plan.as_ref().map(|plan| plan.id.clone());
        let steps = self.steps_of(plan_id.as_ref());
        let is_gated = match &kept {
            Some(found) => found.stages_plan(),
            None => !Home::of(self.host, DATA_DIR).state.is_any(),
        };
        let mut settle = || -> Result<(), Error> {
            match is_gated {
                true if kept.is_some() => self.shut_gate()?,
                true => self.write_gate()?,
                false => self.open_gate()?,
            }
            staged::set_plan_id(self.host, plan_id.as_deref())?;
            self.take_back()
        };
        if let Err(error) = settle() {
            self.log.line(Level::Error, "plan", &error.to_string());
        }
        let role = plan.map(|plan| plan.role);
        let reason = Reason::failed(Code::Unreadable, &sentence);
        status::planned(self.context, Decision::Unreadable, role, vec![reason], steps);
        Answer { error: String::new(), log: sentence }
    }

    fn absent(&mut self, sources: &[Source], found: &Findings) -> Answer {
        let has_state = self.state_without_section(sources);
        let mut clean = || -> Result<bool, Error> {
            let retired = self.retire(sources, None)?;
            staged::remove(self.host)?;
            self.open_gate()?;
            self.take_back()?;
            Ok(retired)
        };
        let (level, sentence) = match clean() {
            Ok(true) => (Level::Info, "no cluster section any more, so there is no plan".to_owned()),
            Ok(false) => (Level::Info, "no cluster section".to_owned()),
            Err(error) => (Level::Error, error.to_string()),
        };
        self.log.line(level, "plan", &sentence);
        let reasons = has_state.into_iter().map(|path| {
            let sentence = format!(
                "cluster: the cloud-config has no cluster section any more, but {} holds state of RKE2, which nothing starts; \
                 write the section again, or reset the node",
                escape(&path)
            );
            self.log.line(Level::Warning, "plan", &sentence);
            Reason::failed(Code::SectionGone, sentence)
        });
        let reasons = reasons.chain(self.say(&[], found).into_iter().filter(|it| it.severity >= Severity::Error));
        status::planned(self.context, Decision::Absent, None, reasons.collect(), Steps::AreForgotten);
        let error = if level == Level::Error { sentence.clone() } else { String::new() };
        Answer { error, log: sentence }
    }

    /// The data directory with state that a plan of ours has left, in this boot or an earlier one.
    fn state_without_section(&self, sources: &[Source]) -> Option<String> {
        let retired = find::at(self.host, &find::retired(document_path::DEFAULT));
        let found = self.documents(sources, None).into_iter().chain(retired);
        // What a template in it makes of the path is in the installed configuration.
        let mut homes = found.map(|found| Home::of(self.host, found.places().data_dir.as_deref().unwrap_or(DATA_DIR)));
        homes.find(|home| home.state.is_any()).map(|home| home.data_dir)
    }

    /// Writes the gate, unless this event has.
    fn write_gate(&mut self) -> Result<(), Error> {
        if !(self.is_gate_written && matches!(self.mark, Mark::Ours(_))) {
            self.gate_changed |= gate::write(self.context)?;
            self.is_gate_written = true;
        }
        Ok(())
    }

    /// Shuts the gate and removes what would start RKE2 at boot. A link that stays cannot pass the gate, so what failed there is only told.
    fn shut_gate(&mut self) -> Result<(), Error> {
        self.write_gate()?;
        let (removed, failed) = gate::remove_links(self.host);
        for sentence in failed {
            self.log.line(Level::Warning, "plan", &sentence);
        }
        self.gate_changed |= removed;
        Ok(())
    }

    /// Where RKE2 is none of our business.
    fn open_gate(&mut self) -> Result<(), Error> {
        self.gate_changed |= gate::remove(self.host)?;
        Ok(())
    }

    /// Documents of ours: at the default path, at the path that the section names, and among the sources; where there is none, wherever Kairos
    /// looks, because an event may name no sources.
    fn documents(&self, sources: &[Source], own: Option<&str>) -> Vec<Found> {
        self.documents_but(None, sources, own)
    }

    /// The same but for one that is known to be there.
    fn documents_but(&self, known: Option<&str>, sources: &[Source], own: Option<&str>) -> Vec<Found> {
        let mut paths = vec![document_path::DEFAULT];
        let listed = sources.iter().filter(|source| source.text.as_ref().is_ok_and(|text| cloud_config::is_ours(text)));
        for path in own.into_iter().chain(listed.map(|source| source.path.as_str())) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        let is_one_known = known.is_some_and(|known| paths.contains(&known));
        let others = paths.into_iter().filter(|path| Some(*path) != known);
        let found: Vec<Found> = others.filter_map(|path| find::at(self.host, path)).collect();
        if is_one_known || !found.is_empty() {
            return found;
        }
        // A source that was read and is ours would have been found.
        find::anywhere(self.host, |path| sources.iter().all(|source| source.text.is_err() || source.path != path))
    }

    /// Renames documents of ours, so that yip passes them over: all but the one in force, which is there.
    fn retire(&self, sources: &[Source], keep: Option<&str>) -> Result<bool, Error> {
        let mut retired = false;
        let kept = |path: &str| keep.is_some_and(|keep| path == keep || self.host.is_same_file(path, keep));
        for Found { path, .. } in self.documents_but(keep, sources, None).into_iter().filter(|it| !kept(&it.path)) {
            let now = find::retired(&path);
            self.host.rename(&path, &now)?;
            self.log.line(Level::Info, "plan", &format!("retired {path}, now {now}"));
            retired = true;
        }
        Ok(retired)
    }
}
