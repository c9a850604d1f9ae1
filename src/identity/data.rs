//! Which version of RKE2 a server's data was used with, and the copy of it that is made before a newer one.

use serde_json::{Value, json};

use super::record::Record;
use crate::host::{Error, Host};
use crate::rke2::installed;
use crate::rke2::version::Version;

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
/// That is what a copy says that was put back; else what the node remembers of this directory; else what RKE2 has left there: each version
/// unpacks its programs into `data/v1.33.4-rke2r1-<hash>` before it touches the data (rke2 `pkg/bootstrap/bootstrap.go`).
pub(crate) fn version(host: &Host, data_dir: &str) -> Option<Version> {
    put_back(host, data_dir).or_else(|| remembered(host, data_dir)).or_else(|| unpacked(host, data_dir))
}

/// The highest version that data were used with which a person has put back, as long as RKE2 has not been ready with them. What RKE2 itself has
/// restored from a snapshot is of the installed version.
pub(crate) fn put_back(host: &Host, data_dir: &str) -> Option<Version> {
    let restored = is_restored(host, data_dir).then(|| installed::version(host).version()).flatten();
    restored.or_else(|| Label::read(host, &format!("{data_dir}/server/db")).map(|label| label.of))
}

fn is_restored(host: &Host, data_dir: &str) -> bool {
    host.exists(&format!("{data_dir}/server/db/{RESET}"))
}

/// The version that a server's data was used with last: a copy is of what that one has left.
pub(crate) fn last(host: &Host, data_dir: &str) -> Option<Version> {
    let record = Record::read(host).ok().flatten().filter(|record| record.data_dir == data_dir);
    put_back(host, data_dir).or_else(|| record?.last).or_else(|| version(host, data_dir))
}

/// The node remembers it from now on.
pub(crate) fn is_remembered(host: &Host, data_dir: &str) -> Result<(), Error> {
    host.remove(&format!("{data_dir}/server/db/{LABEL}")).map(drop)
}

/// Says in data that were put back that another version is about to use them, if it is a higher one; and in restored data, because RKE2 does not
/// say so any longer once it is started.
pub(crate) fn raise(host: &Host, data_dir: &str, next: &Version) -> Result<(), Error> {
    let db = format!("{data_dir}/server/db");
    match Label::read(host, &db) {
        _ if is_restored(host, data_dir) => {
            Label { of: next.clone(), time: String::new(), is_old: false }.write(host, &db)
        }
        Some(label) if label.of < *next => Label { of: next.clone(), ..label }.write(host, &db),
        _ => Ok(()),
    }
}

/// What the node remembers.
fn remembered(host: &Host, data_dir: &str) -> Option<Version> {
    let record = Record::read(host).ok().flatten().filter(|record| record.data_dir == data_dir)?;
    record.started.max(record.ready)
}

/// Whether a server may have come so far as a CA or a database. Before its first answer from a cluster RKE2 makes directories, and its name in
/// etcd (k3s `pkg/cluster/bootstrap.go`, `pkg/etcd/etcd.go`); whatever else there is counts.
pub(super) fn is_used(host: &Host, data_dir: &str) -> bool {
    let holds = |directory: &str, names: &[&str]| {
        host.list(&format!("{data_dir}/server/{directory}")).is_ok_and(|found| found == names)
    };
    !(holds("tls", &[]) && holds("db", &["etcd"]) && holds("db/etcd", &["name"]))
}

/// The highest version that has unpacked its programs.
pub(crate) fn unpacked(host: &Host, data_dir: &str) -> Option<Version> {
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
        copies.sort_unstable_by_key(order);
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
