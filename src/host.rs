//! The one door to the machine: files, processes, the clock.
//!
//! All else in this crate is values in, values out. A [`Host`] has a root directory; with another root than `/` no
//! path leads out of it, whatever symlinks the tree holds, and no process is started.
//!
//! Paths are those of the node (`/run/provider-rke2/plan.yaml`), absolute and without `.` or `..`; they appear so,
//! without the root, in every [`Error`]. No error ever holds what a file contains.
#![allow(clippy::disallowed_methods)]

mod accounts;
pub mod copy;
mod kernel;
pub mod mounts;
pub mod process;
pub mod tree;

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::{File, canonicalize},
    io::{self, Read, Seek as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStringExt as _,
            fs::FileExt as _,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{
        AtFlags, CWD, Dir, FileType, FlockOperation, MemfdFlags, Mode, OFlags, ResolveFlags, Stat, fchmod, flock,
        fstat, fsync, memfd_create, mkdirat, openat, openat2, renameat, statat, unlinkat,
    },
    io::{Errno, retry_on_intr},
    process::{
        DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, Signal, geteuid, getrlimit, kill_process_group,
        pidfd_open, set_dumpable_behavior, setrlimit,
    },
};

use ipnet::IpNet;

use crate::emit::{escape, push_escaped};
use crate::no_proxy::Interface;
pub use accounts::AccountFiles;

/// Where a program without a path is looked for, and the only variable that a child gets.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Where a provider image holds this program; the last answer of [`Host::program`].
const INSTALLED: &str = "/system/providers/agent-provider-rke2";
/// What is kept of a child's stdout (its start) and of its stderr (its end).
const KEPT: usize = 64 * 1024;
/// Characters of a child's last words that an error repeats.
const LAST_WORDS: usize = 200;
/// How long a killed child may take to be gone, before it is left to init: a process that hangs in a dead disk never
/// is.
const BURIAL: Duration = Duration::from_secs(1);
/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// What the machine refused to do: one sentence, with the path as the node knows it and the reason in words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system said no.
    #[error("cannot {doing} {}: {}", escape(path), reason(error))]
    Os {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
        /// The answer.
        error: io::Error,
    },
    /// A path that this door does not open, for any tree.
    #[error("cannot {doing} {path:?}: not an absolute path of a file without `.` and `..`")]
    Path {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
    },
    /// There is something, but not what can be read or locked.
    #[error("cannot {doing} {}: it is a {what}, not a regular file", escape(path))]
    Kind {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// Something that is not replaced stands where a file or a directory must be made.
    #[error("cannot {doing} {}: the {what} {} is in the way, remove it", escape(path), escape(obstacle))]
    Obstacle {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
        /// What stands there.
        what: &'static str,
        /// Where it stands.
        obstacle: String,
    },
    /// More bytes than the caller wants.
    #[error("cannot read {}: it has more than {limit} bytes", escape(path))]
    Size {
        /// The path, as given.
        path: String,
        /// What was allowed.
        limit: u64,
    },
    /// Somebody else holds the lock, and did so until the end of the wait.
    #[error("cannot lock {}: somebody else held it for {:.1} s", escape(path), wait.as_secs_f64())]
    Held {
        /// The path, as given.
        path: String,
        /// How long it was tried.
        wait: Duration,
    },
    /// The kernel cannot keep paths inside another root.
    #[error(
        "cannot use the root {}: openat2 is not available, it needs Linux 5.6 and a seccomp filter that knows it",
        escape(path)
    )]
    Confine {
        /// The root, as given.
        path: String,
    },
    /// Processes are only started on the machine itself.
    #[error("cannot run {}: with another root than / nothing is started", escape(program))]
    NotHere {
        /// The program, as given.
        program: String,
    },
    /// No such program.
    #[error("cannot run {}: no such program in {SEARCH_PATH}", escape(program))]
    NoProgram {
        /// The program, as given.
        program: String,
    },
    /// The program ended, not well.
    #[error("{} {outcome}{}{last_words}", escape(program), if last_words.is_empty() { "" } else { ": " })]
    Failed {
        /// The program, as given.
        program: String,
        /// How it ended.
        outcome: String,
        /// The last line of its stderr, in printable characters.
        last_words: String,
    },
    /// The program did not end.
    #[error("{} did not end within {:.1} s and was killed", escape(program), deadline.as_secs_f64())]
    Deadline {
        /// The program, as given.
        program: String,
        /// What it was given.
        deadline: Duration,
    },
}

impl Error {
    /// True if the only reason is that nothing is there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Os { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    fn os(doing: &'static str, path: &str, error: impl Into<io::Error>) -> Self {
        Self::Os { doing, path: path.to_owned(), error: error.into() }
    }
}

/// Says in lower case why the operating system refused, without the number: `no space left on device`.
///
/// The words are those of glibc, also in a program linked with musl, which has others: one failure, one sentence.
pub fn reason(error: &io::Error) -> String {
    let words = match Errno::from_io_error(error) {
        Some(Errno::BUSY) => "device or resource busy",
        Some(Errno::DQUOT) => "disk quota exceeded",
        Some(Errno::IO) => "input/output error",
        Some(Errno::LOOP) => "too many levels of symbolic links",
        Some(Errno::MFILE) => "too many open files",
        Some(Errno::NAMETOOLONG) => "file name too long",
        Some(Errno::NFILE) => "too many open files in system",
        Some(Errno::STALE) => "stale file handle",
        Some(Errno::TXTBSY) => "text file busy",
        Some(Errno::XDEV) => "invalid cross-device link",
        _ => "",
    };
    if !words.is_empty() {
        return words.to_owned();
    }
    let text = error.to_string();
    text.split_once(" (os error ").map_or(text.as_str(), |(words, _)| words).to_lowercase()
}

/// A machine, or a tree that looks like one.
#[derive(Debug)]
pub struct Host {
    /// The root directory, opened once: what happens to its name later does not matter.
    root: OwnedFd,
    real: bool,
}

impl Host {
    /// Takes the directory that is this host's `/`.
    ///
    /// Fails if it is no directory, and if it is not the real `/` and the kernel has no `openat2` to stay inside it.
    pub fn new(root: &Path) -> Result<Self, Error> {
        let named = || root.to_string_lossy().into_owned();
        let refused = |error: io::Error| Error::Os { doing: "use the root", path: named(), error };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| openat(CWD, root, flags, Mode::empty())).map_err(|errno| refused(errno.into()))?;
        // The name alone is not enough: /proc/1/root reads `/` inside a chroot. Nor the inode: a bind mount of / has
        // the same.
        let real = canonicalize(root).map_err(refused)? == Path::new("/") && same(&fstat(&fd), &rustix::fs::stat("/"));
        let host = Self { root: fd, real };
        match host.open("/", OFlags::PATH) {
            Err(Errno::NOSYS | Errno::PERM) => Err(Error::Confine { path: named() }),
            Err(errno) => Err(refused(errno.into())),
            Ok(_) => Ok(host),
        }
    }

    /// Gives the same host once more, for another thread.
    pub fn again(&self) -> Result<Host, Error> {
        let root = self.root.try_clone().map_err(|error| Error::os("use", "/", error))?;
        Ok(Host { root, real: self.real })
    }

    /// True if the root is `/`: the machine itself, not a tree.
    pub fn is_real(&self) -> bool {
        self.real
    }

    /// True if there is something behind the path, symlinks followed.
    pub fn exists(&self, path: &str) -> bool {
        is_normal(path) && self.open(path, OFlags::PATH).is_ok()
    }

    /// True if there is a directory behind the path, symlinks followed.
    pub fn is_dir(&self, path: &str) -> bool {
        is_normal(path) && self.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// True if the path is a regular file with exactly these bytes; symlinks are not followed.
    pub fn holds(&self, path: &str, bytes: &[u8]) -> bool {
        let Ok((parent, name)) = split("read", path) else { return false };
        let directory = self.open(parent, OFlags::PATH | OFlags::DIRECTORY);
        directory.is_ok_and(|directory| is_file_of(&directory, path, name, bytes).is_some())
    }

    /// Gives the permission bits of what is behind the path, symlinks followed.
    pub fn mode(&self, path: &str) -> Option<u32> {
        let stat = self.open(path, OFlags::PATH).and_then(fstat);
        is_normal(path).then(|| Some(stat.ok()?.st_mode & PERMISSIONS))?
    }

    /// True if both paths lead to one file, symlinks followed.
    pub fn is_same_file(&self, one: &str, other: &str) -> bool {
        let stat = |path: &str| self.open(path, OFlags::PATH).and_then(fstat);
        is_normal(one) && is_normal(other) && same(&stat(one), &stat(other))
    }

    /// Gives the content of a regular file, symlinks followed.
    ///
    /// Fails for anything else there (without waiting for it: a FIFO), and if it has more than `limit` bytes.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        normal("read", path)?;
        let refused = |errno: Errno| Error::os("read", path, errno);
        // Looked at before it is opened: opening a FIFO wakes who waits to write to it, opening a device may do anything.
        let found = self.open(path, OFlags::PATH).and_then(fstat).map_err(refused)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind != FileType::RegularFile {
            return Err(Error::Kind { doing: "read", path: path.to_owned(), what: kind_name(kind) });
        }
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(refused)?;
        read_regular(&fd.into(), path, limit)
    }

    /// Makes the path a regular file with exactly these bytes and this mode; true if it was not one with these bytes
    /// before.
    ///
    /// Missing parents are made, 0755. A file that has the bytes is left alone but for its mode. Otherwise a
    /// temporary file beside it (`.NAME.provider-rke2`) gets the mode, then the bytes, then its name; `durable` syncs
    /// the file before and the directory after, once each. What is there, unless a directory, is replaced, never
    /// followed or opened: so whoever reads it meets the old or the new content. Two at a time need [`Host::lock`]:
    /// the temporary has a fixed name, and a left-over is removed.
    ///
    /// Fails, with the old content in place and no temporary left, if a directory stands at either name or the system
    /// says no; only a failure to sync the directory comes after the new content is in place.
    pub fn install(&self, path: &str, bytes: &[u8], mode: u32, durable: bool) -> Result<bool, Error> {
        let (directory, name) = self.parent_made("write", path)?;
        if has_bytes(&directory, path, name, bytes, mode)? {
            return Ok(false);
        }
        let refused = |errno: Errno| Error::os("write", path, errno);
        let temporary = format!(".{name}.provider-rke2");
        let file = create_temporary(&directory, path, &temporary)?;
        let written = fill(file, bytes, mode, durable)
            .and_then(|()| Ok(renameat(&directory, temporary.as_str(), &directory, name)?));
        if let Err(error) = written {
            // The first failure is the one to tell.
            let _ = unlinkat(&directory, temporary.as_str(), AtFlags::empty());
            return Err(Error::os("write", path, error));
        }
        if durable {
            retry_on_intr(|| fsync(&directory)).map_err(refused)?;
        }
        Ok(true)
    }

    /// Makes the path a directory of this mode, also if it is one of another mode; missing parents are made, 0755.
    ///
    /// Fails if something else stands there or a symlink leads nowhere.
    pub fn make_dir(&self, path: &str, mode: u32) -> Result<(), Error> {
        const DOING: &str = "make the directory";
        let (parent, name) = split(DOING, path)?;
        let refused = |errno: Errno| Error::os(DOING, path, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match self.open(path, flags) {
            Err(Errno::NOENT) => {
                let parent = self.directory(DOING, path, parent)?;
                made(mkdirat(&parent, name, Mode::from_raw_mode(mode))).map_err(refused)?;
                self.open(path, flags)
            }
            other => other,
        };
        let fd = fd.map_err(|errno| self.no_directory(DOING, path, path, errno))?;
        set_mode(&fd, mode).map_err(refused)
    }

    /// Removes a file or a symlink; false if there was none. Nothing is synced.
    ///
    /// Fails for a directory.
    pub fn remove(&self, path: &str) -> Result<bool, Error> {
        let (parent, name) = split("remove", path)?;
        let gone = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).and_then(|directory| {
            match unlinkat(&directory, name, AtFlags::empty()) {
                // A read-only file system says so before it looks.
                Err(Errno::ROFS) => statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).and(Err(Errno::ROFS)),
                other => other,
            }
        });
        match gone {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(Error::os("remove", path, errno)),
        }
    }

    /// Gives a file another name, replacing what has it, and syncs the directories.
    ///
    /// Fails if there is none or the system says no.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let (old_parent, old) = split("rename", from)?;
        let (new_parent, new) = split("rename", to)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let renamed = || {
            let from_directory = self.open(old_parent, flags)?;
            let to_directory = self.open(new_parent, flags)?;
            renameat(&from_directory, old, &to_directory, new)?;
            if old_parent != new_parent {
                retry_on_intr(|| fsync(&from_directory))?;
            }
            retry_on_intr(|| fsync(&to_directory))
        };
        renamed().map_err(|errno| Error::os("rename", from, errno))
    }

    /// Gives the names in a directory, in the order of their bytes; none if there is no such directory.
    ///
    /// A name that is not UTF-8 is given with U+FFFD in it: opening it then fails and names it, where leaving it out
    /// would pass over a file that RKE2 reads. Fails if the path is something else than a directory.
    pub fn list(&self, dir: &str) -> Result<Vec<String>, Error> {
        normal("list", dir)?;
        let refused = |errno: Errno| Error::os("list", dir, errno);
        let fd = match self.open(dir, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            other => other.map_err(refused)?,
        };
        let mut names = Vec::new();
        for entry in Dir::new(fd).map_err(refused)? {
            let name = entry.map_err(refused)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Takes the lock that this file is, 0600, made if missing; its directory must exist. It is held until the
    /// [`Lock`] drops.
    ///
    /// Fails if somebody else holds it for the whole of `wait`, and if it is no regular file.
    pub fn lock(&self, path: &str, wait: Duration) -> Result<Lock, Error> {
        let (parent, name) = split("lock", path)?;
        let refused = |errno: Errno| Error::os("lock", path, errno);
        let directory = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).map_err(refused)?;
        let end = after(wait);
        loop {
            let file = open_own(&directory, name, OFlags::RDWR, "lock", path)?;
            let locked = flock_until(&file, end).map_err(refused)?;
            // Who removed the file meanwhile has left us the lock of a file that nobody will find.
            if locked && is_at(&file, &directory, name) {
                return Ok(Lock { file });
            }
            if Instant::now() >= end {
                return Err(Error::Held { path: path.to_owned(), wait });
            }
        }
    }

    /// True if somebody holds the lock that this file is; false if there is no such file. Whoever tries for the lock at this very moment may
    /// have to try again.
    pub fn is_locked(&self, path: &str) -> bool {
        let file = self.open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY);
        let shared = file.and_then(|file| retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockShared)));
        is_normal(path) && shared == Err(Errno::WOULDBLOCK)
    }

    /// True if there is a program of this name, without a slash, where [`Host::run`] looks for it.
    pub fn has_program(&self, name: &str) -> bool {
        SEARCH_PATH.split(':').any(|directory| self.exists(&format!("{directory}/{name}")))
    }

    /// Gives the time at which the content of what is behind the path was changed, symlinks followed.
    pub fn modified(&self, path: &str) -> Option<SystemTime> {
        is_normal(path).then(|| {
            File::from(self.open(path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?).metadata().ok()?.modified().ok()
        })?
    }

    /// Makes a time that [`Host::modified`] gave the time of a file, symlinks followed.
    ///
    /// Fails if there is none or the system says no.
    pub fn set_modified(&self, path: &str, time: SystemTime) -> Result<(), Error> {
        normal("set the time of", path)?;
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from).map_err(io::Error::from);
        let set = file.and_then(|file| file.set_modified(time));
        set.map_err(|error| Error::os("set the time of", path, error))
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
    pub fn run(&self, program: &str, arguments: &[&str], deadline: Duration) -> Result<String, Error> {
        self.run_with(program, arguments, b"", KEPT, deadline)
    }

    /// The same with these bytes as stdin, and with the first `kept` bytes of its stdout.
    pub fn run_with(
        &self,
        program: &str,
        arguments: &[&str],
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

    /// True if systemd is the init of this very system, so that units can be started: `/run/systemd/system` is there
    /// (`sd_booted(3)`) and the socket that systemd makes as process 1 before it starts any unit (systemd
    /// `src/core/dbus.c`, `bus_init_private`), for the gate makes that directory too; we are in no chroot (`/` is the
    /// root of process 1; unreadable counts as a chroot) and in no initrd (`/etc/initrd-release`).
    pub fn systemd_runs_here(&self) -> bool {
        self.real
            && self.is_dir("/run/systemd/system")
            && self.exists("/run/systemd/private")
            && !self.exists("/etc/initrd-release")
            && same(&rustix::fs::stat("/"), &rustix::fs::stat("/proc/1/root"))
    }

    /// Gives the addresses of this machine's interfaces, whatever the root; none if the system does not tell.
    pub fn interfaces(&self) -> Vec<Interface> {
        let address = |it: &if_addrs::IfAddr| match it {
            if_addrs::IfAddr::V4(it) => IpNet::new(it.ip.into(), it.prefixlen),
            if_addrs::IfAddr::V6(it) => IpNet::new(it.ip.into(), it.prefixlen),
        };
        let all = if_addrs::get_if_addrs().unwrap_or_default();
        let known = all.into_iter().filter_map(|it| Some((address(&it.addr).ok()?, it.name)));
        known.map(|(address, name)| Interface { name, address }).collect()
    }

    /// True if this process may do everything.
    pub fn is_root(&self) -> bool {
        geteuid().is_root()
    }

    /// Gives the time.
    pub fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Gives the absolute path of this program, for the commands that name it.
    ///
    /// `/proc/self/exe` (without the ` (deleted)` of a replaced file), else an absolute `argv[0]`, else the place
    /// where a provider image has it: a boot stage has no search path to find a bare name in.
    pub fn program(argv0: Option<&OsStr>) -> String {
        let own = rustix::fs::readlink("/proc/self/exe", Vec::new()).ok();
        program_from(own.map(|link| OsString::from_vec(link.into_bytes())).as_deref(), argv0)
    }

    /// Opens the directory of a path for changes, and gives the last name of the path; missing parents are made,
    /// 0755.
    pub(crate) fn parent_made<'p>(&self, doing: &'static str, path: &'p str) -> Result<(OwnedFd, &'p str), Error> {
        let (parent, name) = split(doing, path)?;
        Ok((self.directory(doing, path, parent)?, name))
    }

    /// Opens a directory, made with its parents if missing, each 0755 whatever the umask. Errors name `path`.
    fn directory(&self, doing: &'static str, path: &str, directory: &str) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.open(directory, flags) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|errno| self.no_directory(doing, path, directory, errno)),
        }
        let refused = |errno: Errno| Error::os(doing, path, errno);
        let mut parent = self.open("/", flags).map_err(refused)?;
        for step in prefixes(directory) {
            let opened = match self.open(step, flags) {
                Err(Errno::NOENT) => {
                    let name = step.rsplit('/').next().unwrap_or_default();
                    made(mkdirat(&parent, name, Mode::from_raw_mode(0o755))).map_err(refused)?;
                    let new = self.open(step, flags);
                    new.and_then(|fd| set_mode(&fd, 0o755).map(|()| fd))
                }
                other => other,
            };
            parent = opened.map_err(|errno| self.no_directory(doing, path, step, errno))?;
        }
        Ok(parent)
    }

    /// Why a directory that exists or has just been made cannot be opened as one: names what stands there instead.
    fn no_directory(&self, doing: &'static str, path: &str, directory: &str, errno: Errno) -> Error {
        let (what, obstacle) = match errno {
            Errno::NOENT => ("symlink that leads nowhere", Some(directory)),
            Errno::NOTDIR => ("file", prefixes(directory).find(|step| self.exists(step) && !self.is_dir(step))),
            _ => ("", None),
        };
        match obstacle {
            Some(obstacle) => Error::Obstacle { doing, path: path.to_owned(), what, obstacle: obstacle.to_owned() },
            None => Error::os(doing, path, errno),
        }
    }

    /// Opens what a path leads to, inside the root.
    fn open(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        if self.real {
            return retry_on_intr(|| openat(CWD, path, flags, Mode::empty()));
        }
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: a rename elsewhere on the system met a `..` of a symlink, see openat2(2); it passes.
        for _ in 0..100 {
            match openat2(&self.root, path, flags, Mode::empty(), inside) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// A lock that is held until this drops.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    file: OwnedFd,
}

impl Lock {
    /// Replaces what the file holds, in place. A file that is cut off this way still is locked, and still is there.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let file = File::from(self.file.try_clone()?);
        file.set_len(0)?;
        file.write_all_at(bytes, 0)
    }

    /// True if the path is another file by now. Where the system does not tell, nobody knows of another.
    pub fn is_replaced(&self, host: &Host, path: &str) -> bool {
        let found = host.open(path, OFlags::PATH | OFlags::NOFOLLOW).and_then(fstat);
        is_normal(path) && found.is_ok() && !same(&fstat(&self.file), &found)
    }
}

/// Gives the content of the payload file of a bus event, whose path is no path of the node and lies outside any root.
///
/// Fails if it is a symlink or no regular file (without waiting for it), and if it has more than `limit` bytes.
pub fn read_payload(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
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
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let named = path.to_string_lossy();
    let file = File::open(path).map_err(|error| Error::os("read", &named, error))?;
    read_all(&file, &named, limit)
}

/// Keeps this process from leaving a core, which would hold secrets: neither as a file nor, as root, through a pipe to a handler, which is
/// made whatever the limit is (core(5)). Where the system refuses, nothing happens.
pub fn forbid_core_dumps() {
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    // Another user has no secrets of the node, but may want to trace the program.
    if geteuid().is_root() {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Reads until a point in time.
///
/// Every read waits for the file descriptor, at most until the deadline, and fails with [`io::ErrorKind::TimedOut`]
/// after it. The descriptor itself is read, past any buffer that the value around it has: so this may hold
/// [`io::Stdin`], whose buffer would hide what has come already from the wait.
pub struct DeadlineReader<'a, R: AsFd> {
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
    pub fn new(source: R, deadline: Instant, patience: Duration, late: &'a mut dyn FnMut()) -> Self {
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

/// Opens a file that only we write, 0600, and makes it if missing; never through a symlink, never waiting.
///
/// Fails if it is no regular file.
pub(crate) fn open_own(
    directory: &OwnedFd,
    name: &str,
    access: OFlags,
    doing: &'static str,
    path: &str,
) -> Result<OwnedFd, Error> {
    let flags = access | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let refused = |errno: Errno| Error::os(doing, path, errno);
    let fd = retry_on_intr(|| openat(directory, name, flags, Mode::from_raw_mode(0o600)))
        .map_err(|errno| not_followed(doing, path, errno))?;
    let kind = FileType::from_raw_mode(fstat(&fd).map_err(refused)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(Error::Kind { doing, path: path.to_owned(), what: kind_name(kind) });
    }
    set_mode(&fd, 0o600).map_err(refused)?;
    Ok(fd)
}

/// Tries for an exclusive lock until a point in time, at least once; false if somebody else has it.
pub(crate) fn flock_until(file: &OwnedFd, end: Instant) -> rustix::io::Result<bool> {
    loop {
        match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno),
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        sleep(left.min(Duration::from_millis(10)));
    }
}

/// True if the name in the directory still is this file.
pub(crate) fn is_at(file: &OwnedFd, directory: &OwnedFd, name: &str) -> bool {
    same(&fstat(file), &statat(directory, name, AtFlags::SYMLINK_NOFOLLOW))
}

fn same(one: &rustix::io::Result<Stat>, other: &rustix::io::Result<Stat>) -> bool {
    matches!((one, other), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

fn is_normal(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0') && path.split('/').all(|part| part != "." && part != "..")
}

fn normal(doing: &'static str, path: &str) -> Result<(), Error> {
    if is_normal(path) { Ok(()) } else { Err(Error::Path { doing, path: path.to_owned() }) }
}

/// The directory of a path, and the last name.
fn split<'p>(doing: &'static str, path: &'p str) -> Result<(&'p str, &'p str), Error> {
    normal(doing, path)?;
    match path.rsplit_once('/') {
        Some(("", name)) if !name.is_empty() => Ok(("/", name)),
        Some((parent, name)) if !name.is_empty() => Ok((parent, name)),
        _ => Err(Error::Path { doing, path: path.to_owned() }),
    }
}

/// `/a`, `/a/b`, `/a/b/c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    ends.filter_map(|end| path.get(..end)).filter(|prefix| !prefix.ends_with('/'))
}

/// Why a last name that may not be a symlink could not be opened.
fn not_followed(doing: &'static str, path: &str, errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::Kind { doing, path: path.to_owned(), what: "symlink" },
        other => Error::os(doing, path, other),
    }
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::Symlink => "symlink",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::RegularFile | FileType::Unknown => "special file",
    }
}

fn read_regular(file: &File, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
    let kind = FileType::from_raw_mode(fstat(file).map_err(|errno| Error::os("read", path, errno))?.st_mode);
    if kind != FileType::RegularFile {
        return Err(Error::Kind { doing: "read", path: path.to_owned(), what: kind_name(kind) });
    }
    read_all(file, path, limit)
}

fn read_all(file: &File, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // One more than allowed tells too long from just right; the size that stat gives is 0 in /proc.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| Error::os("read", path, error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(Error::Size { path: path.to_owned(), limit })
    }
}

fn set_mode(fd: impl AsFd, mode: u32) -> rustix::io::Result<()> {
    // Only if it differs: a right mode on a read-only file system is no error.
    if fstat(&fd)?.st_mode & PERMISSIONS == mode { Ok(()) } else { fchmod(&fd, Mode::from_raw_mode(mode)) }
}

/// Somebody who was faster to make the same directory is no failure.
fn made(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if result == Err(Errno::EXIST) { Ok(()) } else { result }
}

/// True if the target is a regular file with these bytes, which then also has this mode.
fn has_bytes(directory: &OwnedFd, path: &str, name: &str, bytes: &[u8], mode: u32) -> Result<bool, Error> {
    let refused = |errno: Errno| Error::os("write", path, errno);
    let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        other => other.map_err(refused)?,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if u64::try_from(stat.st_size).ok() == u64::try_from(bytes.len()).ok() => {}
        FileType::Directory => {
            return Err(Error::Obstacle {
                doing: "write",
                path: path.to_owned(),
                what: "directory",
                obstacle: path.to_owned(),
            });
        }
        _ => return Ok(false),
    }
    match is_file_of(directory, path, name, bytes) {
        Some(file) => set_mode(&file, mode).map_err(refused).map(|()| true),
        None => Ok(false),
    }
}

/// The regular file of that name, opened, if these are its bytes; what cannot be read is not that.
fn is_file_of(directory: &OwnedFd, path: &str, name: &str, bytes: &[u8]) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(retry_on_intr(|| openat(directory, name, flags, Mode::empty())).ok()?);
    let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    (read_regular(&file, path, limit).ok()? == bytes).then_some(file)
}

/// Makes the temporary file, in place of what a run that was cut off has left.
fn create_temporary(directory: &OwnedFd, path: &str, temporary: &str) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || retry_on_intr(|| openat(directory, temporary, flags, Mode::from_raw_mode(0o600)));
    let created = match create() {
        Err(Errno::EXIST) => unlinkat(directory, temporary, AtFlags::empty()).and_then(|()| create()),
        other => other,
    };
    created.map_err(|errno| match errno {
        Errno::ISDIR => {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let obstacle = format!("{parent}/{temporary}");
            Error::Obstacle { doing: "write", path: path.to_owned(), what: "directory", obstacle }
        }
        other => Error::os("write", path, other),
    })
}

/// Mode first: at no time can somebody read the bytes who may not read the file.
fn fill(file: OwnedFd, bytes: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    set_mode(&file, mode)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    if durable { file.sync_all() } else { Ok(()) }
}

fn program_from(own: Option<&OsStr>, argv0: Option<&OsStr>) -> String {
    let own = own.and_then(OsStr::to_str).map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
    let absolute = |path: &&str| path.starts_with('/');
    own.filter(absolute).or(argv0.and_then(OsStr::to_str).filter(absolute)).unwrap_or(INSTALLED).to_owned()
}

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
    let ending = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok();
    // Before Linux 5.3 nothing wakes us when the child ends.
    let tick = Duration::from_millis(if ending.is_some() { 1000 } else { 10 });
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
        let waited = pipes.into_iter().chain([ending.as_ref().map(AsFd::as_fd)]).flatten();
        let mut fds: Vec<_> = waited.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timespec(left.min(tick)))) {
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

/// The end of a wait that may be as long as the caller likes.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(24 * 3600))
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixStream, thread::spawn};

    use super::*;

    fn real() -> Host {
        Host::new(Path::new("/")).unwrap()
    }

    /// Runs `sh -c script` and says what came of it and after how long.
    fn shell(script: &str, deadline: Duration) -> (Result<String, Error>, Duration) {
        let start = Instant::now();
        (real().run("sh", &["-c", script], deadline), start.elapsed())
    }

    #[test]
    fn a_child_gives_its_stdout_and_gets_nothing() {
        let (result, _) = shell("cat; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_=; pwd", Duration::from_secs(20));
        assert_eq!(result.unwrap(), format!("PATH={SEARCH_PATH}\n/\n"));
    }

    #[test]
    fn a_child_that_fails_has_the_last_word() {
        let (result, _) = shell("echo no >&2; printf 'the \\033[1mlast\\n\\n' >&2; exit 3", Duration::from_secs(20));
        assert_eq!(result.unwrap_err().to_string(), "sh failed with exit status 3: the \\u{1b}[1mlast");
        let (result, _) = shell("exit 1", Duration::from_secs(20));
        assert_eq!(result.unwrap_err().to_string(), "sh failed with exit status 1");
        let (result, _) = shell("kill -9 $$", Duration::from_secs(20));
        assert_eq!(result.unwrap_err().to_string(), "sh was ended by signal 9");
        let (result, _) = shell("printf '%0300d' 7 >&2; exit 1", Duration::from_secs(20));
        assert_eq!(result.unwrap_err().to_string(), format!("sh failed with exit status 1: {}", "0".repeat(200)));
    }

    #[test]
    fn a_child_may_talk_more_than_is_kept() {
        let talk = "yes out | head -c 1000000; yes error | head -c 1000000 >&2; echo >&2; echo end >&2; exit $0";
        let (result, _) = shell(&talk.replace("$0", "0"), Duration::from_secs(20));
        let stdout = result.unwrap();
        assert_eq!((stdout.len(), stdout.starts_with("out\nout\n")), (KEPT, true));
        let (result, _) = shell(&talk.replace("$0", "1"), Duration::from_secs(20));
        assert_eq!(result.unwrap_err().to_string(), "sh failed with exit status 1: end");
    }

    #[test]
    fn a_child_is_killed_at_its_deadline_with_its_group() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; sleep 60", file.path().display());
        let (result, time) = shell(&script, Duration::from_millis(500));
        assert_eq!(result.unwrap_err().to_string(), "sh did not end within 0.5 s and was killed");
        assert!(time >= Duration::from_millis(500) && time < Duration::from_secs(5), "{time:?}");
        let grandchild = fs::read_to_string(file.path()).unwrap();
        let status = format!("/proc/{}/stat", grandchild.trim());
        // Gone, or a zombie that nobody waits for.
        let alive = || fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..100 {
            if alive() {
                sleep(Duration::from_millis(20));
            }
        }
        assert!(!alive(), "the grandchild lives");
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipes_does_not_hold_us() {
        let (result, time) = shell("sleep 8 & echo done", Duration::from_secs(6));
        assert_eq!(result.unwrap(), "done\n");
        assert!(time < Duration::from_secs(4), "{time:?}");
        // In a session of its own it survives the kill, with the pipes.
        let (result, time) = shell("setsid sleep 8 & exec sleep 8", Duration::from_millis(300));
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
        assert!(time < Duration::from_secs(4), "{time:?}");
    }

    #[test]
    fn no_program_is_started_that_is_not_in_the_search_path_or_on_another_root() {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir(room.path().join("bin")).unwrap();
        fs::copy("/bin/true", room.path().join("bin/true")).unwrap();
        let other = Host::new(room.path()).unwrap();
        let refused = |host: &Host, program| host.run(program, &[], Duration::from_secs(5)).unwrap_err().to_string();
        assert_eq!(refused(&other, "true"), "cannot run true: with another root than / nothing is started");
        let none = |program| format!("cannot run {program}: no such program in {SEARCH_PATH}");
        for program in
            ["no-such-program", "", "./true", "../bin/true", "bin/true", "/no/such/true", "/bin", "/etc/passwd"]
        {
            assert_eq!(refused(&real(), program), none(program));
        }
        assert_eq!(real().run("/bin/true", &[], Duration::from_secs(5)).unwrap(), "");
    }

    #[test]
    fn only_the_root_itself_is_real() {
        assert!(real().is_real());
        assert!(Host::new(Path::new("/../.")).unwrap().is_real());
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        assert!(!host.is_real());
        fs::create_dir_all(room.path().join("run/systemd/system")).unwrap();
        assert!(host.is_dir("/run/systemd/system") && !host.systemd_runs_here());
        fs::write(room.path().join("file"), "").unwrap();
        let file = room.path().join("file");
        let error = Host::new(&file).unwrap_err().to_string();
        assert_eq!(error, format!("cannot use the root {}: not a directory", file.display()));
    }

    #[test]
    fn paths_are_absolute_and_normal() {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(&room.path().join(".")).unwrap();
        for path in ["", "x", "../x", "/..", "/../x", "/x/../y", "/./x", "/x/.", "/x\0y"] {
            assert!(matches!(host.install(path, b"", 0o600, false), Err(Error::Path { .. })), "{path:?}");
            assert!(matches!(host.read(path, 9), Err(Error::Path { .. })), "{path:?}");
            assert!(matches!(host.list(path), Err(Error::Path { .. })), "{path:?}");
            assert!(matches!(host.remove(path), Err(Error::Path { .. })), "{path:?}");
            assert!(matches!(host.make_dir(path, 0o755), Err(Error::Path { .. })), "{path:?}");
            assert!(matches!(host.rename(path, "/y"), Err(Error::Path { .. })), "{path:?}");
            assert!(matches!(host.lock(path, Duration::ZERO), Err(Error::Path { .. })), "{path:?}");
            assert!(!host.exists(path) && !host.is_dir(path), "{path:?}");
        }
        for path in ["/", "/x/", "//"] {
            assert!(matches!(host.install(path, b"", 0o600, false), Err(Error::Path { .. })), "{path:?}");
        }
        assert!(host.install("/..x/y..", b"", 0o600, false).unwrap() && host.exists("/..x/y.."));
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_is_bounded_and_only_of_files() {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        fs::write(room.path().join("five"), "12345").unwrap();
        std::os::unix::fs::symlink("five", room.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nothing", room.path().join("dangling")).unwrap();
        fs::create_dir(room.path().join("dir")).unwrap();
        assert!(Command::new("mkfifo").arg(room.path().join("fifo")).status().unwrap().success());
        let read = |path, limit| host.read(path, limit).map_err(|error| error.to_string());
        let payload = |name, limit| read_payload(&room.path().join(name), limit).map_err(|error| error.to_string());
        let file = |name, limit| read_file(&room.path().join(name), limit).map_err(|error| error.to_string());
        let at = |name: &str| room.path().join(name).display().to_string();

        assert_eq!(read("/five", 5).unwrap(), b"12345");
        assert_eq!(read("/link", u64::MAX).unwrap(), b"12345");
        assert_eq!(payload("five", 5).unwrap(), b"12345");
        assert_eq!(file("link", 5).unwrap(), b"12345");

        assert_eq!(read("/five", 4).unwrap_err(), "cannot read /five: it has more than 4 bytes");
        assert_eq!(payload("five", 4).unwrap_err(), format!("cannot read {}: it has more than 4 bytes", at("five")));
        assert_eq!(file("five", 4).unwrap_err(), format!("cannot read {}: it has more than 4 bytes", at("five")));
        assert_eq!(file("/dev/zero", 4).unwrap_err(), "cannot read /dev/zero: it has more than 4 bytes");
        assert_eq!(read("/fifo", 5).unwrap_err(), "cannot read /fifo: it is a named pipe, not a regular file");
        assert_eq!(read("/dir", 5).unwrap_err(), "cannot read /dir: it is a directory, not a regular file");
        assert_eq!(read("/dangling", 5).unwrap_err(), "cannot read /dangling: no such file or directory");
        assert!(host.read("/dangling", 5).unwrap_err().is_absent() && !host.read("/dir", 5).unwrap_err().is_absent());
        for (name, what) in [("link", "symlink"), ("dangling", "symlink"), ("fifo", "named pipe"), ("dir", "directory")]
        {
            let sentence = format!("cannot read {}: it is a {what}, not a regular file", at(name));
            assert_eq!(payload(name, 5).unwrap_err(), sentence);
        }

        // What a person names may be a FIFO: read to its end.
        let fifo = room.path().join("fifo");
        let writer = spawn(move || fs::write(fifo, "by and by").unwrap());
        assert_eq!(file("fifo", 50).unwrap(), b"by and by");
        writer.join().unwrap();
    }

    #[test]
    fn names_are_listed_in_the_order_of_their_bytes() {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        for name in ["b", "a", "B", "10", "9", ".hidden", "é"] {
            fs::write(room.path().join(name), "").unwrap();
        }
        fs::write(room.path().join(OsString::from_vec(b"\xff.yaml".to_vec())), "").unwrap();
        assert_eq!(host.list("/").unwrap(), [".hidden", "10", "9", "B", "a", "b", "é", "\u{fffd}.yaml"]);
        assert_eq!(host.list("/none").unwrap(), [""; 0]);
        assert_eq!(host.list("/a").unwrap_err().to_string(), "cannot list /a: not a directory");
    }

    #[test]
    fn a_directory_gets_its_mode_and_its_parents_theirs() {
        use std::os::unix::fs::PermissionsExt as _;
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        let mode = |name: &str| fs::metadata(room.path().join(name)).unwrap().permissions().mode() & 0o7777;
        host.make_dir("/a/b/c", 0o700).unwrap();
        assert_eq!((mode("a"), mode("a/b"), mode("a/b/c")), (0o755, 0o755, 0o700));
        host.make_dir("/a/b", 0o711).unwrap();
        assert_eq!((mode("a"), mode("a/b"), mode("a/b/c")), (0o755, 0o711, 0o700));
        fs::write(room.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", room.path().join("dangling")).unwrap();
        for (path, sentence) in [
            ("/file", "cannot make the directory /file: the file /file is in the way, remove it"),
            ("/file/x/y", "cannot make the directory /file/x/y: the file /file is in the way, remove it"),
            (
                "/dangling",
                "cannot make the directory /dangling: the symlink that leads nowhere /dangling is in the way, remove it",
            ),
            (
                "/dangling/x",
                "cannot make the directory /dangling/x: the symlink that leads nowhere /dangling is in the way, remove it",
            ),
        ] {
            assert_eq!(host.make_dir(path, 0o755).unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn files_are_renamed_and_removed() {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        host.install("/d/a", b"a", 0o600, true).unwrap();
        host.install("/d/b", b"b", 0o600, true).unwrap();
        host.rename("/d/a", "/d/b").unwrap();
        assert_eq!((host.list("/d").unwrap(), host.read("/d/b", 9).unwrap()), (vec!["b".to_owned()], b"a".to_vec()));
        host.rename("/d/b", "/c").unwrap();
        assert_eq!(host.rename("/d/b", "/c").unwrap_err().to_string(), "cannot rename /d/b: no such file or directory");
        assert!(host.remove("/c").unwrap());
        assert!(!host.remove("/c").unwrap() && !host.remove("/none/c").unwrap());
        assert_eq!(host.remove("/d").unwrap_err().to_string(), "cannot remove /d: is a directory");
        std::os::unix::fs::symlink("d", room.path().join("link")).unwrap();
        assert!(host.remove("/link").unwrap() && host.is_dir("/d") && !host.exists("/link"));
    }

    #[test]
    fn a_time_is_given_and_set() {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        fs::write(room.path().join("file"), "").unwrap();
        fs::set_permissions(room.path().join("file"), std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        host.set_modified("/file", time).unwrap();
        assert_eq!((host.modified("/file"), host.modified("/none"), host.modified("file")), (Some(time), None, None));
        let sentence = host.set_modified("/none", time).unwrap_err().to_string();
        assert_eq!(sentence, "cannot set the time of /none: no such file or directory");
    }

    #[test]
    fn a_program_is_found_where_it_would_be_run() {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        host.install("/usr/sbin/tool", b"", 0o755, false).unwrap();
        host.install("/usr/local/bin/other", b"", 0o755, false).unwrap();
        assert!(host.has_program("tool") && !host.has_program("other") && !host.has_program("../sbin/tool"));
        assert!(real().has_program("sh") && !real().has_program("no-such-program"));
    }

    #[test]
    fn a_lock_has_one_holder() {
        use std::os::unix::fs::PermissionsExt as _;
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        let file = room.path().join("lock");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let first = host.lock("/lock", Duration::MAX).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        let start = Instant::now();
        let sentence = host.lock("/lock", Duration::from_millis(200)).unwrap_err().to_string();
        assert_eq!(sentence, "cannot lock /lock: somebody else held it for 0.2 s");
        assert!(start.elapsed() >= Duration::from_millis(200) && start.elapsed() < Duration::from_secs(3));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| host.lock("/lock", Duration::from_secs(20)).map(drop));
            sleep(Duration::from_millis(50));
            drop(first);
            second.join().unwrap().unwrap();
        });
        fs::remove_file(&file).unwrap();
        fs::write(room.path().join("victim"), "").unwrap();
        std::os::unix::fs::symlink("victim", &file).unwrap();
        let sentence = host.lock("/lock", Duration::ZERO).unwrap_err().to_string();
        assert_eq!(sentence, "cannot lock /lock: it is a symlink, not a regular file");
        let sentence = host.lock("/none/lock", Duration::ZERO).unwrap_err().to_string();
        assert_eq!(sentence, "cannot lock /none/lock: no such file or directory");
    }

    #[test]
    fn a_read_ends_at_the_deadline() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let mut times = 0;
        let mut told = || times += 1;
        let mut reader =
            DeadlineReader::new(ours, start + Duration::from_millis(300), Duration::from_millis(100), &mut told);
        theirs.write_all(b"half").unwrap();
        let mut text = Vec::new();
        assert_eq!(reader.read_to_end(&mut text).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(text, b"half");
        assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(3));
        // Past the deadline nothing is read any more, even from somebody who never stops.
        theirs.write_all(b"more").unwrap();
        assert_eq!(reader.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(times, 1);

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let writer = spawn(move || {
            theirs.write_all(b"one ").unwrap();
            sleep(Duration::from_millis(50));
            theirs.write_all(b"two").unwrap();
        });
        let mut text = String::new();
        let mut never = || panic!("nothing is late");
        let end = Instant::now() + Duration::from_secs(20);
        DeadlineReader::new(ours, end, Duration::from_secs(10), &mut never).read_to_string(&mut text).unwrap();
        writer.join().unwrap();
        assert_eq!(text, "one two");
    }

    #[test]
    fn reasons_are_words() {
        let sentence = |errno: Errno| Error::os("write", "/x/y", errno).to_string();
        assert_eq!(sentence(Errno::NOSPC), "cannot write /x/y: no space left on device");
        assert_eq!(sentence(Errno::ROFS), "cannot write /x/y: read-only file system");
        // Whatever the libc calls it.
        for errno in [
            Errno::BUSY,
            Errno::DQUOT,
            Errno::IO,
            Errno::LOOP,
            Errno::MFILE,
            Errno::NAMETOOLONG,
            Errno::NFILE,
            Errno::STALE,
            Errno::TXTBSY,
            Errno::XDEV,
        ] {
            let own = io::Error::from(errno).to_string().to_lowercase();
            let glibc = own.rsplit_once(" (os").unwrap().0;
            assert!(cfg!(target_env = "musl") || reason(&errno.into()) == glibc, "{own}");
        }
        assert_eq!(sentence(Errno::LOOP), "cannot write /x/y: too many levels of symbolic links");
        assert_eq!(
            Error::os("read", "/a\n\u{202e}b", Errno::PERM).to_string(),
            "cannot read /a\\u{a}\\u{202e}b: operation not permitted"
        );
    }

    #[test]
    fn the_program_has_an_absolute_path() {
        let from = |own: Option<&str>, argv0: Option<&str>| program_from(own.map(OsStr::new), argv0.map(OsStr::new));
        assert_eq!(from(Some("/a/b"), Some("/c")), "/a/b");
        assert_eq!(from(Some("/a/b (deleted)"), Some("/c")), "/a/b");
        assert_eq!(from(None, Some("/c")), "/c");
        assert_eq!(from(None, Some("c")), INSTALLED);
        assert_eq!(from(None, None), INSTALLED);
        assert_eq!(Host::program(None), std::env::current_exe().unwrap().to_str().unwrap());
    }
}
