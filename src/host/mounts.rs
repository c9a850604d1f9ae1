//! What is mounted (`proc_pid_mountinfo(5)`), and taking it away again.

use std::{sync::mpsc, thread, time::Duration};

use rustix::{
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
};

use super::{Error, Host};
use crate::text::lossy;

/// How long one unmount may take: of a dead network file system it may never end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A mount of this process' mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Major and minor number of the file system, `8:1`.
    pub device: String,
    /// What of the file system is mounted; `/` is all of it.
    pub root: String,
    /// Where it is mounted.
    pub point: String,
    /// The number of the group in which mounts and unmounts propagate.
    pub peers: Option<u32>,
    /// The type of the file system.
    pub kind: String,
    /// What is mounted, in the words of the file system: a device, a server and its directory, any word.
    pub source: String,
    /// Where it is mounted, as the system has it.
    raw: Vec<u8>,
}

/// Reads the text of /proc/self/mountinfo; a line that is none is passed over.
pub(crate) fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let text = |field: &[u8]| lossy(unescaped(field));
    // Optional fields end at the hyphen; the fields before them are six.
    let hyphen = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let optional = fields.get(6..hyphen)?.iter();
    let mut shared = optional.filter_map(|field| str::from_utf8(field).ok()?.strip_prefix("shared:")?.parse().ok());
    let raw = unescaped(fields.get(4)?);
    Some(Mount {
        device: text(fields.get(2)?),
        root: text(fields.get(3)?),
        point: String::from_utf8_lossy(&raw).into_owned(),
        peers: shared.next(),
        kind: text(fields.get(hyphen + 1)?),
        source: text(fields.get(hyphen + 2)?),
        raw,
    })
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        if let Some(code) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(code);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    bytes
}

impl Host {
    /// Gives what is mounted, in the order in which it was mounted; with another root than `/` nothing.
    pub(crate) fn mounts(&self) -> Result<Vec<Mount>, Error> {
        if !self.is_real() {
            return Ok(Vec::new());
        }
        self.read("/proc/self/mountinfo", 64 << 20).map(|text| parse(&text))
    }

    /// Unmounts; `lazily` what is busy goes as soon as nobody uses it any more. What is gone already is no failure.
    ///
    /// Fails if it is busy ([`is_busy`]), and if it takes longer than 15 s: then the attempt goes on by itself.
    pub(crate) fn unmount(&self, mount: &Mount, lazily: bool) -> Result<(), Error> {
        let refused = |errno: Errno| Error::os("unmount", &mount.point, errno);
        if !self.is_real() {
            return Err(refused(Errno::PERM));
        }
        let (done, waiting) = mpsc::sync_channel(1);
        let raw = mount.raw.clone();
        let flags = if lazily { UnmountFlags::NOFOLLOW | UnmountFlags::DETACH } else { UnmountFlags::NOFOLLOW };
        let worker = thread::Builder::new().spawn(move || done.send(unmount(raw.as_slice(), flags)).ok());
        worker.map_err(|error| Error::os("unmount", &mount.point, error))?;
        match waiting.recv_timeout(PATIENCE) {
            Ok(Ok(()) | Err(Errno::INVAL | Errno::NOENT)) => Ok(()),
            Ok(Err(errno)) => Err(refused(errno)),
            Err(_) => Err(refused(Errno::TIMEDOUT)),
        }
    }

    /// Keeps unmounts below a mount from reaching its copies elsewhere.
    pub(crate) fn make_private(&self, mount: &Mount) -> Result<(), Error> {
        let refused = |errno: Errno| Error::os("make private", &mount.point, errno);
        if !self.is_real() {
            return Err(refused(Errno::PERM));
        }
        mount_change(mount.raw.as_slice(), MountPropagationFlags::PRIVATE).map_err(refused)
    }
}

/// Whether an unmount failed only because somebody uses what is mounted.
pub(crate) fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Os { error, .. } if Errno::from_io_error(error) == Some(Errno::BUSY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read_with_its_escapes_and_optional_fields() {
        let text = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            90 22 8:1 /home/a\\040b /var/lib/kubelet/pods/x\\134y\\011z rw shared:7 master:1 - ext4 /dev/vda rw\n\
            91 22 0:4 net:[4026532241] /run/netns/cni-1 rw - nsfs nsfs rw\n\
            92 22 0:60 / /mnt/\\303\\251 rw propagate_from:3 unbindable - tmpfs a\\040- rw\n\
            torn 22 0:60\n\n";
        let found = parse(text);
        let row = |it: &Mount| {
            let peers = it.peers.unwrap_or_default();
            format!("{} {} {} {peers} {} {}", it.device, it.root, it.point, it.kind, it.source)
        };
        assert_eq!(
            found.iter().map(row).collect::<Vec<_>>(),
            [
                "8:1 / / 1 ext4 /dev/vda",
                "8:1 /home/a b /var/lib/kubelet/pods/x\\y\tz 7 ext4 /dev/vda",
                "0:4 net:[4026532241] /run/netns/cni-1 0 nsfs nsfs",
                "0:60 / /mnt/é 0 tmpfs a -",
            ]
        );
        assert_eq!(unescaped(br"a\04"), br"a\04");
        assert_eq!(unescaped(br"\777\x40"), br"\777\x40");
    }
}
