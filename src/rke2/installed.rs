//! The RKE2 of the image: whether there is one, and which.

use std::time::Duration;

use crate::host::Host;

/// Where RKE2 is installed: by package, by its installer with the prefix of Kairos, on a read-only /usr/local.
const BINARIES: [&str; 3] = ["/usr/bin/rke2", "/usr/local/bin/rke2", "/opt/rke2/bin/rke2"];

/// How much of the program is searched for its version.
const LIMIT: u64 = 512 << 20;

/// What is known about the RKE2 of the image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    /// There is none.
    No,
    /// There is one; the sentence says why its version is unknown.
    Unknown(String),
    /// Its version, such as `v1.33.4+rke2r1`.
    Version(String),
}

/// Where RKE2 is, if there is one.
pub(crate) fn binary(host: &Host) -> Option<&'static str> {
    BINARIES.into_iter().find(|path| host.exists(path))
}

/// Asks RKE2 for its version; where nothing may be run, looks for it in the program itself.
pub(crate) fn version(host: &Host) -> Installed {
    let Some(binary) = binary(host) else { return Installed::No };
    let asked = host.run(binary, &["--version"], Duration::from_secs(8));
    if let Some(version) = asked.ok().as_deref().and_then(|output| find(output.as_bytes())) {
        return Installed::Version(version);
    }
    match host.read(binary, LIMIT) {
        Ok(bytes) => {
            find(&bytes).map_or_else(|| Installed::Unknown(format!("{binary}: tells no version")), Installed::Version)
        }
        Err(error) => Installed::Unknown(error.to_string()),
    }
}

/// The first `v<number>.<number>.<number>…+rke2r<number>` in `bytes`.
fn find(bytes: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"+rke2r";
    let mut marks =
        (0..bytes.len().saturating_sub(MARK.len())).filter(|&at| bytes.get(at..at + MARK.len()) == Some(MARK));
    marks.find_map(|at| version_around(bytes, at, at + MARK.len()))
}

fn version_around(bytes: &[u8], mark: usize, after: usize) -> Option<String> {
    let head = bytes.get(..mark)?;
    let in_version = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let start = mark - head.iter().rev().take(40).take_while(in_version).count();
    let start = start + bytes.get(start..mark)?.iter().rposition(|byte| *byte == b'v')?;
    let digits = bytes.get(after..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let version = str::from_utf8(bytes.get(start..after + digits)?).ok()?;
    let numbers = version.strip_prefix('v')?.split(['.', '+', '-']).take(3);
    let is_whole =
        digits > 0 && numbers.filter(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit())).count() == 3;
    is_whole.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_output_and_in_a_program() {
        for (text, version) in [
            ("rke2 version v1.33.4+rke2r1 (abcdef)\ngo version go1.24.5 X:boringcrypto\n", Some("v1.33.4+rke2r1")),
            ("\0devv1.36.3-rc2+rke2r12\0", Some("v1.36.3-rc2+rke2r12")),
            ("+rke2r1 v1.2+rke2r1 then v1.30.14+rke2r4", Some("v1.30.14+rke2r4")),
            ("rke2 version dev", None),
            ("v1.33.4+rke2r", None),
        ] {
            assert_eq!(find(text.as_bytes()).as_deref(), version, "{text:?}");
        }
    }
}
