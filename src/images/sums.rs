//! The sha256sum files that lie beside archives: who else knows what an archive must be.

/// Whether a file of this name holds checksums: `SHA256SUMS`, `NAME.sha256`, `sha256sum-amd64.txt` as RKE2's releases have it.
pub fn is_sums(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".txt").unwrap_or(&lower);
    plain.starts_with("sha256sum") || [".sha256", ".sha256sum"].iter().any(|ending| plain.ends_with(ending))
}

/// The checksums of a file and the names that they are of, as written: `HEX  NAME`, `HEX *NAME`, `SHA256 (NAME) = HEX`, and in `NAME.sha256`
/// also `HEX` alone; each with a `\` before it if `\n`, `\r` and `\\` in the name stand for these bytes. Other lines are passed over.
pub fn read(name: &str, text: &str) -> Vec<(String, [u8; 32])> {
    let own = ["", ".txt"].iter().find_map(|end| {
        let name = name.strip_suffix(end)?;
        name.strip_suffix(".sha256").or_else(|| name.strip_suffix(".sha256sum"))
    });
    let line = |line: &str| -> Option<(String, [u8; 32])> {
        let line = line.trim_end_matches('\r');
        // As coreutils mark a line whose name is escaped.
        let (line, is_escaped) = line.strip_prefix('\\').map_or((line, false), |line| (line, true));
        let plain = |name: &str| if is_escaped { unescaped(name) } else { name.to_owned() };
        if let Some((name, hex)) = line.strip_prefix("SHA256 (").and_then(|it| it.rsplit_once(") = ")) {
            return Some((plain(name), digest(hex.trim())?));
        }
        let (hex, rest) = line.trim_start().split_once([' ', '\t']).unwrap_or((line.trim(), ""));
        let name = rest.trim_start_matches([' ', '\t']);
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = if name.is_empty() { own?.to_owned() } else { plain(name) };
        Some((name, digest(hex)?))
    };
    text.lines().filter_map(line).collect()
}

fn unescaped(name: &str) -> String {
    let mut chars = name.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' {
            match chars.next() {
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                other => other,
            }
        } else {
            Some(c)
        });
    }
    plain
}

/// What the lines of all checksum files (the path of the file below the content directory, the name in it, the checksum) say of an archive.
///
/// A line that names its path goes before one of the same directory that names it by its last name only, for lists are often written
/// elsewhere.
pub fn of(lines: &[(String, String, [u8; 32])], archive: &str) -> Option<[u8; 32]> {
    fn split(path: &str) -> (&str, &str) {
        path.rsplit_once('/').unwrap_or(("", path))
    }
    let (place, name) = split(archive);
    let names_path = |sums: &str, written: &str| {
        let written = written.strip_prefix("./").unwrap_or(written);
        let below = match split(sums).0 {
            "" => Some(archive),
            directory => archive.strip_prefix(directory).and_then(|it| it.strip_prefix('/')),
        };
        below == Some(written)
    };
    let names_last = |sums: &str, written: &str| split(sums).0 == place && split(written).1 == name;
    let exact = lines.iter().find(|(sums, written, _)| names_path(sums, written));
    exact.or_else(|| lines.iter().find(|(sums, written, _)| names_last(sums, written))).map(|(_, _, digest)| *digest)
}

/// 64 hexadecimal digits.
pub(crate) fn digest(hex: &str) -> Option<[u8; 32]> {
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
