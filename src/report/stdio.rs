//! The standard streams: nothing else writes to stdout or stderr.
#![allow(clippy::disallowed_methods)]

use std::{
    ffi::OsStr,
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
    time::Duration,
};

pub(crate) use crate::host::is_writable;

/// Why the first text did not go to stdout that did not.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes text to stdout; if nobody can read it, nothing happens.
pub(crate) fn to_stdout(text: &str) {
    let mut stdout = io::stdout();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        let _ = LOST.set(error);
    }
}

/// Why something that was to be printed is lost, as on a full disk.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get().filter(|error| is_loss(error))
}

/// Whether somebody misses what was not printed. A reader that has gone, as in `| head`, does not.
pub(crate) fn is_loss(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::BrokenPipe
}

/// Writes one line to stderr; if nobody can read it, nothing happens.
pub fn to_stderr(line: &str) {
    // A pipe that nobody empties must not keep us.
    if !is_writable(&io::stderr(), Duration::from_millis(100)) {
        return;
    }
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// True if stdout shows colour: it is a terminal, `NO_COLOR` is unset or empty (no-color.org), `TERM` is not `dumb`.
pub(crate) fn wants_color() -> bool {
    io::stdout().is_terminal()
        && color_from(std::env::var_os("NO_COLOR").as_deref(), std::env::var_os("TERM").as_deref())
}

fn color_from(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term != Some(OsStr::new("dumb"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_full_pipe_is_not_writable() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        assert!(is_writable(&ours, Duration::ZERO));
        ours.set_nonblocking(true).unwrap();
        while ours.write(&[0; 4096]).is_ok() {}
        let start = Instant::now();
        assert!(!is_writable(&ours, Duration::from_millis(100)));
        assert!(start.elapsed() >= Duration::from_millis(100));
        // With nobody there a write fails at once: nothing to wait for.
        drop(theirs);
        assert!(is_writable(&ours, Duration::from_secs(20)));
    }

    #[test]
    fn colour_can_be_declined() {
        let color =
            |no_color: Option<&str>, term: Option<&str>| color_from(no_color.map(OsStr::new), term.map(OsStr::new));
        assert!(color(None, None) && color(Some(""), Some("xterm")));
        assert!(!color(Some("1"), Some("xterm")) && !color(Some("0"), None) && !color(None, Some("dumb")));
    }
}
