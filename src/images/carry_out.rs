//! Carries out the plan of one run: copies, checks, compares, removes, records.

use std::io;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::archive::{self, Kind, Verdict};
use super::job::{Job, Limits, Said};
use super::record::{Entry, Other, Ours, Record};
use super::{Action, Gone, Import, Plan, Source, sums};
use crate::findings::Reason;
use crate::host;
use crate::host::copy::{Original, Part, Store, Target};
use crate::report::log::Level;
use crate::text::escape::escape;

/// RKE2's import cache, which it fills only if it is there (k3s `pkg/agent/containerd/watcher.go`).
const CACHE: &str = ".cache.json";

/// Free space that is left alone: a twentieth of the file system, at most this.
const RESERVE: u64 = 256 << 20;

/// After so many archives or bytes what was copied is brought to the disk and gets its names.
const BATCH_FILES: usize = 64;
const BATCH_BYTES: u64 = 256 << 20;

/// What was done so far.
#[derive(Default, Clone, Copy)]
pub(super) struct Count {
    imported: usize,
    bytes: u64,
    unchanged: usize,
    removed: usize,
    refused: usize,
    left: usize,
    time: Duration,
}

impl Count {
    pub(super) fn summary(&self, dry_run: bool) -> String {
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
pub(super) struct Run<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) content: &'a str,
    pub(super) target: &'a Target,
    pub(super) limits: &'a Limits,
    pub(super) said: &'a mut Said,
    pub(super) record: &'a mut Record,
    pub(super) count: Count,
}

impl Run<'_> {
    fn path(&self, source: &Source) -> String {
        format!("{}/{}", self.content, source.path)
    }

    pub(super) fn carry_out(&mut self, sources: &[Source], plan: &Plan) -> Result<(), Reason> {
        let start = Instant::now();
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
        if self.job.is_rehearsal() {
            self.rehearse(&work, &removals);
            return Ok(());
        }
        let needs_cache = !self.target.contains_key(CACHE) && (!work.is_empty() || self.count.unchanged > 0);
        if !work.is_empty() || !removals.is_empty() || needs_cache {
            let store = self.job.host.store(&self.job.agent, "images")?;
            let result = self.change(&store, &work, &removals);
            store.close(self.job.host)?;
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
    fn change(&mut self, store: &Store, work: &[Work], removals: &[(&String, &String)]) -> Result<(), Reason> {
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
            return Err(missing.sentence.into());
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
            store.touch(CACHE, i64::try_from(second).unwrap_or_default())?;
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
    fn missing_space(
        &self,
        work: &[Work],
        can_clone: impl Fn(&Original) -> bool,
    ) -> Result<Option<Missing>, host::Error> {
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
        let (free, all) = self.job.host.space(&self.job.target)?;
        let usable = free.saturating_sub(RESERVE.min(all / 20));
        Ok((needed > usable).then(|| Missing {
            bytes: needed - usable,
            sentence: format!(
                "{}: has no room for the images of {}: {} needed, {} free, of which {} stay free, so nothing was copied; free some space",
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
        let changed = || Not::Failed("changes while it is looked at, so it is looked at again when RKE2 starts".into());
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
        let _ = self.record.note(self.job.host);
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
                "{}: imported as {}, because another file is {}",
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
            Err(error) => self.said.failed.push(error.to_string()),
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
            Err(Not::Refused(format!("has the sha256 {found}, but the file beside it says {wanted}; copy it again")))
        }
        _ => Ok(()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn not(error: io::Error) -> Not {
    match error.kind() {
        io::ErrorKind::TimedOut => Not::Late,
        io::ErrorKind::UnexpectedEof => Not::Failed("has become shorter while it was copied; copy it again".into()),
        _ => Not::Failed(format!("cannot be imported: {}", host::reason(&error))),
    }
}
