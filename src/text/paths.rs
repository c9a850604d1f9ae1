//! Paths of the node as the cloud-config has them.

/// The directory of everything of ours that lives as long as the boot.
pub(crate) const RUN: &str = "/run/provider-rke2";

/// Where a provider image holds this program.
pub(crate) const PROGRAM: &str = "/system/providers/agent-provider-rke2";

/// Whether a path begins at the root and stays below where it leads, on one line.
pub(crate) fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && !path.chars().any(char::is_control) && !path.split('/').any(|part| part == "..")
}

/// An absolute path without empty parts, `.` and `..`.
pub(crate) fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a path lies below a directory.
pub(crate) fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// The paths on the way to an absolute one, itself included: `/a`, `/a/b`, `/a/b/c`.
pub(crate) fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    ends.filter_map(|end| path.get(..end)).filter(|prefix| !prefix.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (path, normal) in [("/a//b/./c/", "/a/b/c"), ("/", "/"), ("a/b", "/a/b"), ("/../a/../b", "/b")] {
            assert_eq!(normalized(path), normal);
        }
    }

    #[test]
    fn a_path_is_below_whole_names_only() {
        assert!(is_below("/a/b", "/a") && !is_below("/ab", "/a") && !is_below("/a", "/a"));
    }
}
