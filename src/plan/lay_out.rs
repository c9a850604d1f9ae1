//! Lays out a plan without yip, for hosts that have none and for a person who runs `apply`.

use super::document;
use super::find;
use super::staged::{LIMIT, STAGED};
use super::values;
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
    for directory in ["config.d", values::DIRECTORY] {
        host.make_dir(&format!("{RUN}/{directory}"), 0o700)?;
    }
    let files = document::staged_files(&found.text)
        .map_err(|error| format!("{}: {error}; remove it and run agent.boot again", found.path))?;
    for (path, content) in files {
        // Whatever a document says, nothing else is written: it may be somebody else's work under our name.
        if values::is_path(&path) {
            // Only yip evaluates a template, so what it has made of the same texts stays.
            let is_kept = host
                .read(&path, LIMIT)
                .is_ok_and(|file| String::from_utf8(file).is_ok_and(|file| values::is_of_yip(&file, &content)));
            if !is_kept {
                host.put(&path, values::unevaluated(&content).as_bytes(), 0o600)?;
            }
        } else if STAGED.into_iter().any(|name| path == format!("{RUN}/{name}")) {
            host.put(&path, content.as_bytes(), 0o600)?;
        }
    }
    Ok(())
}
