//! The RKE2 of the image: whether there is one, and which.

use std::time::Duration;

use serde_json::{Value, json};

use super::go_build;
use super::version::Version;
use crate::host::Host;
use crate::host::copy::{Original, ReadAt};

/// Where RKE2 is installed: by package, by its installer with the prefix of Kairos, on a read-only /usr/local.
const BINARIES: [&str; 3] = ["/usr/bin/rke2", "/usr/local/bin/rke2", "/opt/rke2/bin/rke2"];

/// Where the version of a program is kept that had to be asked or searched, for as long as the boot.
const KEPT: &str = "/run/provider-rke2/rke2-version";

/// Where Kairos keeps what is in the image (kairos `kairos-init/pkg/stages/steps_init.go`); before there was a file of its own, in os-release.
const RELEASES: [&str; 2] = ["/etc/kairos-release", "/etc/os-release"];

/// How much of such a file is read.
const FILE_LIMIT: u64 = 1 << 20;

/// How long RKE2 may take to tell its version.
const ANSWER: Duration = Duration::from_secs(8);

/// How much of the program is searched for its version, and how much at a time.
const LIMIT: u64 = 512 << 20;
const WINDOW: usize = 1 << 20;

/// What stands in every version of RKE2.
const MARK: &[u8] = b"+rke2r";

/// How long a version is at most, as far as it is searched.
const LONGEST: usize = 64;

/// What is known about the RKE2 of the image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    /// There is none.
    No,
    /// There is one; the sentence says why its version is unknown.
    Unknown(String),
    /// There is one of this version.
    Version(Version),
}

impl Installed {
    /// The version, if it is known.
    pub(crate) fn version(self) -> Option<Version> {
        match self {
            Installed::Version(version) => Some(version),
            Installed::No | Installed::Unknown(_) => None,
        }
    }
}

/// Where RKE2 is, if there is one.
pub(crate) fn binary(host: &Host) -> Option<&'static str> {
    BINARIES.into_iter().find(|path| host.exists(path))
}

/// Where the package rke2-selinux leaves its policy, by way of RPM and of the tools of SELinux.
const POLICIES: [&str; 3] = [
    "/usr/share/selinux/packages/rke2.pp",
    "/var/lib/selinux/targeted/active/modules/200/rke2",
    "/etc/selinux/targeted/active/modules/200/rke2",
];

/// Whether there is an RKE2 without the policy that SELinux needs for it.
pub(crate) fn lacks_policy(host: &Host) -> bool {
    binary(host).is_some() && !POLICIES.into_iter().any(|path| host.exists(path))
}

/// Whether the RKE2 of the image is built for FIPS 140; nothing where there is none, or it does not say.
pub(crate) fn is_fips(host: &Host) -> Option<bool> {
    go_build::is_fips(&mut host.file(binary(host)?).ok()?)
}

/// Whether Kairos says that the image is built for FIPS 140 (kairos `kairos-init/pkg/stages/steps_init.go`).
pub(crate) fn is_fips_image(host: &Host) -> bool {
    RELEASES.into_iter().any(|path| variable(host, path, "KAIROS_FIPS").as_deref() == Some("true"))
}

/// Which RKE2 is installed. The program is believed first, because it is what runs: its build information takes a few reads. RKE2 itself is
/// asked only where that tells nothing, and only on the machine itself; its answer is kept for the boot.
///
/// Where nothing may be run, or it does not answer, the program is searched, and then what Kairos says of the image is taken.
pub(crate) fn version(host: &Host) -> Installed {
    let Some(binary) = binary(host) else { return Installed::No };
    let mut program = match host.file(binary) {
        Ok(program) => program,
        Err(error) => return Installed::Unknown(error.to_string()),
    };
    if let Some(version) = go_build::version(&mut program) {
        return Installed::Version(version);
    }
    let stamp = stamp(host, binary, &program);
    if let Some(version) = kept(host, &stamp) {
        return Installed::Version(version);
    }
    let found = match host.run(binary, &["--version"], ANSWER) {
        Ok(answer) => told(&answer),
        Err(_) => search(&mut program).or_else(|| of_release(host)),
    };
    let Some(version) = found else { return Installed::Unknown(format!("{binary}: tells no version")) };
    // The directory is that of a boot: where none was, as in the build of an image, nothing is left behind.
    if host.is_real() && KEPT.rsplit_once('/').is_some_and(|(directory, _)| host.is_dir(directory)) {
        let kept = json!({"program": stamp, "version": version}).to_string();
        // Without it, it is asked again.
        let _ = host.put(KEPT, kept.as_bytes(), 0o600);
    }
    Installed::Version(version)
}

/// The version as far as it can be told without running or searching anything.
pub(crate) fn at_hand(host: &Host) -> Option<Version> {
    let binary = binary(host)?;
    let mut program = host.file(binary).ok()?;
    go_build::version(&mut program).or_else(|| kept(host, &stamp(host, binary, &program)))
}

/// The version of the program of this path, which is not run.
pub(crate) fn of_program(host: &Host, path: &str) -> Option<Version> {
    let mut program = host.file(path).ok()?;
    go_build::version(&mut program).or_else(|| search(&mut program))
}

/// What tells this very program from any other.
fn stamp(host: &Host, binary: &str, program: &Original) -> String {
    format!("{binary} {:?} {:?}", host.identity(binary), program.identity())
}

/// What was found out about this very program before.
fn kept(host: &Host, stamp: &str) -> Option<Version> {
    let kept: Value = serde_json::from_slice(&host.read(KEPT, FILE_LIMIT).ok()?).ok()?;
    let text = |key: &str| kept.get(key).and_then(Value::as_str);
    (text("program") == Some(stamp)).then(|| text("version")?.parse().ok())?
}

/// The version in what RKE2 answers: `rke2 version v1.33.4+rke2r1 (0a1b2c)`.
fn told(answer: &str) -> Option<Version> {
    let mut lines = answer.lines().filter_map(|line| line.trim().strip_prefix("rke2 version "));
    lines.find_map(|rest| rest.split_whitespace().next()?.parse().ok())
}

/// The one version of RKE2 that stands in a program; nothing if there are several, because the wrong one would be worse than none.
fn search(program: &mut impl ReadAt) -> Option<Version> {
    let mut found: Option<Version> = None;
    let mut window = vec![0; WINDOW + 2 * LONGEST];
    let mut offset = 0;
    while offset < program.size().min(LIMIT) {
        let count = program.read_at(&mut window, offset).ok()?;
        // What begins in the last bytes of a window is whole in the next.
        for version in versions(window.get(..count)?) {
            if found.as_ref().is_some_and(|it| *it != version) {
                return None;
            }
            found = Some(version);
        }
        offset += WINDOW as u64;
    }
    found
}

/// Every `v<number>.<number>.<number>…+rke2r<number>`, but for one that may be cut off at the end.
fn versions(bytes: &[u8]) -> impl Iterator<Item = Version> {
    let marks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'+').map(|(at, _)| at);
    let marks = marks.filter(|at| bytes.get(*at..).is_some_and(|it| it.starts_with(MARK)));
    marks.filter_map(|at| {
        let in_version = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let start = at - bytes.get(..at)?.iter().rev().take(LONGEST).take_while(in_version).count();
        let start = start + bytes.get(start..at)?.iter().rposition(|byte| *byte == b'v')?;
        let after = at + MARK.len();
        let digits = bytes.get(after..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_cut = after + digits == bytes.len() && bytes.len() > WINDOW;
        let text = str::from_utf8(bytes.get(start..after + digits)?).ok().filter(|_| digits > 0 && !is_cut)?;
        text.parse().ok()
    })
}

/// The version that the image was made with, as Kairos wrote it down.
fn of_release(host: &Host) -> Option<Version> {
    RELEASES.into_iter().find_map(|path| {
        let is_rke2 = variable(host, path, "KAIROS_SOFTWARE_VERSION_PREFIX").as_deref() == Some("rke2");
        is_rke2.then(|| variable(host, path, "KAIROS_SOFTWARE_VERSION")?.parse().ok())?
    })
}

/// A variable of a file in which each line is one; the last counts.
pub(crate) fn variable(host: &Host, path: &str, name: &str) -> Option<String> {
    let bytes = host.read(path, FILE_LIMIT).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let value = text.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Option<String> {
        search(&mut &*bytes).map(|it| it.to_string())
    }

    #[test]
    fn rke2_tells_its_version() {
        for (answer, version) in [
            ("rke2 version v1.33.4+rke2r1 (abcdef)\ngo version go1.24.5 X:boringcrypto\n", Some("v1.33.4+rke2r1")),
            ("a warning\nrke2 version v1.33.4-rc1+rke2r1\n", Some("v1.33.4-rc1+rke2r1")),
            ("rke2 version v1.30.4+dev.0a1b2c3d (HEAD)\n", Some("v1.30.4+dev.0a1b2c3d")),
            ("rke2 version dev (HEAD)\ngo version go1.24.5\n", None),
            ("k3s version v1.33.4+k3s1\n", None),
            ("v1.33.4+rke2r1", None),
            ("rke2 version", None),
            ("", None),
        ] {
            assert_eq!(told(answer).map(|it| it.to_string()).as_deref(), version, "{answer:?}");
        }
    }

    #[test]
    fn a_program_is_searched_for_its_one_version() {
        for (text, version) in [
            ("\0v1.33.4+rke2r1\0", Some("v1.33.4+rke2r1")),
            ("\0devv1.36.3-rc2+rke2r12\0", Some("v1.36.3-rc2+rke2r12")),
            ("v1.33.4+rke2r1 and v1.33.4+rke2r1", Some("v1.33.4+rke2r1")),
            ("+rke2r1 v1.2+rke2r1 then v1.30.14+rke2r4", Some("v1.30.14+rke2r4")),
            ("v1.33.4+rke2r1 or v1.33.5+rke2r1", None),
            ("rke2 version dev", None),
            ("v1.33.4+rke2r", None),
        ] {
            assert_eq!(found(text.as_bytes()).as_deref(), version, "{text:?}");
        }
    }

    #[test]
    fn a_version_is_found_across_two_windows() {
        let version = b"v1.33.4-rc1+rke2r12";
        for start in (WINDOW - 20..WINDOW + 2).chain(WINDOW + 2 * LONGEST - 20..WINDOW + 2 * LONGEST + 2) {
            let mut bytes = vec![0; start];
            bytes.extend(version);
            bytes.resize(WINDOW + 500, 0);
            assert_eq!(found(&bytes).as_deref(), Some("v1.33.4-rc1+rke2r12"), "{start}");
        }
        // At the end of a program that is as long as a window, and as the room for one.
        for length in [WINDOW, WINDOW + 2 * LONGEST] {
            let bytes = [&vec![0; length - version.len()], &version[..]].concat();
            assert_eq!(found(&bytes).as_deref(), Some("v1.33.4-rc1+rke2r12"), "{length}");
        }
    }
}
