//! Files made whole in a directory of their own, then all put in their places, or none.

use std::time::{Duration, Instant};

use crate::host::{Error, Host};

/// Where files are until all are whole: on the file system of their places.
const STAGE: &str = "/usr/.provider-rke2";
const PARENT: &str = "/usr";

/// How long it may take to remove what is there.
const TIDYING: Duration = Duration::from_secs(60);

/// The directory; it goes when this drops.
pub(super) struct Stage<'a> {
    host: &'a Host,
    count: usize,
    /// Whether what it is in was not there before.
    is_first: bool,
    /// What is in it, and where it belongs.
    files: Vec<(String, String)>,
}

impl<'a> Stage<'a> {
    /// Makes it, empty.
    pub(super) fn new(host: &'a Host) -> Result<Stage<'a>, Error> {
        let stage = Stage { host, count: 0, is_first: !host.is_there(PARENT), files: Vec::new() };
        stage.tidy();
        host.make_dir(STAGE, 0o700)?;
        Ok(stage)
    }

    fn tidy(&self) {
        let _ = self.host.delete(STAGE, false, Instant::now() + TIDYING);
    }

    /// A name in it that nothing has.
    pub(super) fn name(&mut self) -> String {
        self.count += 1;
        format!("{STAGE}/{}", self.count)
    }

    /// Says where a file of it belongs.
    pub(super) fn add(&mut self, file: String, place: String) {
        self.files.push((file, place));
    }

    /// Where the file is that belongs at a place.
    pub(super) fn of(&self, place: &str) -> Option<&str> {
        self.files.iter().find(|(_, at)| at == place).map(|(file, _)| file.as_str())
    }

    /// Puts every file in its place. If one cannot be, all is as it was.
    pub(super) fn publish(mut self) -> Result<usize, Error> {
        let files = std::mem::take(&mut self.files);
        let mut undo: Vec<Undo> = Vec::new();
        for (file, place) in &files {
            if let Err(error) = self.put(file, place, &mut undo) {
                for step in undo.into_iter().rev() {
                    // The first failure is the one to tell.
                    let _ = match step {
                        Undo::Remove(path) => self.host.remove(&path).map(drop),
                        Undo::Rename(from, to) => self.host.rename(&from, &to),
                        Undo::RemoveDirectory(path) => {
                            self.host.remove_empty(&path);
                            Ok(())
                        }
                    };
                }
                return Err(error);
            }
        }
        Ok(files.len())
    }

    fn put(&mut self, file: &str, place: &str, undo: &mut Vec<Undo>) -> Result<(), Error> {
        let directories = place.match_indices('/').skip(1).filter_map(|(at, _)| place.get(..at));
        for directory in directories.filter(|it| !self.host.is_dir(it)).collect::<Vec<_>>() {
            self.host.make_dir(directory, 0o755)?;
            undo.push(Undo::RemoveDirectory(directory.to_owned()));
        }
        if self.host.is_there(place) {
            let aside = self.name();
            self.host.rename(place, &aside)?;
            undo.push(Undo::Rename(aside, place.to_owned()));
        }
        self.host.rename(file, place)?;
        undo.push(Undo::Remove(place.to_owned()));
        Ok(())
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.tidy();
        if self.is_first {
            self.host.remove_empty(PARENT);
        }
    }
}

/// How a change is taken back.
enum Undo {
    Remove(String),
    Rename(String, String),
    RemoveDirectory(String),
}
