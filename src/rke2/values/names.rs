//! Names as Kubernetes takes them (apimachinery `pkg/util/validation`).

/// Whether all of a text is of some bytes, and both ends of fewer.
fn is_of(text: &str, ends: impl Fn(u8) -> bool, inside: impl Fn(u8) -> bool) -> bool {
    let has_ends = text.bytes().next().is_some_and(&ends) && text.bytes().last().is_some_and(&ends);
    has_ends && text.bytes().all(|byte| ends(byte) || inside(byte))
}

/// A DNS name in lower case: labels of letters, digits and `-` inside, up to 253 characters.
pub(crate) fn is_dns(text: &str) -> bool {
    let ends = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 253 && text.split('.').all(|label| is_of(label, ends, |byte| byte == b'-'))
}

/// What stands behind the prefix of a key, and a value that is not empty.
fn is_word(text: &str) -> bool {
    text.len() <= 63 && is_of(text, |byte| byte.is_ascii_alphanumeric(), |byte| matches!(byte, b'-' | b'_' | b'.'))
}

/// The key of a label or taint: `NAME` or `PREFIX/NAME`.
pub(crate) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns(prefix) && is_word(name),
        None => is_word(text),
    }
}

/// The value of a label or taint, which may be empty.
pub(crate) fn is_value(text: &str) -> bool {
    text.is_empty() || is_word(text)
}

/// A name that a certificate of RKE2 holds (rancher/dynamiclistener `factory/gen.go`).
pub(crate) fn is_san(text: &str) -> bool {
    is_of(text, |byte| byte.is_ascii_alphanumeric() || byte == b':', |byte| matches!(byte, b'-' | b'_' | b'.'))
}
