//! Runs of the real program over a node in a temporary directory, and the part of yip that lays out staged files.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-provider-rke2");

pub const CONFIG: &str = "etc/rancher/rke2/config.yaml";
pub const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";
pub const REFUSED: &str = "run/provider-rke2/refused";
pub const UNITS: [&str; 2] = ["rke2-server", "rke2-agent"];

/// What yip knows about the node.
const VALUES: &str = r#"{"node":{"hostname":"edge-7"}}"#;

/// No run may take longer.
const BOUND: Duration = Duration::from_secs(20);

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// A run that has not ended yet.
pub struct Running {
    pub child: Child,
    stdout: fs::File,
    stderr: fs::File,
    since: Instant,
}

/// Starts a command with these bytes as its stdin.
pub fn start(command: &mut Command, stdin: &[u8]) -> Running {
    let file = || tempfile::tempfile().unwrap();
    let (mut input, stdout, stderr) = (file(), file(), file());
    input.write_all(stdin).unwrap();
    input.rewind().unwrap();
    command.stdin(input).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    let since = Instant::now();
    Running { child: command.spawn().unwrap(), stdout, stderr, since }
}

impl Running {
    /// Waits until it has ended, which must be soon.
    pub fn end(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.since.elapsed() > BOUND {
                let _ = self.child.kill();
                panic!("did not end within {BOUND:?}");
            }
            sleep(Duration::from_micros(300));
        };
        let took = self.since.elapsed();
        let text = |mut file: fs::File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let ran = Ran {
            code: status.code(),
            signal: status.signal(),
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            took,
        };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }
}

/// Runs a command with these bytes as its stdin.
pub fn run(command: &mut Command, stdin: &[u8]) -> Ran {
    start(command, stdin).end()
}

/// The event that carries a cloud-config.
pub fn event(name: &str, config: &str) -> Vec<u8> {
    let data = serde_json::json!({ "config": config }).to_string();
    serde_json::json!({ "name": name, "data": data, "file": "" }).to_string().into_bytes()
}

/// The one line of JSON that the bus is answered with.
pub fn answer(ran: &Ran) -> BTreeMap<String, String> {
    assert_eq!((ran.code, ran.stdout.matches('\n').count()), (Some(0), 1), "{ran:?}");
    let answer: BTreeMap<String, String> = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!(answer.keys().collect::<Vec<_>>(), ["data", "error", "log", "state"], "{ran:?}");
    answer
}

/// A node in a temporary directory.
pub struct Node(TempDir);

impl Node {
    /// An empty one.
    pub fn new() -> Node {
        Node(tempfile::tempdir().unwrap())
    }

    /// Its root, as the kernel names it.
    pub fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.path(path)).unwrap().permissions().mode() & 0o7777
    }

    /// Writes a file, with its parents.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Makes a FIFO, with its parents, in place of whatever is there.
    pub fn fifo(&self, path: &str) {
        self.clear(path);
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    /// Removes whatever is there.
    pub fn clear(&self, path: &str) {
        let path = self.path(path);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
            Ok(_) => fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
    }

    /// The program on this node.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.program(arguments), b"")
    }

    /// `agent.boot` with a cloud-config: what the bus is told.
    pub fn boot(&self, config: &str) -> BTreeMap<String, String> {
        answer(&run(&mut self.program(&["agent.boot"]), &event("agent.boot", config)))
    }

    /// A boot with nothing of the one before in /run.
    pub fn boot_anew(&self, config: &str) -> BTreeMap<String, String> {
        self.clear("run");
        self.boot(config)
    }

    /// The files that the document asks yip to lay out, read by a reader of YAML that is not ours.
    pub fn staged(&self) -> Vec<(String, String)> {
        let document: serde_yaml::Value = serde_yaml::from_str(&self.read(DOCUMENT).unwrap()).unwrap();
        let stages = document["stages"]["boot.before"].as_sequence().unwrap();
        let files = stages.iter().filter_map(|stage| stage["files"].as_sequence()).flatten();
        let text = |file: &serde_yaml::Value, key: &str| file[key].as_str().unwrap().to_owned();
        let content = |text: String| text.replace("{{ .Values | toJson }}", VALUES).replace("{{`{{`}}", "{{");
        files.map(|file| (text(file, "path")[1..].to_owned(), content(text(file, "content")))).collect()
    }

    /// Lays them out, as yip does: the directories first, the files in place.
    pub fn stage(&self) {
        for directory in ["run/provider-rke2", "run/provider-rke2/config.d"] {
            fs::create_dir_all(self.path(directory)).unwrap();
            fs::set_permissions(self.path(directory), fs::Permissions::from_mode(0o700)).unwrap();
        }
        for (path, content) in self.staged() {
            self.write(&path, content, 0o600);
        }
    }

    /// The units that the gate lets pass.
    pub fn open_gates(&self) -> Vec<&'static str> {
        UNITS.into_iter().filter(|unit| self.exists(&format!("run/provider-rke2/ready-{unit}"))).collect()
    }

    /// Everything below a directory of the node, whose path ends in `/`: kind, mode and bytes by path.
    pub fn files(&self, below: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
        let root = self.0.path();
        let mut found = BTreeMap::new();
        let mut open = vec![root.join(below)];
        while let Some(directory) = open.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                let stat = fs::symlink_metadata(&path).unwrap();
                let mut bytes = Vec::new();
                if stat.is_dir() {
                    open.push(path.clone());
                } else if stat.is_file() {
                    bytes = fs::read(&path).unwrap();
                }
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, (stat.permissions().mode(), bytes));
            }
        }
        found
    }

    /// Temporary files that were left behind; not those of the status, which is written anew only where it changes.
    pub fn left_over(&self) -> Vec<String> {
        let temporary = |path: &String| path.ends_with(".provider-rke2") && !path.contains("status.");
        self.files("").into_keys().filter(temporary).collect()
    }
}

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
    command.args(["-f", "-y", "-s", "4096", "-o"]).arg(log).args(options).arg("--").arg(PROGRAM);
    command.arg("--root").arg(node.root()).args(arguments);
    command
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

/// Tells a run of a test binary that it is one inside the other, and where its room is.
const ROOM: &str = "FAULTS_ROOM";

/// The room, if this is the run inside.
pub fn inner_room() -> Option<PathBuf> {
    env::var_os(ROOM).map(PathBuf::from)
}

/// Runs one test of this binary again in a mount namespace of its own, behind a shell script that gets the room as
/// `$1`. Where there are no namespaces it is left out, and said.
pub fn inside(test: &str, script: &str, room: &Path) {
    let script = format!("{script}\nshift; exec \"$@\"");
    for launcher in [&["--user", "--map-root-user", "--mount", "--"][..], &["--mount", "--"]] {
        let output = Command::new("unshare")
            .args(launcher)
            .args(["sh", "-e", "-c", &script, "sh"])
            .arg(room)
            .arg(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROOM, room)
            .output();
        let Ok(output) = output else { break };
        if String::from_utf8_lossy(&output.stdout).contains("running 1 test") {
            let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{told}");
            return;
        }
    }
    let _ = std::io::stderr().write_all(format!("left out: {test} (no mount namespace here)\n").as_bytes());
}
