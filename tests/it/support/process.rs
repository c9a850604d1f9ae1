//! Runs of the real program, and of tests again where they need a process of their own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::stdin;

pub const BINARY: &str = env!("CARGO_BIN_EXE_agent-provider-rke2");

/// No event may take longer, which tests of the bus ask for.
pub const BOUND: Duration = Duration::from_secs(20);

/// What has not ended by then never does, however busy the machine is.
const HANGS: Duration = Duration::from_secs(120);

/// What takes no time worth mentioning, on a machine that is busy with other tests.
pub const AT_ONCE: Duration = Duration::from_secs(5);

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

impl Ran {
    /// The exit status, stdout and stderr.
    pub fn outcome(&self) -> (Option<i32>, &str, &str) {
        (self.code, &self.stdout, &self.stderr)
    }

    /// What was said, line by line, without the name of the program.
    pub fn said(&self) -> Vec<String> {
        let name = |line: &str| line.strip_prefix("agent-provider-rke2: ").expect(line).to_owned();
        self.stderr.lines().map(name).collect()
    }
}

/// Starts a command with these bytes as its stdin.
pub fn start(command: &mut Command, input: &[u8]) -> Running {
    let file = || tempfile::tempfile().unwrap();
    let (stdout, stderr) = (file(), file());
    command.stdin(stdin(input)).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
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
            if self.since.elapsed() > HANGS {
                let _ = self.child.kill();
                panic!("did not end within {HANGS:?}");
            }
            sleep(Duration::from_micros(300));
        };
        let took = self.since.elapsed();
        let text = |mut file: fs::File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
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

/// The one line of JSON that the bus is answered with.
pub fn answer(ran: &Ran) -> BTreeMap<String, String> {
    assert_eq!((ran.code, ran.stdout.matches('\n').count()), (Some(0), 1), "{ran:?}");
    let answer: BTreeMap<String, String> = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!(answer.keys().collect::<Vec<_>>(), ["data", "error", "log", "state"], "{ran:?}");
    answer
}

/// Tells a run of a test binary that it is one inside the other, and where its room is.
const ROOM: &str = "TEST_ROOM";

/// The room, if this is the run inside.
pub fn inner_room() -> Option<PathBuf> {
    env::var_os(ROOM).map(PathBuf::from)
}

/// Runs one test of this binary again, by its name with its module, behind a launcher and a shell script that gets the room as `$1`;
/// nothing if one of these could not do its part.
pub fn again(test: &str, launcher: &[&str], script: &str, room: &Path) -> Option<Output> {
    let script = format!("{script}\nshift; exec \"$@\"");
    let mut command = Command::new(launcher[0]);
    command.args(&launcher[1..]).args(["sh", "-e", "-c", &script, "sh"]).arg(room).arg(env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(ROOM, room).output().ok()?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!stdout.contains("running 0 tests"), "there is no test {test}");
    stdout.contains("running 1 test").then_some(output)
}

/// Runs one test of this binary again in a mount namespace of its own. Where there are no namespaces it is left out, and said.
pub fn inside(test: &str, script: &str, room: &Path) {
    let launchers = [&["unshare", "--user", "--map-root-user", "--mount", "--"][..], &["unshare", "--mount", "--"]];
    if let Some(output) = launchers.into_iter().find_map(|launcher| again(test, launcher, script, room)) {
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{told}");
    } else {
        let _ = std::io::stderr().write_all(format!("left out: {test} (no mount namespace here)\n").as_bytes());
    }
}
