//! What this node is and why: for `status`, for support bundles, for the person at the console.
//!
//! Each phase and step leaves what it came to in a record in /run. A [`Report`] is that record and what is so at this moment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::outcome::{Outcome, Reason};
use crate::Context;
use crate::check::{Code, Severity};
use crate::cluster::Role;
use crate::emit::{self, Item};
use crate::find;
use crate::gate::{self, RUN, Refused};
use crate::host::{Error, Host};
use crate::log::{Level, Log, rfc3339};
use crate::node;
use crate::prestart;
use crate::service::{self, Unit};
use crate::yaml::{self, Node};

/// The record of this boot.
const RECORD: &str = "/run/provider-rke2/status.yaml";

/// How much of it is read.
const LIMIT: u64 = 16 << 20;

/// The key that stands last in it, so that it is there only if the record is whole.
const LAST: &str = "waits";

/// Held while the record is read and written anew, and for nothing else.
const LOCK: &str = "/run/provider-rke2/status.lock";

/// How long another writer of the record is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What agetty shows above the login prompt (agetty(8), issue.d).
const ISSUE: &str = "/etc/issue.d/50-provider-rke2.issue";

/// The status as the last phase left it, without secrets. It outlives the boot.
pub const MIRROR: &str = "/var/log/provider-rke2.status.json";

/// The step that installs the configuration, and the one that sets the unit in motion.
const CONFIG: &str = "config";
const SERVICE: &str = "service";

/// What the plan phase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// There is a plan.
    Planned,
    /// The cluster section was refused, or its plan could not be carried out.
    Refused,
    /// It is unknown whether there is a cluster section; the last plan stays in force.
    Unreadable,
    /// There is no cluster section.
    Absent,
}

impl Plan {
    const ALL: [Plan; 4] = [Plan::Planned, Plan::Refused, Plan::Unreadable, Plan::Absent];

    fn as_str(self) -> &'static str {
        match self {
            Plan::Planned => "planned",
            Plan::Refused => "refused",
            Plan::Unreadable => "unreadable",
            Plan::Absent => "absent",
        }
    }
}

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wait {
    /// The phase or step that waits.
    who: String,
    /// What it waits for.
    what: String,
    /// Since when, as RFC 3339 writes it, or in the words of the service manager.
    since: String,
    /// The number of the process that waits; empty where it is no process of ours.
    pid: String,
}

/// What a step came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Step {
    failed: bool,
    reasons: Vec<Reason>,
}

/// What is known about this boot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Record {
    /// The version that wrote it last.
    version: String,
    /// What the plan phase came to; nothing if it has not finished in this boot.
    plan: Option<Plan>,
    /// The role of the plan in force.
    role: Option<Role>,
    /// Why the plan is not as asked for.
    reasons: Vec<Reason>,
    /// The steps that ran, by name.
    steps: BTreeMap<String, Step>,
    /// What is waited for.
    waits: Vec<Wait>,
}

impl Record {
    /// Reads the record of this boot. Fails if there is none, if it cannot be read, and if it is not whole.
    fn read(host: &Host) -> Result<Record, Missing> {
        let bytes = host.read(RECORD, LIMIT).map_err(|error| match error.is_absent() {
            true => Missing::Absent,
            false => Missing::Unreadable(error.to_string()),
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let document = yaml::read(&text, yaml::CLOUD_CONFIG).ok().filter(|document| document.root.get(LAST).is_some());
        let not_whole = || Missing::Unreadable(format!("{RECORD}: is not whole; run agent.boot again, or reboot"));
        let document = document.ok_or_else(not_whole)?;
        let root = &document.root;
        let text = |node: &Node, key: &str| {
            node.get(key).and_then(Node::scalar).map(|scalar| scalar.text.clone()).unwrap_or_default()
        };
        let reason = |node: &Node| Reason {
            severity: Severity::Error,
            code: Code::of(&text(node, "code")).unwrap_or(Code::StepFailed),
            sentence: text(node, "message"),
        };
        let reasons =
            |node: &Node| node.get("reasons").map(Node::items).unwrap_or_default().iter().map(reason).collect();
        let step = |node: &Node| Step { failed: text(node, "state") == "failed", reasons: reasons(node) };
        let steps = root.get("steps").map(Node::entries).unwrap_or_default();
        let waits = root.get(LAST).map(Node::items).unwrap_or_default();
        Ok(Record {
            version: text(root, "version"),
            plan: Plan::ALL.into_iter().find(|plan| plan.as_str() == text(root, "plan")),
            role: Role::of(&text(root, "role")),
            reasons: reasons(root),
            steps: steps.iter().map(|(name, node)| (name.scalar.text.clone(), step(node))).collect(),
            waits: waits
                .iter()
                .map(|wait| Wait {
                    who: text(wait, "who"),
                    what: text(wait, "for"),
                    since: text(wait, "since"),
                    pid: text(wait, "pid"),
                })
                .collect(),
        })
    }

    /// Whether the configuration of the plan is installed: `installed`, `failed`, or empty where nobody has tried.
    fn config(&self) -> &'static str {
        match self.steps.get(CONFIG) {
            None => "",
            Some(step) if step.failed => "failed",
            Some(_) => "installed",
        }
    }

    fn to_yaml(&self) -> String {
        let reasons = |reasons: &[Reason]| {
            let item = |it: &Reason| {
                Item::map([("code", Item::text(it.code.as_str())), ("message", Item::text(&it.sentence))])
            };
            Item::List(reasons.iter().map(item).collect())
        };
        let step = |step: &Step| {
            let state = if step.failed { "failed" } else { "done" };
            Item::map([("state", Item::text(state)), ("reasons", reasons(&step.reasons))])
        };
        let wait = |it: &Wait| {
            let texts = [("who", &it.who), ("for", &it.what), ("since", &it.since), ("pid", &it.pid)];
            Item::map(texts.map(|(key, text)| (key, Item::text(text))))
        };
        let texts = [
            ("version", self.version.as_str()),
            ("plan", self.plan.map_or("", Plan::as_str)),
            ("role", self.role.map_or("", Role::as_str)),
            ("unit", self.role.map_or("", Role::unit)),
            ("config", self.config()),
        ];
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut entries: Vec<_> = given.map(|(key, text)| (key.to_owned(), Item::text(text))).collect();
        entries.push(("reasons".into(), reasons(&self.reasons)));
        entries
            .push(("steps".into(), Item::Map(self.steps.iter().map(|(name, it)| (name.clone(), step(it))).collect())));
        entries.push((LAST.into(), Item::List(self.waits.iter().map(wait).collect())));
        emit::to_yaml(&Item::Map(entries))
    }

    /// Everything that is not as asked for, each sentence once.
    fn all_reasons(&self) -> Vec<Reason> {
        let mut all: Vec<Reason> = Vec::new();
        for reason in self.reasons.iter().chain(self.steps.values().flat_map(|step| &step.reasons)) {
            if !all.iter().any(|it| it.sentence == reason.sentence) {
                all.push(reason.clone());
            }
        }
        all
    }
}

/// Why there is no record.
enum Missing {
    Absent,
    Unreadable(String),
}

/// Changes the record, and what is made of it: the sentences above the login prompt, and the mirror. What cannot be written is logged.
fn update(context: &Context, change: impl FnOnce(&mut Record)) {
    let host = context.host;
    // Without the lock at worst the word of another writer is lost.
    let _lock = host.make_dir(RUN, 0o700).and_then(|()| host.lock(LOCK, LOCK_WAIT)).ok();
    let before = Record::read(host).ok();
    let mut record = before.clone().unwrap_or_default();
    record.version = context.version.into();
    change(&mut record);
    if before.as_ref() == Some(&record) {
        return;
    }
    // Each for itself: the person at the console is told even if the record cannot be written. That is the last, so that a run that was cut
    // off before is repeated.
    let mirror = Report::of_record(host, record.clone()).to_json();
    let written = [
        issue(host, &record.all_reasons()),
        host.install(MIRROR, mirror.as_bytes(), 0o644, false).map(drop),
        host.install(RECORD, record.to_yaml().as_bytes(), 0o600, false).map(drop),
    ];
    for error in written.into_iter().filter_map(Result::err) {
        Log::new(host, context.version).line(Level::Warning, "status", &error.to_string());
    }
}

/// The sentences above the login prompt, where a person has to act.
fn issue(host: &Host, reasons: &[Reason]) -> Result<(), Error> {
    if reasons.is_empty() {
        return host.remove(ISSUE).map(drop);
    }
    // agetty takes a backslash for the start of an escape sequence.
    let line = |it: &Reason| format!("provider-rke2: {}\n", it.sentence.replace('\\', "\\\\"));
    host.install(ISSUE, reasons.iter().map(line).collect::<String>().as_bytes(), 0o644, false).map(drop)
}

/// Says what the plan phase came to. What steps came to stays where `is_same` says that they ran for the plan that is in force now.
pub fn planned(context: &Context, plan: Plan, role: Option<Role>, reasons: Vec<Reason>, is_same: bool) {
    update(context, |record| {
        let kept = std::mem::take(record);
        *record =
            Record { version: kept.version, plan: Some(plan), role, reasons, waits: kept.waits, ..Record::default() };
        if is_same {
            record.steps = kept.steps;
        }
    });
}

/// Says what a step came to, or `prestart`.
pub fn step(context: &Context, name: &str, role: Option<Role>, outcome: &Outcome) {
    update(context, |record| {
        let mut reasons = outcome.reasons();
        // That the plan was refused is said once.
        reasons.retain(|reason| !record.reasons.iter().any(|it| it.sentence == reason.sentence));
        record.steps.insert(name.into(), Step { failed: !outcome.failed.is_empty(), reasons });
        record.role = role.or(record.role);
    });
}

/// A wait that is told as long as it lasts.
#[derive(Debug)]
pub struct Waiting<'a> {
    context: &'a Context<'a>,
    who: &'a str,
}

impl<'a> Waiting<'a> {
    /// Says, in the log and in the status, that `who` waits for something; before the wait begins.
    pub fn begin(context: &'a Context, who: &'a str, what: &str) -> Waiting<'a> {
        Log::new(context.host, context.version).line(Level::Info, who, &format!("waits for {what}"));
        let since = rfc3339(context.host.now());
        update(context, |record| {
            record.waits.retain(|wait| wait.who != who);
            record.waits.push(Wait { who: who.into(), what: what.into(), since, pid: std::process::id().to_string() });
        });
        Waiting { context, who }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        update(self.context, |record| record.waits.retain(|wait| wait.who != self.who));
    }
}

/// The one word of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// RKE2 runs as asked; on another root its configuration is installed.
    Ok,
    /// Nothing is wrong, and something is not done yet.
    Pending,
    /// There is no cluster section.
    NothingAsked,
    /// Nothing is done in this mode of the boot.
    Idle,
    /// Something is not as asked for.
    Degraded,
    /// The plan was refused, so RKE2 is not started.
    Refused,
    /// The status cannot tell.
    Unknown,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Word::Ok => "ok",
            Word::Pending => "pending",
            Word::NothingAsked => "nothing asked",
            Word::Idle => "idle",
            Word::Degraded => "degraded",
            Word::Refused => "refused",
            Word::Unknown => "unknown",
        }
    }

    /// The exit status of `status`.
    pub fn exit_status(self) -> u8 {
        match self {
            Word::Ok | Word::Pending | Word::NothingAsked | Word::Idle => 0,
            Word::Degraded | Word::Refused => 1,
            Word::Unknown => 2,
        }
    }
}

/// What a person or a machine is told: the record of this boot, and what is so at this moment.
#[derive(Debug)]
pub struct Report {
    /// The one word.
    pub word: Word,
    record: Record,
    reasons: Vec<Reason>,
    waits: Vec<Wait>,
    may_start: bool,
    /// The state of the unit, where a service manager can be asked.
    unit: Option<Unit>,
    restart_pending: bool,
    boot: String,
    modes: Vec<String>,
    time: String,
}

impl Report {
    /// Looks at the node.
    pub fn of(host: &Host) -> Report {
        match Record::read(host) {
            _ if node::is_idle(host) => Report { word: Word::Idle, ..Report::base(host, Record::default()) },
            Ok(record) => {
                let mut report = Report::base(host, record);
                let is_known = report.look_at_unit(host);
                report.word = if is_known { report.judge(host) } else { Word::Unknown };
                report
            }
            Err(missing) => Report::without_record(host, missing),
        }
    }

    /// What a record says, without a look at the unit.
    fn of_record(host: &Host, record: Record) -> Report {
        let mut report = Report::base(host, record);
        report.word = report.judge(host);
        report
    }

    fn base(host: &Host, record: Record) -> Report {
        let boot = host.read("/proc/sys/kernel/random/boot_id", 1 << 10).unwrap_or_default();
        // Who was killed while it waited does not wait any more.
        let lives =
            |wait: &&Wait| !host.is_real() || wait.pid.is_empty() || host.exists(&format!("/proc/{}", wait.pid));
        Report {
            word: Word::Pending,
            reasons: record.all_reasons(),
            waits: record.waits.iter().filter(lives).cloned().collect(),
            may_start: record.role.is_some_and(|role| gate::is_open(host, role.unit())),
            unit: None,
            restart_pending: false,
            boot: String::from_utf8_lossy(&boot).trim().to_owned(),
            modes: node::modes(host),
            time: rfc3339(host.now()),
            record,
        }
    }

    /// There is no record that can be read: either nobody has asked anything of this node, or nobody knows what became of it.
    fn without_record(host: &Host, missing: Missing) -> Report {
        let mut report = Report::base(host, Record::default());
        let is_asked = || find::in_force(host).is_some() || gate::is_ready(host);
        let unknown = match missing {
            Missing::Unreadable(sentence) if host.is_real() && !host.is_root() => {
                Some((Code::StatusUnknown, format!("{sentence}; run status as root")))
            }
            Missing::Unreadable(sentence) => Some((Code::StatusUnknown, sentence)),
            Missing::Absent if gate::refused(host).is_some() => None,
            Missing::Absent => is_asked().then(|| {
                let sentence = "there is no record of this boot; agent.boot did not run, or the record was deleted";
                (Code::EventMissing, format!("{RECORD}: {sentence}"))
            }),
        };
        report.word = match unknown {
            Some((code, sentence)) => {
                report.push(code, sentence);
                Word::Unknown
            }
            None if gate::refused(host).is_some() => report.judge(host),
            None => Word::NothingAsked,
        };
        report
    }

    /// Takes in what `refused` says.
    fn refused(&mut self, host: &Host, refused: Refused) {
        if !refused.is_decided && host.is_locked(gate::REFUSED) {
            if self.waits.is_empty() {
                self.wait("apply", "agent.boot to finish", "");
            }
            return;
        }
        for reason in refused.reasons {
            self.push(reason.code, reason.sentence);
        }
        self.word = Word::Refused;
    }

    fn wait(&mut self, who: &str, what: &str, since: &str) {
        self.waits.push(Wait { who: who.into(), what: what.into(), since: since.into(), pid: String::new() });
    }

    fn push(&mut self, code: Code, sentence: String) {
        if !self.reasons.iter().any(|reason| reason.sentence == sentence) {
            self.reasons.push(Reason::failed(code, sentence));
        }
    }

    /// Asks the service manager what the unit of the plan really does. False if it does not answer.
    fn look_at_unit(&mut self, host: &Host) -> bool {
        let Some(role) = self.record.role.filter(|_| host.is_real()) else { return true };
        let Some(manager) = service::running(host) else { return true };
        let name = manager.name(role.unit());
        let unit = match manager.show(role.unit()) {
            Ok(unit) => unit,
            Err(error) => {
                self.push(Code::StatusUnknown, error.to_string());
                return false;
            }
        };
        self.restart_pending = unit.is_up() && prestart::changed(host, role.unit()) == Some(true);
        // The step that starts it has been there, and says itself what it could not do.
        let was_started = self.record.steps.contains_key(SERVICE) && self.record.plan != Some(Plan::Refused);
        let result = &unit.result;
        match (unit.load.as_str(), unit.active.as_str()) {
            ("loaded", "failed") => {
                self.push(Code::UnitFailed, format!("{name}: has failed ({result}); see its journal"));
            }
            ("loaded", "activating") if unit.restarts > 0 || unit.sub.starts_with("auto-restart") => {
                let sentence =
                    format!("{name}: does not become ready, restart {} ({result}); see its journal", unit.restarts);
                self.push(Code::UnitRestarts, sentence);
            }
            ("loaded", "activating" | "reloading" | "refreshing") => self.wait(&name, "being ready", &unit.since),
            ("loaded", "active") if self.restart_pending => {
                self.wait(&name, "a restart, because what it reads has changed", "");
            }
            ("loaded", "active") => {}
            ("loaded", _) if unit.job => self.wait(&name, "its turn in the queue of the service manager", ""),
            ("loaded", state) if was_started => {
                let sentence =
                    format!("{name}: is {state}, but the plan is that it runs; run apply service, or see its journal");
                self.push(Code::UnitStopped, sentence);
            }
            ("loaded", _) => {}
            (_, _) if was_started => {}
            (load, _) => self.push(Code::UnitMissing, format!("{name}: is {load}; install RKE2 into the image")),
        }
        self.unit = Some(unit);
        true
    }

    /// The word for what is known.
    fn judge(&mut self, host: &Host) -> Word {
        self.word = Word::Pending;
        if let Some(refused) = gate::refused(host) {
            self.refused(host, refused);
        }
        let is_up = self.unit.as_ref().is_some_and(|unit| unit.active == "active");
        // Where nobody can be asked, the record counts.
        let runs = if self.unit.is_some() { is_up } else { !host.is_real() && self.may_start };
        match self.record.plan {
            _ if self.word == Word::Refused => Word::Refused,
            Some(Plan::Refused) => Word::Refused,
            _ if !self.reasons.is_empty() => Word::Degraded,
            Some(Plan::Absent) => Word::NothingAsked,
            _ if self.waits.is_empty() && runs && self.may_start => Word::Ok,
            _ => {
                if self.waits.is_empty() && !self.may_start {
                    let who = self.record.role.map_or("RKE2", Role::unit);
                    self.wait(who, "the boot stages, which install its configuration", "");
                }
                Word::Pending
            }
        }
    }

    fn unit_state(&self) -> String {
        match &self.unit {
            None => "unknown".into(),
            Some(unit) if unit.load != "loaded" => unit.load.clone(),
            Some(unit) => format!("{} ({})", unit.active, unit.sub),
        }
    }

    /// For a person: the word, then a line for each fact, then the reasons.
    pub fn to_text(&self) -> String {
        let yes = |it: bool| if it { "yes" } else { "no" }.to_owned();
        let mut lines = vec![self.word.as_str().to_owned()];
        let mut fact = |name: &str, value: String| {
            if !value.is_empty() {
                lines.push(format!("{:<17}{value}", format!("{name}:")));
            }
        };
        fact("plan", self.record.plan.map_or("", Plan::as_str).into());
        fact("role", self.record.role.map_or("", Role::as_str).into());
        if let Some(role) = self.record.role {
            let since = self.unit.as_ref().map(|unit| unit.since.as_str()).filter(|since| !since.is_empty());
            let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
            fact("unit", format!("{}, {}{since}", role.unit(), self.unit_state()));
            fact("configuration", self.record.config().into());
            fact("may start", yes(self.may_start));
            fact("restart pending", yes(self.restart_pending));
        }
        for wait in &self.waits {
            let since = if wait.since.is_empty() { String::new() } else { format!(", since {}", wait.since) };
            fact("waits", format!("{} for {}{since}", wait.who, wait.what));
        }
        fact("boot", [self.modes.join(" "), self.boot.clone()].join(" ").trim().into());
        fact("time", self.time.clone());
        fact("version", self.record.version.clone());
        let mut text = lines.join("\n") + "\n";
        for reason in &self.reasons {
            let _ = writeln!(text, "because: {} [{}]", reason.sentence, reason.code.as_str());
        }
        text
    }

    /// One JSON object.
    pub fn to_json(&self) -> String {
        let waits = self.waits.iter().map(|it| json!({"who": it.who, "for": it.what, "since": it.since}));
        let reasons = self.reasons.iter().map(|it| json!({"code": it.code.as_str(), "message": it.sentence}));
        let object = json!({
            "status": self.word.as_str(),
            "plan": self.record.plan.map(Plan::as_str),
            "role": self.record.role.map(Role::as_str),
            "unit": self.record.role.map(Role::unit),
            "unit_state": self.unit_state(),
            "unit_since": self.unit.as_ref().map(|unit| &unit.since),
            "config": self.record.config(),
            "may_start": self.may_start,
            "restart_pending": self.restart_pending,
            "waits": waits.collect::<Vec<_>>(),
            "reasons": reasons.collect::<Vec<_>>(),
            "boot": {"id": self.boot, "modes": self.modes},
            "time": self.time,
            "version": self.record.version,
        });
        format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
    }
}
