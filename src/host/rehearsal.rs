//! A rehearsal: what is written, made and removed stays in memory, and who reads afterwards sees it. The machine stays as it is, and no
//! secret reaches a disk.

use rustix::fs::{Access, AtFlags, OFlags, accessat};
use rustix::io::Errno;

use super::changes::{Became, Changes};
use super::{Error, Host, split};
use crate::text::escape::escape;
use crate::text::paths::prefixes;

impl Host {
    /// The same machine for a rehearsal: it is read, nothing is changed and no process started. What would change is what
    /// [`Host::changes`] gives afterwards.
    pub(crate) fn rehearsing(&self) -> Result<Host, Error> {
        Ok(Host { real: false, rehearsal: Some(Changes::default()), ..self.again()? })
    }

    /// True if nothing is to change.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.rehearsal.is_some()
    }

    /// What a rehearsal would have changed, in the order of the paths: sentences without what a file holds.
    pub(crate) fn changes(&self) -> Vec<String> {
        let (Some(rehearsal), Ok(root)) = (&self.rehearsal, self.root.try_clone()) else { return Vec::new() };
        let machine = Host { root, real: false, rehearsal: None };
        let changes = rehearsal.all();
        changes.iter().filter_map(|(path, became)| sentence(&machine, path, became)).collect()
    }

    /// What became of a path in the rehearsal, if this is one and it was changed.
    pub(super) fn rehearsed(&self, path: &str) -> Option<Became> {
        self.rehearsal.as_ref()?.at(path)
    }

    /// Writes a file in the rehearsal; true if it did not have these bytes.
    pub(super) fn rehearse_file(
        &self,
        rehearsal: &Changes,
        path: &str,
        bytes: &[u8],
        mode: u32,
    ) -> Result<bool, Error> {
        let (parent, _) = split("write", path)?;
        if self.is_dir(path) && !self.is_symlink(path) {
            let obstacle = path.to_owned();
            return Err(Error::Obstacle { doing: "write", path: path.to_owned(), what: "directory", obstacle });
        }
        self.rehearse_directory(rehearsal, "write", path, parent, None)?;
        let is_new = !self.holds(path, bytes);
        if is_new || self.mode(path) != Some(mode) {
            self.may_change("write", path, parent)?;
            rehearsal.set(path, Became::File(bytes.to_vec(), mode));
        }
        Ok(is_new)
    }

    /// Makes a directory and its parents in the rehearsal. Fails where the system would say no.
    pub(super) fn rehearse_directory(
        &self,
        rehearsal: &Changes,
        doing: &'static str,
        path: &str,
        directory: &str,
        mode: Option<u32>,
    ) -> Result<(), Error> {
        let (mut above, mut missing) = ("/", Vec::new());
        for step in prefixes(directory) {
            if self.is_dir(step) {
                above = step;
            } else if self.is_there(step) {
                let what = if self.is_symlink(step) { "symlink that leads nowhere" } else { "file" };
                return Err(Error::Obstacle { doing, path: path.to_owned(), what, obstacle: step.to_owned() });
            } else {
                missing.push(step);
            }
        }
        let mode = mode.filter(|mode| self.mode(directory) != Some(*mode));
        if !missing.is_empty() || mode.is_some() {
            self.may_change(doing, path, above)?;
        }
        for step in missing {
            rehearsal.set(step, Became::Directory(0o755));
        }
        if let Some(mode) = mode {
            rehearsal.set(directory, Became::Directory(mode));
        }
        Ok(())
    }

    /// Fails where the system would not let a directory be changed: on a read-only file system, or for a user who may not.
    fn may_change(&self, doing: &'static str, path: &str, directory: &str) -> Result<(), Error> {
        // One of the rehearsal is not on the machine.
        let Ok(fd) = self.open(directory, OFlags::PATH | OFlags::DIRECTORY) else { return Ok(()) };
        accessat(fd, ".", Access::WRITE_OK, AtFlags::EACCESS).map_err(|errno| Error::os(doing, path, errno))
    }

    /// Removes a file or a symlink in the rehearsal; false if there is none.
    pub(super) fn rehearse_removal(&self, rehearsal: &Changes, path: &str) -> Result<bool, Error> {
        if !self.is_there(path) {
            return Ok(false);
        }
        if self.is_dir(path) && !self.is_symlink(path) {
            return Err(Error::os("remove", path, Errno::ISDIR));
        }
        let (parent, _) = split("remove", path)?;
        self.may_change("remove", path, parent)?;
        rehearsal.set(path, Became::Nothing);
        Ok(true)
    }

    /// Removes whatever there is in the rehearsal, with all that is in it.
    pub(super) fn rehearse_deletion(&self, rehearsal: &Changes, path: &str) {
        if self.is_dir(path) && !self.is_symlink(path) {
            for name in self.list(path).unwrap_or_default() {
                self.rehearse_deletion(rehearsal, &format!("{path}/{name}"));
            }
        }
        if self.is_there(path) {
            rehearsal.set(path, Became::Nothing);
        }
    }

    /// Gives a file another name in the rehearsal.
    pub(super) fn rehearse_name(&self, rehearsal: &Changes, from: &str, to: &str) -> Result<(), Error> {
        let (bytes, mode) = (self.read(from, u64::MAX)?, self.mode(from).unwrap_or(0o600));
        rehearsal.set(to, Became::File(bytes, mode));
        rehearsal.set(from, Became::Nothing);
        Ok(())
    }
}

/// What it is that would be done to a path of the machine; nothing if it is so already.
fn sentence(machine: &Host, path: &str, became: &Became) -> Option<String> {
    let name = escape(path);
    Some(match became {
        Became::Nothing => machine.is_there(path).then(|| format!("would remove {name}"))?,
        Became::Directory(mode) if machine.is_dir(path) => {
            (machine.mode(path) != Some(*mode)).then(|| format!("would give {name} the mode {mode:04o}"))?
        }
        Became::Directory(mode) => format!("would make the directory {name}, mode {mode:04o}"),
        Became::File(bytes, mode) if machine.holds(path, bytes) => {
            (machine.mode(path) != Some(*mode)).then(|| format!("would give {name} the mode {mode:04o}"))?
        }
        Became::File(bytes, mode) => {
            let verb = if machine.is_there(path) { "replace" } else { "write" };
            format!("would {verb} {name}, mode {mode:04o}, {} bytes", bytes.len())
        }
    })
}
