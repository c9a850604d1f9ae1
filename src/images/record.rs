//! The record of what became of each archive, so that what is unchanged needs one look at its inode.
//!
//! It is a convenience: without it, or with one that does not parse, archives are compared with what lies in RKE2's directory and the
//! record is made anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Identity, Present, Time};
use crate::host::{Error, Host};

/// Where it is, beside the identity of the node.
pub const PATH: &str = "/usr/local/lib/provider-rke2/images.json";

/// How much of it is read.
const LIMIT: u64 = 64 << 20;

/// What is known of all archives, by their absolute path.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// RKE2's directory that this is about.
    pub target: String,
    /// Each archive that was looked at.
    pub archives: BTreeMap<String, Entry>,
}

/// What is known of one archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As it was when it was looked at.
    #[serde(flatten)]
    pub identity: Identity,
    /// The checksum that it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The file in RKE2's directory that is ours, by this archive or by what it was before it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Ours>,
    /// Somebody else has put the same bytes into RKE2's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Other>,
    /// It was refused, with this sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A file of ours in RKE2's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// The whole second of its modification time.
    pub second: i64,
}

/// Somebody else's file in RKE2's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its modification time.
    pub written: Time,
}

impl Ours {
    /// Whether what is there is what was put there.
    pub fn is(&self, present: &Present) -> bool {
        present.is_file && present.size == self.size && present.mtime == (self.second, 0)
    }
}

impl Record {
    /// Reads the record of a directory; an empty one if there is none, or it is of another directory or damaged.
    pub fn read(host: &Host, target: &str) -> Record {
        let empty = || Record { target: target.to_owned(), archives: BTreeMap::new() };
        let read = host.read(PATH, LIMIT).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.filter(|record: &Record| record.target == target).unwrap_or_else(empty)
    }

    /// Writes it; nothing if it is there already.
    pub fn write(&self, host: &Host, durable: bool) -> Result<(), Error> {
        if self.archives.is_empty() && !host.exists(PATH) {
            return Ok(());
        }
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        host.install(PATH, text.as_bytes(), 0o600, durable).map(drop)
    }

    /// The names of our files in RKE2's directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.archives.values().filter_map(|entry| Some(entry.imported.as_ref()?.name.as_str()))
    }
}
