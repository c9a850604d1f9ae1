//! The copy of a server's data before the first start of a newer minor version, because an older one may not be able to read it afterwards:
//! etcd 3.6 does not start on data of 3.7, and RKE2 has no way back but a snapshot.

use std::time::{Duration, Instant};

use crate::Context;
use crate::findings::Reason;
use crate::findings::code::Code;
use crate::host::{Error, Extent, Host};
use crate::identity::data::{self, Copy, Label};
use crate::plan::plan::Plan;
use crate::report::log::rfc3339;
use crate::rke2::installed;
use crate::rke2::version::Version;
use crate::status::Waiting;

/// How long it may take, with the look at what is to be copied.
const BOUND: Duration = Duration::from_secs(300);

/// How long what an earlier copy has left may take to be removed.
const TIDYING: Duration = Duration::from_secs(60);

/// What is copied, below the data directory's `server`.
const DATA: &str = "db";

/// Where a copy is until it is whole.
const UNFINISHED: &str = ".db-before.provider-rke2";

/// The file that etcd holds locked as long as it runs (go.etcd.io/bbolt `bolt_unix.go`).
const ETCD: &str = "etcd/member/snap/db";

/// Makes the copy if it is asked for and needed. Gives what was done; fails with the reason why there is none. The start of RKE2 goes on in
/// any case.
pub(super) fn run(context: &Context, who: &str, plan: &Plan) -> Result<Option<String>, Reason> {
    let host = context.host;
    let server = format!("{}/server", plan.data_dir);
    // Nothing is deleted through a symlink.
    let server = host.real_path(&server).unwrap_or(server);
    // What was cut off, by a power cut or by somebody who did not want to wait.
    let _ = host.delete(&format!("{server}/{UNFINISHED}"), false, Instant::now() + TIDYING);
    let from = format!("{server}/{DATA}");
    let Some(next) = installed::version(host).version().filter(|_| plan.settings.copy_before_upgrade) else {
        return Ok(None);
    };
    let failed = |why: String| missing(&from, &next, &why);
    let told = |error: Error| failed(error.to_string());
    if !host.list(&server).map_err(told)?.iter().any(|name| name == DATA) {
        return Ok(None);
    }
    let copies = Copy::all(host, &plan.data_dir).map_err(told)?;
    // An older version uses the data now, so what a copy holds is not what will be there before the next attempt.
    for copy in copies.iter().filter(|copy| next.minor() < copy.before.minor()) {
        if let Some(label) = copy.label.clone().filter(|label| !label.is_old) {
            let label = Label { is_old: true, ..label };
            label.write(host, &format!("{server}/{}", copy.name)).map_err(Reason::from)?;
        }
    }
    let of = data::last(host, &plan.data_dir).filter(|of| of.minor() < next.minor());
    // The data may be half converted by now: what was copied at the first attempt is what is wanted.
    let is_there = copies.iter().any(|copy| copy.before.minor() == next.minor() && copy.is_current());
    let made = match of.filter(|_| !is_there) {
        None => Ok(None),
        Some(of) => {
            let _waiting = Waiting::begin(context, who, &format!("the copy of {from} before RKE2 {next}"));
            let label = Label { of, time: rfc3339(host.now()), is_old: false };
            make(host, &server, &next, &label, &copies).map(Some)
        }
    };
    made.map_err(|why| {
        let _ = host.delete(&format!("{server}/{UNFINISHED}"), false, Instant::now() + TIDYING);
        failed(why)
    })
}

/// Why there is no copy, and that RKE2 starts all the same.
fn missing(from: &str, next: &Version, why: &str) -> Reason {
    let sentence =
        format!("{from}: is not copied before the first start of RKE2 {next}, because {why}; take an etcd snapshot");
    Reason::failed(Code::CopyMissing, sentence)
}

/// Makes the copy, looks whether it is whole, and only then gives it its name. The copies that were there before go then.
fn make(host: &Host, server: &str, next: &Version, label: &Label, copies: &[Copy]) -> Result<String, String> {
    let told = |error: Error| error.to_string();
    let end = Instant::now() + BOUND;
    let name = Copy::name(next);
    let (unfinished, to) = (format!("{server}/{UNFINISHED}"), format!("{server}/{name}"));
    let is_in_the_way = copies.iter().any(|copy| copy.name == name && copy.label.is_none());
    if is_in_the_way {
        return Err(format!("{to} is there and does not say what it is"));
    }
    let whole = duplicate(host, server, end)?;
    label.write(host, &unfinished).map_err(told)?;
    // One of an earlier attempt at the same version, which was given up.
    if !host.delete(&to, false, end).is_empty() {
        return Err(format!("{to} is in the way"));
    }
    host.rename(&unfinished, &to).map_err(told)?;
    for copy in copies.iter().filter(|copy| copy.name != name && copy.label.is_some()) {
        let _ = host.delete(&format!("{server}/{}", copy.name), false, Instant::now() + TIDYING);
    }
    let Extent { files, bytes, .. } = whole;
    Ok(format!("{to}: made before the first start of RKE2 {next}, {files} files, {bytes} bytes"))
}

/// The copy under the name of one that is not finished, held against what it is a copy of. Gives what it holds.
fn duplicate(host: &Host, server: &str, end: Instant) -> Result<Extent, String> {
    let (from, unfinished) = (format!("{server}/{DATA}"), format!("{server}/{UNFINISHED}"));
    let told = |error: Error| error.to_string();
    for path in [from.clone(), format!("{from}/etcd")].iter().filter(|path| host.is_there(path)) {
        if host.is_symlink(path) || host.mount_of(path) != host.mount_of(server) {
            return Err(format!("{path} is on a file system of its own, or a symlink"));
        }
    }
    if host.is_locked(&format!("{from}/{ETCD}")) {
        return Err("etcd runs".into());
    }
    let whole = host.extent(&from, end).map_err(told)?;
    let (free, _) = host.space(server).map_err(told)?;
    let needed = whole.bytes.saturating_mul(2);
    if free < needed {
        return Err(format!("{} MiB must be free and {} MiB are", needed.div_ceil(1 << 20), free >> 20));
    }
    let copied = host.duplicate(&from, &unfinished, end).map_err(told)?;
    let (again, there) = (host.extent(&from, end).map_err(told)?, host.extent(&unfinished, end).map_err(told)?);
    if again != whole || copied != whole || there != (Extent { special: 0, ..whole }) {
        return Err("it changed meanwhile".into());
    }
    Ok(whole)
}
