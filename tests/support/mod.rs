//! A node in a temporary directory, and what is on it.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part of it")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use provider_rke2::Context;
use provider_rke2::bus::{self, Response};
use provider_rke2::host::Host;
use tempfile::TempDir;

/// The program as boot stages on a node call it.
pub const PROGRAM: &str = "/system/providers/agent-provider-rke2";

/// What YAML, JSON, templates, shells and our own placeholders take for something.
pub const ATOMS: [&str; 50] = [
    "{{",
    "}}",
    "{",
    "}",
    "`",
    "{{`",
    "{{-",
    "@",
    "@PLAN@",
    "@ID@",
    "# plan 0123456789abcdef\n",
    "\n",
    "\n\n",
    "\r",
    "\t",
    " ",
    "  ",
    "#",
    " #",
    ":",
    ": ",
    "- ",
    "? ",
    "'",
    "\"",
    "\\",
    "\\u0000",
    "|",
    ">",
    "%",
    "!",
    "&a",
    "*a",
    "<<",
    "---\n",
    "...\n",
    "\0",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{9f}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{ffff}",
    "é",
    "😀",
    "yes",
    "0x1F",
    "\u{fffe}",
];

/// Options whose values are secret, said here once more, apart from the program's own table.
pub const SECRET_OPTIONS: [&str; 9] = [
    "token",
    "t",
    "agent-token",
    "etcd-s3-access-key",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "datastore-endpoint",
    "vpn-auth",
    "cluster_token",
];

/// A file as stdin.
pub fn stdin(bytes: &[u8]) -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// The event that carries a cloud-config.
pub fn event(name: &str, config: &str) -> Vec<u8> {
    let data = serde_json::json!({ "config": config }).to_string();
    serde_json::json!({ "name": name, "data": data, "file": "" }).to_string().into_bytes()
}

/// Handles `agent.boot` for a cloud-config on the node below `root`.
pub fn boot(root: &Path, config: &str) -> Response {
    let host = Host::new(root).unwrap();
    let context = Context { host: &host, program: PROGRAM, version: "1.2.3" };
    bus::handle("agent.boot", stdin(&event("agent.boot", config)), &context)
}

/// A temporary node with the files of `tree`, if there is such a directory.
pub fn node(tree: &Path) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    if tree.is_dir() {
        copy(tree, root.path());
    }
    root
}

/// The directories of the cases below `testdata/`, in the order of their names.
pub fn cases(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(kind);
    let mut cases: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.join("cloud-config.yaml").is_file());
    cases.sort();
    cases
}

/// Compares with `expected.snap` beside the input.
pub fn assert_expected(directory: &Path, whole: &str) {
    insta::with_settings!({
        snapshot_path => directory,
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => directory.file_name().unwrap().to_str().unwrap(),
    }, {
        insta::assert_snapshot!("expected", whole);
    });
}

/// Copies a tree; modes are those of a fresh node, whatever the checkout and the umask made of them.
fn copy(from: &Path, to: &Path) {
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if entry.file_name() != ".keep" {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// What says when a phase ran, not what it did: locks, and the mirror of the status, whose time differs.
fn is_of_the_moment(name: &str) -> bool {
    name.ends_with("/lock") || name.ends_with(".lock") || name == "/var/log/provider-rke2.status.json"
}

/// Everything below `root`: mode and path of each file, then its content; the times of a log are left out, and what is of the moment.
pub fn tree(root: &Path) -> String {
    let mut text = String::new();
    list(root, root, &mut text);
    text
}

fn list(root: &Path, directory: &Path, text: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = format!("/{}", path.strip_prefix(root).unwrap().display());
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777;
        if is_of_the_moment(&name) {
            continue;
        }
        if kind.is_dir() {
            writeln!(text, "{mode:04o} {name}/").unwrap();
            list(root, &path, text);
        } else if kind.is_symlink() {
            writeln!(text, "link {name} -> {}", fs::read_link(&path).unwrap().display()).unwrap();
        } else if kind.is_file() {
            writeln!(text, "{mode:04o} {name}").unwrap();
            let content = fs::read_to_string(&path).unwrap();
            let is_log = name.starts_with("/var/log/");
            for line in content.lines() {
                let line = if is_log { line.split_once(' ').map_or(line, |(_, rest)| rest) } else { line };
                writeln!(text, "     | {line}").unwrap();
            }
            if !content.is_empty() && !content.ends_with('\n') {
                writeln!(text, "     | (no line break at the end)").unwrap();
            }
        } else {
            writeln!(text, "{mode:04o} {name} (neither file, directory nor link)").unwrap();
        }
    }
}
