//! The one door to the machine: files, processes, the clock.
//!
//! All else in this crate is values in, values out. A [`Host`] has a root directory; with another root than `/` no
//! path leads out of it, whatever symlinks the tree holds, and no process is started.
//!
//! Paths are those of the node (`/run/provider-rke2/plan.yaml`), absolute and without `.` or `..`; they appear so,
//! without the root, in every [`Error`]. No error ever holds what a file contains.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unused_self, reason = "the door is asked for what is the same behind every one")]

mod accounts;
mod addresses;
mod changes;
pub mod copy;
mod duplicate;
mod error;
mod fetch;
mod files;
mod input;
mod kernel;
pub(crate) mod mounts;
mod network;
pub(crate) mod owned;
pub(crate) mod process;
mod read_at;
mod rehearsal;
mod run;
pub(crate) mod tree;
pub mod walk;

use std::ffi::{OsStr, OsString};
use std::fs::canonicalize;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;
use rustix::event::Timespec;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::geteuid;

use crate::text::paths::PROGRAM;

pub(crate) use duplicate::Extent;
pub use error::Error;
pub(crate) use error::reason;
pub(crate) use files::Lock;
pub(crate) use files::{flock_until, is_at, open_own};
pub(crate) use input::{DeadlineReader, is_writable, read_file, read_payload};
pub use kernel::forbid_core_dumps;

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The name, as the kernel has it.
    pub name: String,
    /// The address with the length of its network.
    pub address: IpNet,
    /// How long it has had it; nothing if the kernel does not tell.
    pub age: Option<Duration>,
}

/// A machine, or a tree that looks like one.
#[derive(Debug)]
pub struct Host {
    /// The root directory, opened once: what happens to its name later does not matter.
    root: OwnedFd,
    real: bool,
    /// Where changes go instead, if nothing is to change.
    rehearsal: Option<changes::Changes>,
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
        let real = same(&fstat(&fd), &rustix::fs::stat("/")) && canonicalize(root).map_err(refused)? == Path::new("/");
        let host = Self { root: fd, real, rehearsal: None };
        match host.open("/", OFlags::PATH) {
            Err(Errno::NOSYS | Errno::PERM) => Err(Error::Confine { path: named() }),
            Err(errno) => Err(refused(errno.into())),
            Ok(_) => Ok(host),
        }
    }

    /// Gives the same host once more, for another thread.
    pub(crate) fn again(&self) -> Result<Host, Error> {
        let root = self.root.try_clone().map_err(|error| Error::os("use", "/", error))?;
        Ok(Host { root, real: self.real, rehearsal: self.rehearsal.clone() })
    }

    /// True if the root is `/`: the machine itself, not a tree.
    pub(crate) fn is_real(&self) -> bool {
        self.real
    }

    /// True if this process may do everything.
    pub(crate) fn is_root(&self) -> bool {
        geteuid().is_root()
    }

    /// Gives 16 bytes that nobody can guess.
    pub(crate) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // It fails only on kernels without the call, on which there is no Kairos.
        let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        bytes
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

    /// What a path leads to, inside the root; nothing is opened but the way there.
    fn stat(&self, path: &str) -> rustix::io::Result<Stat> {
        if self.real { rustix::fs::stat(path) } else { self.open(path, OFlags::PATH).and_then(fstat) }
    }
}

fn same(one: &rustix::io::Result<Stat>, other: &rustix::io::Result<Stat>) -> bool {
    matches!((one, other), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

fn is_normal(path: &str) -> bool {
    let dotted = || path.split('/').any(|part| part == "." || part == "..");
    let bytes = path.as_bytes();
    path.starts_with('/') && !bytes.contains(&0) && !(bytes.windows(2).any(|two| two == b"/.") && dotted())
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

fn program_from(own: Option<&OsStr>, argv0: Option<&OsStr>) -> String {
    let own = own.and_then(OsStr::to_str).map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
    let absolute = |path: &&str| path.starts_with('/');
    own.filter(absolute).or(argv0.and_then(OsStr::to_str).filter(absolute)).unwrap_or(PROGRAM).to_owned()
}

/// The end of a wait that may be as long as the caller likes.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(24 * 3600))
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 })
}
