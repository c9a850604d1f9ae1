//! `reset`: a clean node, and nothing else lost.
//!
//! In order: the gate is shut, so that nothing starts RKE2 again; units are stopped; what runs from the data directory ends; what is
//! mounted there is unmounted; interfaces, rules and control groups of Kubernetes and the CNI go; then state; the document last. What fails is
//! collected, and what does not depend on it is done all the same.
//!
//! RKE2's binary, its units and their links in the file system stay, because they are the image's, and so does all that somebody else wrote.

pub(crate) mod action;
mod files;
mod groups;
mod mounts;
mod network;
mod phases;
pub(crate) mod targets;
mod units;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use action::{Action, Phase, Request};
use targets::{CLEARED, Targets, cleared};

use crate::Context;
use crate::apply::{self, STEPS};
use crate::cluster;
use crate::cluster::cloud_config::Section;
use crate::findings::Reason;
use crate::host::mounts::{Mount, is_busy};
use crate::host::process::Process;
use crate::host::{Error, Host, Lock};
use crate::images::import;
use crate::plan::{find, staged};
use crate::report::log::{Level, Log};
use crate::rke2::is_unpacking;
use crate::service::gate::{self, RESET_LOCK};
use crate::service::systemd;
use crate::text::collected;
use crate::text::escape::escape;

/// How long another run of this program is waited for, at most; RKE2 cannot be started by it any more then.
const LOCK_WAIT: Duration = Duration::from_secs(120);

/// How long processes may take to end, and then to be gone.
const GRACE: Duration = Duration::from_secs(10);
const BURIAL: Duration = Duration::from_secs(5);

/// How often processes and mounts are looked for again: a shim starts another process while it ends, one mount hides another.
const ROUNDS: usize = 4;

/// How long an import of images may take to notice.
const IMPORT_WAIT: Duration = Duration::from_secs(60);

/// How long a tool of the host may take.
const TOOL: Duration = Duration::from_secs(30);

/// What apply says while nothing is planned anew.
const REFUSED: &str =
    "this node was reset, so RKE2 is not started until the next boot, or until agent.boot plans it anew";

/// What came of a reset.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// What was done, in the words of the plan.
    pub done: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What is left, and why. Empty if the node is clean.
    pub left: Vec<String>,
    /// What is to be done on the cluster.
    pub advice: Vec<String>,
}

/// How long a reset may take: the setting `reset_timeout` of the section, else of the plan that is on the node.
pub(crate) fn timeout(host: &Host, section: Option<&Section>) -> Duration {
    let of_plan = || {
        let staged = staged::applied(host).ok();
        staged.or_else(|| find::all(host, &[]).iter().rev().find_map(find::Found::plan)).map(|plan| plan.settings)
    };
    let settings = section.map(cluster::settings).or_else(of_plan).unwrap_or_default();
    settings.reset_timeout.0
}

/// What a reset would do, and notes. Nothing is changed.
///
/// Fails as [`run`] does where it refuses.
pub(crate) fn dry_run(
    host: &Host,
    section: Option<&Section>,
    request: &Request,
) -> Result<(Vec<String>, Vec<String>), String> {
    may_reset(host)?;
    let targets = Targets::find(host, section)?;
    let (actions, notes) = phases::whole(host, &targets, request);
    Ok((actions.iter().map(ToString::to_string).collect(), notes))
}

/// Resets the node. `section` is the cluster section, if there is one to look at; without it the node itself says where RKE2 is.
///
/// What is refused changes nothing: a data directory that cannot be RKE2's own, a root path that is none, a caller who is not root.
pub(crate) fn run(context: &Context, section: Option<&Section>, request: &Request) -> Report {
    let host = context.host;
    let mut reset = Reset {
        context,
        host,
        log: Log::new(host, context.version),
        request,
        end: crate::host::after(request.timeout),
        report: Report::default(),
        mounts: BTreeSet::new(),
        survivors: Vec::new(),
    };
    let targets = may_reset(host).and_then(|()| Targets::find(host, section));
    match targets {
        Ok(targets) => reset.all(&targets, section),
        Err(sentence) => reset.report.left.push(sentence),
    }
    reset.report
}

fn may_reset(host: &Host) -> Result<(), String> {
    if host.is_real() && !host.is_root() { Err("a reset needs root; run it as root".into()) } else { Ok(()) }
}

struct Reset<'a> {
    context: &'a Context<'a>,
    host: &'a Host,
    log: Log<'a>,
    request: &'a Request,
    end: Instant,
    report: Report,
    /// Mounts that stay, each named once.
    mounts: BTreeSet<String>,
    /// Processes that stay, each named once.
    survivors: Vec<Process>,
}

impl Reset<'_> {
    fn all(&mut self, targets: &Targets, section: Option<&Section>) {
        if phases::whole(self.host, targets, self.request).0.is_empty() {
            let note = match self.request.keep_state {
                true => "nothing of RKE2 runs on this node, or is mounted there",
                false => "there is nothing of RKE2 on this node",
            };
            self.report.notes.push(note.into());
            return;
        }
        // Before the lock: the run that has it may be about to start RKE2.
        if !self.request.keep_state
            && phases::may_start(self.host, targets)
            && let Err(error) = self.shut(targets)
        {
            self.leave(error.to_string());
        }
        match self.alone() {
            // The run before may have planned the node anew.
            Ok(_lock) => match Targets::find(self.host, section) {
                Ok(targets) => self.phases(&targets),
                Err(sentence) => self.leave(sentence),
            },
            Err(error) => self.leave(format!("{error}, so nothing was deleted; run the reset again")),
        }
        self.advise(targets);
    }

    /// Waits until nothing else of this program is at work on the node; nothing begins any more as long as the lock is held that is given.
    fn alone(&self) -> Result<Lock, Error> {
        self.host.make_dir(gate::RUN, 0o700)?;
        let end = Instant::now() + LOCK_WAIT.min(self.time() / 2);
        let left = || end.saturating_duration_since(Instant::now());
        let reset = self.host.lock(RESET_LOCK, left())?;
        for path in STEPS.into_iter().map(apply::lock).chain([gate::LOCK.to_owned()]) {
            drop(self.host.lock(&path, left())?);
        }
        Ok(reset)
    }

    fn phases(&mut self, targets: &Targets) {
        let mut _held = None;
        for phase in Phase::ALL.into_iter().filter(|phase| phase.is_for(self.request)) {
            // An import that still copies would put back what is deleted; the next one finds the gate shut.
            if phase == Phase::State && self.host.exists(import::LOCK) {
                match self.host.lock(import::LOCK, IMPORT_WAIT.min(self.time() / 2)) {
                    Ok(lock) => _held = Some(lock),
                    Err(error) => {
                        self.leave(format!("{error}, so nothing was deleted; run the reset again"));
                        break;
                    }
                }
            }
            let is_done = match phase {
                Phase::Processes => {
                    self.end_processes(targets);
                    true
                }
                Phase::Mounts => {
                    self.unmount(targets);
                    true
                }
                _ => self.phase(targets, phase),
            };
            // Below a unit that runs nothing is deleted.
            if !is_done {
                self.leave("nothing was deleted, because RKE2 still runs; run the reset again".into());
                return;
            }
        }
        // What somebody started again and again is not started any more once it is deleted.
        self.end_processes(targets);
        for process in self.running(targets) {
            self.leave(format!("cannot {}: somebody starts it again; stop that", Action::End(process)));
        }
    }

    /// The processes that are to end, but for those that were told to be there for good.
    fn running(&self, targets: &Targets) -> Vec<Process> {
        let found = phases::phase(self.host, targets, self.request, Phase::Processes).0.into_iter();
        let found = found.filter_map(|action| if let Action::End(it) = action { Some(it) } else { None });
        found.filter(|process| !self.survivors.contains(process)).collect()
    }

    /// False if what comes after it must not be done.
    fn phase(&mut self, targets: &Targets, phase: Phase) -> bool {
        let (actions, notes) = phases::phase(self.host, targets, self.request, phase);
        self.note(notes);
        let mut goes_on = true;
        for action in actions {
            let done = if self.is_late() { Err(Reason::from("the time is up")) } else { self.act(&action, targets) };
            match done {
                Ok(true) => self.did(action.to_string()),
                Ok(false) => {}
                Err(why) => {
                    self.leave(format!("cannot {action}: {}", why.sentence));
                    goes_on &= !matches!(action, Action::Stop { .. });
                }
            }
        }
        goes_on
    }

    /// Whether it was done; what is left of a deletion is told at once.
    fn act(&mut self, action: &Action, targets: &Targets) -> Result<bool, Reason> {
        match action {
            Action::ShutGate => Ok(self.shut(targets).map(|()| true)?),
            Action::Stop { unit } => {
                let said = units::stop(self.host, *unit, self.end)?;
                self.note(said);
                Ok(true)
            }
            Action::Run { command, input, .. } => {
                let words: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
                let program = command.first().map_or("", String::as_str);
                let limit = TOOL.min(self.time());
                Ok(self.host.run_with(program, &words, input.as_bytes(), 1 << 16, limit).map(|_| true)?)
            }
            Action::DeleteLink { name } => Ok(network::delete_link(self.host, name, TOOL.min(self.time()))?),
            Action::RemoveGroups { path } => groups::remove(self.host, path, self.end),
            Action::Delete { path, mounted } => {
                let aside = self.set_aside(path, targets);
                Ok(self.delete(aside.as_deref().unwrap_or(path), *mounted))
            }
            Action::RemoveEmpty { path } => Ok(self.host.remove_empty(path)),
            Action::End(_) | Action::Unmount { .. } => Ok(false),
        }
    }

    fn time(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn is_late(&self) -> bool {
        self.time().is_zero()
    }

    /// Nothing starts RKE2 before the next plan: apply refuses, the unit's condition fails.
    fn shut(&self, targets: &Targets) -> Result<(), Error> {
        self.host.make_dir(gate::RUN, 0o700)?;
        gate::set_refused(self.host, &[REFUSED.to_owned()])?;
        gate::close(self.host)?;
        let cleared: BTreeSet<String> = collected(cleared(self.host).into_iter().chain(targets.data_dirs.clone()));
        if !cleared.is_empty() {
            let text: String = cleared.iter().flat_map(|path| [path, "\n"]).collect();
            self.host.put(CLEARED, text.as_bytes(), 0o600)?;
        }
        if gate::write(self.context)? && systemd::runs_here(self.host) {
            self.host.run("systemctl", &["daemon-reload"], TOOL.min(self.time()))?;
        }
        Ok(())
    }

    fn end_processes(&mut self, targets: &Targets) {
        for _ in 0..ROUNDS {
            let new = self.running(targets);
            if new.is_empty() || self.is_late() {
                break;
            }
            let survivors = self.host.end_processes(&new, GRACE.min(self.time() / 4), BURIAL.min(self.time() / 4));
            for process in new {
                if survivors.contains(&process) {
                    let action = Action::End(process.clone());
                    self.leave(format!("cannot {action}: it is still there after SIGKILL"));
                    self.survivors.push(process);
                } else {
                    self.did(Action::End(process).to_string());
                }
            }
        }
    }

    fn unmount(&mut self, targets: &Targets) {
        let mut last: Vec<(Mount, bool, String)> = Vec::new();
        for round in 0..ROUNDS {
            let (actions, notes) = phases::phase(self.host, targets, self.request, Phase::Mounts);
            if round == 0 {
                self.note(notes);
            }
            let before = std::mem::take(&mut last);
            // Before any of them, because an unmount reaches the copies of the mount that it is below.
            let mut shared: Vec<(String, String)> = Vec::new();
            for action in &actions {
                if let Action::Unmount { mount, private: true, .. } = action
                    && let Err(error) = self.host.make_private(mount)
                {
                    shared.push((mount.point.clone(), error.to_string()));
                }
            }
            for action in &actions {
                let Action::Unmount { mount, lazily, .. } = action else { continue };
                if self.is_late() {
                    last.push((mount.clone(), *lazily, "the time is up".into()));
                    continue;
                }
                if let Some((_, why)) = shared.iter().find(|(point, _)| mount.point.starts_with(point.as_str())) {
                    last.push((mount.clone(), false, why.clone()));
                    continue;
                }
                // The last resort: everything else has been tried, and nothing new has come of it.
                let is_last = *lazily && before.iter().any(|(other, ..)| other == mount);
                match self.host.unmount(mount, false) {
                    Ok(()) => self.did(action.to_string()),
                    Err(error) if is_busy(&error) && is_last => match self.host.unmount(mount, true) {
                        Ok(()) => {
                            self.did(action.to_string());
                            let point = escape(&mount.point);
                            self.note([format!("{point} was busy, so it was unmounted lazily")]);
                        }
                        Err(error) => last.push((mount.clone(), *lazily, error.to_string())),
                    },
                    Err(error) => last.push((mount.clone(), *lazily, error.to_string())),
                }
            }
            let is_stuck = last.iter().all(|(mount, lazily, _)| !lazily && before.iter().any(|(it, ..)| it == mount));
            if last.is_empty() || is_stuck || self.is_late() {
                break;
            }
        }
        for (mount, _, why) in last {
            if self.mounts.insert(mount.point) {
                self.leave(format!("{why}, so nothing in it was deleted; end what uses it and run the reset again"));
            }
        }
    }

    /// Gives a directory of RKE2's data a name that RKE2 does not look for, so that a power cut leaves all of it or nothing: RKE2 takes programs
    /// that are half deleted for whole (rke2 `pkg/bootstrap`, `Stage`). None where it stays, because something is mounted in it.
    fn set_aside(&self, path: &str, targets: &Targets) -> Option<String> {
        if path.rsplit('/').next().is_some_and(is_unpacking) {
            return None;
        }
        let data_dir = targets
            .data_dirs
            .iter()
            .find(|it| path.strip_prefix(it.as_str()).is_some_and(|rest| rest.starts_with('/')))?;
        let is_below = |mount: &Mount| mount.point == path || mount.point.starts_with(&format!("{path}/"));
        let is_whole = self.host.mounts().is_ok_and(|all| !all.iter().any(is_below));
        if !is_whole || self.host.is_symlink(path) || !self.host.is_dir(path) {
            return None;
        }
        (1..100)
            .map(|number| format!("{data_dir}/{}", targets::aside(number)))
            .find(|to| self.host.move_whole(path, to))
    }

    /// Deletes, and says what stays; true if all of it is gone.
    fn delete(&mut self, path: &str, mounted: bool) -> bool {
        let remains = self.host.delete(path, mounted, self.end);
        if remains.is_empty() {
            return true;
        }
        if remains.read_only && remains.mounts.is_empty() {
            let path = escape(path);
            self.note([format!("{path} lies on a read-only file system, so it is the image's and stays")]);
            return false;
        }
        for mount in remains.mounts {
            if !self.mounts.contains(&mount) {
                let point = escape(&mount);
                self.leave(format!("cannot delete {point}: it is a mount, so nothing in it was deleted"));
                self.mounts.insert(mount);
            }
        }
        remains.failures.into_iter().for_each(|failure| self.leave(failure));
        if remains.more > 0 {
            self.leave(format!("cannot delete {} more files below {}", remains.more, escape(path)));
        }
        false
    }

    fn did(&mut self, sentence: String) {
        self.log.line(Level::Info, "reset", &sentence);
        self.report.done.push(sentence);
    }

    fn leave(&mut self, sentence: String) {
        self.log.line(Level::Error, "reset", &sentence);
        self.report.left.push(sentence);
    }

    fn note(&mut self, sentences: impl IntoIterator<Item = String>) {
        for sentence in sentences {
            self.log.line(Level::Warning, "reset", &sentence);
            self.report.notes.push(sentence);
        }
    }

    /// The cluster knows nothing of a reset.
    fn advise(&mut self, targets: &Targets) {
        if self.request.keep_state {
            return;
        }
        let file = |path: &str| {
            let text = self.host.read(path, 1 << 12).ok()?;
            Some(String::from_utf8_lossy(&text).trim().to_lowercase()).filter(|name| !name.is_empty())
        };
        let name = targets.node.clone().or_else(|| file("/etc/hostname")).unwrap_or_else(|| "NODE".into());
        let name = escape(&name);
        let advice = &mut self.report.advice;
        advice.push(format!("on the cluster: kubectl delete node {name}, unless the whole cluster is gone"));
        if targets.server {
            advice.push("this node was a server: deleting the node removes its member from etcd too".into());
        }
        let password = if self.request.node_password {
            format!("the node's password was removed: kubectl -n kube-system delete secret {name}.node-password.rke2")
        } else {
            format!(
                "where RKE2 says \"Node password rejected\" later: kubectl -n kube-system delete secret {name}.node-password.rke2"
            )
        };
        advice.push(password);
    }
}
