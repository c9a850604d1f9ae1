//! What phases and steps tell: their outcome, the log, the standard streams.

pub mod log;
pub(crate) mod outcome;
pub mod stdio;
