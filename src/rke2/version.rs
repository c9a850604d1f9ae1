//! Versions of RKE2: read, compared, and which etcd each one has.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many characters a version has at most.
const LIMIT: usize = 64;

/// A version of RKE2, such as `v1.33.4+rke2r1` or the release candidate `v1.33.4-rc2+rke2r1` of it (rancher/rke2 `scripts/version.sh`).
///
/// Versions are ordered as RKE2 releases them: a candidate comes before the release of its number, and both after the release before. As
/// text it always has the `v`, and the `+`, which names of images and directories write as `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    numbers: [u32; 3],
    /// `rc2`; empty for a release.
    candidate: String,
    /// What stands after the `+`: `rke2r1`, or `dev.0a1b2c3d` of a build that is no release; empty where that is not given.
    build: String,
}

impl Version {
    /// The minor version of Kubernetes: `(1, 33)`.
    pub fn minor(&self) -> (u32, u32) {
        let [major, minor, _] = self.numbers;
        (major, minor)
    }

    /// Whether it has what came with `since`: `1.31.9|1.32.5|1.33.1+rke2r2` names a patch for each minor that got it after its first release;
    /// what has no patch, such as `1.27` or `<=1.23`, is in the whole minor. Candidates count as their release.
    pub fn has(&self, since: &str) -> bool {
        let mut entries = since.trim_start_matches("<=").split('|').map(|entry| {
            let (numbers, revision) = entry.split_once("+rke2r").unwrap_or((entry, "0"));
            let mut numbers = numbers.split('.').map(|number| number.parse().unwrap_or(u32::MAX));
            let minor = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX));
            (minor, (numbers.next().unwrap_or_default(), revision.parse().unwrap_or_default()))
        });
        match entries.rfind(|(minor, _)| *minor <= self.minor()) {
            Some((minor, first)) if minor == self.minor() => {
                (self.numbers[2], self.revision().unwrap_or(u32::MAX)) >= first
            }
            Some(_) => true,
            None => since.starts_with("<="),
        }
    }

    /// Whether it says that it is RKE2's: `rke2r1`.
    pub(crate) fn is_rke2(&self) -> bool {
        self.revision().is_some()
    }

    /// The number after `rke2r`.
    fn revision(&self) -> Option<u32> {
        let text = self.build.strip_prefix("rke2r")?;
        text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}

/// What is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a version of RKE2, such as v1.33.4+rke2r1")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    /// Takes a version with or without the `v`, and with `-rke2r1` for `+rke2r1`. Fails with what is expected.
    fn from_str(text: &str) -> Result<Version, NoVersion> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let (head, build) = match text.split_once('+') {
            Some((_, "")) => return Err(NoVersion),
            Some(parts) => parts,
            None => text
                .rsplit_once("-rke2r")
                .map_or((text, ""), |(head, _)| (head, text.get(head.len() + 1..).unwrap_or_default())),
        };
        let (numbers, candidate) = head.split_once('-').unwrap_or((head, ""));
        let has_candidate = numbers.len() < head.len();
        if text.len() > LIMIT
            || !build.chars().chain(candidate.chars()).all(is_word)
            || (has_candidate && candidate.is_empty())
        {
            return Err(NoVersion);
        }
        let mut parts = numbers.strip_prefix('v').unwrap_or(numbers).split('.').map(number);
        let mut next = || parts.next().flatten().ok_or(NoVersion);
        let version =
            Version { numbers: [next()?, next()?, next()?], candidate: candidate.into(), build: build.into() };
        if parts.next().is_some() { Err(NoVersion) } else { Ok(version) }
    }
}

/// A number as versions have it: without a sign, and without a zero in front.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_number.then(|| text.parse().ok())?
}

impl TryFrom<String> for Version {
    type Error = NoVersion;

    fn try_from(text: String) -> Result<Version, NoVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "v{major}.{minor}.{patch}")?;
        if !self.candidate.is_empty() {
            write!(f, "-{}", self.candidate)?;
        }
        if self.build.is_empty() { Ok(()) } else { write!(f, "+{}", self.build) }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let of = |it: &Version| (it.numbers, it.revision().unwrap_or_default(), it.candidate.is_empty());
        // `rc2` before `rc10`: by the words and by the numbers in them. The rest only keeps what differs apart.
        let by_candidate = || words(&self.candidate).cmp(&words(&other.candidate));
        let by_text = || (&self.candidate, &self.build).cmp(&(&other.candidate, &other.build));
        of(self).cmp(&of(other)).then_with(by_candidate).then_with(by_text)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The words of a text with the number that follows each.
fn words(text: &str) -> Vec<(&str, u64)> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (digits, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len()));
        words.push((word, digits.parse().unwrap_or_default()));
        rest = tail;
    }
    words
}

/// From which version of Kubernetes on RKE2 has which minor version of etcd (rancher/rke2-docs `docs/release-notes/v1.24.X.md` to
/// `v1.37.X.md`).
const ETCD: [([u32; 3], (u32, u32)); 3] = [
    ([1, 24, 0], (3, 5)),
    // Inside of 1.33: 1.33.10 has 3.5.26, 1.33.11 has 3.6.
    ([1, 33, 11], (3, 6)),
    ([1, 37, 0], (3, 7)),
];

/// From which patch of a minor version of Kubernetes on RKE2 knows the profile `cis` (rke2 `pkg/cli/cmds/profile_linux.go` in the tags of each
/// minor); later minor versions all do.
const CIS: [[u32; 3]; 3] = [[1, 25, 15], [1, 26, 10], [1, 27, 7]];

/// The newest minor version that the tables know.
const NEWEST: (u32, u32) = (1, 37);

/// The newest version that the tables know, for who names none.
pub fn newest() -> Version {
    let build = "rke2r1".to_owned();
    Version { numbers: [NEWEST.0, NEWEST.1, 1], candidate: String::new(), build }
}

/// The minor version of etcd in a version of RKE2; nothing for one that is older or newer than what the table knows.
pub fn etcd_minor(version: &Version) -> Option<(u32, u32)> {
    let row = ETCD.iter().rev().find(|(since, _)| *since <= version.numbers);
    row.filter(|_| version.minor() <= NEWEST).map(|(_, etcd)| *etcd)
}

/// Whether a version of RKE2 knows the profile `cis`; older ones know only that of each version of the benchmark, such as `cis-1.23`.
pub(crate) fn takes_cis(version: &Version) -> bool {
    let minor = |numbers: [u32; 3]| (numbers[0], numbers[1]);
    match CIS.into_iter().find(|since| minor(*since) == version.minor()) {
        Some(since) => version.numbers >= since,
        None => CIS.last().is_some_and(|last| version.minor() > minor(*last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn versions_are_read_and_written() {
        for (text, written, minor) in [
            ("v1.33.4+rke2r1", "v1.33.4+rke2r1", (1, 33)),
            ("1.33.4+rke2r1", "v1.33.4+rke2r1", (1, 33)),
            ("v1.34.0-rc1+rke2r1", "v1.34.0-rc1+rke2r1", (1, 34)),
            ("v1.33.4-rke2r12", "v1.33.4+rke2r12", (1, 33)),
            ("v1.33.4-rc2-rke2r1", "v1.33.4-rc2+rke2r1", (1, 33)),
            ("v1.20.0-alpha.1+rke2r1", "v1.20.0-alpha.1+rke2r1", (1, 20)),
            ("v1.30.4+dev.0a1b2c3d-dirty", "v1.30.4+dev.0a1b2c3d-dirty", (1, 30)),
            ("1.33.4", "v1.33.4", (1, 33)),
            ("v0.0.0", "v0.0.0", (0, 0)),
            ("v4294967295.1.0", "v4294967295.1.0", (4_294_967_295, 1)),
        ] {
            let it = version(text);
            assert_eq!((it.to_string().as_str(), it.minor()), (written, minor), "{text}");
            assert_eq!(version(written), it, "{text}");
            assert_eq!(serde_json::to_string(&it).unwrap(), format!("{written:?}"));
            assert_eq!(serde_json::from_str::<Version>(&format!("{text:?}")).unwrap(), it);
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "", "v", "dev", "1", "v1.33", "v1.33.", "v1..4", "v1.33.4.5", "v1.33.4+", "v1.33.4-", "v1.33.04",
            "v01.33.4", "v1.33.x", "v-1.33.4", "v1.+33.4", "v1.33.4 ", " v1.33.4", "v1.33.4+rke2r1\n",
            "v1.33.4+rke2r1+rke2r2", "vv1.33.4", "V1.33.4", "v1.33.4+rke2_1", "v4294967296.0.0", "v1.33.4\u{661}",
            "-rke2r1", "+rke2r1", "v1.33.4+\u{e9}",
        ] {
            assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text:?}");
        }
        let long = format!("v1.33.4+{}", "x".repeat(100));
        assert_eq!(long.parse::<Version>(), Err(NoVersion));
        assert!(serde_json::from_str::<Version>("\"x\"").is_err() && serde_json::from_str::<Version>("1").is_err());
    }

    #[test]
    fn versions_are_ordered_as_they_are_released() {
        let ordered = [
            "v1.9.9+rke2r9", "v1.33.4-rc1", "v1.33.4", "v1.33.4-alpha1+rke2r1", "v1.33.4-rc1+rke2r1",
            "v1.33.4-rc2+rke2r1", "v1.33.4-rc10+rke2r1", "v1.33.4+rke2r1", "v1.33.4-rc1+rke2r2", "v1.33.4+rke2r2",
            "v1.33.4+rke2r10", "v1.33.10+rke2r1", "v1.34.0-rc1+rke2r1", "v1.34.0+rke2r1", "v1.100.0+rke2r1",
            "v2.0.0+rke2r1",
        ];
        for (at, one) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                assert_eq!(version(one).cmp(&version(other)), at.cmp(&other_at), "{one} {other}");
            }
        }
        // Equal only if they are the same.
        for (one, other) in [("v1.33.4+rke2r1", "v1.33.4+rke2r1.x"), ("v1.33.4-rc1+rke2r1", "v1.33.4-rc01+rke2r1")] {
            assert_ne!(version(one).cmp(&version(other)), Ordering::Equal, "{one} {other}");
        }
    }

    #[test]
    fn the_profile_cis_has_no_version_from_a_patch_on() {
        for (text, takes) in [
            ("v1.21.14+rke2r1", false),
            ("v1.25.14+rke2r1", false),
            ("v1.25.15-rc1+rke2r1", true),
            ("v1.25.15+rke2r1", true),
            ("v1.26.9+rke2r1", false),
            ("v1.26.10+rke2r1", true),
            ("v1.27.6+rke2r1", false),
            ("v1.27.7+rke2r1", true),
            ("v1.28.0-rc1+rke2r1", true),
            ("v1.36.1+rke2r1", true),
            ("v2.0.0+rke2r1", true),
        ] {
            assert_eq!(takes_cis(&version(text)), takes, "{text}");
        }
    }

    #[test]
    fn what_came_in_a_patch_is_in_the_minors_behind_it() {
        let (patches, second, whole) = ("1.30|1.31.9|1.32.5|1.33.1", "1.33.13+rke2r2|1.34.10", "1.37");
        for (since, text, has) in [
            (patches, "v1.29.15+rke2r1", false),
            (patches, "v1.30.0+rke2r1", true),
            (patches, "v1.31.8+rke2r3", false),
            (patches, "v1.31.9-rc1+rke2r1", true),
            (patches, "v1.31.9+rke2r1", true),
            (patches, "v1.31.10+rke2r1", true),
            (patches, "v1.32.4+rke2r1", false),
            (patches, "v1.33.0+rke2r1", false),
            (patches, "v1.34.1+rke2r1", true),
            (second, "v1.32.13+rke2r2", false),
            (second, "v1.33.13+rke2r1", false),
            (second, "v1.33.13+rke2r2", true),
            (second, "v1.33.13", true),
            (second, "v1.34.9+rke2r2", false),
            (second, "v1.34.10+rke2r1", true),
            (second, "v1.36.0+rke2r1", true),
            (whole, "v1.36.5+rke2r1", false),
            (whole, "v1.37.0-rc1+rke2r1", true),
            (whole, "v2.0.0", true),
            ("<=1.23", "v1.19.0+rke2r1", true),
            ("<=1.23", "v1.37.1+rke2r1", true),
            ("", "v1.37.1+rke2r1", false),
        ] {
            assert_eq!(version(text).has(since), has, "{since} {text}");
        }
    }

    #[test]
    fn etcd_is_that_of_the_release_notes() {
        for (text, etcd) in [
            ("v1.23.17+rke2r1", None),
            ("v1.24.2-rc1+rke2r1", Some((3, 5))),
            ("v1.31.14+rke2r2", Some((3, 5))),
            ("v1.32.13+rke2r2", Some((3, 5))),
            ("v1.33.0+rke2r1", Some((3, 5))),
            ("v1.33.10+rke2r1", Some((3, 5))),
            ("v1.33.11-rc1+rke2r1", Some((3, 6))),
            ("v1.33.11+rke2r1", Some((3, 6))),
            ("v1.34.1+rke2r1", Some((3, 6))),
            ("v1.35.7+rke2r1", Some((3, 6))),
            ("v1.36.5+rke2r1", Some((3, 6))),
            ("v1.37.0-rc1+rke2r1", Some((3, 7))),
            ("v1.37.99+rke2r1", Some((3, 7))),
            ("v1.38.0-rc1+rke2r1", None),
            ("v2.0.0+rke2r1", None),
        ] {
            assert_eq!(etcd_minor(&version(text)), etcd, "{text}");
        }
    }
}
