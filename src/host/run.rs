//! Programs of the machine: each is started with a deadline.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::error::SEARCH_PATH;
use super::{Error, Host, after, timespec};
use crate::text::escape::push_escaped;

/// What is kept of a child's stdout (its start) and of its stderr (its end).
const KEPT: usize = 64 * 1024;

/// Characters of a child's last words that an error repeats.
const LAST_WORDS: usize = 200;

/// How long a killed child may take to be gone, before it is left to init: a process that hangs in a dead disk never
/// is.
const BURIAL: Duration = Duration::from_secs(1);

fn find_program(program: &str) -> Option<String> {
    let runs = |path: &String| {
        let file = rustix::fs::stat(path.as_str()).is_ok_and(|s| FileType::from_raw_mode(s.st_mode).is_file());
        file && rustix::fs::access(path.as_str(), rustix::fs::Access::EXEC_OK).is_ok()
    };
    if program.starts_with('/') {
        return Some(program.to_owned()).filter(runs);
    }
    if program.is_empty() || program.contains('/') {
        return None;
    }
    SEARCH_PATH.split(':').map(|directory| format!("{directory}/{program}")).find(runs)
}

/// A file without a name that holds these bytes, to be read from the start: unlike a pipe it never waits for its reader.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// One pipe of a child, and what is kept of what came through it.
struct Capture<R> {
    pipe: Option<R>,
    kept: Vec<u8>,
    /// Keep the end, not the start.
    end: bool,
    limit: usize,
}

impl<R: AsFd + Read> Capture<R> {
    fn new(pipe: Option<R>, end: bool, limit: usize) -> Self {
        Self { pipe, kept: Vec::new(), end, limit }
    }

    /// Reads once, without waiting; true if there was something.
    fn read(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let no_time = timespec(Duration::ZERO);
        if !matches!(poll(&mut [PollFd::new(&*pipe, PollFlags::IN)], Some(&no_time)), Ok(1..)) {
            return false;
        }
        let mut buffer = [0; 8 * 1024];
        match pipe.read(&mut buffer).map(|length| buffer.get(..length)) {
            Ok(Some(bytes)) if !bytes.is_empty() => self.keep(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.pipe = None,
        }
        true
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let excess = self.kept.len().saturating_sub(self.limit);
        if self.end {
            self.kept.drain(..excess);
        } else {
            self.kept.truncate(self.limit);
        }
    }
}

/// Reads what the child says until it ends: its status, or none at the deadline.
fn watch<O: AsFd + Read, E: AsFd + Read>(
    child: &mut Child,
    stdout: &mut Capture<O>,
    stderr: &mut Capture<E>,
    end: Instant,
) -> io::Result<Option<ExitStatus>> {
    let ending = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    loop {
        if let Some(status) = child.try_wait()? {
            // What it said before it ended is in the pipes; more than they can hold is somebody else's.
            for _ in 0..KEPT / 1024 {
                let (out, err) = (stdout.read(), stderr.read());
                if !out && !err {
                    break;
                }
            }
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let pipes = [stdout.pipe.as_ref().map(AsFd::as_fd), stderr.pipe.as_ref().map(AsFd::as_fd)];
        let waited = pipes.into_iter().chain([Some(ending.as_fd())]).flatten();
        let mut fds: Vec<_> = waited.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        stdout.read();
        stderr.read();
    }
}

/// Kills the child with its group and waits for it, but not for ever.
fn bury(child: &mut Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let end = Instant::now() + BURIAL;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        sleep(Duration::from_millis(2));
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// The last line that says something, in printable characters, cut at a character.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let mut safe = String::new();
    for character in line.chars() {
        let before = safe.len();
        push_escaped(&mut safe, character);
        if safe.chars().count() > LAST_WORDS {
            safe.truncate(before);
            break;
        }
    }
    safe
}

impl Host {
    /// True if there is a program of this name, without a slash, where [`Host::run`] looks for it.
    pub(crate) fn has_program(&self, name: &str) -> bool {
        SEARCH_PATH.split(':').any(|directory| self.exists(&format!("{directory}/{name}")))
    }

    /// Runs a program and gives the first 64 KiB of its stdout, as text.
    ///
    /// A name without a slash is looked up in `/usr/sbin:/usr/bin:/sbin:/bin`, which is also all its environment;
    /// stdin is empty, the directory is `/`, there is no shell. It is done when the program itself ends, even if a
    /// process that it left behind keeps the pipes.
    ///
    /// Fails, before anything is started, unless [`Host::is_real`]; if there is no such program; if it ends with
    /// another status than 0 (with the last line that it wrote to stderr); after `deadline`, when it and its process
    /// group are killed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str], deadline: Duration) -> Result<String, Error> {
        self.run_with(program, arguments, b"", KEPT, deadline)
    }

    /// The same with more variables than the search path.
    pub(super) fn run_in(
        &self,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, OsString)],
        deadline: Duration,
    ) -> Result<String, Error> {
        self.start(program, arguments, environment, b"", KEPT, deadline)
    }

    /// The same with these bytes as stdin, and with the first `kept` bytes of its stdout.
    pub(crate) fn run_with(
        &self,
        program: &str,
        arguments: &[&str],
        input: &[u8],
        kept: usize,
        deadline: Duration,
    ) -> Result<String, Error> {
        self.start(program, arguments, &[], input, kept, deadline)
    }

    fn start(
        &self,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, OsString)],
        input: &[u8],
        kept: usize,
        deadline: Duration,
    ) -> Result<String, Error> {
        if !self.real {
            return Err(Error::NotHere { program: program.to_owned() });
        }
        let end = after(deadline);
        let refused = |error: io::Error| Error::os("run", program, error);
        let file = find_program(program).ok_or_else(|| Error::NoProgram { program: program.to_owned() })?;
        let stdin = if input.is_empty() { Stdio::null() } else { in_memory(input).map_err(refused)?.into() };
        let mut child = Command::new(file)
            .args(arguments)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that the deadline reaches what it starts.
            .process_group(0)
            .spawn()
            .map_err(refused)?;
        let mut stdout = Capture::new(child.stdout.take(), false, kept);
        let mut stderr = Capture::new(child.stderr.take(), true, KEPT);
        let outcome = watch(&mut child, &mut stdout, &mut stderr, end);
        if !matches!(outcome, Ok(Some(_))) {
            bury(&mut child);
        }
        match outcome.map_err(refused)? {
            None => Err(Error::Deadline { program: program.to_owned(), deadline }),
            Some(status) if status.success() => Ok(String::from_utf8_lossy(&stdout.kept).into_owned()),
            Some(status) => Err(Error::Failed {
                program: program.to_owned(),
                outcome: describe(status),
                last_words: last_line(&stderr.kept),
            }),
        }
    }
}
