//! Local images: which archives of the content directory are to lie in RKE2's image directory, and under what names.
//!
//! Pure: what is there, what is recorded and what lies in the target become a [`Plan`]; [`crate::images::import`] carries it out. RKE2
//! reads `<data-dir>/agent/images` (k3s `pkg/agent/containerd/watcher.go`), only its top level when it decides whether the node is
//! air-gapped (rke2 `pkg/images/images.go`), so archives of any depth come to lie side by side there.

pub mod archive;
mod carry_out;
pub(crate) mod expected;
pub(crate) mod import;
mod job;
pub mod record;
pub(crate) mod request;
pub(crate) mod scripts;
pub mod sums;

use std::collections::{BTreeMap, BTreeSet};

use record::{Entry, Other, Ours, Record};

use crate::host::copy::{Present, Target};
use crate::host::walk::Identity;
use crate::text::collected;

/// An archive below the content directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Below the content directory.
    pub path: String,
    /// As it is now.
    pub identity: Identity,
    /// What a checksum file beside it says.
    pub sha256: Option<[u8; 32]>,
}

impl Source {
    /// Its last name.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What is to be done with one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Unchanged,
    /// Nothing: it was refused, and has not changed since.
    Refused(String),
    /// It is put there.
    Import(Import),
    /// Something of its size is there. If it has the same bytes it stays; otherwise the archive is put there.
    Compare {
        /// What it is compared with.
        with: String,
        /// What is recorded if the bytes are the same and the file is ours; nothing if it is somebody else's for sure.
        ours: Option<Ours>,
        /// What is done if they are not.
        otherwise: Import,
    },
}

/// Under which name an archive is put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name.
    pub name: String,
    /// The whole second of its modification time there.
    pub second: i64,
    /// Another file has the name that it would have had.
    pub beside: Option<String>,
}

/// A recorded archive that is no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// Its file of ours is removed, and forgotten.
    Remove(String),
    /// There is nothing of ours to remove: forgotten.
    Forget,
    /// It may lie on something that is not mounted: nothing is removed.
    Keep,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Every archive, in the order of the sources.
    pub actions: Vec<Action>,
    /// Every recorded archive of this content directory that is not among the sources, by its absolute path.
    pub gone: BTreeMap<String, Gone>,
}

/// Plans an import. `content` is the absolute path of the content directory; `prune` says whether it was seen whole.
///
/// Names: an archive keeps the name that it was given first. A new one gets its own; if that is taken by another archive or by somebody
/// else's file, one made of its name and its path ([`stable_name`]). What has the same size under such a name is compared first: after
/// an upgrade from the Go provider, after a move of the content and after the loss of the record nothing is copied twice.
pub fn plan(content: &str, sources: &[Source], record: &Record, target: &Target, prune: bool) -> Plan {
    let absolute = |source: &Source| format!("{content}/{}", source.path);
    let entries: Vec<_> = sources.iter().map(|source| record.archives.get(&absolute(source))).collect();
    let gone = gone(content, sources, record, target, prune);
    let here: BTreeSet<String> = collected(sources.iter().map(absolute));
    // Names that stay with an archive that is there, or that may come back.
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut owned: BTreeSet<&str> = BTreeSet::new();
    for (path, entry) in &record.archives {
        // What somebody has put in its place is theirs.
        if let Some(ours) = entry.imported.as_ref().filter(|ours| ours.is_not_replaced(target)) {
            owned.insert(&ours.name);
            if here.contains(path) {
                taken.insert(&ours.name);
            }
        }
    }
    let stays = |path: &String| !matches!(gone.get(path), Some(Gone::Remove(_) | Gone::Forget));
    let staying = record.archives.iter().filter(|(path, _)| stays(path));
    let kept: BTreeSet<&str> = collected(staying.filter_map(|(_, entry)| Some(entry.imported.as_ref()?.name.as_str())));
    let mut names =
        Names { target, owned, kept, taken: collected(taken.into_iter().map(str::to_owned)), used: BTreeSet::new() };
    let actions = sources.iter().zip(entries).map(|(source, entry)| names.action(source, entry)).collect();
    // A name that somebody else takes over is not removed.
    let gone = gone.into_iter().map(|(path, gone)| match gone {
        Gone::Remove(name) if names.taken.contains(&name) => (path, Gone::Forget),
        other => (path, other),
    });
    Plan { actions, gone: gone.collect() }
}

/// What becomes of recorded archives that are not there. Gone is only what lay in a directory that still holds another archive, at any
/// depth: an empty directory may be a partition that is not mounted yet. What was refused is none, and a text only once it was imported.
fn gone(content: &str, sources: &[Source], record: &Record, target: &Target, prune: bool) -> BTreeMap<String, Gone> {
    let here: BTreeSet<&str> = collected(sources.iter().map(|source| source.path.as_str()));
    let below = |path: &str| path.strip_prefix(content).and_then(|it| it.strip_prefix('/')).map(str::to_owned);
    let missing = record.archives.iter().filter_map(|(path, entry)| {
        let relative = below(path)?;
        (!here.contains(relative.as_str())).then_some((path, relative, entry))
    });
    let is_archive = |source: &&Source| match record.archives.get(&format!("{content}/{}", source.path)) {
        Some(entry) if entry.identity == source.identity => entry.refused.is_none(),
        _ => archive::Kind::of(source.name()) != Some(archive::Kind::List),
    };
    let judged = missing.map(|(path, relative, entry)| {
        let directory = relative.rfind('/').and_then(|end| relative.get(..=end)).unwrap_or_default();
        let is_gone = prune && sources.iter().filter(is_archive).any(|source| source.path.starts_with(directory));
        let gone = match &entry.imported {
            _ if !is_gone => Gone::Keep,
            Some(ours) if target.get(&ours.name).is_some_and(|present| ours.is(present)) => {
                Gone::Remove(ours.name.clone())
            }
            // A file that somebody has changed is no longer ours.
            _ => Gone::Forget,
        };
        (path.clone(), gone)
    });
    collected(judged)
}

/// Which archive has which name in RKE2's directory.
struct Names<'a> {
    target: &'a Target,
    /// Recorded as ours, and nobody else's by now.
    owned: BTreeSet<&'a str>,
    /// Recorded as ours, by an archive that is there or may come back.
    kept: BTreeSet<&'a str>,
    /// Spoken for by an archive of this plan.
    taken: BTreeSet<String>,
    /// Of these the ones whose archive has had its turn.
    used: BTreeSet<String>,
}

impl Names<'_> {
    fn action(&mut self, source: &Source, entry: Option<&Entry>) -> Action {
        let sum = source.sha256.as_ref().map(sums::hex);
        // What was imported needs no checksum any more; what was refused may have been for the sake of one.
        let agrees = |it: &&Entry| sum == it.sha256 || (sum.is_none() && it.refused.is_none());
        let same = entry.filter(|it| it.identity == source.identity).filter(agrees);
        let is_there = |other: &Other| {
            let present = self.target.get(&other.name);
            present.is_some_and(|it| it.is_file && it.size == source.identity.size && it.mtime == other.written)
        };
        let ours = entry.and_then(|it| it.imported.as_ref()).filter(|ours| self.owned.contains(ours.name.as_str()));
        // Two archives that share a file part ways when one of them changes.
        let ours = ours.filter(|ours| self.used.insert(ours.name.clone()));
        // Whoever of those that are gone had it, it is in use.
        self.taken.extend(ours.map(|ours| ours.name.clone()));
        match (same, ours) {
            (Some(Entry { refused: Some(why), .. }), _) => Action::Refused(why.clone()),
            (Some(Entry { other: Some(other), .. }), None) if is_there(other) => Action::Unchanged,
            (_, Some(ours)) => self.again(source, ours, same.is_some()),
            _ => self.first(source),
        }
    }

    /// An archive that has a file of ours.
    fn again(&self, source: &Source, ours: &Ours, is_same: bool) -> Action {
        let import = self.import(source, &ours.name);
        match self.target.get(&ours.name) {
            Some(present) if is_same && ours.is(present) => Action::Unchanged,
            // Content that was unpacked anew, or a run that was cut off between the file and the record.
            Some(present) if is_same_second(source, present) => {
                let ours = Ours { name: ours.name.clone(), size: present.size, second: present.mtime.0 };
                Action::Compare { with: ours.name.clone(), ours: Some(ours), otherwise: import }
            }
            _ => Action::Import(import),
        }
    }

    /// An archive that has none.
    fn first(&mut self, source: &Source) -> Action {
        let plain = source.name();
        let candidates =
            std::iter::once(plain.to_owned()).chain((0..).map(|attempt| stable_name(plain, &source.path, attempt)));
        // Where the same bytes may lie already; the stable name first, because it can only be ours.
        let stable = stable_name(plain, &source.path, 0);
        let same = [stable.as_str(), plain].into_iter().find_map(|name| {
            let present = self.target.get(name)?;
            (!self.taken.contains(name) && present.is_file && present.size == source.identity.size)
                .then_some((name, present))
        });
        let is_free = |name: &String| {
            let is_others = self.target.contains_key(name) && !self.owned.contains(name.as_str());
            !self.taken.contains(name) && !is_others && !self.kept.contains(name.as_str())
        };
        let mut free = candidates.filter(is_free);
        let name = free.next().unwrap_or_else(|| plain.to_owned());
        let import = self.import(source, &name);
        self.taken.insert(name);
        let Some((with, present)) = same else { return Action::Import(import) };
        self.taken.insert(with.to_owned());
        let is_ours = self.owned.contains(with) || is_same_second(source, present);
        let ours = is_ours.then(|| Ours { name: with.to_owned(), size: present.size, second: present.mtime.0 });
        Action::Compare { with: with.to_owned(), ours, otherwise: import }
    }

    /// The time is what RKE2's import cache goes by: size and whole second. A file that is to replace one of the same size is later by a
    /// second if its own time does not say so.
    fn import(&self, source: &Source, name: &str) -> Import {
        let second = source.identity.mtime.0;
        let before = self.target.get(name).filter(|it| it.size == source.identity.size).map(|it| it.mtime.0);
        let second = match before {
            Some(before) if before >= second => before + 1,
            _ => second,
        };
        let beside = (name != source.name()).then(|| source.name().to_owned());
        Import { name: name.to_owned(), second, beside }
    }
}

/// Whether a file could be our copy of the archive, by its time.
fn is_same_second(source: &Source, present: &Present) -> bool {
    let second = source.identity.mtime.0;
    present.is_file
        && present.size == source.identity.size
        && present.mtime.1 == 0
        && (second..=second + 1).contains(&present.mtime.0)
}

/// A file name may have as many bytes.
const NAME_MAX: usize = 255;

/// The name of an archive whose own name is taken: `NAME-HASH.ENDING`, the hash over its path below the content directory, so that it
/// is the same at each run. `attempt` tells several of them apart.
pub fn stable_name(name: &str, path: &str, attempt: u32) -> String {
    let (stem, ending) = archive::split(name).map_or((name, ""), |(stem, ending, _)| (stem, ending));
    // FNV-1a: no secret depends on it, and two paths that collide get the next try.
    let bytes = path.bytes().chain(attempt.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let room = NAME_MAX - ending.len() - 9;
    let end = (0..=room.min(stem.len())).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or_default();
    format!("{}-{hash:08x}{ending}", stem.get(..end).unwrap_or_default())
}
