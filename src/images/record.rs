//! The record of what became of each archive, so that what is unchanged needs one look at its inode.
//!
//! It is a convenience: without it, or with one that does not parse, archives are compared with what lies in RKE2's directory and the
//! record is made anew.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::host::copy::{Present, Target};
use crate::host::walk::{Identity, Time};
use crate::host::{Error, Host};

/// Where it is, beside the identity of the node.
pub(crate) const PATH: &str = "/usr/local/lib/provider-rke2/images.json";

/// How much of it is read.
const LIMIT: u64 = 64 << 20;

/// What is known of all archives, by their absolute path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Record {
    /// RKE2's directory that this is about.
    pub target: String,
    /// Each archive that was looked at.
    pub archives: BTreeMap<String, Entry>,
}

/// What is known of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it was when it was looked at.
    pub identity: Identity,
    /// The checksum that it was held against.
    pub sha256: Option<String>,
    /// The file in RKE2's directory that is ours, by this archive or by what it was before it was refused.
    pub imported: Option<Ours>,
    /// Somebody else has put the same bytes into RKE2's directory.
    pub other: Option<Other>,
    /// It was refused, with this sentence.
    pub refused: Option<String>,
}

/// A file of ours in RKE2's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// The whole second of its modification time.
    pub second: i64,
}

/// Somebody else's file in RKE2's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its modification time.
    pub written: Time,
}

impl Ours {
    /// Whether what is there is what was put there.
    pub(crate) fn is(&self, present: &Present) -> bool {
        present.is_file && present.size == self.size && present.mtime == (self.second, 0)
    }

    /// Whether nobody has put something else under its name. A run that was cut off may have put a later copy there.
    pub(crate) fn is_not_replaced(&self, target: &Target) -> bool {
        target.get(&self.name).is_none_or(|present| present.is_marked || self.is(present))
    }
}

impl Record {
    /// Reads the record of a directory; an empty one if there is none, or it is of another directory or damaged.
    pub(crate) fn read(host: &Host, target: &str) -> Record {
        let archives = || {
            let record: Value = serde_json::from_slice(&host.read(PATH, LIMIT).ok()?).ok()?;
            let is_of_it = record.get("target")?.as_str()? == target;
            let archives = record.get("archives")?.as_object()?;
            let mut read = BTreeMap::new();
            for (path, value) in archives {
                read.insert(path.clone(), Entry::read(value)?);
            }
            is_of_it.then_some(read)
        };
        Record { target: target.to_owned(), archives: archives().unwrap_or_default() }
    }

    /// Writes it; nothing if there is nothing to write and never was.
    pub(crate) fn write(&self, host: &Host) -> Result<(), Error> {
        self.text(host).map_or(Ok(()), |text| host.install(PATH, text.as_bytes(), 0o600).map(drop))
    }

    /// The same in between, where losing it costs no more than a comparison.
    pub(crate) fn note(&self, host: &Host) -> Result<(), Error> {
        self.text(host).map_or(Ok(()), |text| host.put(PATH, text.as_bytes(), 0o600).map(drop))
    }

    fn text(&self, host: &Host) -> Option<String> {
        if self.archives.is_empty() && !host.exists(PATH) {
            return None;
        }
        let archives: Map<String, Value> =
            self.archives.iter().map(|(path, entry)| (path.clone(), entry.to_json())).collect();
        let record = json!({ "target": self.target, "archives": archives });
        Some(format!("{}\n", serde_json::to_string_pretty(&record).unwrap_or_default()))
    }

    /// The names of our files in RKE2's directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.archives.values().filter_map(|entry| Some(entry.imported.as_ref()?.name.as_str()))
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let Identity { size, mtime, ctime, inode } = self.identity;
        let mut value =
            json!({ "size": size, "mtime": [mtime.0, mtime.1], "ctime": [ctime.0, ctime.1], "inode": inode });
        let mut put = |key: &str, part: Option<Value>| {
            if let (Some(part), Some(object)) = (part, value.as_object_mut()) {
                object.insert(key.to_owned(), part);
            }
        };
        put("sha256", self.sha256.as_ref().map(|it| json!(it)));
        put(
            "imported",
            self.imported.as_ref().map(|it| json!({ "name": it.name, "size": it.size, "second": it.second })),
        );
        put("other", self.other.as_ref().map(|it| json!({ "name": it.name, "written": [it.written.0, it.written.1] })));
        put("refused", self.refused.as_ref().map(|it| json!(it)));
        value
    }

    /// Nothing if it is not what [`Entry::to_json`] makes.
    fn read(value: &Value) -> Option<Entry> {
        let time = |value: &Value| Some((value.get(0)?.as_i64()?, u32::try_from(value.get(1)?.as_u64()?).ok()?));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let ours = |it: &Value| {
            Some(Ours {
                name: text(it.get("name")?)?,
                size: it.get("size")?.as_u64()?,
                second: it.get("second")?.as_i64()?,
            })
        };
        let other = |it: &Value| Some(Other { name: text(it.get("name")?)?, written: time(it.get("written")?)? });
        Some(Entry {
            identity: Identity {
                size: value.get("size")?.as_u64()?,
                mtime: time(value.get("mtime")?)?,
                ctime: time(value.get("ctime")?)?,
                inode: value.get("inode")?.as_u64()?,
            },
            sha256: value.get("sha256").and_then(text),
            imported: value.get("imported").and_then(ours),
            other: value.get("other").and_then(other),
            refused: value.get("refused").and_then(text),
        })
    }
}
