//! What every verb is run with, and its exit status.

use crate::Context;
use crate::report::outcome::Outcome;
use crate::report::stdio;

/// The exit status of findings and refusals.
pub(super) const FAILED: u8 = 1;

/// The exit status of wrong usage and unreadable input.
pub(super) const UNREADABLE: u8 = 2;

/// A verb with its arguments.
pub(super) trait Verb {
    /// Runs it; gives the exit status.
    fn run(self, context: &Context) -> u8;
}

/// Tells a person a sentence, on stderr.
pub(super) fn tell(sentence: &str) {
    stdio::to_stderr(&format!("agent-provider-rke2: {sentence}"));
}

/// Tells a person that nothing was done, because the usage is wrong or the input cannot be read.
pub(super) fn fail(sentence: &str) -> u8 {
    tell(sentence);
    UNREADABLE
}

/// Tells a person what something came to.
pub(super) fn tell_outcome(outcome: &Outcome) -> u8 {
    outcome.told().for_each(tell);
    outcome.failed.iter().for_each(|reason| tell(&reason.sentence));
    u8::from(!outcome.failed.is_empty())
}
