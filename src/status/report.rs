//! What a person or a machine is told of the node.

use std::fmt;
use std::fmt::Write as _;

use serde_json::json;

use super::record::{self, Decision, INSTALLED, Missing, Record, Wait};
use crate::cluster::role::Role;
use crate::findings::Reason;
use crate::findings::code::Code;
use crate::host::Host;
use crate::identity::critical::{self, Critical};
use crate::identity::data::{self, Copy, Label};
use crate::identity::home::Home;
use crate::identity::{self, image, recall};
use crate::report::log::rfc3339;
use crate::rke2::version::Version;
use crate::rke2::{DATA_DIR, Unit, installed};
use crate::service;
use crate::service::gate::{self, Refused};
use crate::service::unit::{Active, Load, UnitState};

/// The step that sets the unit in motion.
const SERVICE: &str = "service";

/// What is said of a unit that systemd is starting.
const READY: &str = "being ready";

/// The one word of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
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
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Word::Ok | Word::Pending | Word::NothingAsked | Word::Idle => 0,
            Word::Degraded | Word::Refused => 1,
            Word::Unknown => 2,
        }
    }
}

/// What is asked about the node besides the record, by those who know it.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// Whether anything on the node asks for RKE2.
    pub has_plan: &'a dyn Fn() -> bool,
    /// Whether what the unit reads has changed since it started.
    pub has_changed: &'a dyn Fn(Unit) -> bool,
    /// The version of RKE2 in the image, if it is known.
    pub rke2: Option<&'a Version>,
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

/// What a person or a machine is told: the record of this boot, and what is so at this moment.
#[derive(Debug)]
pub(crate) struct Report {
    /// The one word.
    pub word: Word,
    record: Record,
    reasons: Vec<Reason>,
    waits: Vec<Wait>,
    may_start: bool,
    /// The state of the unit, where a service manager can be asked.
    unit: Option<UnitState>,
    restart_pending: bool,
    /// The version of RKE2 in the image, and the highest that the data of this server was used with.
    rke2: Option<Version>,
    data: Option<Version>,
    /// What puts the data back that an older version has left, and which that was.
    copy: Option<(Label, String, Copy)>,
    image: Option<String>,
    /// The critical options of a server, as they are installed.
    critical: Option<Critical>,
    boot: String,
    modes: Vec<String>,
    time: String,
}

impl Report {
    /// Looks at the node.
    pub(crate) fn of(host: &Host, look: &Look) -> Report {
        let report = Report::looked_at(host, look);
        Report { rke2: look.rke2.cloned().or(report.rke2), ..report }
    }

    fn looked_at(host: &Host, look: &Look) -> Report {
        match Record::read(host) {
            _ if identity::is_idle(host) => Report { word: Word::Idle, ..Report::base(host, Record::default()) },
            Ok(record) => {
                let mut report = Report::base(host, record);
                let is_known = report.look_at_unit(host, look);
                report.word = if is_known { report.judge(host) } else { Word::Unknown };
                report
            }
            Err(missing) => Report::without_record(host, look, missing),
        }
    }

    /// What a record says, without a look at the unit.
    pub(super) fn of_record(host: &Host, record: Record) -> Report {
        let mut report = Report::base(host, record);
        report.word = report.judge(host);
        report
    }

    fn base(host: &Host, record: Record) -> Report {
        let boot = host.read("/proc/sys/kernel/random/boot_id", 1 << 10).unwrap_or_default();
        // A process that was killed while it waited does not wait any more.
        let lives =
            |wait: &&Wait| !host.is_real() || wait.pid.is_empty() || host.exists(&format!("/proc/{}", wait.pid));
        let data_dir = Home::of(host, DATA_DIR).data_dir;
        let is_server = identity::state(host, &data_dir).server;
        let copies = Copy::all(host, &data_dir).unwrap_or_default();
        Report {
            word: Word::Pending,
            rke2: installed::at_hand(host),
            data: if is_server { data::version(host, &data_dir) } else { None },
            copy: copies.into_iter().rev().find_map(|copy| Some((copy.label.clone()?, copy.command(&data_dir), copy))),
            image: image::last(host),
            reasons: record.all_reasons(),
            waits: record.waits.iter().filter(lives).cloned().collect(),
            may_start: record.role.is_some_and(|role| gate::is_open(host, role.unit())),
            unit: None,
            restart_pending: false,
            critical: record.role.filter(|role| role.unit() == Unit::Server).and_then(|_| recall::installed(host)),
            boot: String::from_utf8_lossy(&boot).trim().to_owned(),
            modes: identity::modes(host),
            time: rfc3339(host.now()),
            record,
        }
    }

    /// There is no record that can be read: either nobody has asked anything of this node, or nobody knows what became of it.
    fn without_record(host: &Host, look: &Look, missing: Missing) -> Report {
        let mut report = Report::base(host, Record::default());
        let unknown = match missing {
            Missing::Unreadable(sentence) if host.is_real() && !host.is_root() => {
                Some((Code::StatusUnknown, format!("{sentence}; run status as root")))
            }
            Missing::Unreadable(sentence) => Some((Code::StatusUnknown, sentence)),
            Missing::Absent if gate::refused(host).is_some() => None,
            Missing::Absent => ((look.has_plan)() || gate::is_ready(host)).then(|| {
                let sentence = "there is no record of this boot; agent.boot did not run, or the record was deleted";
                (Code::EventMissing, format!("{}: {sentence}", record::PATH))
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

    /// Whether RKE2 has been started, once or again and again, and has not said yet that it is ready.
    pub(crate) fn waits_for_unit(&self) -> bool {
        self.waits.iter().any(|wait| wait.what == READY) || self.reasons.iter().any(|it| it.code == Code::UnitRestarts)
    }

    /// Adds whether the server answers that the node joins: what the unit itself says is in its journal alone.
    pub(crate) fn found_server(&mut self, server: &str, answers: bool) {
        let (found, why) = if answers {
            let found = format!(
                "{server} answers, so if this lasts, see the journal (another token, or a server that is not ready)"
            );
            (found, format!("{server} answers, so it may have another token, or still know a node of this name"))
        } else {
            let found = format!("nobody answers at {server}");
            (found.clone(), found)
        };
        for wait in self.waits.iter_mut().filter(|wait| wait.what == READY) {
            wait.what = format!("{READY}; {found}");
        }
        for reason in self.reasons.iter_mut().filter(|it| it.code == Code::UnitRestarts) {
            reason.sentence = format!("{}; {why}", reason.sentence);
        }
    }

    fn push(&mut self, code: Code, sentence: String) {
        if !self.reasons.iter().any(|reason| reason.sentence == sentence) {
            self.reasons.push(Reason::failed(code, sentence));
        }
    }

    /// Asks the service manager what the unit of the plan really does. False if it does not answer.
    fn look_at_unit(&mut self, host: &Host, look: &Look) -> bool {
        let Some(role) = self.record.role.filter(|_| host.is_real()) else { return true };
        let Some(manager) = service::running(host) else { return true };
        let name = manager.name(role.unit().name());
        let unit = match manager.show(role.unit().name()) {
            Ok(unit) => unit,
            Err(error) => {
                self.push(Code::StatusUnknown, error.to_string());
                return false;
            }
        };
        self.restart_pending = unit.is_up() && (look.has_changed)(role.unit());
        // The step that starts it has been there, and says itself what it could not do.
        let was_started = self.record.steps.contains_key(SERVICE) && self.record.plan != Some(Decision::Refused);
        let result = &unit.result;
        match (unit.load, unit.active) {
            (Load::Loaded, Active::Failed) => {
                self.push(Code::UnitFailed, format!("{name}: has failed ({result}); see its journal"));
            }
            (Load::Loaded, Active::Activating) if unit.restarts > 0 || unit.is_between_attempts() => {
                let sentence =
                    format!("{name}: does not become ready, restart {} ({result}); see its journal", unit.restarts);
                self.push(Code::UnitRestarts, sentence);
            }
            (Load::Loaded, Active::Activating | Active::Reloading | Active::Refreshing) => {
                self.wait(&name, READY, &unit.since);
            }
            (Load::Loaded, Active::Active) if self.restart_pending => {
                self.wait(&name, "a restart, because what it reads has changed", "");
            }
            (Load::Loaded, Active::Active) => {}
            (Load::Loaded, _) if unit.job => self.wait(&name, "its turn in the queue of the service manager", ""),
            (Load::Loaded, state) if was_started => {
                let state = state.as_str();
                let sentence =
                    format!("{name}: is {state}, but the plan is that it runs; run apply service, or see its journal");
                self.push(Code::UnitStopped, sentence);
            }
            (Load::Loaded, _) => {}
            (_, _) if was_started => {}
            (load, _) => {
                self.push(Code::UnitMissing, format!("{name}: is {}; install RKE2 into the image", load.as_str()));
            }
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
        let is_up = self.unit.as_ref().is_some_and(|unit| unit.active == Active::Active);
        // Where nobody can be asked, the record counts.
        let runs = if self.unit.is_some() { is_up } else { !host.is_real() };
        // The gate may still be open for the plan before this one.
        let is_installed = self.may_start && self.record.config() == INSTALLED;
        match self.record.plan {
            _ if self.word == Word::Refused => Word::Refused,
            Some(Decision::Refused) => Word::Refused,
            _ if !self.reasons.is_empty() => Word::Degraded,
            Some(Decision::Absent) => Word::NothingAsked,
            _ if self.waits.is_empty() && runs && is_installed => Word::Ok,
            _ => {
                if self.waits.is_empty() && !is_installed {
                    let who = self.record.role.map_or("RKE2", |role| role.unit().name());
                    self.wait(who, "the boot stages, which install its configuration", "");
                }
                Word::Pending
            }
        }
    }

    fn unit_state(&self) -> String {
        match &self.unit {
            None => "unknown".into(),
            Some(unit) if unit.load != Load::Loaded => unit.load.as_str().into(),
            Some(unit) => format!("{} ({})", unit.active.as_str(), unit.sub),
        }
    }

    /// For a person: the word, then a line for each fact, then the reasons.
    pub(crate) fn to_text(&self) -> String {
        let yes = |it: bool| if it { "yes" } else { "no" }.to_owned();
        let mut lines = vec![self.word.as_str().to_owned()];
        let mut fact = |name: &str, value: String| {
            if !value.is_empty() {
                lines.push(format!("{:<17}{value}", format!("{name}:")));
            }
        };
        fact("plan", self.record.plan.map_or("", Decision::as_str).into());
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
        let version = |it: &Option<Version>| it.as_ref().map(Version::to_string).unwrap_or_default();
        fact("rke2", version(&self.rke2));
        fact("data", version(&self.data));
        if let Some((Label { of, time, .. }, command, Copy { before, .. })) = &self.copy {
            fact("copy", format!("of the data of {of}, before {before}, {time}"));
            fact(
                "to go back",
                format!(
                    "on an only server, with {}.{} in the image and stopped: {command}",
                    of.minor().0,
                    of.minor().1
                ),
            );
        }
        fact("mode", identity::mode(&self.modes));
        fact("image", self.image.clone().unwrap_or_default());
        fact("boot", self.boot.clone());
        fact("time", self.time.clone());
        fact("version", self.record.version.clone());
        let mut text = lines.join("\n") + "\n";
        for reason in &self.reasons {
            let _ = writeln!(text, "because: {} [{}]", reason.sentence, reason.code.as_str());
        }
        text
    }

    /// One JSON object.
    pub(crate) fn to_json(&self) -> String {
        let waits = self.waits.iter().map(|it| json!({"who": it.who, "for": it.what, "since": it.since}));
        let reasons = self.reasons.iter().map(|it| json!({"code": it.code.as_str(), "message": it.sentence}));
        let copy = self.copy.as_ref().map(|(Label { of, time, is_old }, command, Copy { name, before, .. })| {
            json!({"name": name, "of": of, "before": before, "time": time, "is_old": is_old, "command": command})
        });
        let object = json!({
            "status": self.word.as_str(),
            "plan": self.record.plan.map(Decision::as_str),
            "role": self.record.role.map(Role::as_str),
            "unit": self.record.role.map(|role| role.unit().name()),
            "unit_state": self.unit_state(),
            "unit_since": self.unit.as_ref().map(|unit| &unit.since),
            "config": self.record.config(),
            "may_start": self.may_start,
            "restart_pending": self.restart_pending,
            "rke2": self.rke2,
            "data": self.data,
            "copy": copy,
            "image": self.image,
            "waits": waits.collect::<Vec<_>>(),
            "reasons": reasons.collect::<Vec<_>>(),
            "fingerprint": self.critical.as_ref().map(critical::fingerprint),
            "critical_options": self.critical,
            "boot": {"id": self.boot, "modes": self.modes},
            "time": self.time,
            "version": self.record.version,
        });
        format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
    }
}
