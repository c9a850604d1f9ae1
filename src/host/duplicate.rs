//! Copying directory trees: without a symlink followed or a mount crossed, each file by reference where the file system can, and on the disk
//! when it is done.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::fs::{
    Advice, AtFlags, FileType, Gid, Mode, OFlags, RawDir, SeekFrom, Stat, StatxFlags, Timespec, Timestamps, Uid,
    XattrFlags, chownat, copy_file_range, fadvise, fchmod, fchown, fgetxattr, fsetxattr, fstat, fsync, futimens,
    ioctl_ficlone, mkdirat, openat, readlinkat, seek, statat, statx, symlinkat, utimensat,
};
use rustix::io::{Errno, read, retry_on_intr, write};

use super::files::PERMISSIONS;
use super::{Error, Host, split};
use crate::text::escape::escape;

const COPY: &str = "copy";
const MEASURE: &str = "look through";

/// How deep directories may lie inside each other: etcd's are three deep.
const DEPTH: usize = 32;

/// How much is copied between two looks at the clock.
const CHUNK: usize = 8 << 20;

/// How much memory a copy takes that the kernel cannot make by itself.
const BUFFER: usize = 256 << 10;

/// The label that SELinux judges a file by; a copy in another place would get another one.
const LABEL: &CStr = c"security.selinux";

/// What a tree holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Directories, the first included.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Symlinks.
    pub links: u64,
    /// Sockets, named pipes and devices: nothing that can be copied.
    pub special: u64,
}

impl Host {
    /// What a directory holds. Fails if there is none, if something in it is mounted, and after `end`.
    pub(crate) fn extent(&self, path: &str, end: Instant) -> Result<Extent, Error> {
        let directory = self.directory_itself(MEASURE, path)?;
        let mut walk = Walk { doing: MEASURE, top: path, path: String::new(), end, extent: Extent::default() };
        walk.measure(&directory, mount(&directory, c"", AtFlags::EMPTY_PATH))?;
        Ok(walk.extent)
    }

    /// Copies a directory with all that is in it: owners, modes, times and the labels of SELinux too. All of it is on the disk then, but for
    /// the name of the copy. Special files are left out. Gives what was copied.
    ///
    /// Fails if there is something at `to`, if something in the directory is mounted, and after `end`; what was copied until then stays.
    pub(crate) fn duplicate(&self, from: &str, to: &str, end: Instant) -> Result<Extent, Error> {
        let source = self.directory_itself(COPY, from)?;
        let (parent, name) = split(COPY, to)?;
        let refused = |errno: Errno| Error::os(COPY, to, errno);
        let parent = self.open(parent, OFlags::RDONLY | OFlags::DIRECTORY).map_err(refused)?;
        let name = CString::new(name).unwrap_or_default();
        let mut walk = Walk { doing: COPY, top: from, path: String::new(), end, extent: Extent::default() };
        let mounted = mount(&source, c"", AtFlags::EMPTY_PATH);
        walk.copy_directory(&source, mounted, &parent, &name)?;
        Ok(walk.extent)
    }

    /// What tells one mount from another, for what lies at a path.
    pub(crate) fn mount_of(&self, path: &str) -> Option<u64> {
        let fd = self.open(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        mount(fd, c"", AtFlags::EMPTY_PATH)
    }

    /// Opens a directory that is no symlink.
    fn directory_itself(&self, doing: &'static str, path: &str) -> Result<OwnedFd, Error> {
        let (parent, name) = split(doing, path)?;
        let parent =
            self.open(parent, OFlags::PATH | OFlags::DIRECTORY).map_err(|errno| Error::os(doing, path, errno))?;
        open_directory(&parent, name).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR if self.is_symlink(path) => {
                Error::Kind { doing, path: path.to_owned(), what: "symlink" }
            }
            errno => Error::os(doing, path, errno),
        })
    }
}

/// What tells one mount from another; nothing where the kernel does not say (before Linux 5.8). The device would not do: on an overlay a file
/// has another one than its directory.
fn mount(directory: impl AsFd, name: &CStr, flags: AtFlags) -> Option<u64> {
    let it = statx(directory, name, flags | AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
    StatxFlags::from_bits_retain(it.stx_mask).contains(StatxFlags::MNT_ID).then_some(it.stx_mnt_id)
}

fn open_directory(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| openat(&parent, name, flags, Mode::empty()))
}

/// On the way through a tree.
struct Walk<'a> {
    doing: &'static str,
    /// Where it began, and below that where it is.
    top: &'a str,
    path: String,
    end: Instant,
    extent: Extent,
}

impl Walk<'_> {
    fn error(&self, error: impl Into<io::Error>) -> Error {
        Error::os(self.doing, &format!("{}{}", self.top, self.path), error)
    }

    fn check_time(&self) -> Result<(), Error> {
        if Instant::now() >= self.end { Err(self.error(io::ErrorKind::TimedOut)) } else { Ok(()) }
    }

    /// Calls `work` with each name in a directory, and what it is. Fails for what is mounted there.
    fn each(
        &mut self,
        directory: &OwnedFd,
        mounted: Option<u64>,
        mut work: impl FnMut(&mut Self, &CStr, &Stat) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for name in names(directory).map_err(|errno| self.error(errno))? {
            self.check_time()?;
            let before = self.path.len();
            self.path = format!("{}/{}", self.path, escape(&name.to_string_lossy()));
            let stat = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| self.error(errno))?;
            // Where something is mounted, only a part of the data would lie beside the rest of it.
            if mount(directory, &name, AtFlags::empty()) != mounted {
                return Err(self.error(Errno::XDEV));
            }
            if self.path.matches('/').count() > DEPTH {
                return Err(self.error(Errno::NAMETOOLONG));
            }
            work(self, &name, &stat)?;
            self.path.truncate(before);
        }
        Ok(())
    }

    fn count(&mut self, stat: &Stat) {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.extent.directories += 1,
            FileType::RegularFile => {
                self.extent.files += 1;
                self.extent.bytes += u64::try_from(stat.st_size).unwrap_or_default();
            }
            FileType::Symlink => self.extent.links += 1,
            _ => self.extent.special += 1,
        }
    }

    fn measure(&mut self, directory: &OwnedFd, mounted: Option<u64>) -> Result<(), Error> {
        self.extent.directories += 1;
        self.each(directory, mounted, |walk, name, stat| {
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let below = open_directory(directory, name).map_err(|errno| walk.error(errno))?;
                return walk.measure(&below, mounted);
            }
            walk.count(stat);
            Ok(())
        })
    }

    /// Copies an open directory into another one, under a name that is not there yet.
    fn copy_directory(
        &mut self,
        from: &OwnedFd,
        mounted: Option<u64>,
        parent: &OwnedFd,
        name: &CStr,
    ) -> Result<(), Error> {
        let begin = || {
            mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
            open_directory(parent, name)
        };
        let to = begin().map_err(|errno| self.error(errno))?;
        let stat = fstat(from).map_err(|errno| self.error(errno))?;
        self.count(&stat);
        self.each(from, mounted, |walk, name, stat| match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let below = open_directory(from, name).map_err(|errno| walk.error(errno))?;
                walk.copy_directory(&below, mounted, &to, name)
            }
            FileType::RegularFile => walk.copy_file(from, &to, name),
            FileType::Symlink => {
                walk.count(stat);
                copy_link(from, &to, name, stat).map_err(|errno| walk.error(errno))
            }
            _ => {
                walk.count(stat);
                Ok(())
            }
        })?;
        // Its time last, because each file in it sets another one.
        let finish = || {
            like(from, &to, &stat)?;
            retry_on_intr(|| fsync(&to))
        };
        finish().map_err(|errno| self.error(errno))
    }

    fn copy_file(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<(), Error> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || {
            let source = retry_on_intr(|| openat(from, name, OFlags::RDONLY | flags, Mode::empty()))?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | flags;
            let target = retry_on_intr(|| openat(to, name, flags, Mode::from_raw_mode(0o600)))?;
            Ok((fstat(&source)?, source, target))
        };
        let (stat, source, target) = open().map_err(|errno: Errno| self.error(errno))?;
        self.count(&stat);
        if ioctl_ficlone(&target, &source).is_err() {
            self.copy_bytes(&source, &target)?;
        }
        let finish = || {
            like(&source, &target, &stat)?;
            retry_on_intr(|| fsync(&target))
        };
        finish().map_err(|errno| self.error(errno))
    }

    fn copy_bytes(&self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Error> {
        let _ = fadvise(from, 0, None, Advice::Sequential);
        let mut buffer = Vec::new();
        loop {
            self.check_time()?;
            // Both ends remember how far they are.
            let by_kernel = retry_on_intr(|| copy_file_range(from, None, to, None, CHUNK));
            let copied = match by_kernel {
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    buffer.resize(BUFFER, 0);
                    by_hand(from, to, &mut buffer)
                }
                other => other,
            };
            if copied.map_err(|errno| self.error(errno))? == 0 {
                return Ok(());
            }
        }
    }
}

/// Copies a little; 0 at the end of the file.
fn by_hand(from: &OwnedFd, to: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let count = retry_on_intr(|| read(from, &mut *buffer))?;
    let mut rest = buffer.get(..count).unwrap_or_default();
    while !rest.is_empty() {
        let written = retry_on_intr(|| write(to, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(count)
}

/// Gives a copy the owner, the mode, the times and the label of what it is a copy of.
fn like(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> rustix::io::Result<()> {
    let made = fstat(to)?;
    if (made.st_uid, made.st_gid) != (stat.st_uid, stat.st_gid) {
        fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    }
    fchmod(to, Mode::from_raw_mode(stat.st_mode & PERMISSIONS))?;
    let mut label = [0_u8; 256];
    if let Ok(length) = fgetxattr(from, LABEL, &mut label[..]) {
        // Where SELinux does not run, nobody looks at it.
        let _ = fsetxattr(to, LABEL, label.get(..length).unwrap_or_default(), XattrFlags::empty());
    }
    futimens(to, &times(stat))
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Copies a symlink as what it is.
fn copy_link(from: &OwnedFd, to: &OwnedFd, name: &CStr, stat: &Stat) -> rustix::io::Result<()> {
    symlinkat(readlinkat(from, name, Vec::new())?.as_c_str(), to, name)?;
    let made = statat(to, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (made.st_uid, made.st_gid) != (stat.st_uid, stat.st_gid) {
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
}

/// The names in a directory, in the order of their bytes.
fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    seek(directory, SeekFrom::Start(0))?;
    let mut names = Vec::new();
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut raw = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
