//! Scripts that other programs call by their path: each hands over to this program, and does the work itself where an image has another one.

use std::io::ErrorKind;
use std::time::Duration;

use crate::host::{Error, Host};
use crate::service::gate;

/// Where callers know them, below the root path.
const DIRECTORY: &str = "/opt/rke2/scripts";

/// Held while they are written: two runs at a time would write to the same temporary files.
const LOCK: &str = "/run/provider-rke2/scripts.lock";

/// Their names, as the Go provider had them, and what is in them. What they share is the first, so that none is there without it.
pub(crate) const SCRIPTS: [(&str, &str); 4] = [
    ("common.sh", include_str!("../../scripts/common.sh")),
    ("import.sh", include_str!("../../scripts/import.sh")),
    ("rke2-killall.sh", include_str!("../../scripts/rke2-killall.sh")),
    ("rke2-uninstall.sh", include_str!("../../scripts/rke2-uninstall.sh")),
];

/// Writes them where they are not as they are here: /opt outlives an upgrade of the image. On a read-only file system they are the image's own.
pub(crate) fn install(host: &Host, root_path: &str) -> Result<(), Error> {
    host.make_dir(gate::RUN, 0o700)?;
    let _lock = host.lock(LOCK, Duration::from_secs(5))?;
    SCRIPTS.into_iter().try_for_each(|(name, text)| {
        match host.install(&format!("{root_path}{DIRECTORY}/{name}"), text.as_bytes(), 0o755) {
            Err(Error::Os { error, .. }) if error.kind() == ErrorKind::ReadOnlyFilesystem => Ok(()),
            other => other.map(drop),
        }
    })
}
