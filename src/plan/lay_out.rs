//! Lays out a plan without yip, for hosts that have none and for a person who runs `apply`.

use super::document;
use super::find;
use super::staged::{LIMIT, STAGED, VALUES};
use crate::cluster::document_path::DEFAULT;
use crate::findings::Reason;
use crate::host::Host;
use crate::service::gate::RUN;

/// Lays out the staged files of the document in force, as yip does, for hosts without it. What yip has laid out of the same plan stays.
pub(crate) fn lay_out(host: &Host) -> Result<(), Reason> {
    let found = find::in_force(host).ok_or_else(|| {
        format!("{DEFAULT}: there is no document of this program, there or elsewhere; run agent.boot first")
    })?;
    host.make_dir(RUN, 0o700)?;
    host.make_dir(&format!("{RUN}/config.d"), 0o700)?;
    for (path, content) in document::staged_files(&found.text, &values(host))? {
        // Whatever a document says, nothing else is written: it may be somebody else's work under our name.
        let Some(name) = STAGED.into_iter().find(|name| path == format!("{RUN}/{name}")) else { continue };
        let id = content.lines().last().unwrap_or_default();
        // yip's own values say more than ours.
        let is_kept = name == VALUES
            && host.read(&path, LIMIT).is_ok_and(|bytes| bytes.ends_with(format!("\n{id}\n").as_bytes()));
        if !is_kept {
            host.put(&path, content.as_bytes(), 0o600)?;
        }
    }
    Ok(())
}

/// The values of yip that its own templates most often name (yip `pkg/utils/common.go`), as far as a file tells them.
fn values(host: &Host) -> String {
    let line = |path: &str| {
        host.read(path, 1 << 16).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default()
    };
    serde_json::json!({"node": {"hostname": line("/etc/hostname"), "machineid": line("/etc/machine-id")}}).to_string()
}
