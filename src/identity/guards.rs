//! The guards: what RKE2 would do without a word, and nobody can undo. Each compares the plan with what this node became.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use super::accept::{Accept, is_of};
use super::critical::{Critical, DECISIVE, SET};
use super::data::{self, Copy};
use super::disk::FileSystem;
use super::home::Home;
use super::recall::Known;
use super::record::Record;
use crate::findings::code::{Code, Severity};
use crate::findings::path::{At, Path};
use crate::findings::{Findings, Reason};
use crate::host::Host;
use crate::rke2::drop_in::{self, DropIn};
use crate::rke2::installed;
use crate::rke2::version::{Version, etcd_minor};
use crate::rke2::{Unit, options};
use crate::text::escape::quoted;

/// What is put together where a guard asks for it, which takes a node that is known to be a server.
pub(crate) type Lazy<'a, T> = LazyCell<T, Box<dyn FnOnce() -> T + 'a>>;

/// What a plan makes of this node, as far as a guard looks at it.
#[derive(Debug)]
pub(crate) struct Intent<'a> {
    /// The unit that is to run.
    pub unit: Unit,
    /// Whether it would found a cluster where it finds no data.
    pub founds: bool,
    /// Whether the cluster is in a datastore outside of the node.
    pub has_datastore: Lazy<'a, bool>,
    /// The critical options.
    pub critical: Lazy<'a, Critical>,
    /// The secret; none if it is not known.
    pub token: Option<&'a str>,
    /// What a person allows.
    pub accept: &'a Accept,
}

/// Whether the options and variables of a unit put the cluster into a datastore outside of the node.
pub(crate) fn has_datastore(options: &DropIn, env: &BTreeMap<String, String>) -> bool {
    options::find("datastore-endpoint").is_some_and(|spec| drop_in::given(&[options], env, spec).is_some())
}

/// The node, and what it is to become.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    /// The door to the node.
    pub host: &'a Host,
    /// Where its state is.
    pub home: &'a Home,
    /// What is known of it.
    pub known: &'a Known,
    /// What the plan makes of it.
    pub intent: Intent<'a>,
}

/// What a guard has found: a key, and the rest of the sentence about it.
type Found = (Path, String);

/// What becomes of a node on which a guard has found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// There is no plan.
    Refused,
    /// The plan is made, but RKE2 is not started as long as it is so.
    NotStarted,
    /// RKE2 is started, and everybody is told.
    Error,
}

/// A row of the table: the code of the guard's findings, what comes of them, what it looks at.
type Row = (Code, Then, fn(&Situation) -> Vec<Found>);

/// Every guard but `cluster-answers`, which is judged when RKE2 starts, because there is no network before.
const ROWS: [Row; 9] = [
    (Code::FoundedBefore, Then::Refused, founded_before),
    (Code::RoleChanged, Then::Refused, role_changed),
    (Code::CriticalChanged, Then::Refused, critical_changed),
    (Code::CriticalDiffers, Then::Error, critical_differs),
    (Code::TokenChanged, Then::Error, token_changed),
    (Code::DataVolatile, Then::Error, data_volatile),
    (Code::DataNewer, Then::NotStarted, data_newer),
    (Code::DataSlightlyNewer, Then::Error, data_slightly_newer),
    (Code::MinorSkipped, Then::Error, minor_skipped),
];

/// Judges a plan by every row. What a person allows becomes a warning; the lines by which that was so are given.
pub(crate) fn judge(situation: &Situation, findings: &mut Findings) -> Vec<String> {
    let Situation { known, intent, .. } = situation;
    if let Some(sentence) = &known.unreadable {
        unreadable(situation, sentence, findings);
    }
    let used = known.record.as_ref().map(|record| record.accepted.as_slice()).unwrap_or_default();
    let mut lines = Vec::new();
    for (code, then, judge) in ROWS {
        let line = intent.accept.line(code, used);
        for (path, rest) in judge(situation) {
            let path = path.at(1);
            match (line, then) {
                (Some(_), _) => findings.warn(code, path, &format!("{rest} (allowed once by providerConfig.accept)")),
                (None, Then::Refused) => findings.refuse(code, path, &format!("{rest}, {}", way_out(code))),
                (None, Then::NotStarted) => findings.error(code, path, &format!("{rest}, {}", way_out(code))),
                (None, Then::Error) => findings.error(code, path, &rest),
            }
            lines.extend(line.map(str::to_owned));
        }
    }
    lines.dedup();
    lines
}

/// Whether a finding keeps RKE2 from starting.
pub(crate) fn stops(reason: &Reason) -> bool {
    let is_not_started = ROWS.iter().any(|(code, then, _)| *code == reason.code && *then == Then::NotStarted);
    reason.severity == Severity::Refused || (reason.severity == Severity::Error && is_not_started)
}

/// How a person says that it is meant.
pub(crate) fn way_out(code: Code) -> String {
    format!("or allow it once with the line \"{}: WHY\" in cluster.providerConfig.accept", code.as_str())
}

/// A record that cannot be read counts as none; but nobody knows then whether the node was a server that has lost its data.
fn unreadable(situation: &Situation, sentence: &str, findings: &mut Findings) {
    let Situation { home, intent, .. } = situation;
    let is_fresh = intent.founds && !*intent.has_datastore && !home.state.is_any();
    let (severity, rest) = if is_fresh {
        (
            Severity::Refused,
            "so nobody knows whether this node has founded a cluster before; remove the file if it has not",
        )
    } else {
        (Severity::Error, "so what this node became is read from its data, where there is any; remove the file")
    };
    findings.push(severity, Code::IdentityUnreadable, At::line(1), &format!("{sentence}, {rest}"));
}

fn key(key: &str) -> Path {
    Path::of("cluster").key(key)
}

/// The record of a server whose data can be looked at.
fn server<'a>(situation: &Situation<'a>) -> Option<&'a Record> {
    let record = situation.known.record.as_ref().filter(|record| record.unit == Unit::Server);
    record.filter(|_| situation.home.unmounted.is_none())
}

/// Whether a server has its data.
pub(crate) fn has_db(host: &Host, data_dir: &str) -> bool {
    host.exists(&format!("{data_dir}/server/db"))
}

fn founded_before(situation: &Situation) -> Vec<Found> {
    let Situation { host, intent, .. } = situation;
    let lost = server(situation).filter(|record| {
        intent.unit == Unit::Server && intent.founds && !has_db(host, &record.data_dir) && !*intent.has_datastore
    });
    let found = lost.map(|record| {
        let rest = format!(
            "this node was a server of a cluster, but {}/server/db is gone, so init would found a second cluster; write controlplane \
             with the host of a server that runs, reset the node",
            record.data_dir
        );
        (key("role"), rest)
    });
    found.into_iter().collect()
}

fn role_changed(situation: &Situation) -> Vec<Found> {
    let record = situation.known.record.as_ref().filter(|record| record.unit == Unit::Server);
    if situation.intent.unit == Unit::Server || record.is_none() {
        return Vec::new();
    }
    let rest = "this node is a server of its cluster, and as a worker its etcd member would vanish; write its old role, \
                delete the node from the cluster and reset it";
    vec![(key("role"), rest.to_owned())]
}

/// The options that differ from the record's, with both values.
fn differing<'a>(situation: &'a Situation) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    let intent = &situation.intent;
    let before = server(situation).filter(|record| intent.unit == Unit::Server && record.was_ready);
    let before = before.and_then(|record| record.options.as_ref()).into_iter().flatten();
    before.filter_map(|(name, before)| {
        let now = intent.critical.get(name).filter(|now| *now != before)?;
        Some((name.as_str(), before.as_str(), now.as_str()))
    })
}

fn critical_changed(situation: &Situation) -> Vec<Found> {
    let decisive = differing(situation).filter(|(name, ..)| DECISIVE.contains(name));
    let sentence = |(name, before, now): (&str, &str, &str)| {
        let rest = format!(
            "would change from {} to {}, which a cluster that runs cannot follow; write the old value, reset all nodes for a new cluster",
            quoted(before),
            quoted(now)
        );
        (key("config").key(name), rest)
    };
    decisive.map(sentence).collect()
}

fn critical_differs(situation: &Situation) -> Vec<Found> {
    let are_other_services = differing(situation).any(|(name, ..)| name == "service-cidr");
    // The address of the DNS follows its range.
    let follows = |name: &str| are_other_services && name == "cluster-dns";
    let others = differing(situation).filter(|(name, ..)| !(DECISIVE.contains(name) || follows(name)));
    let sentence = |(name, before, now): (&str, &str, &str)| {
        let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { quoted(text).to_string() };
        let what = match options::is_secret(name) || before == SET {
            true => "has changed".to_owned(),
            false => format!("has changed from {} to {}", shown(before), shown(now)),
        };
        let rest = format!(
            "{what}, and all servers of a cluster must have it alike; change it on every server, or write the old value"
        );
        (key("config").key(name), rest)
    };
    others.map(sentence).collect()
}

fn token_changed(situation: &Situation) -> Vec<Found> {
    let intent = &situation.intent;
    let has_state = situation.home.state.server && intent.unit == Unit::Server;
    let record = server(situation).filter(|record| has_state && record.has_other_token(intent.token));
    let rest = "is not the token of this server's cluster any more, which RKE2 does not start with; change it with rke2 token rotate \
                on a server, or write the old one";
    record.map(|_| (key("cluster_token"), rest.to_owned())).into_iter().collect()
}

fn data_volatile(situation: &Situation) -> Vec<Found> {
    const VOLATILE: [&str; 3] = ["tmpfs", "ramfs", "overlay"];
    let Situation { host, home, intent, .. } = situation;
    let modes = super::modes(host);
    let is = |mode: &str| modes.iter().any(|it| it == mode);
    if intent.unit != Unit::Server || is("in_ram_mode") || !(is("active_mode") || is("passive_mode")) {
        return Vec::new();
    }
    let file_system = FileSystem::of(host, &home.data_dir).filter(|it| VOLATILE.contains(&it.kind.as_str()));
    // Allowed, and so for good: no other boot makes anything else of it.
    let is_allowed = |it: &FileSystem| {
        let record =
            server(situation).filter(|record| record.file_system.as_ref().is_some_and(|kept| kept.kind == it.kind));
        record.is_some_and(|record| record.accepted.iter().any(|line| is_of(line, Code::DataVolatile)))
    };
    let file_system = file_system.filter(|it| !is_allowed(it));
    let found = file_system.map(|it| {
        let rest = format!(
            "{} is on {}, so the data of this server is gone at the next boot; keep the directory on a disk",
            home.data_dir, it.kind
        );
        (key("config").key("data-dir"), rest)
    });
    found.into_iter().collect()
}

/// The version that has used a server's data, and the one that would use it now.
fn versions(situation: &Situation) -> Option<(Version, Version)> {
    let Situation { host, home, intent, .. } = situation;
    let record = server(situation).filter(|_| intent.unit == Unit::Server && home.state.server)?;
    let remembered = record.started.iter().chain(&record.ready).max().cloned();
    let data = data::put_back(host, &record.data_dir).or(remembered)?;
    Some((data, installed::version(host).version()?))
}

/// How many minor versions one is newer than another; negative if it is older.
fn minors_between(newer: &Version, older: &Version) -> i64 {
    let number = |it: &Version| {
        let (major, minor) = it.minor();
        // There are never that many.
        i64::from(major) * 10_000 + i64::from(minor)
    };
    number(newer) - number(older)
}

/// Whether a version cannot read what another one has written.
fn cannot_read(situation: &Situation, data: &Version, installed: &Version) -> bool {
    let etcd = (etcd_minor(data), etcd_minor(installed));
    let is_older_etcd = matches!(etcd, (Some(data), Some(installed)) if data > installed);
    minors_between(data, installed) >= 2 || (is_older_etcd && !*situation.intent.has_datastore)
}

/// A sentence about the installed RKE2.
fn of_version(
    situation: &Situation,
    is: fn(&Situation, &Version, &Version) -> bool,
    what: &str,
    to_do: &str,
) -> Vec<Found> {
    let found = versions(situation).filter(|(data, installed)| is(situation, data, installed));
    let sentence = |(data, installed)| {
        let data_dir = &situation.home.data_dir;
        (
            Path::of("rke2"),
            format!("{installed} of this image {what} {data}, which has used the data in {data_dir}{to_do}"),
        )
    };
    found.map(sentence).into_iter().collect()
}

fn data_newer(situation: &Situation) -> Vec<Found> {
    let Situation { host, home, .. } = situation;
    let copy = Copy::all(host, &home.data_dir).unwrap_or_default().pop();
    let copy =
        copy.map_or_else(String::new, |it| format!(", go back with the copy in {}/server/{}", home.data_dir, it.name));
    of_version(situation, cannot_read, "is older than", &format!(", and cannot read it; boot the newer image{copy}"))
}

fn data_slightly_newer(situation: &Situation) -> Vec<Found> {
    let is = |situation: &Situation, data: &Version, installed: &Version| {
        minors_between(data, installed) == 1 && !cannot_read(situation, data, installed)
    };
    of_version(situation, is, "is a minor version older than", "; boot the newer image again")
}

fn minor_skipped(situation: &Situation) -> Vec<Found> {
    let is = |_: &Situation, data: &Version, installed: &Version| minors_between(installed, data) >= 2;
    of_version(situation, is, "skips minor versions after", "; upgrade one minor version at a time")
}
