//! Large files: compared, and copied to where nobody sees them before they are whole.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io,
    num::NonZeroU64,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use rustix::{
    fs::{
        Advice, AtFlags, FileType, Mode, OFlags, Stat, StatxFlags, Timespec, Timestamps, XattrFlags, copy_file_range,
        fadvise, fchmod, fsetxattr, fstat, fstatvfs, fsync, futimens, ioctl_ficlone, lgetxattr, mkdirat, openat,
        renameat, statat, statx, unlinkat,
    },
    io::{Errno, pread, pwrite, retry_on_intr},
};

use super::files::{kind_name, made, set_mode};
pub use super::read_at::ReadAt;
use super::walk::{Entry, Identity, Time, entries, identity};
use super::{Error, Host, normal};
use sha2::{Digest as _, Sha256};

/// What lies under a name in RKE2's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// Bytes.
    pub size: u64,
    /// When it was last written.
    pub mtime: Time,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Whether it bears our mark, and is as it was when it got that: ours, whatever the record says.
    pub is_marked: bool,
}

/// What lies in RKE2's directory, by name.
pub type Target = BTreeMap<String, Present>;

/// Counts whatever is read or copied here, so that somebody else sees whether anything moves.
pub(crate) static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// How much is copied between two looks at the clock.
const CHUNK: u64 = 8 << 20;

/// How much memory a copy takes that the kernel cannot make by itself.
const BUFFER: usize = 256 << 10;

impl Host {
    /// What lies in a directory, not below it; nothing if there is no such directory.
    pub(crate) fn present(&self, directory: &str) -> Result<Target, Error> {
        let refused = |errno: Errno| Error::os("list", directory, errno);
        let fd = match self.open(directory, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => return Ok(Target::new()),
            other => other.map_err(refused)?,
        };
        let mut target = BTreeMap::new();
        for Entry { name, .. } in entries(&fd).map_err(refused)? {
            let Ok(stat) = statat(&fd, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            let Identity { size, mtime, .. } = identity(&stat, true);
            let is_marked = is_file && mtime.1 == 0 && has_mark(&fd, &name, &mark(size, mtime.0));
            target.insert(name, Present { size, mtime, is_file, is_marked });
        }
        Ok(target)
    }

    /// Bytes that are free where a path is or will be, and how many its file system has.
    pub(crate) fn space(&self, path: &str) -> Result<(u64, u64), Error> {
        let mut place = path;
        loop {
            match self.open(place, OFlags::PATH).and_then(fstatvfs) {
                Ok(it) => {
                    return Ok((it.f_bavail.saturating_mul(it.f_frsize), it.f_blocks.saturating_mul(it.f_frsize)));
                }
                Err(Errno::NOENT | Errno::NOTDIR) if place != "/" => {
                    place = place.rsplit_once('/').map(|(parent, _)| parent).filter(|it| !it.is_empty()).unwrap_or("/");
                }
                Err(errno) => return Err(Error::os("find the free space of", path, errno)),
            }
        }
    }

    /// Opens a file that was found; nothing if it is another one by now. It is not waited for, whatever it has become.
    pub fn original(&self, path: &str, identity: &Identity) -> Result<Option<Original>, Error> {
        let refused = |errno: Errno| Error::os("read", path, errno);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match self.open(path, flags) {
            Err(Errno::NOENT | Errno::NXIO) => return Ok(None),
            other => other.map_err(refused)?,
        };
        let original = Original { fd, identity: *identity };
        Ok(original.is_unchanged().then_some(original))
    }

    /// Opens the regular file that a path leads to, as it is now; none of it is read.
    ///
    /// Fails for anything else there, without waiting for it.
    pub(crate) fn file(&self, path: &str) -> Result<Original, Error> {
        normal("read", path)?;
        let refused = |errno: Errno| Error::os("read", path, errno);
        let is_file = |stat: &Stat| match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(()),
            kind => Err(Error::Kind { doing: "read", path: path.to_owned(), what: kind_name(kind) }),
        };
        // Looked at before it is opened: opening a device may do anything.
        is_file(&self.open(path, OFlags::PATH).and_then(fstat).map_err(refused)?)?;
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(refused)?;
        let stat = fstat(&fd).map_err(refused)?;
        is_file(&stat)?;
        Ok(Original { fd, identity: identity(&stat, true) })
    }

    /// Opens the directory `NAME` in `parent` for files that appear there whole, with a place for unfinished ones beside it, in
    /// `.provider-rke2`, which is empty then. Both are made if missing.
    ///
    /// Where that is another mount than the directory itself, from which nothing can be moved there, the place is a directory in it.
    pub fn store(&self, parent: &str, name: &str) -> Result<Store, Error> {
        let path = format!("{parent}/{name}");
        self.make_missing(&path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let refused = |errno: Errno| Error::os("open", &path, errno);
        let directory = self.open(&path, flags).map_err(refused)?;
        let above = self.open(parent, flags).map_err(refused)?;
        let (place, aside) = if mount(&above) == mount(&directory) { (&above, parent) } else { (&directory, &*path) };
        let aside = format!("{aside}/{ASIDE}");
        made(mkdirat(place, ASIDE, Mode::from_raw_mode(0o700))).map_err(|errno| Error::os(MAKE, &aside, errno))?;
        // What is in it is removed: a symlink there is somebody's, and so is what it leads to.
        let nofollow = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let temporary =
            retry_on_intr(|| openat(place, ASIDE, nofollow, Mode::empty())).map_err(|errno| match errno {
                Errno::LOOP | Errno::NOTDIR => {
                    let kind =
                        statat(place, ASIDE, AtFlags::SYMLINK_NOFOLLOW).map(|it| FileType::from_raw_mode(it.st_mode));
                    let what = kind.map_or("file", kind_name);
                    Error::Obstacle { doing: MAKE, path: aside.clone(), what, obstacle: aside.clone() }
                }
                errno => Error::os(MAKE, &aside, errno),
            })?;
        set_mode(&temporary, 0o700).map_err(|errno| Error::os(MAKE, &aside, errno))?;
        clear(&temporary).map_err(|errno| Error::os("empty", &aside, errno))?;
        let device = fstat(&directory).map_err(refused)?.st_dev;
        Ok(Store { directory, temporary, device, path, aside, parts: Cell::new(0) })
    }

    /// Removes what a store that was cut off has left behind; nothing if there is nothing.
    pub(crate) fn tidy(&self, parent: &str, name: &str) -> Result<(), Error> {
        for place in [format!("{parent}/{ASIDE}"), format!("{parent}/{name}/{ASIDE}")] {
            if let Ok(fd) = self.open(&place, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                clear(&fd).map_err(|errno| Error::os("empty", &place, errno))?;
                self.remove_dir(&place)?;
            }
        }
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> Result<(), Error> {
        let (parent, name) = super::split("remove", path)?;
        let refused = |errno: Errno| Error::os("remove", path, errno);
        let directory = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).map_err(refused)?;
        unlinkat(&directory, name, AtFlags::REMOVEDIR).map_err(refused)
    }

    fn make_missing(&self, path: &str) -> Result<(), Error> {
        if self.is_dir(path) { Ok(()) } else { self.make_dir(path, 0o755) }
    }
}

const MAKE: &str = "make the directory";

/// The place of unfinished files.
const ASIDE: &str = ".provider-rke2";

/// What marks a file as ours (xattr(7)).
const MARK: &str = "user.provider-rke2";

/// What tells one mount from another.
fn mount(fd: &OwnedFd) -> Option<(u32, u32, u64)> {
    let it = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    Some((it.stx_dev_major, it.stx_dev_minor, it.stx_mnt_id))
}

/// What a file of ours bears: who changes it afterwards makes it theirs.
fn mark(size: u64, second: i64) -> String {
    format!("{size} {second}")
}

/// Whether a file bears this mark; it is not opened. False where the file system keeps no attributes.
fn has_mark(directory: &OwnedFd, name: &str, mark: &str) -> bool {
    let mut value = [0_u8; 64];
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    lgetxattr(path, MARK, &mut value[..]).is_ok_and(|length| value.get(..length) == Some(mark.as_bytes()))
}

fn clear(directory: &OwnedFd) -> rustix::io::Result<()> {
    for Entry { name, kind, .. } in entries(directory)? {
        let flags = if kind == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(directory, name.as_str(), flags)?;
    }
    Ok(())
}

/// A file that is to be copied or compared.
#[derive(Debug)]
pub struct Original {
    fd: OwnedFd,
    identity: Identity,
}

impl Original {
    /// Whether it still is what it was when it was found.
    pub(crate) fn is_unchanged(&self) -> bool {
        fstat(&self.fd).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && identity(&stat, self.identity.inode != 0) == self.identity
        })
    }

    /// What it was when it was found.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    fn device(&self) -> Option<u64> {
        fstat(&self.fd).ok().map(|stat| stat.st_dev)
    }
}

impl ReadAt for Original {
    fn size(&self) -> u64 {
        self.identity.size
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(&self.fd, buffer, offset)
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(fd: impl AsFd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match retry_on_intr(|| pread(&fd, &mut *rest, offset + done as u64))? {
            0 => break,
            count => done += count,
        }
    }
    PROGRESS.fetch_add(1, Ordering::Relaxed);
    Ok(done)
}

/// A directory in which files appear whole.
#[derive(Debug)]
pub struct Store {
    directory: OwnedFd,
    temporary: OwnedFd,
    device: u64,
    path: String,
    aside: String,
    /// How many unfinished files there were: each has a number for a name.
    parts: Cell<u32>,
}

/// An unfinished file; it goes when this drops.
#[derive(Debug)]
pub struct Part<'a> {
    store: &'a Store,
    name: String,
    fd: OwnedFd,
}

impl Part<'_> {
    /// Brings the bytes to the disk, then gives the file its name, in place of what has it.
    pub(crate) fn publish(self, name: &str) -> io::Result<()> {
        retry_on_intr(|| fsync(&self.fd))?;
        Ok(renameat(&self.store.temporary, self.name.as_str(), &self.store.directory, name)?)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // What has got its name is not there any more.
        let _ = unlinkat(&self.store.temporary, self.name.as_str(), AtFlags::empty());
    }
}

impl Store {
    /// Whether an archive can be had there without copying a byte (`ioctl_ficlone(2)`).
    pub(crate) fn can_clone(&self, original: &Original) -> bool {
        original.device() == Some(self.device)
            && self.create().is_ok_and(|part| ioctl_ficlone(&part.fd, &original.fd).is_ok())
    }

    fn create(&self) -> rustix::io::Result<Part<'_>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.parts.set(self.parts.get() + 1);
        let name = self.parts.get().to_string();
        let fd = retry_on_intr(|| openat(&self.temporary, name.as_str(), flags, Mode::from_raw_mode(0o600)))?;
        Ok(Part { store: self, name, fd })
    }

    /// Begins a copy, with its checksum if it is asked for; after `deadline` it ends with [`io::ErrorKind::TimedOut`].
    pub fn copy<'s, 'o>(
        &'s self,
        original: &'o Original,
        hashed: bool,
        deadline: Option<Instant>,
    ) -> Result<Copy<'s, 'o>, Error> {
        let part = self.create().map_err(|errno| Error::os("write", &self.aside, errno))?;
        let hash = hashed.then(Sha256::new);
        let mut copy = Copy { original, part, done: 0, hash, buffer: Vec::new(), deadline };
        let _ = fadvise(&original.fd, 0, None, Advice::Sequential);
        if original.device() == Some(self.device)
            && copy.hash.is_none()
            && ioctl_ficlone(&copy.part.fd, &original.fd).is_ok()
        {
            copy.done = original.identity.size;
        }
        Ok(copy)
    }

    /// Whether the file of that name has the bytes of the original; and their checksum, if they are the same and it is asked for.
    pub(crate) fn holds(
        &self,
        name: &str,
        original: &Original,
        hashed: bool,
        deadline: Option<Instant>,
    ) -> io::Result<(bool, Option<[u8; 32]>)> {
        let mut hash = hashed.then(Sha256::new);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| openat(&self.directory, name, flags, Mode::empty()))?;
        let (mut one, mut other) = (vec![0; BUFFER], vec![0; BUFFER]);
        let mut offset = 0;
        loop {
            overdue(deadline)?;
            let length = read_full(&fd, &mut one, offset)?;
            if read_full(&original.fd, &mut other, offset)? != length || one.get(..length) != other.get(..length) {
                return Ok((false, None));
            }
            if length == 0 {
                return Ok((true, hash.map(|hash| hash.finalize().into())));
            }
            if let Some(hash) = &mut hash {
                hash.update(other.get(..length).unwrap_or_default());
            }
            offset += length as u64;
        }
    }

    /// Makes an empty file of whole seconds if there is none of that name.
    pub(crate) fn touch(&self, name: &str, second: i64) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = match openat(&self.directory, name, flags, Mode::from_raw_mode(0o644)) {
            Err(Errno::EXIST) => return Ok(()),
            other => other.and_then(|fd| {
                set_mode(&fd, 0o644)?;
                futimens(&fd, &at(second))
            }),
        };
        made.map_err(|errno| Error::os("write", &format!("{}/{name}", self.path), errno))
    }

    /// Removes a file; nothing if there is none.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => Ok(()),
            Err(errno) => Err(Error::os("remove", &format!("{}/{name}", self.path), errno)),
        }
    }

    /// Makes sure that the names are on the disk, and leaves nothing behind.
    pub fn close(self, host: &Host) -> Result<(), Error> {
        retry_on_intr(|| fsync(&self.directory)).map_err(|errno| Error::os("write", &self.path, errno))?;
        clear(&self.temporary).map_err(|errno| Error::os("empty", &self.aside, errno))?;
        host.remove_dir(&self.aside)
    }
}

fn at(second: i64) -> Timestamps {
    let time = Timespec { tv_sec: second, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn overdue(deadline: Option<Instant>) -> io::Result<()> {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(())
    }
}

/// A copy that is being made. It can be read while it is made: what is read is copied first, so that the disk is read once.
pub struct Copy<'s, 'o> {
    original: &'o Original,
    part: Part<'s>,
    done: u64,
    hash: Option<Sha256>,
    buffer: Vec<u8>,
    deadline: Option<Instant>,
}

impl<'s> Copy<'s, '_> {
    fn advance(&mut self, to: u64) -> io::Result<()> {
        while self.done < to.min(self.original.identity.size) {
            overdue(self.deadline)?;
            let wanted = CHUNK.min(self.original.identity.size - self.done);
            let count = if self.hash.is_some() || !self.buffer.is_empty() { 0 } else { self.by_kernel(wanted)? };
            let count = if count == 0 { self.by_hand(wanted)? } else { count };
            if count == 0 {
                // It has become shorter since; finishing finds that out.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Makes the kernel begin to write (mm/fadvise.c), so that the final sync has little left to wait for.
            let _ = fadvise(&self.part.fd, self.done, NonZeroU64::new(count), Advice::DontNeed);
            self.done += count;
        }
        Ok(())
    }

    /// 0 if the kernel does not copy between these file systems.
    fn by_kernel(&self, wanted: u64) -> io::Result<u64> {
        let (mut from, mut to) = (self.done, self.done);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        match retry_on_intr(|| {
            copy_file_range(&self.original.fd, Some(&mut from), &self.part.fd, Some(&mut to), wanted)
        }) {
            Ok(count) => Ok(count as u64),
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    fn by_hand(&mut self, wanted: u64) -> io::Result<u64> {
        self.buffer.resize(BUFFER, 0);
        let mut count = 0;
        while count < wanted {
            let length = read_full(&self.original.fd, &mut self.buffer, self.done + count)?;
            let mut rest = self.buffer.get(..length).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            if let Some(hash) = &mut self.hash {
                hash.update(rest);
            }
            let mut place = self.done + count;
            while !rest.is_empty() {
                let written = retry_on_intr(|| pwrite(&self.part.fd, rest, place))?;
                rest = rest.get(written..).unwrap_or_default();
                place += written as u64;
            }
            count += length as u64;
        }
        Ok(count)
    }

    /// Copies the rest. Gives the checksum, if it was asked for.
    pub fn complete(&mut self) -> io::Result<Option<[u8; 32]>> {
        self.advance(self.original.identity.size)?;
        Ok(self.hash.take().map(|hash| hash.finalize().into()))
    }

    /// Gives the copy its time; nothing if the original has changed meanwhile.
    pub fn seal(self, second: i64) -> io::Result<Option<Part<'s>>> {
        if !self.original.is_unchanged() {
            return Ok(None);
        }
        fchmod(&self.part.fd, Mode::from_raw_mode(0o644))?;
        // Without it, a lost record makes the file somebody else's, which is the safe side.
        let _ =
            fsetxattr(&self.part.fd, MARK, mark(self.original.identity.size, second).as_bytes(), XattrFlags::empty());
        futimens(&self.part.fd, &at(second))?;
        // What was read once is not worth the memory of others.
        let _ = fadvise(&self.original.fd, 0, None, Advice::DontNeed);
        Ok(Some(self.part))
    }
}

impl ReadAt for Copy<'_, '_> {
    fn size(&self) -> u64 {
        self.original.identity.size
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.advance(offset.saturating_add(buffer.len() as u64))?;
        read_full(&self.original.fd, buffer, offset)
    }
}

impl std::fmt::Debug for Copy<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copy").field("part", &self.part).field("done", &self.done).finish_non_exhaustive()
    }
}
