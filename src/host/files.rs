//! Files and directories: read within bounds, replaced whole, locked.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, MemfdFlags, Mode, OFlags, RawDir, Stat, Uid, fchmod, fchown, flock, fstat,
    fsync, memfd_create, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::{Errno, read, retry_on_intr};
use rustix::process::geteuid;

use super::changes::Became;
use super::{Error, Host, after, is_normal, normal, same, split};
use crate::text::lossy;
use crate::text::paths::prefixes;

/// How much memory the size of a file is trusted with before it is read.
const MOST_HINTED: u64 = 1 << 20;

/// How many bytes of a directory are listed at a time.
const LISTED: usize = 4 << 10;

/// The permission bits of a mode.
pub(super) const PERMISSIONS: u32 = 0o7777;

/// A lock that is held until this drops.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Replaces what the file holds, in place. A file that is cut off this way still is locked, and still is there.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(bytes, 0)
    }

    /// True if the path is another file by now. Where the system does not tell, nobody knows of another.
    pub(crate) fn is_replaced(&self, host: &Host, path: &str) -> bool {
        let found = host.open(path, OFlags::PATH | OFlags::NOFOLLOW).and_then(fstat);
        is_normal(path) && found.is_ok() && !same(&fstat(&self.file), &found)
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
    let stat = fstat(&fd).map_err(refused)?;
    regular(&stat, doing, path)?;
    set_rights(&fd, &stat, 0o600).map_err(refused)?;
    Ok(fd)
}

/// Fails for anything but a regular file.
fn regular(stat: &Stat, doing: &'static str, path: &str) -> Result<(), Error> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        other => Err(Error::Kind { doing, path: path.to_owned(), what: kind_name(other) }),
    }
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

/// Why a last name that may not be a symlink could not be opened.
pub(super) fn not_followed(doing: &'static str, path: &str, errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::Kind { doing, path: path.to_owned(), what: "symlink" },
        other => Error::os(doing, path, other),
    }
}

pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::Symlink => "symlink",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::RegularFile | FileType::Unknown => "special file",
    }
}

pub(super) fn read_regular(file: &File, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
    Ok(read_with_stat(file, path, limit)?.0)
}

fn read_with_stat(file: &File, path: &str, limit: u64) -> Result<(Vec<u8>, Stat), Error> {
    let stat = fstat(file).map_err(|errno| Error::os("read", path, errno))?;
    regular(&stat, "read", path)?;
    Ok((read_all(file, path, limit, u64::try_from(stat.st_size).unwrap_or_default())?, stat))
}

pub(super) fn set_mode(fd: impl AsFd, mode: u32) -> rustix::io::Result<()> {
    change_mode(&fd, &fstat(&fd)?, mode)
}

/// Only if it differs: a right mode on a read-only file system is no error.
fn change_mode(fd: impl AsFd, stat: &Stat, mode: u32) -> rustix::io::Result<()> {
    if stat.st_mode & PERMISSIONS == mode { Ok(()) } else { fchmod(fd, Mode::from_raw_mode(mode)) }
}

/// What only we write is root's, with this mode. Where the owner cannot be changed (a read-only file system, NFS), what is there serves all the
/// same.
fn set_rights(fd: impl AsFd, stat: &Stat, mode: u32) -> rustix::io::Result<()> {
    if (stat.st_uid, stat.st_gid) != (0, 0) && geteuid().is_root() {
        let _ = fchown(&fd, Some(Uid::ROOT), Some(Gid::ROOT));
    }
    change_mode(fd, stat, mode)
}

/// Somebody who was faster to make the same directory is no failure.
pub(super) fn made(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if result == Err(Errno::EXIST) { Ok(()) } else { result }
}

/// True if the target is a regular file with these bytes, which then also has this mode and is root's.
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
        Some((file, stat)) => set_rights(&file, &stat, mode).map_err(refused).map(|()| true),
        None => Ok(false),
    }
}

/// The regular file of that name, opened, if these are its bytes; what cannot be read is not that.
fn is_file_of(directory: &OwnedFd, path: &str, name: &str, bytes: &[u8]) -> Option<(File, Stat)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(retry_on_intr(|| openat(directory, name, flags, Mode::empty())).ok()?);
    let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (found, stat) = read_with_stat(&file, path, limit).ok()?;
    (found == bytes).then_some((file, stat))
}

/// Makes the temporary file, in place of what a run that was cut off has left.
pub(super) fn create_temporary(directory: &OwnedFd, path: &str, temporary: &str) -> Result<OwnedFd, Error> {
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
fn fill(mut file: &File, bytes: &[u8], mode: u32) -> io::Result<()> {
    set_mode(file, mode)?;
    file.write_all(bytes)
}

impl Host {
    /// True if there is something behind the path, symlinks followed.
    pub fn exists(&self, path: &str) -> bool {
        if let Some(became) = self.rehearsed(path) {
            return became != Became::Nothing;
        }
        is_normal(path) && self.stat(path).is_ok()
    }

    /// True if there is a directory behind the path, symlinks followed.
    pub fn is_dir(&self, path: &str) -> bool {
        if let Some(became) = self.rehearsed(path) {
            return matches!(became, Became::Directory(_));
        }
        is_normal(path) && self.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// True if the path is a regular file with exactly these bytes; symlinks are not followed.
    pub(crate) fn holds(&self, path: &str, bytes: &[u8]) -> bool {
        if let Some(became) = self.rehearsed(path) {
            return matches!(became, Became::File(its, _) if its == bytes);
        }
        let Ok((parent, name)) = split("read", path) else { return false };
        let directory = self.open(parent, OFlags::PATH | OFlags::DIRECTORY);
        directory.is_ok_and(|directory| is_file_of(&directory, path, name, bytes).is_some())
    }

    /// Gives the permission bits of what is behind the path, symlinks followed.
    pub(crate) fn mode(&self, path: &str) -> Option<u32> {
        if let Some(became) = self.rehearsed(path) {
            return became.mode();
        }
        is_normal(path).then(|| Some(self.stat(path).ok()?.st_mode & PERMISSIONS))?
    }

    /// True if both paths lead to one file, symlinks followed.
    pub(crate) fn is_same_file(&self, one: &str, other: &str) -> bool {
        is_normal(one) && is_normal(other) && same(&self.stat(one), &self.stat(other))
    }

    /// Gives the content of a regular file, symlinks followed.
    ///
    /// Fails for anything else there (without waiting for it: a FIFO), and if it has more than `limit` bytes.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        normal("read", path)?;
        if let Some(became) = self.rehearsed(path) {
            return became.read(path, limit);
        }
        let refused = |errno: Errno| Error::os("read", path, errno);
        // Looked at before it is opened: opening a FIFO wakes who waits to write to it, opening a device may do anything.
        regular(&self.stat(path).map_err(refused)?, "read", path)?;
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(refused)?;
        read_regular(&fd.into(), path, limit)
    }

    /// Makes the path a regular file with exactly these bytes and this mode, that outlives a power cut; true if it was not one with these
    /// bytes before.
    ///
    /// Missing parents are made, 0755. A file that has the bytes is left alone but for its mode and its owner, who is root where we are.
    /// Otherwise a temporary file beside it (`.NAME.provider-rke2`) gets the mode, then the bytes, then its name; the file is synced before and
    /// the directory after. What is there, unless a directory, is replaced, never followed or opened: so who reads it meets the old or the new
    /// content. Two at a time need [`Host::lock`]: the temporary has a fixed name, and a left-over is removed.
    ///
    /// Fails, with the old content in place and no temporary left, if a directory stands at either name or the system says no; only a
    /// failure to sync the directory comes after the new content is in place.
    pub fn install(&self, path: &str, bytes: &[u8], mode: u32) -> Result<bool, Error> {
        self.replace(path, bytes, mode, File::sync_all, |directory| Ok(retry_on_intr(|| fsync(directory))?))
    }

    /// The same without a sync: for what the boot does not outlive, and for what may be lost.
    pub fn put(&self, path: &str, bytes: &[u8], mode: u32) -> Result<bool, Error> {
        self.replace(path, bytes, mode, |_| Ok(()), |_| Ok(()))
    }

    fn replace(
        &self,
        path: &str,
        bytes: &[u8],
        mode: u32,
        sync: fn(&File) -> io::Result<()>,
        sync_directory: fn(&OwnedFd) -> io::Result<()>,
    ) -> Result<bool, Error> {
        if let Some(rehearsal) = &self.rehearsal {
            return self.rehearse_file(rehearsal, path, bytes, mode);
        }
        let (directory, name) = self.parent_made("write", path)?;
        if has_bytes(&directory, path, name, bytes, mode)? {
            return Ok(false);
        }
        let refused = |error: io::Error| Error::os("write", path, error);
        let temporary = format!(".{name}.provider-rke2");
        let file = File::from(create_temporary(&directory, path, &temporary)?);
        let written = fill(&file, bytes, mode)
            .and_then(|()| sync(&file))
            .and_then(|()| Ok(renameat(&directory, temporary.as_str(), &directory, name)?));
        if let Err(error) = written {
            // The first failure is the one to tell.
            let _ = unlinkat(&directory, temporary.as_str(), AtFlags::empty());
            return Err(refused(error));
        }
        sync_directory(&directory).map_err(refused)?;
        Ok(true)
    }

    /// Makes a new file, to be filled by the caller; missing parents are made, 0755.
    ///
    /// Fails if something stands there.
    pub(crate) fn create(&self, path: &str, mode: u32) -> Result<File, Error> {
        if self.is_rehearsal() {
            return Err(Error::os("write", path, Errno::ROFS));
        }
        let (directory, name) = self.parent_made("write", path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| openat(&directory, name, flags, Mode::from_raw_mode(0o600)));
        let opened = opened.and_then(|file| set_mode(&file, mode).map(|()| file));
        opened.map(File::from).map_err(|errno| Error::os("write", path, errno))
    }

    /// Makes the path a directory of this mode and of root, also if it is one of another mode or owner; missing parents are made, 0755.
    ///
    /// Fails if something else stands there or a symlink leads nowhere.
    pub fn make_dir(&self, path: &str, mode: u32) -> Result<(), Error> {
        const DOING: &str = "make the directory";
        let (parent, name) = split(DOING, path)?;
        if let Some(rehearsal) = &self.rehearsal {
            return self.rehearse_directory(rehearsal, DOING, path, path, Some(mode));
        }
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
        fstat(&fd).and_then(|stat| set_rights(&fd, &stat, mode)).map_err(refused)
    }

    /// Removes a file or a symlink; false if there was none. Nothing is synced.
    ///
    /// Fails for a directory.
    pub fn remove(&self, path: &str) -> Result<bool, Error> {
        let (parent, name) = split("remove", path)?;
        if let Some(rehearsal) = &self.rehearsal {
            return self.rehearse_removal(rehearsal, path);
        }
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
        if let Some(rehearsal) = &self.rehearsal {
            return self.rehearse_name(rehearsal, from, to);
        }
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
        let Some(rehearsal) = &self.rehearsal else { return self.list_own(dir) };
        let (mut names, went) = rehearsal.names(dir);
        // What is there of the machine itself, unless the rehearsal has removed it.
        if matches!(self.rehearsed(dir), None | Some(Became::Directory(_))) {
            names.extend(self.list_own(dir)?.into_iter().filter(|name| !went.contains(name)));
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The same without what a rehearsal has changed.
    fn list_own(&self, dir: &str) -> Result<Vec<String>, Error> {
        let refused = |errno: Errno| Error::os("list", dir, errno);
        let fd = match self.open(dir, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            other => other.map_err(refused)?,
        };
        let mut buffer = [MaybeUninit::uninit(); LISTED];
        let mut listing = RawDir::new(fd, &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = listing.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                // The directory was removed meanwhile.
                Err(Errno::NOENT) => break,
                other => other.map_err(refused)?,
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names.into_iter().map(lossy).collect())
    }

    /// Takes the lock that this file is, 0600, made if missing; its directory must exist. It is held until the
    /// [`Lock`] drops.
    ///
    /// Fails if somebody else holds it for the whole of `wait`, and if it is no regular file.
    pub fn lock(&self, path: &str, wait: Duration) -> Result<Lock, Error> {
        let (parent, name) = split("lock", path)?;
        if self.is_rehearsal() {
            // Whoever holds the real one is not waited for, because nothing is changed.
            let file = memfd_create("lock", MemfdFlags::CLOEXEC).map_err(|errno| Error::os("lock", path, errno))?;
            return Ok(Lock { file: file.into() });
        }
        let refused = |errno: Errno| Error::os("lock", path, errno);
        let directory = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).map_err(refused)?;
        let end = after(wait);
        loop {
            let file = open_own(&directory, name, OFlags::RDWR, "lock", path)?;
            let locked = flock_until(&file, end).map_err(refused)?;
            // Who removed the file meanwhile has left us the lock of a file that nobody will find.
            if locked && is_at(&file, &directory, name) {
                return Ok(Lock { file: file.into() });
            }
            if Instant::now() >= end {
                return Err(Error::Held { path: path.to_owned(), wait });
            }
        }
    }

    /// True if somebody holds the lock that this file is; false if there is no such file. A process that tries for the lock at this very moment may
    /// have to try again.
    pub(crate) fn is_locked(&self, path: &str) -> bool {
        let file = self.open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY);
        let shared = file.and_then(|file| retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockShared)));
        is_normal(path) && shared == Err(Errno::WOULDBLOCK)
    }

    /// Gives the time at which the content of what is behind the path was changed, symlinks followed.
    pub(crate) fn modified(&self, path: &str) -> Option<SystemTime> {
        if let Some(became) = self.rehearsed(path) {
            return (became != Became::Nothing).then(|| self.now());
        }
        is_normal(path).then(|| {
            File::from(self.open(path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?).metadata().ok()?.modified().ok()
        })?
    }

    /// Makes a time that [`Host::modified`] gave the time of a file, symlinks followed.
    ///
    /// Fails if there is none or the system says no.
    pub(crate) fn set_modified(&self, path: &str, time: SystemTime) -> Result<(), Error> {
        normal("set the time of", path)?;
        if self.is_rehearsal() {
            return Ok(());
        }
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from).map_err(io::Error::from);
        let set = file.and_then(|file| file.set_modified(time));
        set.map_err(|error| Error::os("set the time of", path, error))
    }

    /// Opens the directory of a path for changes, and gives the last name of the path; missing parents are made,
    /// 0755.
    pub(crate) fn parent_made<'p>(&self, doing: &'static str, path: &'p str) -> Result<(OwnedFd, &'p str), Error> {
        let (parent, name) = split(doing, path)?;
        Ok((self.directory(doing, path, parent)?, name))
    }

    /// Opens a directory, made with its parents if missing, each 0755 whatever the umask. Errors name `path`.
    pub(super) fn directory(&self, doing: &'static str, path: &str, directory: &str) -> Result<OwnedFd, Error> {
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
}

pub(super) fn read_all(file: &File, path: &str, limit: u64, size: u64) -> Result<Vec<u8>, Error> {
    // Room for all of it and the end.
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit).min(MOST_HINTED) + 32).unwrap_or_default());
    loop {
        bytes.reserve(32);
        let read =
            retry_on_intr(|| read(file, spare_capacity(&mut bytes))).map_err(|errno| Error::os("read", path, errno))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > limit {
            return Err(Error::Size { path: path.to_owned(), limit });
        }
        // With room left it was the end. A file of /proc, which gives less at a time, has the size 0.
        if read == 0 || (length == size && bytes.len() < bytes.capacity()) {
            return Ok(bytes);
        }
    }
}
