//! Settings of the running kernel.

use std::{fs::File, io::Write as _};

use rustix::{fs::OFlags, io::Errno};

use super::{Error, Host, normal};

impl Host {
    /// Writes a value into a file of `/proc/sys`, which must exist.
    ///
    /// Fails, before anything is opened, unless [`Host::is_real`]: a setting is the machine's, whatever the root.
    pub fn set_kernel(&self, path: &str, value: &str) -> Result<(), Error> {
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
