//! Deleting directory trees: never across a mount, never through a symlink, however deep the tree is and whoever writes
//! to it meanwhile.
//!
//! Each directory is opened from the descriptor of its parent by `openat2` with `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`
//! and `RESOLVE_NO_XDEV` (openat2(2)), so a bind mount of the same device is a boundary too.

use std::{
    ffi::{CStr, CString},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    time::Instant,
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, fstat, openat, openat2, readlink,
        renameat_with, seek, statat, unlinkat,
    },
    io::{Errno, retry_on_intr},
};

use super::changes::Became;
use super::{Error, Host, is_normal, split};
use crate::text::escape::escape;
use crate::text::paths::prefixes;

/// Directories that stay open on the way down; the way back up from deeper ones leads through `..`.
const KEPT_OPEN: usize = 64;
/// How often a directory to which somebody writes is looked through again.
const PASSES: u8 = 5;
/// Names of one directory that are looked at before they are deleted: somebody who makes files faster than we delete
/// them does not keep us.
const BATCH: usize = 1 << 20;
/// Directories that are symlinks on some systems, which is their layout and nobody's doing.
const LAYOUT: [&str; 16] = [
    "/etc", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/local", "/var",
    "/var/lib", "/var/log", "/var/run", "/var/tmp",
];
/// Failures that are told; the others are counted.
const TOLD: usize = 20;
/// Steps between two looks at the clock.
const TICK: u64 = 64;

/// What is left of a tree that was to be deleted; nothing if it is gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Mounts that were met, with all that is in them.
    pub mounts: Vec<String>,
    /// What could not be deleted, and why: the first of them, in sentences.
    pub failures: Vec<String>,
    /// How many more failures there were.
    pub more: usize,
    /// Whether all that failed lies on a file system that cannot be written to.
    pub read_only: bool,
}

impl Remains {
    /// Whether all is gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.mounts.is_empty() && self.failures.is_empty()
    }
}

impl Host {
    /// Deletes a file, a symlink or a directory with all that is in it. No symlink is followed, but for those of a
    /// system's own layout on the way; what is mounted stays, with all that is in it.
    ///
    /// A directory that is itself a mount is emptied and stays if `mounted` says that it may be one; otherwise it is
    /// one that was met. What is gone already is no failure. At `end` the rest is left.
    pub(crate) fn delete(&self, path: &str, mounted: bool, end: Instant) -> Remains {
        if let Some(rehearsal) = &self.rehearsal {
            self.rehearse_deletion(rehearsal, path);
            return Remains::default();
        }
        let mut walk = Walk::new(path, end);
        if let Err(error) = self.delete_in(path, mounted, &mut walk) {
            walk.fail(&error.to_string(), false);
        }
        walk.remains
    }

    fn delete_in(&self, path: &str, mounted: bool, walk: &mut Walk) -> Result<(), Error> {
        let (parent, name) = split("delete", path)?;
        let refused = |errno: Errno| Error::os("delete", path, errno);
        let parent = match self.open_unfollowed(parent) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(Errno::LOOP) => {
                let link = self.symlink_on(path).unwrap_or_default();
                walk.fail_at(&[], &format!("it lies behind the symlink {}", escape(&link)));
                return Ok(());
            }
            other => other.map_err(refused)?,
        };
        let stat = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(refused)?,
        };
        let name = CString::new(name).unwrap_or_default();
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            walk.unlink(&parent, &name);
            return Ok(());
        }
        for is_last in (0..PASSES).map(|pass| pass + 1 == PASSES) {
            let directory = match Walk::open(&parent, &name, false) {
                Err(Errno::NOENT) => return Ok(()),
                Err(Errno::XDEV) if mounted => Walk::open(&parent, &name, true).map_err(refused)?,
                Err(Errno::XDEV) => {
                    walk.mount(None);
                    return Ok(());
                }
                other => other.map_err(refused)?,
            };
            if !walk.empty(directory) || walk.remove_base(&parent, &name, mounted, is_last) {
                break;
            }
        }
        Ok(())
    }

    /// Gives a directory another path on its file system, at once and with all that is in it; nothing is replaced, and no symlink followed. False
    /// if it stays.
    pub(crate) fn move_whole(&self, path: &str, to: &str) -> bool {
        if self.is_rehearsal() {
            return false;
        }
        let moved = || {
            let ((old, name), (new, other)) = (split("move", path).ok()?, split("move", to).ok()?);
            let (old, new) = (self.open_unfollowed(old).ok()?, self.open_unfollowed(new).ok()?);
            renameat_with(old, name, new, other, RenameFlags::NOREPLACE).ok()
        };
        moved().is_some()
    }

    /// Opens a directory step by step; `LOOP` if one of them is a symlink that is none of the system's layout.
    fn open_unfollowed(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = self.open("/", flags)?;
        for step in prefixes(path).filter(|step| !step.is_empty() && *step != "/") {
            let name = step.rsplit('/').next().unwrap_or_default();
            let is_link = || {
                let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
                stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_symlink())
            };
            directory = match retry_on_intr(|| openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty())) {
                Err(Errno::NOTDIR | Errno::LOOP) if is_link() => {
                    if !LAYOUT.contains(&step) {
                        return Err(Errno::LOOP);
                    }
                    self.open(step, flags)?
                }
                other => other?,
            };
        }
        Ok(directory)
    }

    /// The first symlink on the way to a path, itself included, that is none of the system's layout.
    pub(crate) fn symlink_on(&self, path: &str) -> Option<String> {
        let mut steps = prefixes(path).filter(|step| !LAYOUT.contains(step));
        steps.find(|step| self.is_symlink(step)).map(ToOwned::to_owned)
    }

    /// Removes a directory if it is empty and no mount; false if it stays.
    pub(crate) fn remove_empty(&self, path: &str) -> bool {
        if let Some(rehearsal) = &self.rehearsal {
            let is_empty = self.is_dir(path) && self.list(path).is_ok_and(|names| names.is_empty());
            if is_empty {
                rehearsal.set(path, Became::Nothing);
            }
            return is_empty;
        }
        let removed = || {
            let (parent, name) = split("remove", path).ok()?;
            unlinkat(self.open_unfollowed(parent).ok()?, name, AtFlags::REMOVEDIR).ok()
        };
        removed().is_some()
    }

    /// True if the path is a symlink.
    pub(crate) fn is_symlink(&self, path: &str) -> bool {
        self.kind(path) == Some(FileType::Symlink)
    }

    /// True if there is anything at the path, a symlink that leads nowhere included.
    pub(crate) fn is_there(&self, path: &str) -> bool {
        self.kind(path).is_some()
    }

    fn kind(&self, path: &str) -> Option<FileType> {
        if let Some(became) = self.rehearsed(path) {
            return became.kind();
        }
        let (parent, name) = split("read", path).ok()?;
        let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).ok()?;
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(stat.st_mode))
    }

    /// Device and inode of a file that is no symlink.
    pub(crate) fn file_identity(&self, path: &str) -> Option<(u64, u64)> {
        let (parent, name) = split("read", path).ok()?;
        let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).ok()?;
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        FileType::from_raw_mode(stat.st_mode).is_file().then_some((stat.st_dev, stat.st_ino))
    }

    /// Size and whole second of the modification time of a file that is no symlink.
    pub(crate) fn size_and_second(&self, path: &str) -> Option<(u64, i64)> {
        let (parent, name) = split("read", path).ok()?;
        let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY).ok()?;
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
        is_file.then_some((u64::try_from(stat.st_size).ok()?, stat.st_mtime))
    }

    /// The path without symlinks, as the kernel names it; none if there is nothing, or with another root than `/`.
    pub(crate) fn real_path(&self, path: &str) -> Option<String> {
        let fd = (self.is_real() && is_normal(path)).then(|| self.open(path, OFlags::PATH).ok())??;
        let link = readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new()).ok()?;
        Some(String::from_utf8_lossy(link.as_bytes()).into_owned())
    }

    /// Device and inode of what is behind the path, symlinks followed.
    pub(crate) fn identity(&self, path: &str) -> Option<(u64, u64)> {
        let stat = is_normal(path).then(|| self.stat(path))?.ok()?;
        Some((stat.st_dev, stat.st_ino))
    }
}

/// A directory on the way down.
struct Frame {
    /// None on the way down from a deep one.
    fd: Option<OwnedFd>,
    id: (u64, u64),
    name: CString,
    /// None before it was looked through.
    directories: Option<Vec<CString>>,
    /// Something in it stays, and was told.
    stays: bool,
    passes: u8,
}

impl Frame {
    fn new(fd: OwnedFd, name: CString) -> rustix::io::Result<Frame> {
        let id = identity(&fd)?;
        Ok(Frame { fd: Some(fd), id, name, directories: None, stays: false, passes: 0 })
    }
}

/// Inode, name, whether it is a directory for sure.
type Entry = (u64, CString, bool);

/// One deletion.
struct Walk {
    path: String,
    end: Instant,
    steps: u64,
    late: bool,
    stack: Vec<Frame>,
    buffer: Vec<u8>,
    remains: Remains,
}

impl Walk {
    fn new(path: &str, end: Instant) -> Walk {
        let remains = Remains { read_only: true, ..Remains::default() };
        let buffer = Vec::with_capacity(64 * 1024);
        Walk { path: path.into(), end, steps: 0, late: false, stack: Vec::new(), buffer, remains }
    }

    /// Opens a directory below another; `XDEV` if something is mounted there, unless that may be.
    fn open(parent: &OwnedFd, name: &CStr, mounted: bool) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOATIME;
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        if !mounted {
            resolve |= ResolveFlags::NO_XDEV;
        }
        let open = |flags| retry_on_intr(|| openat2(parent, name, flags, Mode::empty(), resolve));
        match open(flags) {
            // Only the owner may leave the time of access alone.
            Err(Errno::PERM) => open(flags - OFlags::NOATIME),
            other => other,
        }
    }

    /// Deletes all that is in a directory; false if something stays.
    fn empty(&mut self, top: OwnedFd) -> bool {
        match Frame::new(top, CString::default()) {
            Ok(frame) => self.stack.push(frame),
            Err(errno) => {
                self.failed(None, errno);
                return false;
            }
        }
        while let Some(mut frame) = self.stack.pop() {
            let Some(fd) = frame.fd.take() else { continue };
            let directories = match frame.directories.take() {
                Some(directories) => directories,
                None => self.sweep(&fd, &mut frame),
            };
            if let Some(done) = self.descend(fd, frame, directories)
                && let Some(all) = self.ascend(done)
            {
                return all;
            }
        }
        false
    }

    /// Goes into the next directory; gives the frame back if there is none left.
    fn descend(&mut self, fd: OwnedFd, mut frame: Frame, mut directories: Vec<CString>) -> Option<Frame> {
        while let Some(name) = directories.pop() {
            if self.is_late() {
                frame.stays = true;
                break;
            }
            let opened = Walk::open(&fd, &name, false);
            match opened.and_then(|opened| Frame::new(opened, name.clone())) {
                Ok(below) => {
                    frame.directories = Some(directories);
                    frame.fd = (self.stack.len() < KEPT_OPEN).then_some(fd);
                    self.stack.push(frame);
                    self.stack.push(below);
                    return None;
                }
                Err(Errno::NOENT) => {}
                // Somebody has put something else there.
                Err(Errno::LOOP | Errno::NOTDIR) => frame.stays |= !self.unlink_in(&fd, &frame, &name),
                Err(Errno::XDEV) => {
                    self.mount(Some((&frame.name, &name)));
                    frame.stays = true;
                }
                Err(errno) => {
                    self.failed(Some((&frame.name, &name)), errno);
                    frame.stays = true;
                }
            }
        }
        frame.fd = Some(fd);
        Some(frame)
    }

    /// Removes a directory that was emptied from its parent, or looks through it again. Gives the outcome of the last.
    fn ascend(&mut self, mut done: Frame) -> Option<bool> {
        let Some(mut parent) = self.stack.pop() else { return Some(!done.stays) };
        let fd = match (parent.fd.take(), &done.fd) {
            (Some(fd), _) => fd,
            (None, Some(below)) => {
                let Some(fd) = parent_of(below, &parent) else {
                    // Moved away meanwhile; the process that did that has it. The way back is known from further up.
                    self.fail_at(&[&done.name], "was moved while it was deleted");
                    self.stack.retain(|frame| frame.fd.is_some());
                    self.stack.iter_mut().for_each(|frame| frame.stays = true);
                    return None;
                };
                fd
            }
            (None, None) => return Some(false),
        };
        match unlinkat(&fd, &done.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(_) if done.stays => parent.stays = true,
            Err(Errno::NOTEMPTY | Errno::EXIST) if done.passes < PASSES && !self.is_late() => {
                done.passes += 1;
                done.directories = None;
                parent.fd = Some(fd);
                self.stack.push(parent);
                self.stack.push(done);
                return None;
            }
            Err(Errno::BUSY) => {
                self.mount(Some((&parent.name, &done.name)));
                parent.stays = true;
            }
            Err(errno) => {
                self.failed(Some((&parent.name, &done.name)), errno);
                parent.stays = true;
            }
        }
        parent.fd = Some(fd);
        self.stack.push(parent);
        None
    }

    /// Deletes what is no directory, and gives the names of the directories.
    fn sweep(&mut self, fd: &OwnedFd, frame: &mut Frame) -> Vec<CString> {
        let mut directories = Vec::new();
        loop {
            let (mut entries, whole) = match self.list(fd) {
                Ok(listed) => listed,
                Err(errno) => {
                    self.failed(Some((&frame.name, c"")), errno);
                    frame.stays = true;
                    return directories;
                }
            };
            // In the order of the inodes the disk is read once, from one end to the other.
            entries.sort_unstable_by_key(|(inode, _, _)| *inode);
            for (_, name, is_directory) in entries {
                if self.is_late() {
                    frame.stays = true;
                    return Vec::new();
                }
                if is_directory {
                    directories.push(name);
                    continue;
                }
                match unlinkat(fd, &name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR) => directories.push(name),
                    Err(errno) => {
                        self.not_unlinked(Some((&frame.name, &name)), errno);
                        frame.stays = true;
                    }
                }
            }
            // With directories in hand it would find them again.
            if whole || !directories.is_empty() {
                return directories;
            }
        }
    }

    /// The entries of a directory, and whether these are all.
    fn list(&mut self, fd: &OwnedFd) -> rustix::io::Result<(Vec<Entry>, bool)> {
        seek(fd, SeekFrom::Start(0))?;
        let mut entries = Vec::new();
        let buffer: &mut [MaybeUninit<u8>] = self.buffer.spare_capacity_mut();
        let mut listing = RawDir::new(fd, buffer);
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            entries.push((entry.ino(), name.to_owned(), entry.file_type() == FileType::Directory));
            if entries.len() >= BATCH {
                return Ok((entries, false));
            }
        }
        Ok((entries, true))
    }

    fn unlink_in(&mut self, fd: &OwnedFd, frame: &Frame, name: &CStr) -> bool {
        match unlinkat(fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => true,
            Err(errno) => {
                self.not_unlinked(Some((&frame.name, name)), errno);
                false
            }
        }
    }

    /// Deletes what the path itself is.
    fn unlink(&mut self, parent: &OwnedFd, name: &CStr) {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => self.not_unlinked(None, errno),
        }
    }

    /// False if there is something in it again.
    fn remove_base(&mut self, parent: &OwnedFd, name: &CStr, mounted: bool, is_last: bool) -> bool {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::BUSY) if mounted => {}
            Err(Errno::BUSY) => self.mount(None),
            Err(Errno::NOTEMPTY | Errno::EXIST) if !is_last => return false,
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                self.fail_at(&[], "somebody writes to it all the time; end what does");
            }
            Err(errno) => self.failed(None, errno),
        }
        true
    }

    fn not_unlinked(&mut self, at: Option<(&CStr, &CStr)>, errno: Errno) {
        // What is mounted on a file keeps it from being removed.
        if errno == Errno::BUSY { self.mount(at) } else { self.failed(at, errno) }
    }

    fn mount(&mut self, at: Option<(&CStr, &CStr)>) {
        let path = self.path_of(&names(at));
        self.remains.mounts.push(path);
    }

    fn failed(&mut self, at: Option<(&CStr, &CStr)>, errno: Errno) {
        let path = self.path_of(&names(at));
        self.fail(&Error::os("delete", &path, errno).to_string(), errno == Errno::ROFS);
    }

    fn fail_at(&mut self, names: &[&CStr], why: &str) {
        let path = self.path_of(names);
        self.fail(&format!("cannot delete {}: {why}", escape(&path)), false);
    }

    fn fail(&mut self, sentence: &str, read_only: bool) {
        self.remains.read_only &= read_only;
        if self.remains.failures.len() < TOLD {
            self.remains.failures.push(sentence.to_owned());
        } else {
            self.remains.more += 1;
        }
    }

    /// The path of a name in the directory at hand, whose parents are on the stack.
    fn path_of(&self, names: &[&CStr]) -> String {
        let mut path = self.path.clone();
        let above = self.stack.iter().map(|frame| frame.name.as_c_str());
        for name in above.chain(names.iter().copied()).filter(|name| !name.is_empty()) {
            path.push('/');
            path.push_str(&name.to_string_lossy());
        }
        path
    }

    fn is_late(&mut self) -> bool {
        self.steps += 1;
        if !self.late && self.steps % TICK == 1 && Instant::now() >= self.end {
            self.late = true;
            let path = self.path.clone();
            self.fail(&format!("cannot delete {}: the time is up", escape(&path)), false);
        }
        self.late
    }
}

fn names<'n>(at: Option<(&'n CStr, &'n CStr)>) -> Vec<&'n CStr> {
    at.map(|(directory, name)| vec![directory, name]).unwrap_or_default()
}

/// The directory above one that was opened from it, if it still is there.
fn parent_of(below: &OwnedFd, parent: &Frame) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = retry_on_intr(|| openat(below, c"..", flags, Mode::empty())).ok()?;
    (identity(&fd).ok()? == parent.id && mount_of(&fd)? == mount_of(below)?).then_some(fd)
}

fn identity(fd: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    fstat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

/// The number of the mount that a descriptor is on.
fn mount_of(fd: &impl AsFd) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}
