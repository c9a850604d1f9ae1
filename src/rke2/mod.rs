//! Facts of RKE2: its units, what it reads, how it reads it, and which of it is installed.

pub(crate) mod defaults;
pub mod drop_in;
pub(crate) mod effective;
pub mod facts;
pub(crate) mod flags;
mod go_build;
pub(crate) mod installed;
pub mod merge;
pub mod options;
pub(crate) mod overrides;
pub(crate) mod profile;
pub(crate) mod values;
pub mod version;

use std::fmt;

/// Where RKE2 holds its state if nothing else is said.
pub const DATA_DIR: &str = "/var/lib/rancher/rke2";

/// Where RKE2 unpacks a release before it gets its name: `runtime-` and a number (Go `os.MkdirTemp`). Nobody needs what is
/// there once RKE2 has ended.
pub(crate) fn is_unpacking(name: &str) -> bool {
    name.strip_prefix("runtime-").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// RKE2's unit: one of servers, one of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// `rke2-server`
    Server,
    /// `rke2-agent`
    Agent,
}

impl Unit {
    /// Both of them.
    pub const ALL: [Unit; 2] = [Unit::Server, Unit::Agent];

    /// The unit of a name.
    pub(crate) fn of(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Its name, without the suffix of systemd.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Server => "rke2-server",
            Unit::Agent => "rke2-agent",
        }
    }

    /// The unit of the other role.
    #[must_use]
    pub(crate) fn other(self) -> Unit {
        if self == Unit::Server { Unit::Agent } else { Unit::Server }
    }

    /// What runs it, in the plural, for messages.
    pub(crate) fn nodes(self) -> &'static str {
        if self == Unit::Server { "servers" } else { "agents" }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rke2_unpacks_into_numbered_directories() {
        assert!(is_unpacking("runtime-123456") && is_unpacking("runtime-1"));
        assert!(!is_unpacking("runtime-") && !is_unpacking("runtime-notes") && !is_unpacking("runtime"));
    }
}
