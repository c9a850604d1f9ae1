//! What a reset is asked for, its phases, and what is done in them.

use std::fmt;
use std::time::Duration;

use crate::host::mounts::Mount;
use crate::host::process::Process;
use crate::rke2::Unit;
use crate::text::escape::escape;

/// What is asked for.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Request {
    /// The password by which the cluster knows this node goes too.
    pub node_password: bool,
    /// Only stops, unmounts and clears the network; nothing is deleted, and RKE2 may be started again.
    pub keep_state: bool,
    /// How long it may take.
    pub timeout: Duration,
}

/// The parts of a reset, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing starts RKE2 any more.
    Gate,
    /// The units are stopped.
    Units,
    /// What runs from the data directory ends.
    Processes,
    /// What is mounted there is taken away.
    Mounts,
    /// Interfaces and rules.
    Network,
    /// Control groups of pods, which are empty by then.
    Groups,
    /// Files.
    State,
    /// The document, last: until then a reset that was cut off can be repeated with what it says.
    Document,
}

impl Phase {
    /// All of them, in order.
    pub(crate) const ALL: [Phase; 8] = [
        Phase::Gate,
        Phase::Units,
        Phase::Processes,
        Phase::Mounts,
        Phase::Network,
        Phase::Groups,
        Phase::State,
        Phase::Document,
    ];

    /// Whether it belongs to a reset that keeps the state.
    pub(crate) fn is_for(self, request: &Request) -> bool {
        !request.keep_state || !matches!(self, Phase::Gate | Phase::Groups | Phase::State | Phase::Document)
    }
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Keeps RKE2 from being started until the node is planned anew.
    ShutGate,
    /// Stops a unit and waits until it is gone.
    Stop {
        /// Which.
        unit: Unit,
    },
    /// Ends a process.
    End(Process),
    /// Unmounts.
    Unmount {
        /// What.
        mount: Mount,
        /// Whether it may go lazily.
        lazily: bool,
        /// Whether unmounts below it would reach copies that are none of our business.
        private: bool,
    },
    /// Runs a tool of the host.
    Run {
        /// What comes of it.
        what: String,
        /// The tool and its arguments.
        command: Vec<String>,
        /// What it reads.
        input: String,
    },
    /// Removes a tree of control groups without processes.
    RemoveGroups {
        /// Where.
        path: String,
    },
    /// Deletes a network interface.
    DeleteLink {
        /// Its name.
        name: String,
    },
    /// Deletes a file, or a directory with all that is in it.
    Delete {
        /// Where.
        path: String,
        /// Whether it may itself be a mount, which is then emptied and stays.
        mounted: bool,
    },
    /// Removes a directory that is empty by then.
    RemoveEmpty {
        /// Where.
        path: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Action::ShutGate => write!(out, "shut the gate: no RKE2 before the node is planned anew"),
            Action::Stop { unit } => write!(out, "stop {unit}"),
            Action::End(process) => write!(out, "end process {} ({})", process.pid, escape(&process.executable)),
            Action::Unmount { mount, .. } => write!(out, "unmount {} ({})", escape(&mount.point), escape(&mount.kind)),
            Action::Run { what, .. } => out.write_str(what),
            Action::RemoveGroups { path } => write!(out, "remove the control groups {}", escape(path)),
            Action::DeleteLink { name } => write!(out, "delete the network interface {name}"),
            Action::Delete { path, .. } => write!(out, "delete {}", escape(path)),
            Action::RemoveEmpty { path } => write!(out, "remove {}, which is empty then", escape(path)),
        }
    }
}
