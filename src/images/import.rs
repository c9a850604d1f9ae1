//! `apply images`, and what `prestart` does of it: carries out the plan of [`crate::images`].
//!
//! A lock of its own: copying takes minutes, and the plan and the other steps wait only seconds for theirs.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::carry_out::{Count, Run};
use super::job::{Job, Limits, STALLED, Said, Seen};
use super::record::Record;
use super::request::WAIT;
pub(crate) use super::request::{Mode, Request};
use super::{Source, expected, plan};
use crate::Context;
use crate::findings::Reason;
use crate::host::copy::PROGRESS;
use crate::host::{self, Host};
use crate::report::log::Level;
use crate::report::outcome::Outcome;
use crate::rke2::installed;
use crate::service::gate;
use crate::status::{self, Waiting};
use crate::text::escape::escape;

/// Held while images are imported, by the step and by the start of RKE2.
pub(crate) const LOCK: &str = "/run/provider-rke2/images.lock";

/// How long an archive must not have changed to be taken for one that has arrived.
const QUIET: Duration = Duration::from_secs(2);

/// How long nothing may move before the content directory counts as one that hangs.
const HANGS: Duration = Duration::from_secs(120);

/// How often content that still arrives is looked at.
const POLL: Duration = Duration::from_millis(250);

/// Imports what is complete, within the budget.
pub(crate) fn run(host: &Host, request: &Request) -> Outcome {
    let job = Job::of(host, request);
    let scripts = job.scripts().err().map(Reason::from);
    let mut outcome = match job.content() {
        Some(content) => {
            let deadline = request.budget.map(|budget| Instant::now() + budget);
            job.result(job.import(&content, &Limits { deadline, ..Limits::default() }))
        }
        None => Outcome::default(),
    };
    outcome.failed.extend(scripts);
    outcome
}

/// The same as a boot stage does it: a content directory that does not answer keeps nobody for longer than the budget.
pub(crate) fn step(context: &Context, request: &Request) -> Outcome {
    let budget = request.budget.unwrap_or(HANGS);
    let work = |context: &Context, request: &Request, _: &mpsc::Sender<_>| run(context.host, request);
    watched(context, request, budget, work).unwrap_or_else(Outcome::failed)
}

/// Waits for content that still arrives, and imports all there is. Gives what failed.
///
/// Content has arrived once the marker is there (the setting `images_marker`), or without one, once nothing has changed for a while. The
/// wait is bounded; what is complete is copied meanwhile, and without a bound, because a node without its images cannot start RKE2 anyway.
///
/// Unless nothing moves any more: a mount that does not answer keeps this program, but not RKE2.
pub(crate) fn prestart(context: &Context, request: &Request) -> Vec<Reason> {
    watched(context, request, request.wait, arrive).unwrap_or_else(|reason| vec![reason])
}

/// Runs something about images in a thread of its own, until it is done or nothing moves for `patience`. Fails if so; the thread ends with the
/// process then. What it says that it waits for is told.
fn watched<T: Send + 'static>(
    context: &Context,
    request: &Request,
    patience: Duration,
    work: impl FnOnce(&Context, &Request, &mpsc::Sender<&'static str>) -> T + Send + 'static,
) -> Result<T, Reason> {
    let path = escape(request.content.as_deref().unwrap_or_default());
    let patience = patience.clamp(Duration::from_secs(1), HANGS);
    let (sender, waiting) = mpsc::sync_channel(1);
    let (told, telling) = mpsc::channel();
    let (host, request, version) = (context.host.again()?, request.clone(), context.version.to_owned());
    let work = move || {
        let context = Context { host: &host, program: "", version: &version };
        drop(sender.send(work(&context, &request, &told)));
    };
    thread::Builder::new().spawn(work).map_err(|error| format!("{path}: {}", host::reason(&error)))?;
    let mut still = None;
    let mut moved = (PROGRESS.load(Ordering::Relaxed), Instant::now());
    loop {
        match waiting.recv_timeout(POLL) {
            Ok(done) => return Ok(done),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(format!("{path}: the import panicked").into()),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if let Ok(what) = telling.try_recv() {
            still = Some(Waiting::begin(context, "images", what));
        }
        let now = PROGRESS.load(Ordering::Relaxed);
        if now != moved.0 {
            moved = (now, Instant::now());
        } else if moved.1.elapsed() >= patience {
            drop(still);
            let seconds = patience.as_secs();
            return Err(format!(
                "{path}: does not answer for {seconds} s, so what is not imported yet is left out; see what is mounted there, then \
                 restart RKE2"
            )
            .into());
        }
    }
}

/// Imports until all has arrived, or the wait is over. What is waited for is told before.
fn arrive(context: &Context, request: &Request, told: &mpsc::Sender<&'static str>) -> Vec<Reason> {
    let host = context.host;
    let job = Job::of(host, request);
    let end = Instant::now() + request.wait;
    let (mut seen, mut is_told) = (Seen::new(), false);
    loop {
        PROGRESS.fetch_add(1, Ordering::Relaxed);
        let Some(directory) = job.content() else { return Vec::new() };
        let late = Instant::now() >= end || gate::refused(host).is_some();
        let arriving = job.arriving(&directory, &mut seen, QUIET);
        let limits = Limits { hold_back: if late { Vec::new() } else { arriving.clone() }, late, ..Limits::default() };
        let said = job.import(&directory, &limits);
        let recent = job.arriving(&directory, &mut seen, STALLED);
        let stalled = said.again.iter().any(|path| recent.contains(path));
        let lacks_marker = job.lacks_marker(&directory);
        if late || (arriving.is_empty() && !stalled && !lacks_marker) {
            let mut outcome = job.result(said);
            // What this step came to takes the place of what the boot stage came to, which is more than an import.
            outcome.failed.extend(job.scripts().err().map(Reason::from));
            status::step(context, "images", None, &outcome);
            return outcome.failed;
        }
        if !is_told {
            let what = if lacks_marker { "the marker of the images" } else { "images that still arrive" };
            is_told = told.send(what).is_ok();
        }
        sleep(POLL.min(end.saturating_duration_since(Instant::now())));
    }
}

impl Job<'_> {
    /// Looks at everything once, and imports what is to be imported.
    fn import(&self, content: &str, limits: &Limits) -> Said {
        let mut said = Said::default();
        if let Err(reason) = self.try_import(content, limits, &mut said) {
            said.failed.push(reason.sentence);
        }
        said
    }

    /// Tells what the last run came to.
    fn result(&self, said: Said) -> Outcome {
        for (level, sentences) in [(Level::Error, &said.failed), (Level::Info, &said.done)] {
            sentences.iter().filter(|_| !self.is_rehearsal()).for_each(|it| self.log.line(level, "images", it));
        }
        Outcome { done: said.done, failed: said.failed.into_iter().map(Reason::from).collect(), ..Outcome::default() }
    }

    fn try_import(&self, content: &str, limits: &Limits, said: &mut Said) -> Result<(), Reason> {
        let host = self.host;
        let wait = limits.deadline.map_or(WAIT, |deadline| deadline.saturating_duration_since(Instant::now()));
        let _lock = if self.is_rehearsal() {
            None
        } else {
            host.make_dir(gate::RUN, 0o700)?;
            Some(host.lock(LOCK, wait)?)
        };
        // Meanwhile the node may have been reset.
        if let Some(refused) = gate::refused(host).filter(|_| !self.is_rehearsal()) {
            return Err(Reason::sentences(&refused.reasons).join("; ").into());
        }
        if !self.is_rehearsal() {
            host.tidy(&self.agent, "images")?;
        }
        if host.is_same_file(content, &self.target) {
            return Err(format!("{content}: is RKE2's own directory for images; name another directory").into());
        }
        let Some(look) = self.look(content, said)? else {
            said.done.push(format!("{content}: there is no such directory, so no images are imported"));
            return Ok(());
        };
        let mut record = Record::read(host, &self.target);
        let before = record.clone();
        let target = host.present(&self.target)?;
        let has_all = limits.hold_back.is_empty() && (limits.late || !self.lacks_marker(content));
        let prune = look.is_whole && has_all && !self.request.is_elsewhere;
        let plan = plan(content, &look.sources, &record, &target, prune);
        let mut run =
            Run { job: self, content, target: &target, limits, said, record: &mut record, count: Count::default() };
        let result = run.carry_out(&look.sources, &plan);
        let count = run.count;
        if !self.is_rehearsal() && record != before {
            record.write(host)?;
        }
        result?;
        if look.sources.is_empty() {
            said.done.push(format!("{content}: holds no archive of images, so none is imported"));
        } else {
            said.done.push(format!("{content}: {}", count.summary(self.is_rehearsal())));
            let names: Vec<&str> =
                look.sources.iter().map(Source::name).chain(target.keys().map(String::as_str)).collect();
            said.done.extend(self.missing(&names));
        }
        Ok(())
    }

    /// The archives of RKE2's release that seem to be missing.
    fn missing(&self, names: &[&str]) -> Vec<String> {
        let Some(cnis) = &self.request.cnis else { return Vec::new() };
        // RKE2 is asked for its version only if there is something to say.
        if expected::missing(names, cnis, None).is_empty() {
            return Vec::new();
        }
        let version = installed::version(self.host).version().map(|version| version.to_string());
        expected::missing(names, cnis, version.as_deref())
    }
}
