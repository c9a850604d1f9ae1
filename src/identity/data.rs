//! Which version of RKE2 a server's data was used with, and the copy of it that is made before a newer one.

use serde_json::{Value, json};

use crate::host::{Error, Host};
use crate::rke2::version::Version;

/// What this node became, outside of the data directory.
const NODE: &str = "/usr/local/lib/provider-rke2/node.json";

/// How much of a record is read.
const LIMIT: u64 = 1 << 20;

/// How the name of a copy begins, beside the data.
const BEFORE: &str = "db-before-";

/// The file in a copy that says what it is. It moves with the copy: data that were put back have it.
const LABEL: &str = ".provider-rke2.json";

/// What RKE2 leaves in data that it was told to restore or to reset, until it is started the next time (k3s `pkg/etcd/etcd.go`).
const RESET: &str = "reset-flag";

/// The highest version of RKE2 that a server's data was used with, as far as it is known.
///
/// It is not known where somebody has just restored a snapshot. Else that is what a copy says that was put back; else what the node remembers
/// of this directory; else what RKE2 has left there: each version
/// unpacks its programs into `data/v1.33.4-rke2r1-<hash>` before it touches the data (rke2 `pkg/bootstrap/bootstrap.go`).
pub(crate) fn version(host: &Host, data_dir: &str) -> Option<Version> {
    let db = format!("{data_dir}/server/db");
    if host.exists(&format!("{db}/{RESET}")) {
        return None;
    }
    let put_back = Label::read(host, &db).map(|label| label.of);
    put_back.or_else(|| remembered(host, data_dir)).or_else(|| unpacked(host, data_dir))
}

/// Says in data that were put back or restored which version is about to use them: `next`, if it was not a higher one.
pub(crate) fn mark(host: &Host, data_dir: &str, next: &Version, time: &str) -> Result<(), Error> {
    let db = format!("{data_dir}/server/db");
    let is_restored = host.exists(&format!("{db}/{RESET}"));
    let label = Label::read(host, &db).filter(|_| !is_restored);
    if is_restored || label.is_some_and(|label| label.of < *next) {
        return Label { of: next.clone(), time: time.to_owned(), is_old: false }.write(host, &db);
    }
    Ok(())
}

/// What the node remembers.
fn remembered(host: &Host, data_dir: &str) -> Option<Version> {
    let node: Value = serde_json::from_slice(&host.read(NODE, LIMIT).ok()?).ok()?;
    let text = |key: &str| node.get(key).and_then(Value::as_str);
    let versions = ["started", "ready"].into_iter().filter_map(|key| text(key)?.parse().ok());
    versions.max().filter(|_| text("data_dir") == Some(data_dir))
}

/// The highest version that has unpacked its programs.
fn unpacked(host: &Host, data_dir: &str) -> Option<Version> {
    let names = host.list(&format!("{data_dir}/data")).unwrap_or_default();
    names.iter().filter_map(|name| name.rsplit_once('-')?.0.parse().ok()).filter(Version::is_rke2).max()
}

/// What stands in a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The highest version that the data was used with.
    pub of: Version,
    /// When it was made.
    pub time: String,
    /// Whether an older version has used the data since: the copy is of what was before.
    pub is_old: bool,
}

impl Label {
    fn read(host: &Host, directory: &str) -> Option<Label> {
        let label: Value = serde_json::from_slice(&host.read(&format!("{directory}/{LABEL}"), LIMIT).ok()?).ok()?;
        let text = |key: &str| label.get(key).and_then(Value::as_str);
        Some(Label {
            of: text("of")?.parse().ok()?,
            time: text("time").unwrap_or_default().to_owned(),
            is_old: label.get("is_old").and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    /// Puts it into a copy.
    pub(crate) fn write(&self, host: &Host, directory: &str) -> Result<(), Error> {
        let label = json!({"of": self.of, "time": self.time, "is_old": self.is_old});
        host.install(&format!("{directory}/{LABEL}"), format!("{label}\n").as_bytes(), 0o600).map(drop)
    }
}

/// A copy of a server's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Its name, beside the data.
    pub name: String,
    /// The version that was to use the data next, as the name says.
    pub before: Version,
    /// What it says of itself; nothing where that cannot be read, or it is somebody else's.
    pub label: Option<Label>,
}

impl Copy {
    /// The name of a copy.
    pub(crate) fn name(before: &Version) -> String {
        format!("{BEFORE}{before}")
    }

    /// The copies of a server's data, the newest last. Fails if nobody can tell.
    pub(crate) fn all(host: &Host, data_dir: &str) -> Result<Vec<Copy>, Error> {
        let server = format!("{data_dir}/server");
        let copy = |name: String| {
            let before = name.strip_prefix(BEFORE)?.parse().ok()?;
            Some(Copy { label: Label::read(host, &format!("{server}/{name}")), before, name })
        };
        let mut copies: Vec<Copy> = host.list(&server)?.into_iter().filter_map(copy).collect();
        let order = |copy: &Copy| (copy.label.as_ref().map(|label| label.time.clone()), copy.before.clone());
        copies.sort_by_key(order);
        Ok(copies)
    }

    /// Whether it is of the data as they are without the version that it was made for.
    pub(crate) fn is_current(&self) -> bool {
        self.label.as_ref().is_some_and(|label| !label.is_old)
    }

    /// What puts it in the place of the data, once RKE2 is stopped and the older image is the one that is booted.
    pub(crate) fn command(&self, data_dir: &str) -> String {
        format!("cd {data_dir}/server && mv db db-of-{} && mv {} db", self.before, self.name)
    }
}
