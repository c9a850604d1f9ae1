//! What is known of this node: its record, if that fits what is on the disks, else what can be read off them.

use super::accept::is_of;
use super::critical::{self, Critical};
use super::data;
use super::disk::FileSystem;
use super::home::Home;
use super::record::{Record, hash};
use crate::findings::code::Code;
use crate::host::{Error, Host};
use crate::rke2::drop_in;
use crate::rke2::merge::CONFIG;
use crate::rke2::overrides;
use crate::rke2::version::Version;
use crate::rke2::{DATA_DIR, Unit};
use crate::rke2::{effective, installed};
use crate::text::yaml::OPTIONS;

/// What is known of this node.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What it became; none if it has not become anything, or if nobody knows.
    pub record: Option<Record>,
    /// Whether that is not what node.json says, so that it must be written.
    pub is_new: bool,
    /// Why node.json cannot be read.
    pub unreadable: Option<String>,
}

/// Reads the record, and makes it anew where the data on the node is another's, where another program has installed the configuration since,
/// and where there is none although RKE2 has been here. `last` is the unit that ran last, as far as others than the record know it.
pub(crate) fn recall(host: &Host, home: &Home, last: &dyn Fn() -> Option<Unit>) -> Known {
    let (record, unreadable) = match Record::read(host) {
        Ok(record) => (record, None),
        Err(sentence) => (None, Some(sentence)),
    };
    // Nothing can be compared with data that is not there.
    if home.unmounted.is_some() || !home.state.is_any() || record.as_ref().is_some_and(|it| fits(host, home, it)) {
        return Known { record, is_new: false, unreadable };
    }
    // A server that was let in nowhere has become nothing: a right token, or another role, is no change.
    if record.is_none() && !home.state.agent && !data::is_used(host, &home.data_dir) {
        return Known { record, is_new: false, unreadable };
    }
    // Who has no data of a server was none, whatever was planned.
    let last = last().filter(|unit| *unit == Unit::Agent || home.state.server);
    let record = Some(rebuilt(host, home, record, last));
    Known { record, is_new: true, unreadable }
}

/// Whether a record is of the data that is here, and of the configuration that is installed.
fn fits(host: &Host, home: &Home, record: &Record) -> bool {
    let has_other_ca = record.unit == Unit::Server
        && match (&record.ca, ca(host, &home.data_dir)) {
            (Some(known), Some(found)) => *known != found,
            _ => false,
        };
    let config = host.read(CONFIG, OPTIONS.bytes as u64);
    // One that says nothing, a full disk's, is nobody's.
    let is_known = |text: &[u8]| record.knows_config(text) || effective::read(host, record.unit).is_none();
    let is_installed = !host.exists(CONFIG) || config.is_ok_and(|text| is_known(&text));
    // Nothing was installed when it was made.
    let lacks_options = record.unit == Unit::Server && record.options.is_none() && installed(host).is_some();
    record.data_dir == home.data_dir && !has_other_ca && is_installed && !lacks_options
}

/// What the installed configuration and the data say. Where they say nothing, the record before counts.
fn rebuilt(host: &Host, home: &Home, before: Option<Record>, last: Option<Unit>) -> Record {
    let by_state = if home.state.server { Unit::Server } else { Unit::Agent };
    let unit = last.or(before.as_ref().map(|it| it.unit)).unwrap_or(by_state);
    let mut record = before.unwrap_or_else(|| Record::new(host, unit, &home.data_dir));
    record.unit = unit;
    record.data_dir.clone_from(&home.data_dir);
    record.file_system = FileSystem::of(host, &home.data_dir);
    let ca = if unit == Unit::Server { ca(host, &home.data_dir) } else { None };
    if unit == Unit::Server && record.ca.is_some() && record.ca != ca {
        // Other data: which versions have used that one is written in it alone.
        (record.started, record.last, record.ready) = (None, None, None);
        (record.was_ready, record.options) = (false, None);
    }
    record.ca = ca;
    let exists = |path: &str| host.exists(&format!("{}/{path}", home.data_dir));
    record.was_ready |= match unit {
        Unit::Server => exists("server/db") && exists("agent/client-kubelet.crt"),
        Unit::Agent => exists("agent/client-kubelet.crt"),
    };
    match unit {
        Unit::Server => record.options = installed(host).or(record.options),
        Unit::Agent => record.options = None,
    }
    if let Some(token) = effective::read(host, unit).and_then(|installed| installed.token) {
        record.set_token(&token);
    }
    if record.started.is_none() {
        record.started = data::unpacked(host, &home.data_dir);
    }
    if let Ok(text) = host.read(CONFIG, OPTIONS.bytes as u64) {
        record.add_config(&text);
    }
    record
}

/// The critical options that a server reads; none if nothing is installed.
pub(crate) fn installed(host: &Host) -> Option<Critical> {
    let installed = effective::read(host, Unit::Server)?;
    Some(critical::of(&[&installed.options], &overrides::variables(host, Unit::Server)))
}

/// Says that the installed version is about to use the data of this node.
///
/// Must be called under the lock of the program.
pub(crate) fn starts(host: &Host, unit: Unit) -> Result<(), Error> {
    let record = Record::read(host).ok().flatten().filter(|record| record.unit == unit);
    let (Some(mut record), Some(version)) = (record, installed::version(host).version()) else { return Ok(()) };
    data::raise(host, &record.data_dir, &version)?;
    record.started = record.started.into_iter().chain([version.clone()]).max();
    record.last = Some(version);
    record.write(host)
}

/// The hash of the certificate of the cluster's CA in a server's data.
pub(crate) fn ca(host: &Host, data_dir: &str) -> Option<String> {
    let bytes = host.read(&format!("{data_dir}/server/tls/server-ca.crt"), OPTIONS.bytes as u64).ok()?;
    (!bytes.is_empty()).then(|| hash(&[&bytes]))
}

/// Keeps what is known of the node, where it is not what node.json says already: a record that was made anew, lines by which a person allows what
/// a guard would stop, and the config.yaml that is about to be installed. Nothing is kept of a node that has not become anything.
///
/// Must be called under the lock of the program.
pub(crate) fn keep(host: &Host, known: Known, allowed: Vec<String>, config: Option<&str>) -> Result<(), Error> {
    let Known { record, is_new, .. } = known;
    // Somebody may have written another one since it was read.
    let record = if is_new { record } else { Record::read(host).ok().flatten() };
    let Some(mut record) = record else { return Ok(()) };
    for line in allowed {
        if !record.accepting.contains(&line) {
            record.accepting.push(line);
        }
    }
    if let Some(config) = config {
        record.add_config(config.as_bytes());
        // Nothing was installed before: this is what the data goes on with.
        if record.unit == Unit::Server && record.options.is_none() {
            let options = drop_in::of_json(config).unwrap_or_default();
            record.options = Some(critical::of(&[&options], &overrides::variables(host, Unit::Server)));
        }
    }
    // The same bytes are not written again, but the mode is made right.
    record.write(host)
}

/// What a unit has become by being ready, if that has left data: the record of it is made, or brought up to date. `used` are the lines by which a person has allowed it.
pub(crate) fn became(host: &Host, unit: Unit, data_dir: Option<&str>, used: Vec<String>) -> Option<Record> {
    let home = Home::of(host, data_dir.unwrap_or(DATA_DIR));
    // Who has left no data has become nothing that could be lost.
    if !home.state.is_any() {
        return None;
    }
    let mut record = rebuilt(host, &home, Record::read(host).unwrap_or_default(), Some(unit));
    let version = installed::version(host).version();
    let highest = |known: Option<Version>| known.into_iter().chain(version.clone()).max();
    let goes_back =
        used.iter().any(|line| [Code::DataNewer, Code::DataSlightlyNewer].iter().any(|code| is_of(line, *code)));
    // With what is allowed once, or was put back, the data is what an older version has made of it.
    let known = match data::put_back(host, &home.data_dir) {
        _ if goes_back => (None, None),
        Some(version) => (Some(version), None),
        None => (record.started, record.ready),
    };
    (record.started, record.ready) = (highest(known.0), highest(known.1));
    record.last = version.or(record.last);
    record.was_ready = true;
    for line in std::mem::take(&mut record.accepting).into_iter().chain(used) {
        if !record.accepted.contains(&line) {
            record.accepted.push(line);
        }
    }
    Some(record)
}
