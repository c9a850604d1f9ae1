//! A Kairos cluster provider plugin for RKE2: from the cluster section of a node's cloud-config to a running server or agent.
//!
//! ```text
//! plan    event ─► CloudConfig ─► Cluster ─► Plan ─► Document = cluster.kairos.yaml, and the gate
//!         (bus)    what the user   what it     what     the boot stages of yip
//!                  wrote, lines    means       will be
//! apply   Plan, drop-ins ─► config.yaml ─► gate open ─► unit queued
//! start   what must wait, and the record of what RKE2 is about to read
//! reset   RKE2's state, and what the steps leave, off the node
//! ```
//!
//! The core takes values and gives values; [`host::Host`] is the only door to files, processes and the clock. The modules are in the order
//! in which they use each other: each uses only those below it (`tests/it/house.rs`).
//!
//! For WebAssembly, the page of `crates/page`, there is no machine: what needs one is left out below, and nothing else differs.
#![cfg_attr(target_family = "wasm", allow(dead_code, unreachable_pub, reason = "what is left out used it"))]

#[cfg(not(target_family = "wasm"))]
pub mod bus;
#[cfg(not(target_family = "wasm"))]
pub mod cli;

// What a person is told beforehand; nothing of it runs at boot.
#[cfg(not(target_family = "wasm"))]
pub(crate) mod migrate;

pub mod check;

// What happens to a node, the last phase first.
#[cfg(not(target_family = "wasm"))]
pub(crate) mod reset;

#[cfg(not(target_family = "wasm"))]
pub(crate) mod install;

#[cfg(not(target_family = "wasm"))]
pub mod apply;

#[cfg(not(target_family = "wasm"))]
pub mod start;

#[cfg(not(target_family = "wasm"))]
pub mod plan;

// Subjects that phases share.
#[cfg(not(target_family = "wasm"))]
pub mod images;

#[cfg(not(target_family = "wasm"))]
pub(crate) mod status;

pub mod cluster;

pub mod environment;

#[cfg(not(target_family = "wasm"))]
pub mod service;

pub mod identity;

pub mod rke2;

// What all of them tell and use.
#[cfg(not(target_family = "wasm"))]
pub mod report;

pub mod findings;

#[cfg(not(target_family = "wasm"))]
pub mod host;

pub mod text;

/// The node, and this program on it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The door to the node.
    pub host: &'a host::Host,
    /// The absolute path of this program, as boot stages and units call it.
    pub program: &'a str,
    /// Its version, for the log and the status.
    pub version: &'a str,
}

/// The version of this program with its git revision.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("GIT_REVISION"), ")");

// What is left of those modules without a machine: the files that ask none.
#[cfg(target_family = "wasm")]
#[path = "cli/page.rs"]
pub mod cli;

#[cfg(target_family = "wasm")]
mod plan {
    pub(crate) mod document;
    #[allow(clippy::module_inception, reason = "the plan of the plan phase")]
    pub(crate) mod plan;
    pub(crate) mod values;
}

#[cfg(target_family = "wasm")]
mod images {
    pub(crate) mod archive;
    pub(crate) mod expected;
    pub(crate) mod request;
}

#[cfg(target_family = "wasm")]
mod service {
    pub(crate) mod kind;
}

#[cfg(target_family = "wasm")]
mod report {
    pub(crate) mod outcome;
    pub(crate) mod stdio;
}

#[cfg(target_family = "wasm")]
#[path = "host/nowhere.rs"]
pub mod host;
