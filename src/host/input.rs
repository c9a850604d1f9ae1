//! Input that is no file of the node: the event, and files that a person names.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, retry_on_intr};

use super::files::{not_followed, read_all, read_regular};
use super::{Error, after, timespec};

/// Gives the content of the payload file of a bus event, whose path is no path of the node and lies outside any root.
///
/// Fails if it is a symlink or no regular file (without waiting for it), and if it has more than `limit` bytes.
pub(crate) fn read_payload(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let named = path.to_string_lossy();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))
        .map_err(|errno| not_followed("read", &named, errno))?;
    read_regular(&fd.into(), &named, limit)
}

/// Gives the content of a file that a person names on the command line: symlinks are followed, and a FIFO is read to
/// its end (`check <(…)`).
///
/// Fails if it has more than `limit` bytes.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let named = path.to_string_lossy();
    let file = File::open(path).map_err(|error| Error::os("read", &named, error))?;
    read_all(&file, &named, limit, 0)
}

/// True as soon as a descriptor takes bytes or has nobody at its other end any more: then a write does not wait.
/// False if neither is so within `wait`: the pipe is full and nobody reads it.
pub(crate) fn is_writable(target: &impl AsFd, wait: Duration) -> bool {
    let end = after(wait);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match poll(&mut [PollFd::new(target, PollFlags::OUT)], Some(&timespec(left))) {
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
    }
}

/// Reads until a point in time.
///
/// Every read waits for the file descriptor, at most until the deadline, and fails with [`io::ErrorKind::TimedOut`]
/// after it. The descriptor itself is read, past any buffer that the value around it has: so this may hold
/// [`io::Stdin`], whose buffer would hide what has come already from the wait.
pub(crate) struct DeadlineReader<'a, R: AsFd> {
    source: R,
    deadline: Instant,
    /// When somebody is told that it takes long, and who.
    late: Option<(Instant, &'a mut dyn FnMut())>,
}

impl<R: AsFd> fmt::Debug for DeadlineReader<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineReader").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl<'a, R: AsFd> DeadlineReader<'a, R> {
    /// Takes what has the descriptor; nothing should have been read from it through a buffer. `late` is called once if not all has come
    /// within `patience`.
    pub(crate) fn new(source: R, deadline: Instant, patience: Duration, late: &'a mut dyn FnMut()) -> Self {
        Self { source, deadline, late: Some((after(patience), late)) }
    }
}

impl<R: AsFd> Read for DeadlineReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let next =
                self.late.as_ref().map_or(left, |(at, _)| left.min(at.saturating_duration_since(Instant::now())));
            match poll(&mut [PollFd::new(&self.source, PollFlags::IN)], Some(&timespec(next))) {
                Ok(0) => {
                    if let Some((_, late)) = self.late.take_if(|(at, _)| Instant::now() >= *at) {
                        late();
                    }
                    continue;
                }
                Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(errno.into()),
            }
            match rustix::io::read(&self.source, &mut *buffer) {
                // Somebody else with the same pipe was faster.
                Err(Errno::INTR | Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
    }
}
