//! The standard streams. Nothing else writes to stdout or stderr.

#![allow(clippy::disallowed_methods)]

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Writes a line to stderr; that nobody reads it is no error.
pub fn to_stderr(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes to stdout; that nobody reads it is no error.
pub fn to_stdout(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Whether something can be written within `wait`: a full pipe that nobody empties takes nothing.
pub fn is_writable(stream: impl AsFd, wait: Duration) -> bool {
    let wait = Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: wait.subsec_nanos().into() };
    let mut streams = [PollFd::new(&stream, PollFlags::OUT)];
    !matches!(poll(&mut streams, Some(&wait)), Ok(0))
}

/// Whether stdout shows colour: a terminal, and no `NO_COLOR` in the environment (no-color.org).
pub fn wants_color() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}
