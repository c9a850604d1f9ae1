//! What this boot came to, for `status`, for support bundles and for the person at the console.

use crate::cluster::Role;
use crate::emit::{self, Item};
use crate::host::{Error, Host};

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

/// Writes the state and, where a person has to act, the sentences above the login prompt.
pub fn write(host: &Host, version: &str, outcome: Outcome, sentences: &[String]) -> Result<(), Error> {
    let mut entries = vec![("version", Item::text(version)), ("plan", Item::text(outcome.as_str()))];
    if let Outcome::Planned(role) = outcome {
        entries.push(("role", Item::text(role.as_str())));
        entries.push(("unit", Item::text(role.unit())));
    }
    entries.push(("reasons", Item::List(sentences.iter().map(|it| Item::text(it)).collect())));
    let status = Item::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    host.install(STATUS, emit::to_yaml(&status).as_bytes(), 0o600, false)?;
    if sentences.is_empty() {
        host.remove(ISSUE)?;
    } else {
        // agetty takes a backslash for the start of an escape sequence.
        let lines: Vec<String> =
            sentences.iter().map(|it| format!("provider-rke2: {}\n", it.replace('\\', "\\\\"))).collect();
        host.install(ISSUE, lines.concat().as_bytes(), 0o644, false)?;
    }
    Ok(())
}
