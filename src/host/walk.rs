//! What lies below a directory: files of wanted names, at any depth, and what tells each from another.

use std::{collections::BTreeSet, os::fd::OwnedFd};

use rustix::{
    fs::{AtFlags, FileType, OFlags, RawDir, Stat, fstat, fstatfs, statat},
    io::Errno,
};

use super::files::kind_name;
use super::{Error, Host, normal};

/// Seconds since 1970, and nanoseconds.
pub(crate) type Time = (i64, u32);

/// What tells that an archive is the one that was looked at, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Bytes.
    pub size: u64,
    /// When it was last written, as anybody may set it.
    pub mtime: Time,
    /// When it was last changed, as only the kernel sets it.
    pub ctime: Time,
    /// Its inode; 0 where the file system makes up another one at each mount.
    pub inode: u64,
}

/// Directories below which more is not looked for.
const DIRECTORIES: usize = 100_000;

/// File systems that make up inode numbers at each mount, or may do so (statfs(2); linux `include/uapi/linux/magic.h`): FAT, exFAT,
/// FUSE, overlay, 9P, SMB.
const INVENTS_INODES: [u64; 7] = [0x4d44, 0x2011_bab0, 0x6573_5546, 0x794c_7630, 0x0102_1997, 0xff53_4d42, 0xfe53_4d42];

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Below the directory that was searched.
    pub path: String,
    /// What it is now.
    pub identity: Identity,
    /// Device and inode: one file, whatever it is called.
    pub file: (u64, u64),
    /// Whether the path is a symlink.
    pub is_link: bool,
}

/// What lies below a directory.
#[derive(Debug, Default)]
pub struct Walk {
    /// Regular files of wanted names, in the order of their paths.
    pub files: Vec<Found>,
    /// What could not be looked at, or is not what its name says: path and reason.
    pub problems: Vec<(String, String)>,
    /// Whether every directory was read to its end.
    pub is_whole: bool,
}

impl Host {
    /// Finds files of wanted names at any depth below a directory; nothing if there is no such directory.
    ///
    /// Symlinks are followed, wherever they lead; what has a name of its own is found by that. Directories that start with a dot and `skip` are
    /// not entered. Nothing is opened but directories.
    pub fn walk(&self, top: &str, skip: &str, wanted: impl Fn(&str) -> bool) -> Result<Option<Walk>, Error> {
        normal("search", top)?;
        let refused = |errno: Errno| Error::os("search", top, errno);
        let directory = |path: &str| self.open(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let first = match directory(top) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(refused)?,
        };
        let skipped = self.open(skip, OFlags::PATH | OFlags::DIRECTORY).and_then(fstat).ok().map(|it| file_of(&it));
        let mut walk = Walk { is_whole: true, ..Walk::default() };
        let mut seen = BTreeSet::new();
        let (mut waiting, mut linked) = (vec![(String::new(), first)], Vec::new());
        while let Some((prefix, fd)) = waiting.pop().or_else(|| linked.pop()) {
            let stat = fstat(&fd).map_err(refused)?;
            if !seen.insert(file_of(&stat)) || skipped == Some(file_of(&stat)) {
                continue;
            }
            let stable = has_stable_inodes(&fd);
            let entries = match entries(&fd) {
                Ok(entries) => entries,
                Err(errno) => {
                    walk.trouble(&prefix, errno);
                    continue;
                }
            };
            for Entry { name, kind, is_text } in entries {
                let path = format!("{prefix}{name}");
                let is_wanted = wanted(&name);
                match kind {
                    FileType::Directory if name.starts_with('.') => {}
                    _ if !is_text && (is_wanted || kind == FileType::Directory) => {
                        walk.problems.push((path, "has a name that is not UTF-8, rename it".to_owned()));
                    }
                    FileType::Directory if seen.len() + waiting.len() > DIRECTORIES => {
                        walk.trouble(&path, Errno::MFILE);
                    }
                    FileType::Directory => match directory(&format!("{top}/{path}")) {
                        Ok(fd) => waiting.push((format!("{path}/"), fd)),
                        Err(errno) => walk.trouble(&path, errno),
                    },
                    FileType::Symlink => linked.extend(self.follow(top, path, is_wanted, stable, &mut walk)),
                    _ if !is_wanted => {}
                    FileType::RegularFile => match statat(&fd, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => walk.files.push(found(path, &stat, stable, false)),
                        // Gone since the directory was read.
                        Err(Errno::NOENT) => {}
                        Err(errno) => walk.trouble(&path, errno),
                    },
                    other => walk.problems.push((path, format!("is a {}, not a regular file", kind_name(other)))),
                }
            }
        }
        walk.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        walk.problems.sort_unstable();
        Ok(Some(walk))
    }

    /// A symlink: takes in the file that it leads to, or gives the directory.
    fn follow(
        &self,
        top: &str,
        path: String,
        is_wanted: bool,
        stable: bool,
        walk: &mut Walk,
    ) -> Option<(String, OwnedFd)> {
        let full = format!("{top}/{path}");
        match self.open(&full, OFlags::PATH).and_then(fstat) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => match self.open(&full, OFlags::RDONLY | OFlags::DIRECTORY) {
                    Ok(fd) => return Some((format!("{path}/"), fd)),
                    Err(errno) => walk.trouble(&path, errno),
                },
                _ if !is_wanted => {}
                FileType::RegularFile => walk.files.push(found(path, &stat, stable, true)),
                other => walk.problems.push((path, format!("is a {}, not a regular file", kind_name(other)))),
            },
            Err(Errno::LOOP) => {
                walk.problems.push((path, "is a symlink that leads back to itself; remove it".to_owned()));
            }
            Err(_) if !is_wanted => {}
            Err(Errno::NOENT) => walk.problems.push((path, "is a symlink that leads nowhere; remove it".to_owned())),
            Err(errno) => walk.trouble(&path, errno),
        }
        None
    }
}

impl Walk {
    fn trouble(&mut self, path: &str, errno: Errno) {
        self.is_whole = false;
        let path = path.strip_suffix('/').unwrap_or(path).to_owned();
        self.problems.push((path, format!("cannot be looked at: {}", super::reason(&errno.into()))));
    }
}

pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: FileType,
    /// Whether the name is UTF-8; what is not cannot be opened by the name that is shown.
    is_text: bool,
}

pub(super) fn entries(fd: &OwnedFd) -> rustix::io::Result<Vec<Entry>> {
    // It may have been read before.
    rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(0))?;
    let mut entries = Vec::new();
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut raw = RawDir::new(fd, buffer.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let (name, is_text) = match str::from_utf8(name) {
            Ok(name) => (name.to_owned(), true),
            Err(_) => (String::from_utf8_lossy(name).into_owned(), false),
        };
        let kind = match entry.file_type() {
            FileType::Unknown => statat(fd, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            known => known,
        };
        entries.push(Entry { name, kind, is_text });
    }
    Ok(entries)
}

fn has_stable_inodes(fd: &OwnedFd) -> bool {
    fstatfs(fd).is_ok_and(|it| u64::try_from(it.f_type).is_ok_and(|kind| !INVENTS_INODES.contains(&kind)))
}

fn file_of(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn found(path: String, stat: &Stat, stable: bool, is_link: bool) -> Found {
    Found { path, identity: identity(stat, stable), file: file_of(stat), is_link }
}

pub(super) fn identity(stat: &Stat, stable: bool) -> Identity {
    let nanoseconds = |it: u64| u32::try_from(it).unwrap_or_default();
    Identity {
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
        ctime: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
        inode: if stable { stat.st_ino } else { 0 },
    }
}
