//! What a rehearsal has changed, in memory.
//!
//! A path is what callers write, because all of them write one in the same way; a symlink to what was changed shows the old.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::Error;
use crate::text::paths::prefixes;

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    File(Vec<u8>, u32),
    Directory(u32),
    Nothing,
}

/// All changes, by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<Mutex<BTreeMap<String, Became>>>);

impl Changes {
    pub(super) fn all(&self) -> MutexGuard<'_, BTreeMap<String, Became>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of a path; nothing where the machine's own still stands.
    pub(super) fn at(&self, path: &str) -> Option<Became> {
        let changes = self.all();
        if let Some(became) = changes.get(path) {
            return Some(became.clone());
        }
        let is_cut = prefixes(path).any(|it| matches!(changes.get(it), Some(Became::Nothing | Became::File(..))));
        is_cut.then_some(Became::Nothing)
    }

    pub(super) fn set(&self, path: &str, became: Became) {
        self.all().insert(path.to_owned(), became);
    }

    /// The names that came to a directory, and those that went.
    pub(super) fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        let (mut came, mut went) = (Vec::new(), Vec::new());
        for (path, became) in self.all().iter() {
            if let Some((parent, name)) = path.rsplit_once('/')
                && (parent == directory || parent.is_empty() && directory == "/")
            {
                if *became == Became::Nothing { &mut went } else { &mut came }.push(name.to_owned());
            }
        }
        (came, went)
    }
}

impl Became {
    pub(super) fn mode(&self) -> Option<u32> {
        match self {
            Became::File(_, mode) | Became::Directory(mode) => Some(*mode),
            Became::Nothing => None,
        }
    }

    pub(super) fn kind(&self) -> Option<FileType> {
        match self {
            Became::File(..) => Some(FileType::RegularFile),
            Became::Directory(_) => Some(FileType::Directory),
            Became::Nothing => None,
        }
    }

    pub(super) fn read(self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        match self {
            Became::File(bytes, _) if bytes.len() as u64 > limit => Err(Error::Size { path: path.to_owned(), limit }),
            Became::File(bytes, _) => Ok(bytes),
            Became::Directory(_) => Err(Error::Kind { doing: "read", path: path.to_owned(), what: "directory" }),
            Became::Nothing => Err(Error::os("read", path, Errno::NOENT)),
        }
    }
}
