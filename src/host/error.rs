//! What the machine refused to do, in words.

use std::io;
use std::time::Duration;

use crate::text::escape::escape;

/// Where a program without a path is looked for, and the only variable that a child gets.
pub(super) const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What the machine refused to do: one sentence, with the path as the node knows it and the reason in words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system said no.
    #[error("cannot {doing} {}: {}", escape(path), reason(error))]
    Os {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
        /// The answer.
        error: io::Error,
    },
    /// A path that this door does not open, for any tree.
    #[error("cannot {doing} {path:?}: not an absolute path of a file without `.` and `..`")]
    Path {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
    },
    /// There is something, but not what can be read or locked.
    #[error("cannot {doing} {}: it is a {what}, not a regular file", escape(path))]
    Kind {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// Something that is not replaced stands where a file or a directory must be made.
    #[error("cannot {doing} {}: the {what} {} is in the way; remove it", escape(path), escape(obstacle))]
    Obstacle {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// The path, as given.
        path: String,
        /// What stands there.
        what: &'static str,
        /// Where it stands.
        obstacle: String,
    },
    /// More bytes than the caller wants.
    #[error("cannot read {}: it has more than {limit} bytes", escape(path))]
    Size {
        /// The path, as given.
        path: String,
        /// What was allowed.
        limit: u64,
    },
    /// Somebody else holds the lock, and did so until the end of the wait.
    #[error("cannot lock {}: somebody else held it for {:.1} s", escape(path), wait.as_secs_f64())]
    Held {
        /// The path, as given.
        path: String,
        /// How long it was tried.
        wait: Duration,
    },
    /// The kernel cannot keep paths inside another root.
    #[error(
        "cannot use the root {}: openat2 is not available, it needs Linux 5.6 and a seccomp filter that knows it",
        escape(path)
    )]
    Confine {
        /// The root, as given.
        path: String,
    },
    /// Processes are only started on the machine itself.
    #[error("cannot run {}: with another root than / nothing is started", escape(program))]
    NotHere {
        /// The program, as given.
        program: String,
    },
    /// No such program.
    #[error("cannot run {}: no such program in {SEARCH_PATH}", escape(program))]
    NoProgram {
        /// The program, as given.
        program: String,
    },
    /// The program ended, not well.
    #[error("{} {outcome}{}{last_words}", escape(program), if last_words.is_empty() { "" } else { ": " })]
    Failed {
        /// The program, as given.
        program: String,
        /// How it ended.
        outcome: String,
        /// The last line of its stderr, in printable characters.
        last_words: String,
    },
    /// The program did not end.
    #[error("{} did not end within {:.1} s and was killed", escape(program), deadline.as_secs_f64())]
    Deadline {
        /// The program, as given.
        program: String,
        /// What it was given.
        deadline: Duration,
    },
}

impl Error {
    /// True if the only reason is that nothing is there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Os { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// The same with the path behind that of a root which has a name.
    pub(crate) fn below(mut self, root: &str) -> Self {
        if let Self::Os { path, .. } | Self::Path { path, .. } | Self::Kind { path, .. } | Self::Size { path, .. } =
            &mut self
        {
            path.insert_str(0, root);
        }
        self
    }

    pub(super) fn os(doing: &'static str, path: &str, error: impl Into<io::Error>) -> Self {
        Self::Os { doing, path: path.to_owned(), error: error.into() }
    }
}

/// Says in lower case why the operating system refused, without the number: `no space left on device`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error ").map_or(text.as_str(), |(words, _)| words).to_lowercase()
}
