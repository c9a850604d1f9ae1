//! The content of a file as a cloud-config encodes it (mudler/yip `pkg/plugins/files.go`, which takes what coreos-cloudinit took).

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use crate::text::base64;

/// How large a file may be once it is unpacked.
const LIMIT: usize = 4 << 20;

/// The bytes of a content; the encoding is as written. Fails with what is wrong, for a message.
pub(crate) fn decoded(content: &str, encoding: &str) -> Result<Vec<u8>, &'static str> {
    match encoding {
        "" => Ok(content.as_bytes().to_vec()),
        "b64" | "base64" => base64(content),
        "gz" | "gzip" => gunzip(content.as_bytes()),
        "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" => gunzip(&base64(content)?),
        _ => Err("has an encoding that Kairos does not know; write b64, gzip or gz+b64"),
    }
}

fn base64(text: &str) -> Result<Vec<u8>, &'static str> {
    base64::decoded(text).map(|it| it.bytes).ok_or("is not base64, as its encoding says; encode the file anew")
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
