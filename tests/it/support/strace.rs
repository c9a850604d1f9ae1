//! The program behind strace, which tells what it calls and makes calls fail.

use std::env;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::{BINARY, Node};

/// Whether processes can be traced here. If not, it is said once, and in CI it is a failure: there strace is installed.
pub fn can_trace() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let fault = ["-f", "-o", "/dev/null", "-e", "inject=getppid:error=EIO:when=1", "true"];
        let works = Command::new("strace").args(fault).output().is_ok_and(|output| output.status.success());
        assert!(works || env::var_os("CI").is_none(), "strace is missing, or may not trace here");
        if !works {
            let _ = std::io::stderr().write_all(b"left out: faults by strace (it is missing, or may not trace here)\n");
        }
        works
    })
}

/// The program behind strace, which writes to `log` and is told `options`.
pub fn traced(node: &Node, log: &Path, options: &[String], arguments: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "4096", "-o"]).arg(log).args(options).arg("--").arg(BINARY);
    command.arg("--root").arg(node.root()).args(arguments);
    command
}

/// What becomes of the run, or of the call.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// The run is killed at the call.
    Killed,
    /// The call is not made, and gives this error.
    Fails(&'static str),
}

/// One system call that goes wrong: the one with this number of those with this name.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub call: &'static str,
    pub when: usize,
    pub what: What,
}

impl Fault {
    /// The program behind strace, which makes the fault. With paths, as [`paths`] gives them, only calls that have to do with one count.
    pub fn traced(&self, node: &Node, log: &Path, paths: &[String], arguments: &[&str]) -> Command {
        let Fault { call, when, what } = self;
        let what = match what {
            What::Killed => "signal=KILL".to_owned(),
            What::Fails(error) => format!("error={error}"),
        };
        let fault = [format!("-etrace={call}"), format!("-einject={call}:{what}:when={when}")];
        traced(node, log, &[paths, &fault].concat(), arguments)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Fault { call, when, what } = self;
        match what {
            What::Killed => write!(formatter, "killed at {call} {when}"),
            What::Fails(error) => write!(formatter, "{error} at {call} {when}"),
        }
    }
}

/// The paths below the root of the node that a trace names, to be given to `-P`: other calls are then passed over,
/// those of the program's loader above all.
pub fn paths(node: &Node, log: &Path) -> Vec<String> {
    let root = node.root().to_str().unwrap().to_owned();
    let text = fs::read_to_string(log).unwrap();
    let mut paths: Vec<&str> = text.split('<').filter_map(|rest| Some(rest.split_once('>')?.0)).collect();
    paths.retain(|path| path.starts_with(&root));
    paths.sort_unstable();
    paths.dedup();
    paths.iter().flat_map(|path| ["-P".to_owned(), (*path).to_owned()]).collect()
}

/// The path on the node of the call that strace has tampered with; nothing if it came to none.
pub fn tampered(node: &Node, log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).unwrap();
    let line = text.lines().find(|line| line.ends_with("(INJECTED)"))?;
    let root = node.root().to_str().unwrap().to_owned();
    let call = line.split_whitespace().nth(1)?.split('(').next()?;
    let name = line.split('"').nth(1).filter(|_| call.ends_with("at") || call == "openat2");
    // What stands behind a descriptor, or the directory that a name is relative to.
    let descriptor = || line.split_once('<')?.1.split_once('>')?.0.strip_prefix(&root);
    let path = match name {
        // The root itself is opened by its name outside.
        Some(name) if name == root => "/".to_owned(),
        Some(name) if name.starts_with('/') => name.to_owned(),
        Some(name) => format!("{}/{name}", descriptor()?),
        None => descriptor()?.to_owned(),
    };
    let (parent, last) = path.rsplit_once('/')?;
    let target = last.strip_prefix('.').and_then(|last| last.strip_suffix(".provider-rke2"));
    Some(format!("{parent}/{}", target.unwrap_or(last)))
}
