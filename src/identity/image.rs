//! Where the image of this node is from, as Kairos remembers it.

use crate::host::Host;
use crate::text::escape::{escape, mask_userinfo};
use crate::text::yaml::{self, OPTIONS};

/// Kairos' record of what was done to the node, on its persistent partition (kairos-agent `pkg/state/state.go`).
const STATE: &str = "/usr/local/.kairos-state";

/// What Kairos calls what it did, and what it is to a person.
const EVENTS: [(&str, &str); 4] = [
    ("first-install", "installed"),
    ("last-install", "installed"),
    ("last-active-upgrade", "upgraded"),
    ("last-reset", "reset"),
];

/// The last time that the image was installed, upgraded or reset: `upgraded 2026-07-21T10:15:00Z, from oci://quay.io/edge:2`. None where
/// Kairos does not say.
pub(crate) fn last(host: &Host) -> Option<String> {
    let bytes = host.read(STATE, OPTIONS.bytes as u64).ok()?;
    let document = yaml::read(&String::from_utf8_lossy(&bytes), OPTIONS).ok()?;
    let text = |key: &str| document.root.get(key)?.scalar().map(|scalar| scalar.text.clone());
    let events = EVENTS.into_iter().filter_map(|(key, word)| {
        let time = text(key).filter(|time| time.starts_with(|c: char| c.is_ascii_digit()))?;
        let source = text(&format!("{}-source", key.trim_end_matches("-upgrade"))).unwrap_or_default();
        Some((time, word, source))
    });
    // Times of one form and one zone are in the order of their text.
    let (time, word, source) = events.max()?;
    let source = if source.is_empty() { String::new() } else { format!(", from {}", escape(&mask_userinfo(&source))) };
    Some(format!("{word} {}{source}", escape(&time)))
}
