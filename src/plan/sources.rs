//! The files that the Kairos collector has read, and those that it has left out.

use crate::cluster::cloud_config::{self, LeftOut, Source};
use crate::host::{Error, Host};
use crate::text::escape::escape;

/// How much of a source is read, and of all of them.
const SOURCE_LIMIT: u64 = 16 << 20;
const SOURCES_LIMIT: usize = 64 << 20;

/// Where the Kairos collector looks for cloud-configs (kairos `agent/cmd/notify.go`, `sdk/collector/collector.go`), and how deep and how many of
/// its files are looked through.
const COLLECTED: [&str; 3] = ["/oem", "/usr/local/cloud-config", "/run/initramfs/live"];
const DEPTH: usize = 16;
const FILES: usize = 10_000;

/// Reads the files that a cloud-config was collected from.
pub(super) fn read(host: &Host, text: &str) -> Vec<Source> {
    let files = cloud_config::sources(text).into_iter().filter(|source| cloud_config::is_file(source));
    let mut left = SOURCES_LIMIT;
    files
        .map(|path| {
            let bytes = match host.read(path, SOURCE_LIMIT.min(left as u64)) {
                Err(Error::Size { .. }) => Err(format!("{}: is too large, or all sources together are", escape(path))),
                read => read.map_err(|error| error.to_string()),
            };
            left -= bytes.as_ref().map_or(0, Vec::len);
            let text = bytes.and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| {
                    let at = error.utf8_error().valid_up_to();
                    format!("{}: is not UTF-8 from byte {at} on", escape(path))
                })
            });
            Source { path: path.to_owned(), text }
        })
        .collect()
}

/// The sentence about a file that the collector has left out although it names a cluster, if there is one.
pub(super) fn left_out(host: &Host, listed: &[&str]) -> Option<String> {
    let mut waiting: Vec<(String, usize)> = COLLECTED.iter().rev().map(|it| ((*it).to_owned(), 0)).collect();
    let mut files = 0;
    while let Some((path, depth)) = waiting.pop() {
        if host.is_dir(&path) && (depth == 0 || !host.is_symlink(&path)) {
            let names = host.list(&path).unwrap_or_default().into_iter().rev();
            waiting.extend(names.filter(|_| depth < DEPTH).map(|name| (format!("{path}/{name}"), depth + 1)));
            continue;
        }
        let is_yaml = path.ends_with(".yaml") || path.ends_with(".yml");
        if !is_yaml || listed.contains(&path.as_str()) {
            continue;
        }
        files += 1;
        if files > FILES {
            return Some(format!(
                "there are more than {FILES} files that Kairos leaves out; remove those that nobody needs"
            ));
        }
        let bytes = match host.read(&path, SOURCE_LIMIT) {
            Ok(bytes) => bytes,
            Err(error @ Error::Size { .. }) => return Some(error.to_string()),
            Err(_) => continue,
        };
        if cloud_config::names_cluster(&bytes) && !cloud_config::is_ours(&String::from_utf8_lossy(&bytes)) {
            let why = LeftOut::of(&bytes).map_or(
                "names a cluster, but is not among the sources of the event; mend or remove the file",
                LeftOut::sentence,
            );
            return Some(format!("{}: {why}", escape(&path)));
        }
    }
    None
}
