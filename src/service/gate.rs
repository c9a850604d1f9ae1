//! The gate: RKE2 does not start before its configuration is installed.
//!
//! Removing a `*.wants` link does not stop a job that systemd has queued already, and links in /usr cannot be removed; a condition
//! holds against both (systemd.unit(5), `ConditionPathExists`). It stands in a runtime drop-in, so it is gone with the boot. With OpenRC it
//! stands in the init scripts, which are ours.

use std::time::Duration;

use super::kind::Kind;
use super::openrc;
use crate::Context;
use crate::findings::Reason;
use crate::findings::code::Code;
use crate::host::{Error, Host, Lock};
use crate::rke2::Unit;
use crate::text::escape::{escape, limit};
pub(crate) use crate::text::paths::RUN;

/// The lock that plan and apply hold.
pub(crate) const LOCK: &str = "/run/provider-rke2/lock";

/// Held from the first to the last deed of a reset; a run that finds it held leaves the node alone.
pub(crate) const RESET_LOCK: &str = "/run/provider-rke2/reset.lock";

/// Why there is no plan: while it exists, `apply` installs and starts nothing. `agent.boot` makes it first, and it is there until the
/// event has an outcome.
pub(crate) const REFUSED: &str = "/run/provider-rke2/refused";

/// What it holds until then. Whatever ends the event before, nothing is started.
const UNFINISHED: &str = "agent.boot has not finished, so nobody knows what is asked of this node and RKE2 is not started; \
                          run agent.boot again, or reboot";

/// The condition of both units. Only the exit status 1 of the guard means no: one that is missing, hangs or crashes must not keep a node down, but
/// then a node without data founds nothing. In systemd's own words, any other status would skip the start too, and a signal would be a failure
/// that is tried again for ever (systemd.service(5), `ExecCondition=`). A unit that is stopped meanwhile, as by
/// a reset, has not failed.
const CONDITION: &str = r#"trap "if test -e /run/provider-rke2/fresh-%N && test -e /run/provider-rke2/ready-%N; then exit 1; fi; exit 0" TERM; if command -v timeout >/dev/null; then timeout -s KILL 10 "$$0" guard %N & else "$$0" guard %N & fi; wait $$!; s=$$?; case $$s in 0|1) exit $$s;; esac; test ! -e /run/provider-rke2/fresh-%N || { echo "the guard ended with status $$s, so this node without data does not found a cluster" >&2; exit 1; }"#;

/// The same for both units; `%N` is the unit's name without its suffix. A prestart or a record that fails does not keep RKE2 from starting.
fn drop_in_text(program: &str) -> String {
    let program = systemd_quoted(program);
    format!(
        "# written by provider-rke2: no start before the configuration is installed\n\
         [Unit]\n\
         ConditionPathExists={RUN}/ready-%N\n\
         [Service]\n\
         ExecCondition=/bin/sh -c '{CONDITION}' {program}\n\
         ExecStartPre=-{program} prestart %N\n\
         ExecStartPost=-{program} record %N\n\
         EnvironmentFile=-{RUN}/%N.env\n"
    )
}

/// A word of an `ExecStart=` line (systemd.service(5), command lines): as it is where it is harmless.
fn systemd_quoted(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '+')) {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// Where systemd keeps what was enabled for good; Kairos keeps it across boots.
const LINKS: &str = "/etc/systemd/system";

fn drop_in(unit: Unit) -> (String, String) {
    let directory = format!("/run/systemd/system/{unit}.service.d");
    let file = format!("{directory}/50-provider-rke2.conf");
    (directory, file)
}

/// After `systemctl soft-reboot` /run is as it was (systemd-soft-reboot.service(8)), so the gate would be open before the boot stages have run.
/// systemd-tmpfiles(8) removes these when systemd starts anew, before it starts any service.
const TMPFILES: &str = "/run/tmpfiles.d/provider-rke2.conf";
const TMPFILES_TEXT: &str = "# written by provider-rke2: no start before the configuration is installed, after a soft reboot too\n\
                             r! /run/provider-rke2/ready-*\n\
                             R! /run/provider-rke2/started\n";

/// Writes the gate of both units, where it is missing: drop-ins for systemd, init scripts for OpenRC. Gives whether systemd has something to
/// reload.
pub(crate) fn write(context: &Context) -> Result<bool, Error> {
    if Kind::of(context.host) == Kind::OpenRc {
        return openrc::install(context).map(|()| false);
    }
    let (host, mut changed) = (context.host, false);
    let text = drop_in_text(context.program);
    for unit in Unit::ALL {
        let (_, file) = drop_in(unit);
        changed |= host.put(&file, text.as_bytes(), 0o644)?;
    }
    host.put(TMPFILES, TMPFILES_TEXT.as_bytes(), 0o644)?;
    Ok(changed)
}

/// Whether the gate outlives the boot: init scripts do.
pub(crate) fn is_lasting(host: &Host) -> bool {
    Kind::of(host) == Kind::OpenRc
}

/// Takes the gate away, where RKE2 is none of our business any more. Gives whether systemd has something to reload.
pub(crate) fn remove(host: &Host) -> Result<bool, Error> {
    if Kind::of(host) == Kind::OpenRc {
        return openrc::remove(host).map(|()| false);
    }
    let mut changed = false;
    for (directory, file) in Unit::ALL.map(drop_in) {
        changed |= host.remove(&file)?;
        host.remove_empty(&directory);
    }
    host.remove(TMPFILES)?;
    host.remove_empty("/run/tmpfiles.d");
    Ok(changed)
}

/// Removes the persistent links of both units by path, because `systemctl disable` would delete a unit that is itself a link
/// (kairos-io/provider-k3s#146). Gives whether there were any, and as sentences what failed, with what OpenRC starts without a gate.
pub(crate) fn remove_links(host: &Host) -> (bool, Vec<String>) {
    let (mut removed, mut failed) = (false, Vec::new());
    let pulls = |name: &String| [".wants", ".requires", ".upholds"].iter().any(|suffix| name.ends_with(suffix));
    for (above, suffix) in [(LINKS, ".service"), (openrc::RUNLEVELS, "")] {
        let directories = host.list(above).unwrap_or_else(|error| {
            failed.push(error.to_string());
            Vec::new()
        });
        for directory in directories.iter().filter(|name| above != LINKS || pulls(name)) {
            for unit in Unit::ALL {
                match host.remove(&format!("{above}/{directory}/{unit}{suffix}")) {
                    Ok(gone) => removed |= gone,
                    Err(error) => failed.push(error.to_string()),
                }
            }
        }
    }
    if Kind::of(host) == Kind::OpenRc {
        failed.extend(openrc::of_others(host));
    }
    (removed, failed)
}

/// The links that would start a unit, those for this boot included; not the units, which may be links themselves.
pub(crate) fn links(host: &Host) -> Vec<String> {
    let below = |directory: &str| host.list(directory).unwrap_or_default().into_iter();
    let pulls = |name: &String| [".wants", ".requires", ".upholds"].iter().any(|suffix| name.ends_with(suffix));
    let links = [LINKS, "/run/systemd/system"].into_iter().flat_map(|directory| {
        let names = below(directory).filter(pulls);
        names.flat_map(move |name| Unit::ALL.map(|unit| format!("{directory}/{name}/{unit}.service")))
    });
    let levels = below(openrc::RUNLEVELS);
    let services = levels.flat_map(|level| Unit::ALL.map(|unit| format!("{}/{level}/{unit}", openrc::RUNLEVELS)));
    links.chain(services).filter(|link| host.is_there(link)).collect()
}

/// The units that links start at every boot, as those who have set up the node before have left it.
pub(crate) fn lasting_links(host: &Host) -> Vec<Unit> {
    let links = links(host);
    let is_linked = |unit: &Unit| {
        let ends = [format!("/{unit}.service"), format!("/{unit}")];
        links.iter().any(|link| link.starts_with("/etc/") && ends.iter().any(|end| link.ends_with(end)))
    };
    Unit::ALL.into_iter().filter(is_linked).collect()
}

/// Says, before anything is known, that nothing is decided yet. As long as the lock is held, somebody is at it.
///
/// Fails if the file cannot be made, or if another event holds it for the whole of `wait`.
pub(crate) fn undecided(host: &Host, wait: Duration) -> Result<Lock, Error> {
    host.make_dir(RUN, 0o700)?;
    let lock = host.lock(REFUSED, wait)?;
    // Its being there is what counts.
    let _ = lock.write(format!("{UNFINISHED}\n").as_bytes());
    Ok(lock)
}

/// Says that the plan was refused, or that it no longer is.
pub(crate) fn set_refused(host: &Host, sentences: &[String]) -> Result<(), Error> {
    if sentences.is_empty() {
        host.remove(REFUSED)?;
    } else {
        host.put(REFUSED, format!("{}\n", sentences.join("\n")).as_bytes(), 0o600)?;
    }
    Ok(())
}

/// Says that a unit is to found a cluster on a node without state: then it must not start before the guards have let it.
fn fresh(unit: Unit) -> String {
    format!("{RUN}/fresh-{unit}")
}

/// Says so, or that it no longer is.
pub(crate) fn set_fresh(host: &Host, unit: Unit, is_fresh: bool) -> Result<(), Error> {
    host.remove(&fresh(unit.other()))?;
    match is_fresh {
        true => host.put(&fresh(unit), b"", 0o600).map(drop),
        false => host.remove(&fresh(unit)).map(drop),
    }
}

/// What the gate waits for.
fn ready(unit: Unit) -> String {
    format!("{RUN}/ready-{unit}")
}

/// Whether the configuration of a unit is installed, and no plan was refused.
pub fn is_open(host: &Host, unit: Unit) -> bool {
    host.exists(&ready(unit)) && refused(host).is_none()
}

/// Whether it is, and by this plan. What opened the gate before it said by which is taken for it.
pub(crate) fn is_open_by(host: &Host, unit: Unit, plan_id: &str) -> bool {
    let opened_by = || host.read(&ready(unit), 1 << 10).ok();
    is_open(host, unit) && opened_by().is_some_and(|id| id.is_empty() || id == plan_id.as_bytes())
}

/// Whether the configuration of any unit is installed.
pub(crate) fn is_ready(host: &Host) -> bool {
    Unit::ALL.into_iter().any(|unit| host.exists(&ready(unit)))
}

/// Lets a unit start, and only that one, with what a plan has installed; the gate is written where it is missing.
pub(crate) fn open(context: &Context, unit: Unit, plan_id: &str) -> Result<(), Error> {
    let host = context.host;
    write(context)?;
    host.remove(&ready(unit.other()))?;
    host.put(&ready(unit), plan_id.as_bytes(), 0o600)?;
    Ok(())
}

/// Lets no unit start. Every unit is tried; the first failure is given.
pub(crate) fn close(host: &Host) -> Result<(), Error> {
    let closed = Unit::ALL.map(|unit| host.remove(&ready(unit)));
    closed.into_iter().try_for_each(|removed| removed.map(drop))
}

/// Why `apply` installs and starts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Whether it was decided so: the plan was refused, or the node was reset. Else `agent.boot` has no outcome: it is under way
    /// ([`Host::is_locked`]), or it was cut off.
    pub is_decided: bool,
    /// Why, one at least.
    pub reasons: Vec<Reason>,
}

impl Refused {
    fn decided(sentences: impl Iterator<Item = String>) -> Refused {
        let reasons = sentences.map(|sentence| Reason::failed(Code::PlanRefused, sentence)).collect();
        Refused { is_decided: true, reasons }
    }

    fn unfinished() -> Refused {
        Refused { is_decided: false, reasons: vec![Reason::failed(Code::EventUnfinished, UNFINISHED)] }
    }
}

/// Why nothing may be installed or started, if that is so. Anything but the certainty that there is no such file means that it is.
pub(crate) fn refused(host: &Host) -> Option<Refused> {
    match host.read(REFUSED, 1 << 20) {
        Err(error) if error.is_absent() => None,
        Err(error) => {
            let sentence = format!("{error}, so the plan counts as refused; run agent.boot again");
            Some(Refused::decided(std::iter::once(sentence)))
        }
        Ok(bytes) => Some(match str::from_utf8(&bytes).map(str::trim) {
            // Made, but not filled.
            Err(_) | Ok("" | UNFINISHED) => Refused::unfinished(),
            // Whoever wrote them, they are told on a console.
            Ok(sentences) => Refused::decided(sentences.lines().map(|it| limit(&escape(it)))),
        }),
    }
}
