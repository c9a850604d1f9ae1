//! What the node already is: the mode of its boot, the state that RKE2 has left on it, what it became, and what that forbids.

pub mod accept;
pub(crate) mod critical;
pub(crate) mod data;
mod disk;
pub(crate) mod guards;
pub mod home;
pub(crate) mod image;
pub(crate) mod recall;
pub(crate) mod record;

use crate::host::Host;

/// The modes of a Kairos boot in which a node is not to become part of a cluster (kairos `sdk/state`, `/run/cos`).
const IDLE_MODES: [&str; 4] = ["recovery_mode", "live_mode", "autoreset_mode", "uki_install_mode"];

/// Whether this boot is in one of the modes in which nothing is done and nothing removed.
pub(crate) fn is_idle(host: &Host) -> bool {
    IDLE_MODES.iter().any(|mode| host.exists(&format!("/run/cos/{mode}")))
}

/// The words of this boot: `active_mode`, `passive_mode`, `uki_boot_mode`, `in_ram_mode`, … None where Kairos does not run.
pub(crate) fn modes(host: &Host) -> Vec<String> {
    let names = host.list("/run/cos").unwrap_or_default();
    names.into_iter().filter(|name| name.ends_with("_mode")).collect()
}

/// The same as people say it: `active`, or `passive, uki boot`.
pub(crate) fn mode(modes: &[String]) -> String {
    let words: Vec<String> = modes.iter().map(|it| it.trim_end_matches("_mode").replace('_', " ")).collect();
    words.join(", ")
}

/// What RKE2 has left on a node.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The data of a server.
    pub server: bool,
    /// The certificates of an agent.
    pub agent: bool,
}

impl State {
    /// Whether there is anything, so that an upgrade must not stop the node.
    pub(crate) fn is_any(self) -> bool {
        self.server || self.agent
    }
}

/// What RKE2 has left in a data directory of this node.
pub fn state(host: &Host, data_dir: &str) -> State {
    let exists = |path: &str| host.exists(&format!("{data_dir}/{path}"));
    State { server: exists("server/db") || exists("server/tls"), agent: exists("agent/client-kubelet.crt") }
}
