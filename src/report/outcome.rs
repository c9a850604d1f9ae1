//! What a phase or a step came to.

use crate::check::{Code, Findings, Severity};

/// A sentence that a person is told, with what makes it findable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its weight.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// The sentence; never a secret.
    pub sentence: String,
}

impl Reason {
    /// Why something was not done.
    pub fn failed(code: Code, sentence: impl Into<String>) -> Reason {
        Reason { severity: Severity::Refused, code, sentence: sentence.into() }
    }

    /// The sentence alone.
    pub fn sentences(reasons: &[Reason]) -> Vec<String> {
        reasons.iter().map(|reason| reason.sentence.clone()).collect()
    }
}

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
    /// All went well.
    pub fn done(done: Vec<String>) -> Outcome {
        Outcome { done, ..Outcome::default() }
    }

    /// The step failed for one reason.
    pub fn failed(sentence: impl Into<String>) -> Outcome {
        Outcome::all_failed(vec![sentence.into()])
    }

    /// The step failed for each of these.
    pub fn all_failed(sentences: Vec<String>) -> Outcome {
        Outcome::refused(sentences.into_iter().map(|sentence| Reason::failed(Code::StepFailed, sentence)).collect())
    }

    /// The step did nothing, for these reasons.
    pub fn refused(reasons: Vec<Reason>) -> Outcome {
        Outcome { failed: reasons, ..Outcome::default() }
    }

    /// Adds what was found: at most 20 sentences of a code, and how many more there are.
    #[must_use]
    pub fn with(mut self, findings: &Findings) -> Outcome {
        self.notes.extend(findings.reasons());
        self
    }

    /// What the status tells: what failed, then the errors among what was found.
    pub fn reasons(&self) -> Vec<Reason> {
        let errors = self.notes.iter().filter(|note| note.severity >= Severity::Error);
        self.failed.iter().chain(errors).cloned().collect()
    }
}

impl From<Result<Vec<String>, Vec<String>>> for Outcome {
    fn from(result: Result<Vec<String>, Vec<String>>) -> Outcome {
        result.map_or_else(Outcome::all_failed, Outcome::done)
    }
}
