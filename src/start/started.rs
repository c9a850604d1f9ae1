//! What RKE2 has read when it started, kept for as long as the boot: so it is known whether what is installed now is what it runs with.

use std::collections::BTreeMap;

use crate::environment;
use crate::host::{Error, Host};
use crate::identity;
use crate::plan::plan::Plan;
use crate::plan::staged;
use crate::rke2::merge::{CONFIG, is_drop_in};
use crate::rke2::overrides::DROP_INS;
use crate::rke2::{Unit, installed};
use crate::service::gate::RUN;
use crate::text::collected;

/// How much of a file that RKE2 reads is kept.
const LIMIT: u64 = 16 << 20;

/// Marks a start of a server that held no state of RKE2 before.
const FIRST: &str = "first-start";

/// What the cloud-config asked of the environment, which the unit's own file says only where it is ours.
const ASKED: &str = "environment";

/// Says that something that RKE2 reads was changed since a start of which nobody has kept what it read.
const CHANGED: &str = "/run/provider-rke2/changed";

/// Where it is kept for a unit.
fn directory(unit: Unit) -> String {
    format!("{RUN}/started/{unit}")
}

/// What RKE2 reads when it starts, by the name under which it is kept: its configuration (k3s `pkg/configfilearg`), the environment files of its
/// unit (rke2 `bundle/lib/systemd/system`), and which program it is. What is not there has no entry, nor what cannot be read, which is told.
fn inputs(host: &Host, unit: Unit) -> (BTreeMap<String, Vec<u8>>, Vec<Error>) {
    let mut files = vec![
        (CONFIG.to_owned(), "config.yaml".to_owned()),
        ("/etc/rancher/rke2/registries.yaml".into(), "registries.yaml".into()),
        (environment::path(unit).into(), "default".into()),
        (format!("/etc/sysconfig/{unit}"), "sysconfig".into()),
        (format!("/usr/local/lib/systemd/system/{unit}.env"), "local.env".into()),
        (format!("/usr/lib/systemd/system/{unit}.env"), "image.env".into()),
    ];
    let names = host.list(DROP_INS).unwrap_or_default().into_iter().filter(|name| is_drop_in(name));
    files.extend(names.map(|name| (format!("{DROP_INS}/{name}"), format!("config.yaml.d-{name}"))));
    let (mut inputs, mut failed) = (BTreeMap::new(), Vec::new());
    for (path, name) in files {
        match host.read(&path, LIMIT) {
            Ok(bytes) => drop(inputs.insert(name, bytes)),
            Err(error) if error.is_absent() => {}
            Err(error) => failed.push(error),
        }
    }
    if let Some(binary) = installed::binary(host) {
        let program = format!("{binary} {:?} {:?}", host.file_identity(binary), host.size_and_second(binary));
        inputs.insert("program".into(), program.into_bytes());
    }
    (inputs, failed)
}

/// Whether a start of the unit has been seen in this boot.
pub(crate) fn is_known(host: &Host, unit: Unit) -> bool {
    host.is_dir(&directory(unit))
}

/// Keeps what the unit is about to read, as far as it can be kept; gives what failed. `plan` is the plan of the unit, if it is the plan's.
pub(crate) fn record(host: &Host, unit: Unit, plan: Option<&Plan>) -> Vec<Error> {
    let directory = directory(unit);
    let made = [RUN, &format!("{RUN}/started"), &directory].into_iter().try_for_each(|path| host.make_dir(path, 0o700));
    if let Err(error) = made {
        return vec![error];
    }
    let (mut kept, mut failed) = inputs(host, unit);
    if let Some(plan) = plan {
        kept.insert(ASKED.into(), environment::asked_for(&plan.environment()).into_bytes());
        if unit == Unit::Server && !identity::state(host, &plan.data_dir).is_any() {
            kept.insert(FIRST.into(), Vec::new());
        }
    }
    let stale = host.list(&directory).unwrap_or_default().into_iter();
    // The first start lasts until the server is ready, however often it is started again.
    let stale = stale.filter(|name| !kept.contains_key(name) && name != FIRST);
    let removed = stale.map(|name| host.remove(&format!("{directory}/{name}")).map(drop)).collect::<Vec<_>>();
    let written = kept.iter().map(|(name, bytes)| host.put(&format!("{directory}/{name}"), bytes, 0o600).map(drop));
    failed.extend(removed.into_iter().chain(written).filter_map(Result::err));
    failed.extend(host.remove(CHANGED).err());
    failed
}

/// Says that something that RKE2 reads is changed: where nobody has kept what it started with, it has to be restarted.
pub(crate) fn set_changed(host: &Host) -> Result<(), Error> {
    host.put(CHANGED, b"", 0o600).map(drop)
}

/// Whether what RKE2 reads has changed since its last start in this boot; nothing if it is not known what it started with, nor that anything
/// was changed since.
pub fn changed(host: &Host, unit: Unit) -> Option<bool> {
    let directory = directory(unit);
    if !host.exists(&format!("{directory}/config.yaml")) && !host.exists(&format!("{directory}/{ASKED}")) {
        return host.exists(CHANGED).then_some(true);
    }
    let (mut now, _) = inputs(host, unit);
    let plan = staged::applied(host).ok().filter(|plan| plan.role.unit() == unit);
    let copy = |name: &str| host.read(&format!("{directory}/{name}"), LIMIT).ok();
    match plan {
        Some(plan) => drop(now.insert(ASKED.into(), environment::asked_for(&plan.environment()).into_bytes())),
        None => now.extend(copy(ASKED).map(|bytes| (ASKED.to_owned(), bytes))),
    }
    let names = host.list(&directory).unwrap_or_default();
    let then: BTreeMap<String, Vec<u8>> =
        collected(names.into_iter().filter(|name| name != FIRST).filter_map(|name| Some((name.clone(), copy(&name)?))));
    Some(now != then)
}

/// Whether a server started on a node without state and has not been seen ready since, or nobody knows how it started: nothing may interrupt it.
/// An agent has nothing that could be left half-made.
pub(crate) fn is_bootstrapping(host: &Host, unit: Unit) -> bool {
    unit == Unit::Server && (!is_known(host, unit) || host.exists(&format!("{}/{FIRST}", directory(unit))))
}

/// Says that the unit has been ready: its first bootstrap is over.
pub(crate) fn bootstrapped(host: &Host, unit: Unit) -> Result<(), Error> {
    host.remove(&format!("{}/{FIRST}", directory(unit))).map(drop)
}
