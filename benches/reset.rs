//! What deleting costs, in one command: `cargo bench --bench reset`.
//!
//! 100 000 files, or `RESET_FILES` for a look, in 100 directories of a data directory: the whole process `reset` against `rm -rf` of the same tree, in turn, each tree made
//! anew and synced before. On a file system in memory, where both wait for nobody, and on the disk of the work directory.
//!
//! With `-- --check` a missed goal is exit status 1; without, only a run that went wrong is.
#![allow(clippy::disallowed_methods, reason = "a program of its own, without a Host")]

mod support;

use std::{
    env, fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use support::{Outcome, Place, last_line, verdict};

const DIRECTORIES: usize = 100;
const FILES: usize = 100_000;
const PAIRS: usize = 3;
const GOAL: f64 = 1.2;
const STATE: &str = "var/lib/rancher/rke2/agent";

fn main() -> ExitCode {
    support::main("reset", measure)
}

fn measure() -> Outcome<Report> {
    let place = Place::new("reset")?;
    let files = env::var("RESET_FILES").ok().and_then(|it| it.parse().ok()).unwrap_or(FILES);
    let agent = place.build_agent()?;
    let mut compared = vec![compare("disk", &place.work.join("root"), &agent, files)?];
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        let room = memory.join(format!("bench-reset-{}", std::process::id()));
        let measured = compare("memory", &room, &agent, files);
        let _ = fs::remove_dir_all(&room);
        compared.push(measured?);
    }
    Ok(Report { machine: place.machine()?, files, compared })
}

/// The medians of both sides.
fn compare(name: &'static str, root: &Path, agent: &Path, files: usize) -> Outcome<Compared> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..PAIRS {
        // The order alternates: neither side always runs in the wake of the other.
        for is_ours in [round % 2 == 0, round % 2 != 0] {
            let tree = populate(root, files)?;
            let mut command = if is_ours { Command::new(agent) } else { Command::new("rm") };
            if is_ours {
                command.arg("--root").arg(root).arg("reset");
            } else {
                command.arg("-rf").arg(&tree);
            }
            let start = Instant::now();
            let output = command.stdin(Stdio::null()).output()?;
            let time = start.elapsed();
            if !output.status.success() || tree.exists() {
                return Err(format!("the tree is still there: {}", last_line(&output.stderr)).into());
            }
            if is_ours { ours.push(time) } else { theirs.push(time) }
        }
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    let median = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Compared { name, ours: median(&ours), theirs: median(&theirs) })
}

fn populate(root: &Path, files: usize) -> Outcome<PathBuf> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    let tree = root.join(STATE);
    for directory in 0..DIRECTORIES {
        let directory = tree.join(format!("containerd/snapshots/{directory}/fs"));
        fs::create_dir_all(&directory)?;
        for file in 0..files / DIRECTORIES {
            File::create(directory.join(format!("file-{file:04}")))?;
        }
    }
    let synced = Command::new("sync").arg("-f").arg(&tree).status()?.success();
    if synced { Ok(tree) } else { Err("the tree cannot be synced".into()) }
}

struct Compared {
    name: &'static str,
    ours: Duration,
    theirs: Duration,
}

impl Compared {
    fn ratio(&self) -> f64 {
        self.ours.as_secs_f64() / self.theirs.as_secs_f64()
    }
}

struct Report {
    machine: String,
    files: usize,
    compared: Vec<Compared>,
}

impl support::Report for Report {
    fn goals_met(&self) -> bool {
        self.compared.iter().all(|it| it.ratio() <= GOAL)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "machine: {}\n{} files, medians of {PAIRS} pairs", self.machine, self.files)?;
        for it in &self.compared {
            let (ours, theirs, ratio) = (it.ours.as_secs_f64(), it.theirs.as_secs_f64(), it.ratio());
            let met = verdict(ratio <= GOAL);
            write!(
                out,
                "\n{}: reset {ours:.3} s, rm -rf {theirs:.3} s: {ratio:.2} x, goal <= {GOAL} x: {met}",
                it.name
            )?;
        }
        Ok(())
    }
}
