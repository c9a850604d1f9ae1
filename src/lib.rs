//! A Kairos cluster provider plugin for RKE2: from the cluster section of a node's cloud-config to a running server or agent.
//!
//! ```text
//! plan   event ─► CloudConfig ─► Cluster ─► Plan ─► Document = cluster.kairos.yaml, and the gate
//!        (bus)    what the user   what it     what     the boot stages of yip
//!                 wrote, lines    means       will be
//! apply  Staged, DropIn* ─► Config = config.yaml ─► gate open ─► unit queued
//! start  prestart: what must wait, and the record of what RKE2 is about to read
//! ```
//!
//! The core takes values and gives values; [`host::Host`] is the only door to files, processes and the clock.

pub mod boot;
pub mod bus;

pub mod certificates;
pub mod cloud_config;
pub mod cluster;
pub mod document;
pub mod find;
pub mod plan;

pub mod accounts;
pub mod apply;
pub mod config;
pub mod environment;
pub mod images;
pub mod no_proxy;
pub mod overrides;
pub mod prestart;
pub mod report;
pub mod service;
pub mod staged;
pub mod steps;
pub mod sysctl;
pub mod template;

pub mod check;
pub mod drop_in;
pub mod emit;
pub mod options;
pub mod yaml;

pub mod gate;
pub mod node;
pub mod reset;
pub mod rke2;
pub mod scripts;
pub mod whose;

pub mod cli;
pub mod host;
pub mod log;
pub mod stdio;

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
