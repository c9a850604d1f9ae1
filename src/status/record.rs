//! The record of this boot: what each phase and step came to.

use std::collections::BTreeMap;

use crate::cluster::role::Role;
use crate::findings::Reason;
use crate::findings::code::{Code, Severity};
use crate::host::Host;
use crate::text::collected;
use crate::text::emit::{self, Item};
use crate::text::yaml::{self, Node};

/// Where it is.
pub(crate) const PATH: &str = "/run/provider-rke2/status.yaml";

/// How much of it is read.
const LIMIT: u64 = 16 << 20;

/// The key that stands last in it, so that it is there only if the record is whole.
const LAST: &str = "waits";

/// The step that installs the configuration.
const CONFIG: &str = "config";

/// What is said of it where it has been there.
pub(super) const INSTALLED: &str = "installed";

/// What the plan phase decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// There is a plan.
    Planned,
    /// The cluster section was refused, or its plan could not be carried out.
    Refused,
    /// It is unknown whether there is a cluster section; the last plan stays in force.
    Unreadable,
    /// There is no cluster section.
    Absent,
}

impl Decision {
    const ALL: [Decision; 4] = [Decision::Planned, Decision::Refused, Decision::Unreadable, Decision::Absent];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Decision::Planned => "planned",
            Decision::Refused => "refused",
            Decision::Unreadable => "unreadable",
            Decision::Absent => "absent",
        }
    }
}

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The phase or step that waits.
    pub who: String,
    /// What it waits for.
    pub what: String,
    /// Since when, as RFC 3339 writes it, or in the words of the service manager.
    pub since: String,
    /// The number of the process that waits; empty where it is no process of ours.
    pub pid: String,
}

/// What a step came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether it could not do what is asked of it.
    pub failed: bool,
    /// Why, and what else is an error.
    pub reasons: Vec<Reason>,
}

/// What is known about this boot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The version that wrote it last.
    pub version: String,
    /// What the plan phase came to; nothing if it has not finished in this boot.
    pub plan: Option<Decision>,
    /// The role of the plan in force.
    pub role: Option<Role>,
    /// Why the plan is not as asked for.
    pub reasons: Vec<Reason>,
    /// The steps that ran, by name.
    pub steps: BTreeMap<String, Step>,
    /// What is waited for.
    pub waits: Vec<Wait>,
}

impl Record {
    /// Reads the record of this boot. Fails if there is none, if it cannot be read, and if it is not whole.
    pub(crate) fn read(host: &Host) -> Result<Record, Missing> {
        let bytes = host.read(PATH, LIMIT).map_err(|error| match error.is_absent() {
            true => Missing::Absent,
            false => Missing::Unreadable(error.to_string()),
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let document = yaml::read(&text, yaml::CLOUD_CONFIG).ok().filter(|document| document.root.get(LAST).is_some());
        let not_whole = || Missing::Unreadable(format!("{PATH}: is not whole; run agent.boot again, or reboot"));
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
            plan: Decision::ALL.into_iter().find(|plan| plan.as_str() == text(root, "plan")),
            role: Role::of(&text(root, "role")),
            reasons: reasons(root),
            steps: collected(steps.iter().map(|(name, node)| (name.scalar.text.clone(), step(node)))),
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
    pub(crate) fn config(&self) -> &'static str {
        match self.steps.get(CONFIG) {
            None => "",
            Some(step) if step.failed => "failed",
            Some(_) => INSTALLED,
        }
    }

    /// Its text.
    pub(crate) fn to_yaml(&self) -> String {
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
            ("plan", self.plan.map_or("", Decision::as_str)),
            ("role", self.role.map_or("", Role::as_str)),
            ("unit", self.role.map_or("", |role| role.unit().name())),
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
    pub(crate) fn all_reasons(&self) -> Vec<Reason> {
        let mut all: Vec<Reason> = Vec::new();
        for reason in self.reasons.iter().chain(self.steps.values().flat_map(|step| &step.reasons)) {
            if !all.iter().any(|it| without_place(&it.sentence) == without_place(&reason.sentence)) {
                all.push(reason.clone());
            }
        }
        all
    }
}

/// A sentence without the file and line that a plan knows of, and a step does not.
fn without_place(sentence: &str) -> &str {
    let place = sentence.strip_suffix(')').and_then(|rest| rest.rsplit_once(" ("));
    let is_place = |text: &str| text.rsplit_once(" line ").is_some_and(|(_, line)| line.parse::<usize>().is_ok());
    place.filter(|(_, place)| is_place(place)).map_or(sentence, |(bare, _)| bare)
}

/// Why there is no record.
#[derive(Debug)]
pub(crate) enum Missing {
    /// There is none.
    Absent,
    /// There is one; the sentence says why it cannot be read.
    Unreadable(String),
}
