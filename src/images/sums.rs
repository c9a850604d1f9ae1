//! The sha256sum files that lie beside archives: who else knows what an archive must be.

/// Whether a file of this name holds checksums: `SHA256SUMS`, `NAME.sha256`, `sha256sum-amd64.txt` as RKE2's releases have it.
pub fn is_sums(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".txt").unwrap_or(&lower);
    plain.starts_with("sha256sum") || [".sha256", ".sha256sum"].iter().any(|ending| plain.ends_with(ending))
}

/// The checksums of a file and the names that they are of, as written: `HEX  NAME`, `HEX *NAME`, `SHA256 (NAME) = HEX`, and in `NAME.sha256`
/// also `HEX` alone. Other lines are passed over.
pub fn read(name: &str, text: &str) -> Vec<(String, [u8; 32])> {
    let own = ["", ".txt"].iter().find_map(|end| {
        let name = name.strip_suffix(end)?;
        name.strip_suffix(".sha256").or_else(|| name.strip_suffix(".sha256sum"))
    });
    let line = |line: &str| -> Option<(String, [u8; 32])> {
        let line = line.trim_end_matches('\r');
        if let Some((name, hex)) = line.strip_prefix("SHA256 (").and_then(|it| it.rsplit_once(") = ")) {
            return Some((name.to_owned(), digest(hex.trim())?));
        }
        let (hex, rest) = line.trim_start().split_once([' ', '\t']).unwrap_or((line.trim(), ""));
        let name = rest.trim_start_matches([' ', '\t']);
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = if name.is_empty() { own? } else { name };
        Some((name.to_owned(), digest(hex)?))
    };
    text.lines().filter_map(line).collect()
}

/// Whether a name in a checksum file stands for an archive; both paths are below the content directory. In a checksum file of the same
/// directory the last name decides, for lists are often written elsewhere.
pub fn names(sums: &str, written: &str, archive: &str) -> bool {
    fn split(path: &str) -> (&str, &str) {
        path.rsplit_once('/').unwrap_or(("", path))
    }
    let written = written.strip_prefix("./").unwrap_or(written);
    let (directory, (place, name)) = (split(sums).0, split(archive));
    let below = if directory.is_empty() {
        written == archive
    } else {
        archive.strip_prefix(directory) == Some(&format!("/{written}"))
    };
    below || (directory == place && split(written).1 == name)
}

/// 64 hexadecimal digits.
pub fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digest)
}

/// The other way round.
pub fn hex(digest: &[u8; 32]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
