//! What this node is and why: for `status`, for support bundles, for the person at the console.
//!
//! Each phase and step leaves what it came to in a [`record`] in /run. A [`report::Report`] is that record and what is so at this moment.

pub(crate) mod record;
pub(crate) mod report;

use std::time::Duration;

use crate::Context;
use crate::cluster::role::Role;
use crate::findings::Reason;
use crate::host::{Error, Host};
use crate::identity::accept::GUARDS;
use crate::report::log::{Level, Log, rfc3339};
use crate::report::outcome::Outcome;
use crate::service::gate::RUN;
pub(crate) use record::Decision;
use record::{Record, Step, Wait};
use report::Report;

/// Held while the record is read and written anew, and for nothing else.
const LOCK: &str = "/run/provider-rke2/status.lock";

/// How long another writer of the record is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What agetty shows above the login prompt (agetty(8), issue.d).
pub(crate) const ISSUE: &str = "/etc/issue.d/50-provider-rke2.issue";

/// The status as the last phase left it, without secrets. It outlives the boot.
pub(crate) const MIRROR: &str = "/var/log/provider-rke2.status.json";

/// Changes the record, and what is made of it: the sentences above the login prompt, and the mirror. What cannot be written is logged.
fn update(context: &Context, change: impl FnOnce(&mut Record)) {
    let host = context.host;
    // Without the lock at worst the word of another writer is lost.
    let lock = || host.lock(LOCK, LOCK_WAIT);
    let _lock = match lock() {
        Err(error) if error.is_absent() => host.make_dir(RUN, 0o700).and_then(|()| lock()).ok(),
        lock => lock.ok(),
    };
    let before = Record::read(host).ok();
    let mut record = before.clone().unwrap_or_default();
    record.version = context.version.into();
    change(&mut record);
    if before.as_ref() == Some(&record) {
        return;
    }
    // Each for itself: the person at the console is told even if the record cannot be written. That is the last, so that a run that was cut
    // off before is repeated.
    let mirror = Report::of_record(host, record.clone()).to_json();
    let shown = issue(host, &record.all_reasons());
    let mirrored = host.put(MIRROR, mirror.as_bytes(), 0o644).map(drop);
    if shown.is_err() || mirrored.is_err() {
        // Then the next run does not find the record that it would write, and tells it again.
        record.version.clear();
    }
    let recorded = host.put(record::PATH, record.to_yaml().as_bytes(), 0o600).map(drop);
    if recorded.is_err() {
        // What it says is no longer so: without it the status is unknown.
        let _ = host.remove(record::PATH);
    }
    for error in [shown, mirrored, recorded].into_iter().filter_map(Result::err) {
        Log::new(host, context.version).line(Level::Warning, "status", &error.to_string());
    }
}

/// The sentences above the login prompt, where a person has to act.
fn issue(host: &Host, reasons: &[Reason]) -> Result<(), Error> {
    if reasons.is_empty() {
        return host.remove(ISSUE).map(drop);
    }
    // agetty takes a backslash for the start of an escape sequence.
    let line = |it: &Reason| format!("provider-rke2: {}\n", it.sentence.replace('\\', "\\\\"));
    host.put(ISSUE, reasons.iter().map(line).collect::<String>().as_bytes(), 0o644).map(drop)
}

/// What the plan phase says of what steps came to before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// They ran for the plan that is in force now.
    Stay,
    /// They ran for another one, or for none.
    AreForgotten,
}

/// Says what the plan phase came to.
pub(crate) fn planned(context: &Context, plan: Decision, role: Option<Role>, reasons: Vec<Reason>, steps: Steps) {
    update(context, |record| {
        let kept = std::mem::take(record);
        *record =
            Record { version: kept.version, plan: Some(plan), role, reasons, waits: kept.waits, ..Record::default() };
        if steps == Steps::Stay {
            record.steps = kept.steps;
        }
    });
}

/// Says what a step came to, or `prestart`.
pub(crate) fn step(context: &Context, name: &str, role: Option<Role>, outcome: &Outcome) {
    update(context, |record| {
        let mut reasons = outcome.reasons();
        // That the plan was refused is said once.
        reasons.retain(|reason| !record.reasons.iter().any(|it| it.sentence == reason.sentence));
        record.steps.insert(name.into(), Step { failed: !outcome.failed.is_empty(), reasons });
        record.role = role.or(record.role);
    });
}

/// Says what the guards came to when the unit was about to start. What they have said before, of a plan and of a configuration, is no longer so.
pub(crate) fn guarded(context: &Context, name: &str, outcome: &Outcome) {
    update(context, |record| {
        let is_other = |reason: &Reason| !GUARDS.contains(&reason.code);
        record.reasons.retain(is_other);
        record.steps.values_mut().for_each(|step| step.reasons.retain(is_other));
        let step = Step { failed: !outcome.failed.is_empty(), reasons: outcome.reasons() };
        record.steps.insert(name.into(), step);
    });
}

/// A wait that is told as long as it lasts.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    context: &'a Context<'a>,
    who: &'a str,
}

impl<'a> Waiting<'a> {
    /// Says, in the log and in the status, that `who` waits for something; before the wait begins.
    pub(crate) fn begin(context: &'a Context, who: &'a str, what: &str) -> Waiting<'a> {
        Log::new(context.host, context.version).line(Level::Info, who, &format!("waits for {what}"));
        let since = rfc3339(context.host.now());
        update(context, |record| {
            record.waits.retain(|wait| wait.who != who);
            record.waits.push(Wait { who: who.into(), what: what.into(), since, pid: std::process::id().to_string() });
        });
        Waiting { context, who }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        update(self.context, |record| record.waits.retain(|wait| wait.who != self.who));
    }
}
