//! What is to be imported where, and what lies there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::archive::{self, Kind};
use super::request::{Mode, Request};
use super::{Source, scripts, sums};
use crate::VERSION;
use crate::host::walk::Identity;
use crate::host::{self, Host};
use crate::report::log::{Level, Log};
use crate::report::stdio;
use crate::text::escape::escape;

/// Where each archive is told of, as users of the Go provider know it; 0600 like our other log.
pub(crate) const LOG: &str = "/var/log/rke2-import-images.log";

/// The same for one that is provably cut off: its transfer may have stalled.
pub(super) const STALLED: Duration = Duration::from_secs(10);

/// Each archive as it was looked at last, and since when it is so.
pub(super) type Seen = BTreeMap<String, (Identity, Instant)>;

/// What bounds one run.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) deadline: Option<Instant>,
    /// Archives that still arrive.
    pub(super) hold_back: Vec<String>,
    /// The marker is not waited for any more.
    pub(super) late: bool,
}

/// What a run came to.
#[derive(Default)]
pub(super) struct Said {
    pub(super) done: Vec<String>,
    pub(super) failed: Vec<String>,
    /// Archives that were not imported and may change yet.
    pub(super) again: Vec<String>,
}

/// What is to be imported where.
pub(super) struct Job<'a> {
    pub(super) host: &'a Host,
    pub(super) log: Log<'a>,
    pub(super) request: &'a Request,
    /// RKE2's directory of images, and the one around it.
    pub(super) target: String,
    pub(super) agent: String,
}

impl<'a> Job<'a> {
    pub(super) fn of(host: &'a Host, request: &'a Request) -> Self {
        let agent = format!("{}/agent", request.data_dir);
        Job { host, log: Log::new(host, VERSION).to(LOG), request, target: format!("{agent}/images"), agent }
    }

    pub(super) fn is_rehearsal(&self) -> bool {
        self.request.mode == Mode::Rehearse
    }

    /// Writes the scripts that other programs call by their path; the import is what they are called for most.
    pub(super) fn scripts(&self) -> Result<(), host::Error> {
        if (self.is_rehearsal() && !self.host.is_rehearsal()) || self.request.cnis.is_none() {
            return Ok(());
        }
        scripts::install(self.host, &self.request.root_path)
    }

    /// The content directory: below the root path if it is there, else as it is; nothing if nothing is to be imported.
    pub(super) fn content(&self) -> Option<String> {
        let (path, prefix) = (self.request.content.as_deref()?.trim_end_matches('/'), &self.request.prefix);
        let below = format!("{prefix}{path}");
        Some(if !prefix.is_empty() && self.host.is_dir(&below) { below } else { path.to_owned() })
    }

    pub(super) fn lacks_marker(&self, content: &str) -> bool {
        self.request.marker.as_deref().is_some_and(|marker| {
            let path = if marker.starts_with('/') { marker.to_owned() } else { format!("{content}/{marker}") };
            !self.host.exists(&path)
        })
    }

    /// The archives that have changed a short while ago, by the clock or since the last look; none once there is a marker.
    pub(super) fn arriving(&self, content: &str, seen: &mut Seen, quiet: Duration) -> Vec<String> {
        if self.request.marker.is_some() && !self.lacks_marker(content) {
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

    pub(super) fn say(&self, level: Level, sentence: &str) {
        if !self.is_rehearsal() {
            self.log.line(level, "images", sentence);
        }
        if io::stderr().is_terminal() || self.is_rehearsal() {
            stdio::to_stderr(&format!("agent-provider-rke2: {sentence}"));
        }
    }

    /// What lies in the content directory; nothing if there is none.
    pub(super) fn look(&self, content: &str, said: &mut Said) -> Result<Option<Look>, host::Error> {
        let Some(walk) = self.host.walk(content, &self.target, is_wanted)? else {
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
        files.sort_unstable_by(|a, b| (a.is_link, &a.path).cmp(&(b.is_link, &b.path)));
        let mut once = BTreeSet::new();
        files.retain(|it| once.insert(it.file));
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let sources = files.into_iter().filter(|it| Kind::of(&it.path).is_some()).map(|it| Source {
            sha256: sums::of(&digests, &it.path),
            path: it.path,
            identity: it.identity,
        });
        Ok(Some(Look { sources: sources.collect(), is_whole: walk.is_whole }))
    }
}

/// What lies in the content directory.
pub(super) struct Look {
    pub(super) sources: Vec<Source>,
    pub(super) is_whole: bool,
}

/// Archives by their ending, and checksum files; not what macOS leaves beside each file on a medium that it shares (`._NAME`).
fn is_wanted(name: &str) -> bool {
    !name.starts_with("._") && (Kind::of(name).is_some() || sums::is_sums(name))
}
