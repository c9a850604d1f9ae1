//! What is asked of an import.

use std::time::Duration;

use crate::rke2::DATA_DIR;

/// How long another import is waited for by one that has no end of its own.
pub(super) const WAIT: Duration = Duration::from_secs(600);

/// What is imported, from where, and within what bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The content directory; nothing if nothing is to be imported.
    pub content: Option<String>,
    /// The prefix under which it is looked for first; empty is none.
    pub prefix: String,
    /// The prefix of the scripts' directory; empty is none.
    pub root_path: String,
    /// A file that says that all has arrived, in the content directory or by its absolute path.
    pub marker: Option<String>,
    /// How long the boot stage may copy.
    pub budget: Option<Duration>,
    /// How long the start of RKE2 waits for content that still arrives.
    pub wait: Duration,
    /// Where RKE2 holds its state.
    pub data_dir: String,
    /// The CNIs whose images are expected; nothing where there is no plan.
    pub cnis: Option<Vec<String>>,
    /// It is another directory than the plan's: what lay in it before may lie on another stick.
    pub is_elsewhere: bool,
    /// What is done.
    pub mode: Mode,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Images are imported.
    Import,
    /// It is said what would be done, and nothing is.
    Rehearse,
}

impl Default for Request {
    /// On a host without a plan.
    fn default() -> Self {
        Request {
            content: None,
            prefix: String::new(),
            root_path: String::new(),
            marker: None,
            budget: None,
            wait: WAIT,
            data_dir: DATA_DIR.into(),
            cnis: None,
            is_elsewhere: false,
            mode: Mode::Import,
        }
    }
}
