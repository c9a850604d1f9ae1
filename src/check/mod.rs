//! What `check` says beyond what the boot says: files that the cloud-config writes beside its section, a directory as Kairos merges it, the
//! nodes of one cluster against each other, the image that they run.
//!
//! Values in, findings out. Nothing here runs on a node that boots.

mod beside;
mod encoded;
mod helm;
mod kubelet;
mod manifest;
mod options;
mod registries;
mod written;

use crate::cluster::cloud_config::{self, Section};
use crate::cluster::{self, Cluster};
use crate::findings::Findings;
use crate::host::Host;
use crate::rke2::version::Version;

/// A cloud-config that was judged.
#[derive(Debug)]
pub struct Judged {
    /// Its cluster section, if it has one.
    pub section: Option<Section>,
    /// What it means; nothing if there is none, or if it is refused.
    pub cluster: Option<Cluster>,
    /// What was found.
    pub findings: Findings,
}

/// Judges the text of one cloud-config: its section as the boot does, and the files that it writes.
pub fn of_text(host: &Host, text: &str) -> Judged {
    of_text_for(host, text, None)
}

/// The same for a version of RKE2; without one for that of the image, as far as it is known.
pub fn of_text_for(host: &Host, text: &str, version: Option<&Version>) -> Judged {
    let mut files = Vec::new();
    let (section, mut findings) = cloud_config::of_file_with(text, &mut |root| files = written::files(root));
    let cluster = section.as_ref().and_then(|section| {
        let mut home = cluster::home(host, section);
        home.version = version.cloned().or(home.version);
        cluster::understand(section, &home, &mut findings)
    });
    if let Some(section) = &section {
        beside::judge(&files, section, cluster.as_ref(), &mut findings);
    }
    findings.sort();
    Judged { section, cluster, findings }
}
