//! Settings of the running kernel, for the machine and for this process.

use std::{fs::File, io::Write as _};

use rustix::{
    fs::OFlags,
    io::Errno,
    process::{DumpableBehavior, Resource, Rlimit, geteuid, getrlimit, set_dumpable_behavior, setrlimit},
};

use super::{Error, Host, normal};

impl Host {
    /// Writes a value into a file of `/proc/sys`, which must exist.
    ///
    /// Fails, before anything is opened, unless [`Host::is_real`]: a setting is the machine's, whatever the root.
    pub(crate) fn set_kernel(&self, path: &str, value: &str) -> Result<(), Error> {
        normal("set", path)?;
        if !self.real || !path.starts_with("/proc/sys/") {
            return Err(Error::os("set", path, Errno::PERM));
        }
        let fd = self.open(path, OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NOCTTY);
        let mut file = File::from(fd.map_err(|errno| Error::os("set", path, errno))?);
        // The kernel takes a value by one write.
        file.write_all(format!("{value}\n").as_bytes()).map_err(|error| Error::os("set", path, error))
    }
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
