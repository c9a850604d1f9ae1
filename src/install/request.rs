//! What is asked for: which RKE2, and from where.

use crate::images::sums;
use crate::rke2::version::Version;
use crate::text::escape::quoted;
use crate::text::paths::is_absolute;
use crate::text::yaml::{self, Node};

/// What RKE2's own installer takes without a version (rancher/rke2 `install.sh`).
const CHANNEL: &str = "stable";

/// The keys of the text that kairos-init hands over from `--provider-rke2-config`.
const KEYS: [&str; 3] = ["artifacts", "mirror", "sha256"];

/// Which RKE2 is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    /// This one.
    Version(Version),
    /// The last of a channel, by its name; the one that is there, if none was named.
    Channel { name: String, is_named: bool },
}

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// From a directory in the image.
    Directory(String),
    /// From a server that has what RKE2's releases have, below this URL; nothing is RKE2's own.
    Server(Option<String>),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub which: Which,
    pub origin: Origin,
    /// What the archive must be; without it, the checksums beside it say so.
    pub sha256: Option<[u8; 32]>,
}

impl Request {
    /// Reads the two texts of the event. Fails with the sentence what is wrong.
    pub(super) fn of(version: &str, config: &str) -> Result<Request, String> {
        let (which, (origin, sha256)) = (which(version.trim())?, from(config)?);
        if let (Which::Channel { is_named: true, .. }, Origin::Directory(_) | Origin::Server(Some(_))) =
            (&which, &origin)
        {
            return Err(format!(
                "version: only RKE2's own server knows what {} is; write a version, such as v1.33.4+rke2r1",
                quoted(version)
            ));
        }
        Ok(Request { which, origin, sha256 })
    }
}

fn which(version: &str) -> Result<Which, String> {
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.');
    match version.parse::<Version>() {
        Ok(version) if version.is_rke2() => Ok(Which::Version(version)),
        Err(_) if version.is_empty() => Ok(Which::Channel { name: CHANNEL.into(), is_named: false }),
        Err(_) if is_word(version) && version.starts_with(|c: char| c.is_ascii_lowercase()) => {
            Ok(Which::Channel { name: version.into(), is_named: true })
        }
        _ => Err(format!(
            "version: {} is no version of RKE2; write one such as v1.33.4+rke2r1, or a channel such as stable",
            quoted(version)
        )),
    }
}

/// An empty text, a path, a URL, or a mapping.
fn from(config: &str) -> Result<(Origin, Option<[u8; 32]>), String> {
    let document = yaml::read(config, yaml::OPTIONS).map_err(|error| {
        format!(
            "config: is not YAML, line {}: {}; write a directory, a URL, or `artifacts: DIRECTORY`",
            error.line, error.problem
        )
    })?;
    let root = &document.root;
    let (mut artifacts, mut mirror, mut sha256) = (None, None, None);
    match root.scalar() {
        _ if root.is_null() => {}
        Some(text) if text.text.is_empty() => {}
        Some(text) if text.text.starts_with('/') => artifacts = Some(text.text.as_str()),
        Some(text) if text.text.contains("://") => mirror = Some(text.text.as_str()),
        _ if root.entries().is_empty() => {
            return Err(
                "config: expected the path of a directory, a URL, or a mapping with artifacts, mirror or sha256".into(),
            );
        }
        _ => {}
    }
    if let Some((key, _)) = root.entries().iter().find(|(key, _)| !KEYS.contains(&key.scalar.text.as_str())) {
        return Err(format!("config: {} is not known; expected artifacts, mirror or sha256", quoted(&key.scalar.text)));
    }
    let text = |key: &str| -> Result<Option<&str>, String> {
        match root.get(key).filter(|node| !node.is_null()) {
            None => Ok(None),
            Some(node) => scalar(node).map(Some).ok_or_else(|| format!("config.{key}: expected a text")),
        }
    };
    artifacts = text("artifacts")?.or(artifacts);
    mirror = text("mirror")?.or(mirror);
    if let Some(hex) = text("sha256")? {
        sha256 = Some(sums::digest(&hex.to_ascii_lowercase()).ok_or("config.sha256: expected 64 hexadecimal digits")?);
    }
    match (artifacts, mirror) {
        (Some(_), Some(_)) => {
            Err("config: artifacts and mirror exclude each other; write the one where the archive is".into())
        }
        (Some(path), None) if is_absolute(path) && !path.contains("/../") && !path.ends_with("/..") => {
            let path = path.trim_end_matches('/');
            Ok((Origin::Directory(if path.is_empty() { "/".into() } else { path.into() }), sha256))
        }
        (Some(path), None) => Err(format!("config.artifacts: {} is no absolute path without `..`", quoted(path))),
        (None, Some(url)) => server(url, sha256.is_some()).map(|url| (Origin::Server(Some(url)), sha256)),
        (None, None) => Ok((Origin::Server(None), sha256)),
    }
}

fn scalar(node: &Node) -> Option<&str> {
    node.scalar().map(|scalar| scalar.text.as_str())
}

/// The URL of a server. Over HTTP anybody on the way may change the archive and its checksum alike.
fn server(url: &str, is_pinned: bool) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(
            "config.mirror: a URL with a password is seen by everybody who lists processes; write it without".into()
        );
    }
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['"', '\'', '\\', '?', '#']);
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_here = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        _ if host.is_empty() || !is_plain => {
            Err(format!("config.mirror: {} is no URL; write one such as https://mirror.example.com/rke2", quoted(url)))
        }
        "https" => Ok(url.trim_end_matches('/').to_owned()),
        "http" if is_pinned || is_here => Ok(url.trim_end_matches('/').to_owned()),
        "http" => Err("config.mirror: over http nobody knows who answers; write https, or add sha256".into()),
        _ => Err(format!("config.mirror: {} is not taken; write https", quoted(scheme))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str, config: &str) -> String {
        match Request::of(version, config) {
            Ok(Request { which, origin, sha256 }) => {
                let which = match which {
                    Which::Version(version) => version.to_string(),
                    Which::Channel { name, is_named } => format!("{name}{}", if is_named { "!" } else { "" }),
                };
                let origin = match origin {
                    Origin::Directory(path) => path,
                    Origin::Server(url) => url.unwrap_or_else(|| "RKE2".into()),
                };
                format!("{which} {origin}{}", if sha256.is_some() { " pinned" } else { "" })
            }
            Err(sentence) => sentence,
        }
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let hex = "ab".repeat(32);
        let pinned = format!("{{mirror: http://10.0.0.1/rke2/, sha256: {hex}}}");
        for (version, config, read) in [
            ("v1.33.4+rke2r1", "", "v1.33.4+rke2r1 RKE2"),
            ("1.33.4+rke2r1", "  \n", "v1.33.4+rke2r1 RKE2"),
            ("v1.33.4-rke2r1", "# nothing", "v1.33.4+rke2r1 RKE2"),
            ("", "", "stable RKE2"),
            ("latest", "", "latest! RKE2"),
            ("v1.33", "", "v1.33! RKE2"),
            ("", "/artifacts/", "stable /artifacts"),
            ("v1.33.4+rke2r1", "artifacts: /a b", "v1.33.4+rke2r1 /a b"),
            ("v1.33.4+rke2r1", "https://m.example.com/rke2/", "v1.33.4+rke2r1 https://m.example.com/rke2"),
            ("v1.33.4+rke2r1", "http://127.0.0.1:8080", "v1.33.4+rke2r1 http://127.0.0.1:8080"),
            ("v1.33.4+rke2r1", "http://[::1]:8080/x", "v1.33.4+rke2r1 http://[::1]:8080/x"),
            ("v1.33.4+rke2r1", &pinned, "v1.33.4+rke2r1 http://10.0.0.1/rke2 pinned"),
        ] {
            assert_eq!(of(version, config), read, "{version:?} {config:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_key() {
        for (version, config, why) in [
            ("v1.33.4", "", "version: \"v1.33.4\" is no version"),
            ("v1.33.4+k3s1", "", "version: \"v1.33.4+k3s1\" is no version"),
            ("Stable", "", "version: \"Stable\" is no version"),
            ("../x", "", "version: \"../x\" is no version"),
            ("stable", "/artifacts", "version: only RKE2's own server"),
            ("latest", "https://m.example.com", "version: only RKE2's own server"),
            ("", "artifacts", "config: expected the path"),
            ("", "[a]", "config: expected the path"),
            ("", "a: [", "config: is not YAML"),
            ("", "artefacts: /a", "config: \"artefacts\" is not known"),
            ("", "{artifacts: /a, mirror: https://m}", "config: artifacts and mirror exclude"),
            ("", "artifacts: a/b", "config.artifacts: \"a/b\" is no absolute path"),
            ("", "/a/../b", "config.artifacts: \"/a/../b\" is no absolute path"),
            ("", "artifacts: [/a]", "config.artifacts: expected a text"),
            ("", "sha256: abc", "config.sha256: expected 64"),
            ("", "http://m.example.com", "config.mirror: over http"),
            ("", "http://localhost.example.com", "config.mirror: over http"),
            ("", "ftp://m.example.com", "config.mirror: \"ftp\" is not taken"),
            ("", "https://u:p@m.example.com", "config.mirror: a URL with a password"),
            ("", "https://", "config.mirror: \"https://\" is no URL"),
            ("", "\"https://m/a b\"", "config.mirror: \"https://m/a b\" is no URL"),
        ] {
            assert!(of(version, config).starts_with(why), "{version:?} {config:?}: {}", of(version, config));
        }
    }
}
