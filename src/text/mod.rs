//! Text: YAML, durations and paths read, YAML written, and what makes text safe to be shown.

pub(crate) mod base64;
pub(crate) mod duration;
pub(crate) mod emit;
pub mod escape;
pub(crate) mod odd;
pub(crate) mod paths;
pub use yaml;

/// The items in a map or a set. [`Iterator::collect`] would sort them first, with a sort of its own for each type: 3 kB of the program each.
pub(crate) fn collected<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

/// Bytes as text, with U+FFFD for what is not UTF-8. Of text that is UTF-8 no copy is made.
pub(crate) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
