//! Text: YAML, durations and paths read, YAML written, and what makes text safe to be shown.

pub(crate) mod duration;
pub(crate) mod emit;
pub mod escape;
pub(crate) mod paths;
pub use yaml;
