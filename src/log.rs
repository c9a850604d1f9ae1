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

use crate::emit::escape;
use crate::host::{Error, Host, flock_until, is_at, open_own};
use crate::stdio::to_stderr;

/// Where it is.
pub const PATH: &str = "/var/log/provider-rke2.log";
/// The size at which it is put aside.
const LIMIT: u64 = 10_000_000;
/// How many older ones are kept, `.1` the youngest.
const KEPT: u32 = 5;
/// How long a line waits for its turn to put the log aside.
const PATIENCE: Duration = Duration::from_secs(1);
const SECONDS_OF_A_DAY: i64 = 86_400;

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
    pub fn to(self, path: &'a str) -> Self {
        Self { path, ..self }
    }

    /// Appends one line: time, version, level, step, sentence. Whatever is in them, it stays one line ([`escape`]).
    ///
    /// Never fails and never waits longer than about a second; what cannot be appended goes to stderr.
    pub fn line(&self, level: Level, step: &str, sentence: &str) {
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
            // Who had the lock before us may have put this file aside.
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

/// Writes a time as RFC 3339 says, in UTC, with seconds: `2025-02-28T23:59:59Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let whole = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        // Before 1970 a part of a second belongs to the second that it lies in.
        Err(error) => -whole(error.duration()) - i64::from(error.duration().subsec_nanos() > 0),
    };
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_OF_A_DAY));
    let second = seconds.rem_euclid(SECONDS_OF_A_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Years are taken from March to February: the leap day is then the last of its year, and the months' lengths repeat
/// every five months, 153 days.
fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    // Day 0 becomes the first of March of the year 0.
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(DAYS_OF_400_YEARS), day.rem_euclid(DAYS_OF_400_YEARS));
    // Without the leap days before it, every year has 365 days.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}
