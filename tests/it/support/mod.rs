//! The harness of all tests: nodes in temporary directories, the program as a process or inside the test, and the cases of `testdata/`.

pub mod archives;
mod node;
mod process;
mod strace;
mod yip;

use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::ProptestConfig;
use provider_rke2::Context;
use provider_rke2::apply;
use provider_rke2::bus::{self, Deadline, Response};
use provider_rke2::findings::Reason;
use provider_rke2::host::Host;
use rustix::fs::{CWD, Mode, mkfifoat};

pub use node::{Node, Stamp, tree, tree_told};
pub use process::{AT_ONCE, BINARY, BOUND, Ran, Running, again, answer, inner_room, inside, run, start};
pub use strace::{Fault, What, can_trace, paths, tampered, traced};
pub use yip::evaluated;

/// The program as boot stages on a node call it.
pub const PROGRAM: &str = "/system/providers/agent-provider-rke2";

pub const CONFIG: &str = "etc/rancher/rke2/config.yaml";
pub const DROP_INS: &str = "etc/rancher/rke2/config.d";
pub const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";
pub const REFUSED: &str = "run/provider-rke2/refused";
pub const LOG: &str = "var/log/provider-rke2.log";
pub const ISSUE: &str = "etc/issue.d/50-provider-rke2.issue";
pub const UNITS: [&str; 2] = ["rke2-server", "rke2-agent"];
pub const GATES: [&str; 2] = [
    "run/systemd/system/rke2-server.service.d/50-provider-rke2.conf",
    "run/systemd/system/rke2-agent.service.d/50-provider-rke2.conf",
];

/// What YAML, JSON, templates, shells and our own placeholders take for something.
pub const ATOMS: [&str; 50] = [
    "{{", "}}", "{", "}", "`", "{{`", "{{-", "@", "@PLAN@", "@ID@", "# plan 0123456789abcdef\n", "\n", "\n\n", "\r",
    "\t", " ", "  ", "#", " #", ":", ": ", "- ", "? ", "'", "\"", "\\", "\\u0000", "|", ">", "%", "!", "&a", "*a",
    "<<", "---\n", "...\n", "\0", "\u{1b}", "\u{7f}", "\u{85}", "\u{9f}", "\u{a0}", "\u{2028}", "\u{feff}", "\u{ffff}",
    "é", "😀", "yes", "0x1F", "\u{fffe}",
];

/// Options whose values are secret, said here once more, apart from the program's own table.
pub const SECRET_OPTIONS: [&str; 9] = [
    "token", "t", "agent-token", "etcd-s3-access-key", "etcd-s3-secret-key", "etcd-s3-session-token",
    "datastore-endpoint", "vpn-auth", "cluster_token",
];

/// The strings of `testdata/recorded` that readers of YAML and JSON, shells and templates take for something else.
pub fn nasty_strings() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/recorded/nasty-strings.json");
    let strings: Vec<String> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(strings.len(), 3173);
    strings
}

/// Fewer cases than proptest's 256, because each may be a whole boot; a new seed in every run.
pub fn generated(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Base64 with the last two digits of its alphabet, and with padding.
pub fn base64(bytes: &[u8], last_two: [u8; 2]) -> String {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last_two).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for digit in 0..=chunk.len() {
            text.push(char::from(alphabet[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

/// Calls `work` with each number below `count`, on two threads.
pub fn each(count: usize, work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for worker in 0..2 {
            let work = &work;
            scope.spawn(move || (worker..count).step_by(2).for_each(work));
        }
    });
}

/// Whether something comes to be within a time.
pub fn within(bound: Duration, is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + bound;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    is_so()
}

/// Waits for what must come soon.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    assert!(within(AT_ONCE, is_so), "{what}: not after {AT_ONCE:?}");
}

pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn fifo(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// A file as stdin.
pub fn stdin(bytes: &[u8]) -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// An event as go-pluggable writes it, with its order of keys.
pub fn envelope(name: &str, data: &str, file: &str) -> Vec<u8> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    format!(r#"{{"name":{},"data":{},"file":{}}}"#, text(name), text(data), text(file)).into_bytes()
}

/// The event that carries a cloud-config.
pub fn event(name: &str, config: &str) -> Vec<u8> {
    envelope(name, &serde_json::json!({ "config": config }).to_string(), "")
}

/// The program on a node, for a call inside the test.
pub fn context(host: &Host) -> Context<'_> {
    Context { host, program: PROGRAM, version: "1.2.3" }
}

/// Handles `agent.boot` for a cloud-config on the node below `root`, inside the test.
pub fn boot(root: &Path, config: &str) -> Response {
    let host = Host::new(root).unwrap();
    let deadline = Deadline::after(bus::BOUND);
    bus::handle("agent.boot", stdin(&event("agent.boot", config)), &context(&host), &deadline)
}

/// Runs a step, or all of them, inside the test: what it has done, and what failed.
pub fn apply(root: &Path, step: Option<&str>) -> (Vec<String>, Vec<String>) {
    let host = Host::new(root).unwrap();
    let context = context(&host);
    let outcome = match step {
        Some(step) => apply::run(&context, apply::step(step).unwrap()),
        None => apply::run_all(&context),
    };
    (outcome.told().map(str::to_owned).collect(), Reason::sentences(&outcome.failed))
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
