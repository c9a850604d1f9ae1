//! `simulate`: what a boot makes of a cloud-config, in a directory of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::input;
use super::verb::{FAILED, Verb, fail, tell, tell_outcome};
use crate::Context;
use crate::cluster::{Cluster, mask};
use crate::findings::code::Severity;
use crate::host::{self, Host};
use crate::report::stdio;
use crate::text::escape::escape;
use crate::{apply, plan};

/// How much of a file is shown.
const LIMIT: u64 = 64 << 10;

/// How long the directory may take to be removed.
const CLEANING: Duration = Duration::from_secs(20);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Simulate {
    /// The cloud-config; - is standard input. It is simulated in the empty directory of --root, or in one that is removed again
    file: PathBuf,
}

impl Verb for Simulate {
    fn run(self, context: &Context) -> u8 {
        let room = match Room::new(context.host) {
            Ok(room) => room,
            Err(sentence) => return fail(&sentence),
        };
        let judged = match input::judged(Some(&room.host), &self.file) {
            Ok(judged) => judged,
            Err(sentence) => return fail(&sentence),
        };
        for sentence in judged.findings.refused() {
            tell(&sentence);
        }
        let is_refused = judged.findings.worst() == Some(Severity::Refused);
        match judged.cluster.filter(|_| !is_refused) {
            Some(cluster) => simulate(&Context { host: &room.host, ..*context }, cluster),
            None if is_refused => FAILED,
            None => {
                tell("no cluster section, so nothing is done on the node");
                0
            }
        }
    }
}

/// Plans and applies without any secret, so that none can be shown or stay behind.
fn simulate(context: &Context, cluster: Cluster) -> u8 {
    let status = match plan::simulated(context, mask::masked(cluster)) {
        Ok(sentence) => {
            tell(&sentence);
            tell_outcome(&apply::run_all(context))
        }
        Err(sentence) => {
            tell(&sentence);
            FAILED
        }
    };
    let mut tree = String::new();
    list(context.host, "", &mut tree);
    stdio::to_stdout(&tree);
    status
}

/// What is below a directory, and what RKE2 and the node read of it.
fn list(host: &Host, directory: &str, tree: &mut String) {
    for name in host.list(if directory.is_empty() { "/" } else { directory }).unwrap_or_default() {
        let path = format!("{directory}/{name}");
        let mode = host.mode(&path).unwrap_or_default() & 0o7777;
        if host.is_dir(&path) {
            let _ = writeln!(tree, "{mode:04o} {}/", escape(&path));
            list(host, &path, tree);
            continue;
        }
        let _ = writeln!(tree, "{mode:04o} {}", escape(&path));
        let text = host.read(&path, LIMIT).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        for line in text.iter().filter(|_| path.starts_with("/etc/")).flat_map(|text| text.lines()) {
            let _ = writeln!(tree, "     | {}", escape(line));
        }
    }
}

/// The directory: the one that was named, or one of our own that goes with this value.
struct Room<'h> {
    host: Host,
    /// The node with the directory, and its path there, where it is ours.
    own: Option<(&'h Host, String)>,
}

impl<'h> Room<'h> {
    fn new(node: &'h Host) -> Result<Room<'h>, String> {
        if !node.is_real() {
            if node.list("/").is_ok_and(|names| names.is_empty()) {
                return Ok(Room { host: node.again().map_err(|error| error.to_string())?, own: None });
            }
            return Err(
                "the directory of --root is not empty, and a simulation might change what is in it; name an empty one"
                    .into(),
            );
        }
        let number: String = node.random().iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let path = format!("/tmp/agent-provider-rke2-{number}");
        let made = node.make_dir(&path, 0o700).and_then(|()| Host::new(Path::new(&path)));
        made.map(|host| Room { host, own: Some((node, path)) }).map_err(|error: host::Error| error.to_string())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some((node, path)) = &self.own {
            let remains = node.delete(path, false, host::after(CLEANING));
            if !remains.is_empty() {
                tell(&format!("{path}: is left of the simulation; remove it"));
            }
        }
    }
}
