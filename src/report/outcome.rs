//! What a phase or a step came to.

use crate::findings::Reason;
use crate::findings::code::Severity;

/// What a phase or a step came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was done, a sentence each.
    pub done: Vec<String>,
    /// What was found on the way. An error among them is told in the status too, though the step did not fail.
    pub notes: Vec<Reason>,
    /// What was not done, and why. A step without any has not failed.
    pub failed: Vec<Reason>,
}

impl Outcome {
    /// Something was done, and nothing failed.
    pub(crate) fn done(sentence: impl Into<String>) -> Outcome {
        Outcome { done: vec![sentence.into()], ..Outcome::default() }
    }

    /// It failed for one reason.
    pub(crate) fn failed(reason: impl Into<Reason>) -> Outcome {
        Outcome { failed: vec![reason.into()], ..Outcome::default() }
    }

    /// What the status tells: what failed, then the errors among what was found.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        let errors = self.notes.iter().filter(|note| note.severity >= Severity::Error);
        self.failed.iter().chain(errors).cloned().collect()
    }

    /// What a person is told of what was done: that, and the notes that are more than good to know.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter().filter(|note| note.severity > Severity::Note);
        self.done.iter().map(String::as_str).chain(notes.map(|note| note.sentence.as_str()))
    }
}

/// What was done, or the one reason why nothing was.
impl<E: Into<Reason>> From<Result<Vec<String>, E>> for Outcome {
    fn from(result: Result<Vec<String>, E>) -> Outcome {
        result.map_or_else(Outcome::failed, |done| Outcome { done, ..Outcome::default() })
    }
}
