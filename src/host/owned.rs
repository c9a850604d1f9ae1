//! Whose a file is: one that somebody else put where we would write is never touched.

use crate::host::{Error, Host};

/// How a file of ours begins, after what a reader of it wants first.
pub(crate) const MARK: &str = "# written by provider-rke2";

/// How much of a file is read to know.
const LIMIT: u64 = 1 << 20;

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// There is nothing.
    Nobodys,
    /// It bears our mark.
    Ours,
    /// It does not, or is nothing that we would write: a directory, a link that leads nowhere yet.
    Others,
}

impl Whose {
    /// Looks at a file; `is_ours` knows from its content whether it bears the mark. Fails if the system does not let us read it.
    pub(crate) fn is(host: &Host, path: &str, is_ours: impl FnOnce(&[u8]) -> bool) -> Result<Whose, Error> {
        match host.read(path, LIMIT) {
            Ok(bytes) if is_ours(&bytes) => Ok(Whose::Ours),
            Err(error) if error.is_absent() && !host.is_there(path) => Ok(Whose::Nobodys),
            Err(error) if !error.is_absent() && !matches!(error, Error::Kind { .. } | Error::Size { .. }) => Err(error),
            _ => Ok(Whose::Others),
        }
    }

    /// The same for a file whose first line bears the mark.
    pub(crate) fn of(host: &Host, path: &str) -> Result<Whose, Error> {
        Whose::is(host, path, |bytes| bytes.starts_with(MARK.as_bytes()))
    }
}
