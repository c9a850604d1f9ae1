//! What was looked at, and what is to be said of it.

use crate::cluster::Cluster;
use crate::cluster::cloud_config::Section;
use crate::findings::Findings;

/// A cloud-config that was judged.
#[derive(Debug, Default)]
pub struct Judged {
    /// Its cluster section, if it has one.
    pub section: Option<Section>,
    /// What it means; nothing if there is none, or if it is refused.
    pub cluster: Option<Cluster>,
    /// What was found.
    pub findings: Findings,
    /// The name that it gives the node.
    pub(super) hostname: Option<String>,
}

/// What a path is to Kairos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A whole cloud-config in one file.
    Whole,
    /// One that is merged of files.
    Directory,
    /// One of the files of a directory.
    OfDirectory,
}

/// A file that was looked at, or a directory.
#[derive(Debug)]
pub(crate) struct Seen {
    /// As a person calls it.
    pub name: String,
    /// What it is to Kairos.
    pub part: Part,
    /// What is to be said of it.
    pub judged: Judged,
    /// The text of a file.
    pub text: String,
}
