//! The log of the node, `/var/log/provider-rke2.log`: what was done, when and by which version, one line each.
//!
//! It must never be the reason that something else fails: a line that cannot be written there goes to stderr, and if
//! that is closed, nowhere.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::OwnedFd,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{OFlags, fstat, renameat},
    io::Errno,
};

use crate::findings::code::Severity;
use crate::host::{Error, Host, flock_until, is_at, open_own};
use crate::report::stdio::to_stderr;
use crate::text::escape::escape;

/// Where it is.
pub(crate) const PATH: &str = "/var/log/provider-rke2.log";
/// The size at which it is put aside.
const LIMIT: u64 = 10_000_000;
/// How many older ones are kept, `.1` the youngest.
const KEPT: u32 = 5;
/// How long a line waits for its turn to put the log aside.
const PATIENCE: Duration = Duration::from_secs(1);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What was done.
    Info,
    /// Something that a person should look at.
    Warning,
    /// Something that was not done.
    Error,
}

impl Level {
    /// The level at which a finding is logged.
    pub(crate) fn of(severity: Severity) -> Level {
        match severity {
            Severity::Refused | Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Note => Level::Info,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The log, opened anew for each line: two processes and a rotation in between do no harm.
#[derive(Debug)]
pub struct Log<'a> {
    host: &'a Host,
    version: &'a str,
    path: &'a str,
    limit: u64,
}

impl<'a> Log<'a> {
    /// Takes the host and the version that stands in each line. Nothing is opened yet.
    pub fn new(host: &'a Host, version: &'a str) -> Self {
        Self::with_limit(host, version, LIMIT)
    }

    /// The same with another size, in bytes, at which the log is put aside.
    pub fn with_limit(host: &'a Host, version: &'a str, limit: u64) -> Self {
        Self { host, version, path: PATH, limit }
    }

    /// The same in another file.
    #[must_use]
    pub(crate) fn to(self, path: &'a str) -> Self {
        Self { path, ..self }
    }

    /// Appends one line: time, version, level, step, sentence. Whatever is in them, it stays one line ([`escape`]).
    ///
    /// Never fails and never waits longer than about a second; what cannot be appended goes to stderr.
    pub fn line(&self, level: Level, step: &str, sentence: &str) {
        if self.host.is_rehearsal() {
            return;
        }
        let (time, word) = (rfc3339(self.host.now()), level.word());
        let line = format!("{time} {} {word} {}: {}", escape(self.version), escape(step), escape(sentence));
        if self.append(format!("{line}\n").as_bytes()).is_err() {
            to_stderr(&line);
        }
    }

    fn append(&self, line: &[u8]) -> Result<(), Error> {
        let refused = |errno: Errno| Error::Os { doing: "write", path: self.path.to_owned(), error: errno.into() };
        let (directory, name) = self.host.parent_made("write", self.path)?;
        let end = Instant::now() + PATIENCE;
        let open = || open_own(&directory, name, OFlags::WRONLY | OFlags::APPEND, "write", self.path);
        let mut file = open()?;
        while self.is_full(&file, line).map_err(refused)? {
            let locked = flock_until(&file, end).map_err(refused)?;
            // The process that had the lock before us may have put this file aside.
            let ours = locked && is_at(&file, &directory, name);
            if Instant::now() >= end || (ours && shift(&directory, name).is_err()) {
                break;
            }
            file = open()?;
        }
        // One write: with O_APPEND, lines of several processes do not mix.
        let mut file = File::from(file);
        let failed = |error: io::Error| Error::Os { doing: "write", path: self.path.to_owned(), error };
        loop {
            match file.write(line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(length) if length < line.len() => return Err(failed(io::ErrorKind::WriteZero.into())),
                other => return other.map(|_| ()).map_err(failed),
            }
        }
    }

    /// True if the line does not fit any more. A line longer than the limit has a file of its own.
    fn is_full(&self, file: &OwnedFd, line: &[u8]) -> rustix::io::Result<bool> {
        let size = u64::try_from(fstat(file)?.st_size).unwrap_or_default();
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(size > 0 && size.saturating_add(length) > self.limit)
    }
}

/// Gives each file the next number, the oldest first: a failure leaves a gap, never takes a file from the middle.
fn shift(directory: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    for number in (0..KEPT).rev() {
        let from = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
        match renameat(directory, from.as_str(), directory, format!("{name}.{}", number + 1).as_str()) {
            Err(Errno::NOENT) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes a time as RFC 3339 says, in UTC, with seconds: `2025-02-28T23:59:59Z`. A clock that is
/// wrong beyond the years 1970 to 9999 is written as the first or last second of them.
pub fn rfc3339(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST)).to_string()
}
