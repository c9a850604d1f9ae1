//! The file system that holds the data directory: a disk that is mounted late, or not at all, looks like a node that lost its data.

use crate::host::{Host, mounts};

/// A file system, as far as it tells one from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// Where it is mounted.
    pub mount: String,
    /// Its type, in the kernel's word.
    pub kind: String,
    /// Its UUID, where udev has told it.
    pub uuid: Option<String>,
}

impl FileSystem {
    /// The file system of a path, which need not exist; none where the mounts are not known.
    pub(crate) fn of(host: &Host, path: &str) -> Option<FileSystem> {
        let mountinfo = host.read("/proc/self/mountinfo", 64 << 20).ok()?;
        let path = real(host, path);
        let is_above = |point: &str| {
            point == "/" || path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // Of several at one point the last is on top.
        let all = mounts::parse(&mountinfo).into_iter().filter(|mount| is_above(&mount.point));
        let mount = all.max_by_key(|mount| mount.point.len())?;
        let uuid = uuid(host, &mount.source);
        Some(FileSystem { mount: mount.point, kind: mount.kind, uuid })
    }

    /// Whether data that was on `before` may be on a disk that is not mounted: only what is mounted above its mount point is there now.
    pub(crate) fn lacks(&self, before: &FileSystem) -> bool {
        let is_same = self.uuid.is_some() && self.uuid == before.uuid;
        self.mount.len() < before.mount.len() && !is_same
    }
}

/// The path without symlinks, as far as it exists.
fn real(host: &Host, path: &str) -> String {
    let mut there = path;
    loop {
        if let Some(real) = host.real_path(there) {
            let rest = path.get(there.len()..).unwrap_or_default();
            return format!("{}{rest}", real.trim_end_matches('/'));
        }
        match there.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => there = parent,
            _ => return path.to_owned(),
        }
    }
}

/// The UUID of a block device, by the links that udev makes.
fn uuid(host: &Host, device: &str) -> Option<String> {
    const LINKS: &str = "/dev/disk/by-uuid";
    let names = if device.starts_with("/dev/") { host.list(LINKS).ok()? } else { Vec::new() };
    names.into_iter().find(|name| host.is_same_file(&format!("{LINKS}/{name}"), device))
}
