//! What this boot came to, for `status`, for support bundles and for the person at the console.

use std::collections::BTreeMap;

use crate::cluster::Role;
use crate::emit::{self, Item};
use crate::gate;
use crate::host::{Error, Host};
use crate::prestart;
use crate::service::{self, Unit};
use crate::yaml::{self, Node, OPTIONS};

/// The machine-readable state of this boot.
const STATUS: &str = "/run/provider-rke2/status.yaml";

/// What agetty shows above the login prompt (agetty(8), issue.d).
const ISSUE: &str = "/etc/issue.d/50-provider-rke2.issue";

/// What the plan phase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is a plan.
    Planned(Role),
    /// The cluster section was refused.
    Refused,
    /// It is unknown whether there is a cluster section; the last plan stays in force.
    Unreadable,
    /// There is no cluster section.
    Absent,
}

impl Outcome {
    /// The word that is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Planned(_) => "planned",
            Outcome::Refused => "refused",
            Outcome::Unreadable => "unreadable",
            Outcome::Absent => "absent",
        }
    }
}

/// What is known about this boot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Status {
    /// The version that wrote it last.
    pub version: String,
    /// What the plan phase came to ([`Outcome::as_str`]); empty if it has not run.
    pub plan: String,
    /// The role of the plan; empty without one.
    pub role: String,
    /// The unit of the plan; empty without one.
    pub unit: String,
    /// `installed`, `failed`, or empty if the configuration was not installed in this boot.
    pub config: String,
    /// Why something is not as asked for: the plan, the configuration.
    pub reasons: Vec<String>,
    /// Why a step that is not the configuration failed, by its name.
    pub steps: BTreeMap<String, Vec<String>>,
}

impl Status {
    /// Reads the state of this boot; all is empty if there is none.
    pub fn read(host: &Host) -> Status {
        let text = host.read(STATUS, OPTIONS.bytes as u64).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let Ok(document) = yaml::read(&text.unwrap_or_default(), OPTIONS) else { return Status::default() };
        let text = |node: &Node| node.scalar().map(|it| it.text.clone()).unwrap_or_default();
        let get = |key: &str| document.root.get(key).map(text).unwrap_or_default();
        let texts = |node: &Node| node.items().iter().map(text).collect();
        let steps = document.root.get("steps").map(Node::entries).unwrap_or_default();
        Status {
            version: get("version"),
            plan: get("plan"),
            role: get("role"),
            unit: get("unit"),
            config: get("config"),
            reasons: document.root.get("reasons").map(texts).unwrap_or_default(),
            steps: steps.iter().map(|(step, reasons)| (step.scalar.text.clone(), texts(reasons))).collect(),
        }
    }

    /// Its entries, without the empty ones.
    fn entries(&self) -> Vec<(String, Item)> {
        let texts = [
            ("version", &self.version),
            ("plan", &self.plan),
            ("role", &self.role),
            ("unit", &self.unit),
            ("config", &self.config),
        ];
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut entries: Vec<_> = given.map(|(key, text)| (key.to_owned(), Item::text(text))).collect();
        entries.push(("reasons".into(), list(&self.reasons)));
        if !self.steps.is_empty() {
            let steps = self.steps.iter().map(|(step, reasons)| (step.clone(), list(reasons)));
            entries.push(("steps".into(), Item::Map(steps.collect())));
        }
        entries
    }

    /// Everything that is not as asked for.
    fn all_reasons(&self) -> Vec<String> {
        self.reasons.iter().chain(self.steps.values().flatten()).cloned().collect()
    }

    /// Writes the state and, where a person has to act, the sentences above the login prompt.
    fn write(&self, host: &Host) -> Result<(), Error> {
        // The person at the console is told even if the file for machines cannot be written.
        let written = host.install(STATUS, emit::to_yaml(&Item::Map(self.entries())).as_bytes(), 0o600, false);
        let reasons = self.all_reasons();
        if reasons.is_empty() {
            host.remove(ISSUE)?;
        } else {
            // agetty takes a backslash for the start of an escape sequence.
            let line = |it: &String| format!("provider-rke2: {}\n", it.replace('\\', "\\\\"));
            let lines: String = reasons.iter().map(line).collect();
            host.install(ISSUE, lines.as_bytes(), 0o644, false)?;
        }
        written.map(drop)
    }
}

/// Says what the plan phase came to.
pub fn planned(host: &Host, version: &str, outcome: Outcome, reasons: &[String]) -> Result<(), Error> {
    let role = match outcome {
        Outcome::Planned(role) => Some(role),
        _ => None,
    };
    let status = Status {
        version: version.into(),
        plan: outcome.as_str().into(),
        role: role.map(Role::as_str).unwrap_or_default().into(),
        unit: role.map(Role::unit).unwrap_or_default().into(),
        config: String::new(),
        reasons: reasons.to_vec(),
        steps: BTreeMap::new(),
    };
    status.write(host)
}

/// Says what became of the configuration. The reasons of a plan that is not in force stay.
pub fn configured(host: &Host, version: &str, role: Option<Role>, failures: &[String]) -> Result<(), Error> {
    let mut status = Status::read(host);
    if status.plan != Outcome::Refused.as_str() && status.plan != Outcome::Unreadable.as_str() {
        status.reasons.clear();
    }
    status.reasons.extend(failures.iter().filter(|it| !status.reasons.contains(it)).cloned().collect::<Vec<_>>());
    status.config = if failures.is_empty() { "installed" } else { "failed" }.into();
    status.version = version.into();
    if let Some(role) = role {
        (status.role, status.unit) = (role.as_str().into(), role.unit().into());
    }
    status.write(host)
}

/// Says what became of a step other than the configuration.
pub fn step(host: &Host, version: &str, step: &str, failures: &[String]) -> Result<(), Error> {
    let mut status = Status::read(host);
    let before = status.steps.remove(step).unwrap_or_default();
    if before == failures {
        return Ok(());
    }
    if !failures.is_empty() {
        status.steps.insert(step.into(), failures.to_vec());
    }
    status.version = version.into();
    status.write(host)
}

fn list(texts: &[String]) -> Item {
    Item::List(texts.iter().map(|it| Item::text(it)).collect())
}

/// What a person or a machine is told: the state of this boot, and what is so at this moment.
#[derive(Debug)]
pub struct Report {
    status: Status,
    ready: bool,
    unit_state: String,
    /// The unit runs with something else than what is asked for now.
    restart_pending: bool,
}

impl Report {
    /// Looks at the node.
    pub fn of(host: &Host) -> Report {
        let mut status = Status::read(host);
        status.reasons = status.all_reasons();
        status.steps.clear();
        let ready = !status.unit.is_empty() && gate::is_open(host, &status.unit);
        let manager = service::running(host).filter(|_| !status.unit.is_empty());
        let unit = manager.map_or(Ok(Unit::default()), |manager| manager.show(&status.unit));
        let unit_state = match unit {
            Ok(unit) if unit.load.is_empty() => "unknown".to_owned(),
            Ok(unit) if unit.load != "loaded" => unit.load,
            Ok(unit) => format!("{} ({})", unit.active, unit.sub),
            Err(error) => {
                status.reasons.push(error.to_string());
                "unknown".to_owned()
            }
        };
        if !ready && status.reasons.is_empty() && status.plan == "planned" {
            status.reasons.push(format!("{}: its configuration is not installed yet", status.unit));
        }
        let runs = unit_state.starts_with("active") || unit_state.starts_with("activating");
        let restart_pending = runs && prestart::changed(host, &status.unit) == Some(true);
        Report { status, ready, unit_state, restart_pending }
    }

    /// Whether everything is as asked for, or nothing is asked for.
    pub fn is_ok(&self) -> bool {
        self.status.reasons.is_empty()
    }

    fn entries(&self) -> Vec<(String, Item)> {
        let mut entries = self.status.entries();
        entries.push(("ready".into(), Item::Bool(self.ready)));
        entries.push(("unit_state".into(), Item::text(&self.unit_state)));
        entries.push(("restart_pending".into(), Item::Bool(self.restart_pending)));
        entries
    }

    /// As YAML, which a person reads as it is.
    pub fn to_text(&self) -> String {
        emit::to_yaml(&Item::Map(self.entries()))
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        let value = |item: Item| match item {
            Item::Text(it) => serde_json::Value::String(it),
            Item::Bool(it) => serde_json::Value::Bool(it),
            Item::List(items) => {
                items.into_iter().map(|it| if let Item::Text(it) = it { it } else { String::new() }).collect()
            }
            Item::Int(_) | Item::Map(_) => serde_json::Value::Null,
        };
        let object: serde_json::Map<_, _> = self.entries().into_iter().map(|(key, item)| (key, value(item))).collect();
        format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
    }
}
