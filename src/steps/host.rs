//! `apply host`: host preparation.

use crate::host::Host;
use crate::staged::Staged;

/// Takes the step.
#[allow(clippy::unnecessary_wraps, reason = "not built yet")]
pub fn run(_host: &Host, _staged: &Staged) -> Result<Vec<String>, Vec<String>> {
    Ok(Vec::new())
}
