//! What the fuzz targets share: a node in a temporary directory, and the program on it.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use provider_rke2::bus::{self, Deadline, Response};
use provider_rke2::findings::Reason;
use provider_rke2::host::Host;
use provider_rke2::{Context, apply};
use tempfile::TempDir;

/// The program, as boot stages would call it.
pub const PROGRAM: &str = "/system/providers/agent-provider-rke2";

/// The document that `agent.boot` writes.
pub const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";

/// A node that holds nothing yet.
pub fn node() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Puts a file on a node.
pub fn put(root: &Path, path: &str, bytes: &[u8]) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().expect("a file has a directory")).expect("a directory");
    fs::write(&file, bytes).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// A file of a node; empty if there is none.
pub fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// The answer to an event whose payload is `stdin`.
pub fn answer(root: &Path, name: &str, stdin: &[u8]) -> Response {
    let host = Host::new(root).expect("a root");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(stdin).expect("room");
    file.rewind().expect("a beginning");
    let context = Context { host: &host, program: PROGRAM, version: "1.2.3" };
    bus::handle(name, file, &context, &Deadline::after(Duration::from_secs(20)))
}

/// `agent.boot` with a cloud-config.
pub fn boot(root: &Path, config: &str) -> Response {
    let data = serde_json::json!({ "config": config }).to_string();
    let event = serde_json::json!({ "name": "agent.boot", "data": data, "file": "" }).to_string();
    answer(root, "agent.boot", event.as_bytes())
}

/// All steps in order, as on a host without yip; what failed.
pub fn apply(root: &Path) -> Vec<String> {
    let host = Host::new(root).expect("a root");
    let outcome = apply::run_all(&Context { host: &host, program: PROGRAM, version: "1.2.3" });
    Reason::sentences(&outcome.failed)
}

/// A sentence that a person is told: one line, at most 1 KiB.
pub fn is_sentence(text: &str) -> bool {
    text.len() <= 1024 && !text.chars().any(char::is_control)
}
