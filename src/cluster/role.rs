//! `cluster.role`: what the node does in the cluster.

use super::reader::{OtherType, Reader};
use crate::findings::code::{Code, Severity};
use crate::rke2::Unit;
use crate::text::escape::quoted;
use crate::text::odd;

/// What the node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Founds the cluster: its first server.
    Init,
    /// Joins as a server.
    ControlPlane,
    /// Joins as an agent.
    Worker,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Role; 3] = [Role::Init, Role::ControlPlane, Role::Worker];

    /// The role of a word of the cloud-config.
    pub(crate) fn of(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// The word of the cloud-config.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Init => "init",
            Role::ControlPlane => "controlplane",
            Role::Worker => "worker",
        }
    }

    /// The service that runs it.
    pub fn unit(self) -> Unit {
        if self == Role::Worker { Unit::Agent } else { Unit::Server }
    }

    /// Whether it joins a cluster that another node founded.
    pub(crate) fn joins(self) -> bool {
        self != Role::Init
    }
}

const ALL: &str = "init on the first server, controlplane on a server that joins, worker on an agent";

/// Reads the key; a node with state of a server keeps what the Go provider took every other word for, a joining server.
pub(crate) fn read(reader: &mut Reader) -> Option<Role> {
    let is_text = reader.get("role").is_none_or(|(_, node)| node.scalar().is_some());
    let given = reader.filled("role", "init, controlplane or worker", OtherType::IsRefused);
    if !is_text {
        return None;
    }
    let (code, rest) = match given.as_ref().map(|given| given.scalar.text.as_str()) {
        None => (Code::RoleMissing, format!("is missing; write {ALL}")),
        Some(word) => match Role::of(word) {
            Some(role) => return Some(role),
            None if odd::character(word).is_some() || is_gap(word) => {
                let what = odd::character(word).filter(|_| !is_gap(word));
                let what = what.unwrap_or("a placeholder that nobody has filled in");
                (Code::RoleUnknown, format!("has {what}; write {}", meant(&odd::without(word))))
            }
            None if is_word(word) => {
                (Code::RoleUnknown, format!("{} is not a role; write {}", quoted(word), meant(word)))
            }
            None => (Code::RoleUnknown, format!("is not a role; write {}", meant(word))),
        },
    };
    let at = given.map_or_else(|| reader.at("role"), |given| given.at);
    if reader.home.state.server {
        let rest =
            format!("{rest} (this node has state of a server, so it is taken for a server that joins, as before)");
        reader.findings.push(Severity::Warning, code, at, &rest);
        return Some(Role::ControlPlane);
    }
    reader.findings.refuse(code, at, &rest);
    None
}

fn is_gap(word: &str) -> bool {
    odd::has_gap(word) || word.contains("{{")
}

/// What a word that is not a role most likely stands for.
fn meant(word: &str) -> &'static str {
    match word.trim().to_ascii_lowercase().as_str() {
        "init" | "bootstrap" | "cluster-init" | "first" => "init",
        "master" | "server" | "control-plane" | "control_plane" | "controlplane" | "control plane" | "cp" | "etcd"
        | "controller" => "controlplane, or init on the first server",
        "agent" | "node" | "worker" | "workers" | "minion" => "worker",
        _ => ALL,
    }
}

/// Whether a text reads like a role that somebody meant. Anything else may be a token that slipped into the line, and is not quoted.
fn is_word(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
}
