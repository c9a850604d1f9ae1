//! Base64 (RFC 4648, section 4), as Go's `base64.StdEncoding` reads it: line breaks are passed over, the padding must be there.

/// The bytes of a text.
pub(crate) struct Decoded {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether no other text has the same bytes: the bits that the last digit has too many are 0.
    pub(crate) is_canonical: bool,
}

/// The bytes of a text; nothing if it is not base64.
pub(crate) fn decoded(text: &str) -> Option<Decoded> {
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        digits += 1;
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    let is_whole = (digits + padding).is_multiple_of(4) && padding <= 2;
    is_whole.then_some(Decoded { bytes, is_canonical: bits == 0 })
}
