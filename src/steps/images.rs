//! `apply images`, and what `prestart` does of it: carries out the plan of [`crate::images`].
//!
//! A lock of its own: copying takes minutes, and the plan and the other steps wait only seconds for theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::Context;
use crate::VERSION;
use crate::apply::Step;
use crate::cluster::Role;
use crate::emit::escape;
use crate::gate;
use crate::host::copy::{Original, PROGRESS, Part, Store};
use crate::host::{self, Host};
use crate::images::archive::{self, Kind, Verdict};
use crate::images::record::{Entry, Other, Ours, Record};
use crate::images::{Action, Gone, Identity, Import, Plan, Source, Target, expected, plan, sums};
use crate::log::{Level, Log};
use crate::report::outcome::{Outcome, Reason};
use crate::report::status::{self, Waiting};
use crate::rke2::{self, Installed};
use crate::scripts;
use crate::staged::Staged;
use crate::stdio;
use crate::yaml::{self, Node, OPTIONS};

/// Where each archive is told of, as users of the Go provider know it; 0600 like our other log.
pub const LOG: &str = "/var/log/rke2-import-images.log";

/// How long the boot stage may copy; the setting `images_budget`.
const BUDGET: Duration = Duration::from_secs(60);

/// How long the start of RKE2 waits for content that still arrives; the setting `images_wait`.
const WAIT: Duration = Duration::from_secs(600);

/// How long an archive must not have changed to be taken for one that has arrived.
const QUIET: Duration = Duration::from_secs(2);

/// The same for one that is provably cut off: its transfer may have stalled.
const STALLED: Duration = Duration::from_secs(10);

/// How long nothing may move before the content directory counts as one that hangs.
const HANGS: Duration = Duration::from_secs(120);

/// How often content that still arrives is looked at.
const POLL: Duration = Duration::from_millis(250);

/// RKE2's import cache, which it fills only if it is there (k3s `pkg/agent/containerd/watcher.go`).
const CACHE: &str = ".cache.json";

/// Where RKE2 keeps its state if nothing else is said.
const DATA_DIR: &str = "/var/lib/rancher/rke2";

/// Free space that is left alone: a twentieth of the file system, at most this.
const RESERVE: u64 = 256 << 20;

/// After so many archives or bytes what was copied is brought to the disk and gets its names.
const BATCH_FILES: usize = 64;
const BATCH_BYTES: u64 = 256 << 20;

/// How `apply images` was called.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Call {
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
    /// The content directory, in place of the cloud-config's.
    pub from: Option<String>,
}

/// Imports what is complete, within the budget. Gives what was done, or what failed.
pub fn run(host: &Host, staged: &Staged, call: &Call) -> Result<Vec<String>, Vec<String>> {
    let job = Job::of(host, Some(staged), call);
    let script = job.scripts();
    let Some(content) = job.content() else { return script };
    let budget = staged.duration("images_budget", BUDGET);
    let budget = (call.from.is_none() && !call.dry_run).then(|| Instant::now() + budget);
    let mut said = job.import(&content, &Limits { deadline: budget, ..Limits::default() });
    said.failed.extend(script.err().unwrap_or_default());
    job.result(said)
}

/// The same for a caller that names the content directory on a host without a plan.
pub fn run_without_plan(host: &Host, call: &Call) -> Result<Vec<String>, Vec<String>> {
    let job = Job::of(host, None, call);
    job.content().map_or(Ok(Vec::new()), |content| job.result(job.import(&content, &Limits::default())))
}

/// The same as a boot stage does it: a content directory that does not answer keeps nobody for longer than the budget.
pub fn step(context: &Context, staged: &Staged) -> Outcome {
    let budget = staged.duration("images_budget", BUDGET);
    let work = |context: &Context, staged: &Staged, _: &mpsc::Sender<_>| run(context.host, staged, &Call::default());
    watched(context, staged, budget, work).unwrap_or_else(|sentence| Err(vec![sentence])).into()
}

/// Waits for content that still arrives, and imports all there is. Gives what failed.
///
/// Content has arrived once the marker is there (the setting `images_marker`), or without one, once nothing has changed for a while. The
/// wait is bounded; what is complete is copied meanwhile, and without a bound, for a node without its images cannot start RKE2 anyway.
///
/// Unless nothing moves any more: a mount that does not answer keeps this program, but not RKE2.
pub fn prestart(context: &Context, staged: &Staged) -> Vec<String> {
    let wait = staged.duration("images_wait", WAIT);
    let work = move |context: &Context, staged: &Staged, told: &mpsc::Sender<_>| arrive(context, staged, wait, told);
    watched(context, staged, wait, work).unwrap_or_else(|sentence| vec![sentence])
}

/// Runs something about images in a thread of its own, until it is done or nothing moves for `patience`. Fails with a sentence if so; the thread
/// ends with the process then. What it says that it waits for is told.
fn watched<T: Send + 'static>(
    context: &Context,
    staged: &Staged,
    patience: Duration,
    work: impl FnOnce(&Context, &Staged, &mpsc::Sender<&'static str>) -> T + Send + 'static,
) -> Result<T, String> {
    let path = staged.images.clone().unwrap_or_default();
    let patience = patience.clamp(Duration::from_secs(1), HANGS);
    let (sender, waiting) = mpsc::sync_channel(1);
    let (told, telling) = mpsc::channel();
    let (host, staged) = (context.host.again().map_err(|error| error.to_string())?, staged.clone());
    let version = context.version.to_owned();
    let work = move || {
        let context = Context { host: &host, program: "", version: &version };
        drop(sender.send(work(&context, &staged, &told)));
    };
    thread::Builder::new().spawn(work).map_err(|error| format!("{}: {}", escape(&path), host::reason(&error)))?;
    let mut still = None;
    let mut moved = (PROGRESS.load(Ordering::Relaxed), Instant::now());
    loop {
        match waiting.recv_timeout(POLL) {
            Ok(done) => return Ok(done),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(format!("{}: the import panicked", escape(&path))),
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
                "{}: does not answer for {seconds} s, so what is not imported yet is left out; see what is mounted there, then \
                 restart RKE2",
                escape(&path)
            ));
        }
    }
}

/// The same, for as long as it takes. What is waited for is told before.
fn arrive(context: &Context, staged: &Staged, wait: Duration, told: &mpsc::Sender<&'static str>) -> Vec<String> {
    let host = context.host;
    let job = Job::of(host, Some(staged), &Call::default());
    let end = Instant::now() + wait;
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
            let outcome = Outcome::from(job.result(said));
            status::step(context, "images", None, &outcome);
            return Reason::sentences(&outcome.failed);
        }
        if !is_told {
            let what = if lacks_marker { "the marker of the images" } else { "images that still arrive" };
            is_told = told.send(what).is_ok();
        }
        sleep(POLL.min(end.saturating_duration_since(Instant::now())));
    }
}

/// Each archive as it was looked at last, and since when it is so.
type Seen = BTreeMap<String, (Identity, Instant)>;

/// What bounds one run.
#[derive(Default)]
struct Limits {
    deadline: Option<Instant>,
    /// Archives that still arrive.
    hold_back: Vec<String>,
    /// The marker is not waited for any more.
    late: bool,
}

/// What a run came to.
#[derive(Default)]
struct Said {
    done: Vec<String>,
    failed: Vec<String>,
    /// Archives that were not imported and may change yet.
    again: Vec<String>,
}

/// What is to be imported where.
struct Job<'a> {
    host: &'a Host,
    log: Log<'a>,
    /// The content directory as asked for, and the prefix under which it is looked for first.
    path: Option<String>,
    root: String,
    marker: Option<String>,
    agent: String,
    target: String,
    staged: Option<&'a Staged>,
    dry_run: bool,
    /// It is another directory than the plan's: what lay in it before may lie on another stick.
    is_elsewhere: bool,
}

impl<'a> Job<'a> {
    fn of(host: &'a Host, staged: Option<&'a Staged>, call: &Call) -> Self {
        let agent = format!("{}/agent", staged.map_or(DATA_DIR, |staged| staged.data_dir.as_str()));
        Job {
            host,
            log: Log::new(host, VERSION).to(LOG),
            path: call.from.clone().or_else(|| staged?.images.clone()),
            root: if call.from.is_some() {
                String::new()
            } else {
                staged.map(|it| it.root_path.clone()).unwrap_or_default()
            },
            marker: if call.from.is_some() {
                None
            } else {
                staged.and_then(|it| it.setting("images_marker")).map(Into::into)
            },
            target: format!("{agent}/images"),
            agent,
            staged,
            dry_run: call.dry_run,
            is_elsewhere: call.from.is_some() && call.from != staged.and_then(|it| it.images.clone()),
        }
    }

    /// Writes the scripts that other programs call by their path; the import is what they are called for most.
    fn scripts(&self) -> Result<Vec<String>, Vec<String>> {
        if self.dry_run || self.staged.is_none() {
            return Ok(Vec::new());
        }
        let root = self.staged.map(|staged| staged.root_path.as_str()).unwrap_or_default();
        scripts::install(self.host, root).map(|()| Vec::new()).map_err(|error| vec![error.to_string()])
    }

    /// The content directory: below the root path if it is there, else as it is; nothing if nothing is to be imported.
    fn content(&self) -> Option<String> {
        let path = self.path.as_deref()?.trim_end_matches('/');
        let below = format!("{}{path}", self.root);
        Some(if !self.root.is_empty() && self.host.is_dir(&below) { below } else { path.to_owned() })
    }

    fn lacks_marker(&self, content: &str) -> bool {
        self.marker.as_deref().is_some_and(|marker| {
            let path = if marker.starts_with('/') { marker.to_owned() } else { format!("{content}/{marker}") };
            !self.host.exists(&path)
        })
    }

    /// The archives that have changed a short while ago, by the clock or since the last look; none once there is a marker.
    fn arriving(&self, content: &str, seen: &mut Seen, quiet: Duration) -> Vec<String> {
        if self.marker.is_some() && !self.lacks_marker(content) {
            return Vec::new();
        }
        let found =
            self.host.walk(content, &self.target, is_wanted).ok().flatten().map(|walk| walk.files).unwrap_or_default();
        let clock = self.host.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Instant::now();
        let looked: Seen = found
            .into_iter()
            .map(|it| {
                let since = match seen.get(&it.path) {
                    Some((identity, since)) if *identity == it.identity => *since,
                    Some(_) => now,
                    // A change that lies in the future was made under another clock.
                    None => {
                        let changed =
                            Duration::new(u64::try_from(it.identity.ctime.0).unwrap_or_default(), it.identity.ctime.1);
                        let age = clock.checked_sub(changed).unwrap_or(STALLED).min(STALLED);
                        now.checked_sub(age).unwrap_or(now)
                    }
                };
                (it.path, (it.identity, since))
            })
            .collect();
        *seen = looked;
        seen.iter().filter(|(_, (_, since))| since.elapsed() < quiet).map(|(path, _)| path.clone()).collect()
    }

    fn say(&self, level: Level, sentence: &str) {
        if !self.dry_run {
            self.log.line(level, "images", sentence);
        }
        if io::stderr().is_terminal() || self.dry_run {
            stdio::to_stderr(&format!("agent-provider-rke2: {sentence}"));
        }
    }

    /// Looks at everything once, and imports what is to be imported.
    fn import(&self, content: &str, limits: &Limits) -> Said {
        let mut said = Said::default();
        if let Err(sentence) = self.try_import(content, limits, &mut said) {
            said.failed.push(sentence);
        }
        said
    }

    /// Tells what the last run came to.
    fn result(&self, said: Said) -> Result<Vec<String>, Vec<String>> {
        for (level, sentences) in [(Level::Error, &said.failed), (Level::Info, &said.done)] {
            sentences.iter().filter(|_| !self.dry_run).for_each(|it| self.log.line(level, "images", it));
        }
        if said.failed.is_empty() {
            return Ok(said.done);
        }
        // What was done is told beside what failed.
        said.done.iter().for_each(|sentence| stdio::to_stderr(&format!("agent-provider-rke2: {sentence}")));
        Err(said.failed)
    }

    fn try_import(&self, content: &str, limits: &Limits, said: &mut Said) -> Result<(), String> {
        let (host, told) = (self.host, |error: host::Error| error.to_string());
        let wait = limits.deadline.map_or(WAIT, |deadline| deadline.saturating_duration_since(Instant::now()));
        let _lock = if self.dry_run {
            None
        } else {
            host.make_dir(gate::RUN, 0o700).map_err(told)?;
            Some(host.lock(&Step::Images.lock(), wait).map_err(told)?)
        };
        // Meanwhile the node may have been reset.
        if let Some(refused) = gate::refused(host).filter(|_| !self.dry_run) {
            return Err(Reason::sentences(&refused.reasons).join("; "));
        }
        if !self.dry_run {
            host.tidy(&self.agent, "images").map_err(told)?;
        }
        if host.is_same_file(content, &self.target) {
            return Err(format!("{content}: is RKE2's own directory for images, there is nothing to import"));
        }
        let Some(look) = self.look(content, said)? else {
            said.done.push(format!("{content}: there is no such directory, so no images are imported"));
            return Ok(());
        };
        let mut record = Record::read(host, &self.target);
        let before = record.clone();
        let target = host.present(&self.target).map_err(told)?;
        let has_all = limits.hold_back.is_empty() && (limits.late || !self.lacks_marker(content));
        let prune = look.is_whole && has_all && !self.is_elsewhere;
        let plan = plan(content, &look.sources, &record, &target, prune);
        let mut run =
            Run { job: self, content, target: &target, limits, said, record: &mut record, count: Count::default() };
        let result = run.carry_out(&look.sources, &plan);
        let count = run.count;
        if !self.dry_run && record != before {
            record.write(host, true).map_err(told)?;
        }
        result?;
        if look.sources.is_empty() {
            said.done.push(format!("{content}: holds no archive of images, so none is imported"));
        } else {
            said.done.push(format!("{content}: {}", count.summary(self.dry_run)));
            let names: Vec<&str> =
                look.sources.iter().map(Source::name).chain(target.keys().map(String::as_str)).collect();
            said.done.extend(self.missing(&names));
        }
        Ok(())
    }

    /// What lies in the content directory; nothing if there is none.
    fn look(&self, content: &str, said: &mut Said) -> Result<Option<Look>, String> {
        let Some(walk) = self.host.walk(content, &self.target, is_wanted).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        for (path, why) in &walk.problems {
            said.failed.push(format!("{}: {why}", escape(&format!("{content}/{path}"))));
        }
        let is_sums = |path: &str| sums::is_sums(path.rsplit('/').next().unwrap_or_default());
        let (sums_files, mut files): (Vec<_>, Vec<_>) = walk.files.into_iter().partition(|it| is_sums(&it.path));
        let mut digests = Vec::new();
        for file in &sums_files {
            match self.host.read(&format!("{content}/{}", file.path), archive::TEXT) {
                Ok(bytes) => {
                    let read = sums::read(&file.path, &String::from_utf8_lossy(&bytes));
                    digests.extend(read.into_iter().map(|(name, digest)| (file.path.clone(), name, digest)));
                }
                Err(error) => said.done.push(error.to_string()),
            }
        }
        // One file is imported once, by its own name rather than by a symlink's.
        files.sort_by(|a, b| (a.is_link, &a.path).cmp(&(b.is_link, &b.path)));
        let mut once = BTreeSet::new();
        files.retain(|it| once.insert(it.file));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let sources = files.into_iter().filter(|it| Kind::of(&it.path).is_some()).map(|it| Source {
            sha256: sums::of(&digests, &it.path),
            path: it.path,
            identity: it.identity,
        });
        Ok(Some(Look { sources: sources.collect(), is_whole: walk.is_whole }))
    }

    /// The archives of RKE2's release that seem to be missing.
    fn missing(&self, names: &[&str]) -> Vec<String> {
        let Some(staged) = self.staged else { return Vec::new() };
        let cnis = cnis(staged);
        // RKE2 is asked for its version only if there is something to say.
        if expected::missing(names, &cnis, None).is_empty() {
            return Vec::new();
        }
        let version = match rke2::version(self.host) {
            Installed::Version(version) => Some(version),
            Installed::No | Installed::Unknown(_) => None,
        };
        expected::missing(names, &cnis, version.as_deref())
    }
}

struct Look {
    sources: Vec<Source>,
    is_whole: bool,
}

/// Archives by their ending, and checksum files; not what macOS leaves beside each file on a medium that it shares (`._NAME`).
fn is_wanted(name: &str) -> bool {
    !name.starts_with("._") && (Kind::of(name).is_some() || sums::is_sums(name))
}

/// The CNIs that were chosen, or RKE2's own choice; on an agent its server decides.
fn cnis(staged: &Staged) -> Vec<String> {
    let text = |node: &Node| node.scalar().map(|it| it.text.clone());
    let chosen = |options: &str| -> Option<Vec<String>> {
        let document = yaml::read(options, OPTIONS).ok()?;
        let cni = document.root.get("cni")?;
        let items: Vec<String> = cni.items().iter().filter_map(text).chain(text(cni)).collect();
        Some(items.iter().flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect())
    };
    let default = if staged.role == Role::Worker { Vec::new() } else { vec!["canal".to_owned()] };
    chosen(&staged.provider).or_else(|| chosen(&staged.user)).unwrap_or(default)
}

/// What was done so far.
#[derive(Default, Clone, Copy)]
struct Count {
    imported: usize,
    bytes: u64,
    unchanged: usize,
    removed: usize,
    refused: usize,
    left: usize,
    time: Duration,
}

impl Count {
    fn summary(&self, dry_run: bool) -> String {
        let would = if dry_run { "would be " } else { "" };
        let time = if dry_run { String::new() } else { format!(" in {:.1} s", self.time.as_secs_f64()) };
        let first =
            format!("{} {would}imported, {} unchanged, {}{time}", self.imported, self.unchanged, size(self.bytes));
        let rest = [(self.removed, "removed"), (self.refused, "refused"), (self.left, "left for the start of RKE2")];
        let rest = rest.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        std::iter::once(first).chain(rest).collect::<Vec<_>>().join(", ")
    }
}

fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
    let value = bytes as f64;
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{:.1} KiB", value / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{:.1} GiB", value / 1_073_741_824.0),
    }
}

/// Why an archive was not imported.
enum Not {
    /// It cannot be read by RKE2, and never will be as it is.
    Refused(String),
    /// This time; another run may do it.
    Failed(String),
    /// The time is up.
    Late,
}

impl From<host::Error> for Not {
    fn from(error: host::Error) -> Self {
        Not::Failed(error.to_string())
    }
}

/// One plan being carried out.
struct Run<'a> {
    job: &'a Job<'a>,
    content: &'a str,
    target: &'a Target,
    limits: &'a Limits,
    said: &'a mut Said,
    record: &'a mut Record,
    count: Count,
}

impl Run<'_> {
    fn path(&self, source: &Source) -> String {
        format!("{}/{}", self.content, source.path)
    }

    fn carry_out(&mut self, sources: &[Source], plan: &Plan) -> Result<(), String> {
        let start = Instant::now();
        let told = |error: host::Error| error.to_string();
        let mut work = Vec::new();
        for (source, action) in sources.iter().zip(&plan.actions) {
            match action {
                _ if self.limits.hold_back.contains(&source.path) => self.count.left += 1,
                Action::Unchanged => self.count.unchanged += 1,
                Action::Refused(why) => self.refused(source, why),
                Action::Import(import) => work.push((source, import, None)),
                Action::Compare { with, ours, otherwise } => {
                    work.push((source, otherwise, Some((with, ours.as_ref()))));
                }
            }
        }
        let removals: Vec<(&String, &String)> = plan
            .gone
            .iter()
            .filter_map(|(path, gone)| if let Gone::Remove(name) = gone { Some((path, name)) } else { None })
            .collect();
        if self.job.dry_run {
            self.rehearse(&work, &removals);
            return Ok(());
        }
        let needs_cache = !self.target.contains_key(CACHE) && (!work.is_empty() || self.count.unchanged > 0);
        if !work.is_empty() || !removals.is_empty() || needs_cache {
            let store = self.job.host.store(&self.job.agent, "images").map_err(told)?;
            let result = self.change(&store, &work, &removals);
            store.close(self.job.host).map_err(told)?;
            result?;
        }
        if self.is_all_there() {
            let forgotten = plan.gone.iter().filter(|(_, gone)| **gone == Gone::Forget);
            forgotten.for_each(|(path, _)| drop(self.record.archives.remove(path)));
        }
        self.count.time = start.elapsed();
        Ok(())
    }

    /// Changes RKE2's directory: new archives first, so that there is never less than before, then what is gone.
    fn change(&mut self, store: &Store, work: &[Work], removals: &[(&String, &String)]) -> Result<(), String> {
        let missing = self.missing_space(work, |original| store.can_clone(original))?;
        let freed: u64 = removals.iter().filter_map(|(_, name)| self.target.get(*name)).map(|it| it.size).sum();
        // Where the new ones find no room beside those that go anyway, these go first.
        let first = missing.as_ref().is_some_and(|missing| missing.bytes <= freed);
        if first {
            self.check(work);
        }
        let first = first && self.is_all_there();
        if first {
            self.remove(store, removals);
        } else if let Some(missing) = missing {
            return Err(missing.sentence);
        }
        // Several at a time, so that the disk writes on while the next is read.
        let mut copied: Vec<Copied> = Vec::new();
        for (source, import, compare) in work {
            match self.one(store, source, import, *compare) {
                Ok(None) => {}
                Ok(Some(it)) => {
                    copied.push(it);
                    let bytes: u64 = copied.iter().map(|it| it.source.identity.size).sum();
                    if copied.len() >= BATCH_FILES || bytes >= BATCH_BYTES {
                        self.publish(&mut copied);
                    }
                }
                Err(Not::Refused(why)) => {
                    // What was imported of it before stays ours, and where it is.
                    let imported = self.record.archives.remove(&self.path(source)).and_then(|it| it.imported);
                    let entry = Entry { imported, refused: Some(why.clone()), ..entry(source) };
                    self.record.archives.insert(self.path(source), entry);
                    self.refused(source, &why);
                }
                Err(Not::Failed(why)) => {
                    self.said.again.push(source.path.clone());
                    self.said.failed.push(format!("{}: {why}", escape(&self.path(source))));
                }
                Err(Not::Late) => self.count.left += 1,
            }
        }
        self.publish(&mut copied);
        if !first && self.is_all_there() {
            self.remove(store, removals);
        }
        if self.count.imported + self.count.unchanged > 0 {
            let second = self.job.host.now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
            store.touch(CACHE, i64::try_from(second).unwrap_or_default()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Refuses what can be refused before it is copied.
    fn check(&mut self, work: &[Work]) {
        for (source, _, _) in work {
            let original = self.job.host.original(&self.path(source), &source.identity);
            let kind = Kind::of(source.name()).unwrap_or(Kind::Tar);
            let verdict = original.ok().flatten().map(|mut original| archive::check(kind, &mut original));
            if let (Some(Ok(Verdict::Refused(why))), true) = (verdict, kind != Kind::List) {
                self.refused(source, &why);
            }
        }
    }

    /// Whether every archive that is to be there is: as long as one was refused, failed or is left, its forerunner may be what is gone.
    fn is_all_there(&self) -> bool {
        self.count.left == 0 && self.said.again.is_empty()
    }

    fn remove(&mut self, store: &Store, removals: &[(&String, &String)]) {
        for (path, name) in removals {
            match store.remove(name) {
                Ok(()) => {
                    self.record.archives.remove(*path);
                    self.count.removed += 1;
                    let sentence = format!("{}: is gone, {} removed", escape(path), escape(name));
                    self.job.say(Level::Info, &sentence);
                }
                Err(error) => self.said.failed.push(error.to_string()),
            }
        }
    }

    fn refused(&mut self, source: &Source, why: &str) {
        let sentence = format!("{}: {why}", escape(&self.path(source)));
        // Any text may lie beside archives: that is worth a word, and no failure.
        if Kind::of(source.name()) == Some(Kind::List) {
            return self.said.done.push(sentence);
        }
        self.count.refused += 1;
        self.said.again.push(source.path.clone());
        self.said.failed.push(sentence);
    }

    /// What is lacking to copy all that must be copied, if anything is.
    fn missing_space(&self, work: &[Work], can_clone: impl Fn(&Original) -> bool) -> Result<Option<Missing>, String> {
        let told = |error: host::Error| error.to_string();
        let mut needed = 0_u64;
        let mut cloned = None;
        for (source, _, compare) in work {
            // What most likely lies there already.
            if compare.is_some_and(|(with, _)| self.target.contains_key(with)) {
                continue;
            }
            let is_cloned = *cloned.get_or_insert_with(|| {
                let original = self.job.host.original(&self.path(source), &source.identity);
                original.ok().flatten().is_some_and(|original| can_clone(&original))
            });
            needed = needed.saturating_add(if is_cloned { 0 } else { source.identity.size });
        }
        let (free, all) = self.job.host.space(&self.job.target).map_err(told)?;
        let usable = free.saturating_sub(RESERVE.min(all / 20));
        Ok((needed > usable).then(|| Missing {
            bytes: needed - usable,
            sentence: format!(
                "{}: has no room for the images of {}: {} needed, {} free, of which {} stay free; nothing was copied, free some space",
                escape(&self.job.target),
                escape(self.content),
                size(needed),
                size(free),
                size(RESERVE.min(all / 20))
            ),
        }))
    }

    /// One archive: compared, and recorded if it is there; else copied, and checked on the way.
    fn one<'s>(
        &mut self,
        store: &'s Store,
        source: &'s Source,
        import: &'s Import,
        compare: Option<Compare>,
    ) -> Result<Option<Copied<'s>>, Not> {
        let deadline = self.limits.deadline;
        let changed = || Not::Failed("changes while it is looked at, it is looked at again when RKE2 starts".into());
        let start = Instant::now();
        let mut original = self.job.host.original(&self.path(source), &source.identity)?.ok_or_else(changed)?;
        let kind = Kind::of(source.name()).unwrap_or(Kind::Tar);
        if let Some((with, ours)) = compare {
            if let Verdict::Refused(why) = archive::check(kind, &mut original).map_err(not)? {
                return Err(Not::Refused(why));
            }
            let (is_same, sum) = store.holds(with, &original, source.sha256.is_some(), deadline).map_err(not)?;
            if is_same {
                agree(sum, source.sha256)?;
                self.count.unchanged += 1;
                // The same bytes at the same time may also be a copy that somebody else has made.
                let ours = ours.filter(|ours| self.record.names().any(|it| it == ours.name) || self.is_marked(with));
                let other = if ours.is_none() { self.other(with) } else { None };
                self.record
                    .archives
                    .insert(self.path(source), Entry { imported: ours.cloned(), other, ..entry(source) });
                let sentence =
                    format!("{}: lies in RKE2's directory already as {}", escape(&source.path), escape(with));
                self.job.say(Level::Info, &sentence);
                return Ok(None);
            }
        }
        // Whatever is in it there will be a doubt, so it is not copied in vain (see below).
        let is_doubted = matches!(kind, Kind::Gzip | Kind::Bzip2) && source.sha256.is_none();
        if is_doubted && !self.limits.late && self.job.lacks_marker(self.content) {
            return Err(Not::Late);
        }
        let mut copy = store.copy(&original, source.sha256.is_some(), deadline)?;
        let verdict = archive::check(kind, &mut copy).map_err(not)?;
        let doubt = match verdict {
            Verdict::Refused(why) => return Err(Not::Refused(why)),
            Verdict::Doubt(doubt) if source.sha256.is_none() => Some(doubt),
            Verdict::Doubt(_) | Verdict::Whole => None,
        };
        // With a marker, it says when what cannot be proven whole has arrived.
        if doubt.is_some() && !self.limits.late && self.job.lacks_marker(self.content) {
            return Err(Not::Late);
        }
        agree(copy.complete().map_err(not)?, source.sha256)?;
        let part = copy.seal(import.second).map_err(not)?.ok_or_else(changed)?;
        Ok(Some(Copied { source, import, part, doubt, time: start.elapsed() }))
    }

    /// Gives what was copied its name, and records it.
    fn publish(&mut self, copied: &mut Vec<Copied>) {
        if copied.is_empty() {
            return;
        }
        for Copied { source, import, part, doubt, time } in copied.drain(..) {
            if let Err(error) = part.publish(&import.name) {
                let why = host::reason(&error);
                self.said.again.push(source.path.clone());
                self.said.failed.push(format!("{}: cannot be imported: {why}", escape(&self.path(source))));
                continue;
            }
            let ours = Ours { name: import.name.clone(), size: source.identity.size, second: import.second };
            self.record.archives.insert(self.path(source), Entry { imported: Some(ours), ..entry(source) });
            self.tell(source, import, time, doubt);
        }
        // A run that is cut off later need not compare these again.
        let _ = self.record.write(self.job.host, false);
    }

    fn is_marked(&self, name: &str) -> bool {
        self.target.get(name).is_some_and(|it| it.is_marked)
    }

    fn other(&self, name: &str) -> Option<Other> {
        let written = self.target.get(name)?.mtime;
        Some(Other { name: name.to_owned(), written })
    }

    fn tell(&mut self, source: &Source, import: &Import, time: Duration, doubt: Option<String>) {
        let bytes = source.identity.size;
        self.count.imported += 1;
        self.count.bytes += bytes;
        #[allow(clippy::cast_precision_loss, reason = "a rate of two digits")]
        let rate = bytes as f64 / 1_048_576.0 / time.as_secs_f64().max(0.001);
        let name = if import.beside.is_some() { format!(" as {}", escape(&import.name)) } else { String::new() };
        let sentence = format!(
            "{}: imported{name}, {} in {:.1} s, {rate:.0} MiB/s",
            escape(&source.path),
            size(bytes),
            time.as_secs_f64()
        );
        self.job.say(Level::Info, &sentence);
        if let Some(doubt) = doubt {
            self.said.done.push(format!("{}: {doubt}; it was imported", escape(&self.path(source))));
        }
        if let Some(other) = &import.beside {
            self.said.done.push(format!(
                "{}: imported as {}, for another file is {}",
                escape(&self.path(source)),
                escape(&import.name),
                escape(other)
            ));
        }
    }

    /// Says what would be done.
    fn rehearse(&mut self, work: &[Work], removals: &[(&String, &String)]) {
        match self.missing_space(work, |_| false) {
            Ok(Some(missing)) => self.said.failed.push(missing.sentence),
            Ok(None) => {}
            Err(sentence) => self.said.failed.push(sentence),
        }
        for (source, import, compare) in work {
            let path = escape(&source.path);
            let verdict = match self.job.host.original(&self.path(source), &source.identity) {
                Ok(Some(mut original)) => archive::check(Kind::of(source.name()).unwrap_or(Kind::Tar), &mut original),
                Ok(None) => Err(io::ErrorKind::NotFound.into()),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            match (verdict, compare) {
                (Err(error), _) => self.said.failed.push(format!("{path}: cannot read it: {}", host::reason(&error))),
                (Ok(Verdict::Refused(why)), _) => self.refused(source, &why),
                (Ok(_), Some((with, _))) => {
                    let sentence = format!("{path}: would be compared with {}, which has its size", escape(with));
                    self.job.say(Level::Info, &sentence);
                }
                (Ok(verdict), None) => {
                    self.count.imported += 1;
                    self.count.bytes += source.identity.size;
                    let doubt =
                        if let Verdict::Doubt(doubt) = verdict { format!("; it {doubt}") } else { String::new() };
                    let (name, bytes) = (escape(&import.name), size(source.identity.size));
                    self.job.say(Level::Info, &format!("{path}: would be imported as {name}, {bytes}{doubt}"));
                }
            }
        }
        let all_there = self.is_all_there();
        for (path, name) in removals.iter().filter(|_| all_there) {
            self.count.removed += 1;
            self.job.say(Level::Info, &format!("{}: is gone, {} would be removed", escape(path), escape(name)));
        }
    }
}

/// An archive that is copied but has no name yet.
struct Copied<'a> {
    source: &'a Source,
    import: &'a Import,
    part: Part<'a>,
    doubt: Option<String>,
    time: Duration,
}

/// An archive, where it goes, and what it is compared with before.
type Work<'a> = (&'a Source, &'a Import, Option<Compare<'a>>);

/// The file that may have the same bytes, and what is recorded of it if it is ours.
type Compare<'a> = (&'a String, Option<&'a Ours>);

struct Missing {
    bytes: u64,
    sentence: String,
}

fn entry(source: &Source) -> Entry {
    let sha256 = source.sha256.as_ref().map(sums::hex);
    Entry { identity: source.identity, sha256, imported: None, other: None, refused: None }
}

/// Fails if a checksum is another one than the file beside the archive says.
fn agree(found: Option<[u8; 32]>, wanted: Option<[u8; 32]>) -> Result<(), Not> {
    match (found, wanted) {
        (Some(found), Some(wanted)) if found != wanted => {
            let (found, wanted) = (sums::hex(&found), sums::hex(&wanted));
            Err(Not::Refused(format!("has the sha256 {found}, the file beside it says {wanted}, copy it again")))
        }
        _ => Ok(()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn not(error: io::Error) -> Not {
    match error.kind() {
        io::ErrorKind::TimedOut => Not::Late,
        io::ErrorKind::UnexpectedEof => Not::Failed("has become shorter while it was copied, copy it again".into()),
        _ => Not::Failed(format!("cannot be imported: {}", host::reason(&error))),
    }
}
