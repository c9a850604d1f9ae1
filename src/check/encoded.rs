//! The content of a file as a cloud-config encodes it (mudler/yip `pkg/plugins/files.go`, which takes what coreos-cloudinit took).

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// How large a file may be once it is unpacked.
const LIMIT: usize = 4 << 20;

/// The bytes of a content; the encoding is as written. Fails with what is wrong, for a message.
pub(super) fn decoded(content: &str, encoding: &str) -> Result<Vec<u8>, &'static str> {
    match encoding {
        "" => Ok(content.as_bytes().to_vec()),
        "b64" | "base64" => base64(content),
        "gz" | "gzip" => gunzip(content.as_bytes()),
        "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" => gunzip(&base64(content)?),
        _ => Err("has an encoding that Kairos does not know; write b64, gzip or gz+b64"),
    }
}

/// Go's `base64.StdEncoding`: line breaks are passed over, the padding must be there.
fn base64(text: &str) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "is not base64, as its encoding says; encode the file anew";
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count, mut padding) =
        (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0_usize, 0_usize);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        count += 1;
        if byte == b'=' {
            padding += 1;
            continue;
        }
        let value = value(byte).filter(|_| padding == 0).ok_or(WRONG)?;
        bits = (bits << 6) | u32::from(value);
        if count % 4 == 0 {
            bytes.extend(bits.to_be_bytes().into_iter().skip(1));
            bits = 0;
        }
    }
    if count % 4 != 0 || padding > 2 {
        return Err(WRONG);
    }
    if padding > 0 {
        let [_, first, second, _] = (bits << (6 * padding)).to_be_bytes();
        bytes.push(first);
        if padding == 1 {
            bytes.push(second);
        }
    }
    Ok(bytes)
}

/// The first member of a gzip file (RFC 1952).
fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "is not gzip, as its encoding says; pack the file anew";
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = bytes else { return Err(WRONG) };
    let mut rest = rest;
    let skip = |rest: &mut &[u8], count: usize| -> Option<()> {
        *rest = rest.get(count..)?;
        Some(())
    };
    if flags & 4 != 0 {
        let [low, high, ..] = rest else { return Err(WRONG) };
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        skip(&mut rest, 2 + length).ok_or(WRONG)?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(WRONG)?;
            skip(&mut rest, end + 1).ok_or(WRONG)?;
        }
    }
    if flags & 2 != 0 {
        skip(&mut rest, 2).ok_or(WRONG)?;
    }
    decompress_to_vec_with_limit(rest, LIMIT).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_decoded_as_kairos_does() {
        let packed = "H4sIAGUfoFQC/zMxAgCIsCQyAgAAAA==";
        for (content, encoding, bytes) in [
            ("42", "", Some("42")),
            ("NDI=", "b64", Some("42")),
            ("NDI=\n", "base64", Some("42")),
            ("YW55IGNhcm5hbA==", "b64", Some("any carnal")),
            ("YW55\r\nIGNh", "b64", Some("any ca")),
            ("", "b64", Some("")),
            (packed, "gz+base64", Some("42")),
            (packed, "gzip+b64", Some("42")),
            ("NDI", "b64", None),
            ("ND=I", "b64", None),
            ("N===", "b64", None),
            ("ND I=", "b64", None),
            ("NDI=", "gz+b64", None),
            ("42", "gzip", None),
            ("42", "text/plain", None),
            ("H4sIAGUfoFQC/zMx", "gz+b64", None),
        ] {
            assert_eq!(decoded(content, encoding).ok(), bytes.map(|it| it.as_bytes().to_vec()), "{content} {encoding}");
        }
    }
}
