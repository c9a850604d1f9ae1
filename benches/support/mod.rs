//! What the benchmarks share: the programs that are built and launched, the times and peaks that come back, the
//! machine.
//!
//! All runs of a benchmark are launched by one small static program (`static/launcher.rs`), so that starting a process
//! costs each side the same, and what disturbs one disturbs the other.
// Each benchmark is a program of its own: it has no Host, and stdout is where its figures go.
// Each uses a part of this.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr, unreachable_pub, dead_code)]

use std::{
    env,
    error::Error,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use serde_json::json;

/// What goes wrong ends the benchmark, with a sentence.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The figures of a benchmark, as they are printed.
pub trait Report: fmt::Display {
    /// Whether every goal is met.
    fn goals_met(&self) -> bool;
}

/// Measures and prints. With `--check` a missed goal is exit status 1; without, only a run that went wrong is.
pub fn main<R: Report>(name: &str, measure: impl FnOnce() -> Outcome<R>) -> ExitCode {
    let given = |option: &str| env::args().any(|argument| argument == option);
    // `cargo test --all-targets` runs benchmarks too, but only `cargo bench` says so.
    if !given("--bench") {
        println!("{name}: left out, run `cargo bench --bench {name}`");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(report) => {
            println!("{report}");
            if given("--check") && !report.goals_met() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The directories: of the package, of cargo's output, and of one benchmark, which lies in cargo's output.
pub struct Place {
    pub package: PathBuf,
    pub work: PathBuf,
    target: PathBuf,
    triple: String,
}

impl Place {
    /// An empty work directory; nothing of an earlier run is measured.
    pub fn new(name: &str) -> Outcome<Self> {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = temporary.parent().ok_or("cargo gave no target directory")?.to_path_buf();
        let work = temporary.join(name);
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        let triple = format!("{}-unknown-linux-musl", env::consts::ARCH);
        Ok(Self { package: env!("CARGO_MANIFEST_DIR").into(), work, target, triple })
    }

    /// Builds the binary that ships.
    pub fn build_agent(&self) -> Outcome<PathBuf> {
        let mut build = Command::new(self.package.join(".ci/binary"));
        succeed(build.arg(&self.triple).env("CARGO_TARGET_DIR", &self.target).current_dir(&self.package))?;
        Ok(self.target.join(&self.triple).join("release/agent-provider-rke2"))
    }

    /// Compiles one of the static programs of `benches/static/`, which are no targets of the package.
    pub fn build_static(&self, name: &str) -> Outcome<PathBuf> {
        let program = self.work.join(name);
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "-O", "-C", "strip=symbols", "--target", &self.triple, "-o"]).arg(&program);
        succeed(rustc.arg(format!("benches/static/{name}.rs")).current_dir(&self.package))?;
        Ok(program)
    }

    /// Makes a node of this cluster section below `root`: the plan, then all steps.
    pub fn configure(&self, agent: &Path, root: &Path, section: &serde_json::Value) -> Outcome<()> {
        let data = json!({ "config": format!("#cloud-config\n{section}\n") }).to_string();
        let event = self.work.join("event.json");
        fs::write(&event, json!({ "name": "agent.boot", "data": data, "file": "" }).to_string())?;
        for arguments in ["agent.boot", "apply"] {
            let mut command = Command::new(agent);
            command.arg("--root").arg(root).arg(arguments).env_clear().stdin(File::open(&event)?);
            let output = command.output()?;
            if !output.status.success() {
                return Err(format!("{arguments} ended with {}: {}", output.status, last_line(&output.stderr)).into());
            }
        }
        Ok(())
    }

    /// What the figures depend on: processor, kernel, and the file system of the work directory.
    pub fn machine(&self) -> Outcome<String> {
        let cpus = thread::available_parallelism()?;
        let cpu_info = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(env::consts::ARCH);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let file_system = mounts
            .lines()
            .filter_map(|line| {
                let (mount, kind) = line.split_once(" - ")?;
                let point = mount.split(' ').nth(4)?;
                self.work.starts_with(point).then_some((point.len(), kind))
            })
            // Of mounts at one place the last hides the others, and is the one that max_by_key gives.
            .max_by_key(|(length, _)| *length)
            .and_then(|(_, kind)| kind.rsplit_once(' '))
            .map_or("an unknown file system", |(kind, _)| kind);
        let model = model.trim_start_matches([' ', '\t', ':']);
        let warning = if file_system.starts_with("tmpfs") { " (no disk: the ratios say little)" } else { "" };
        Ok(format!("{model}, {cpus} CPUs, Linux {}, {file_system}{warning}", kernel.trim()))
    }
}

/// One run of a program, as the launcher reads it.
pub struct Run {
    /// The file that it writes; removed before each run.
    pub written: PathBuf,
    /// What it gets as stdin.
    pub input: PathBuf,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// What the launcher says of one run.
pub struct Measured {
    /// From before the fork until the process is gone.
    pub time: Duration,
    /// Its peak memory.
    pub peak_kib: u32,
    /// The size of the file that it wrote.
    pub written: u64,
}

/// Runs all of them, one after the other.
pub fn launch(place: &Place, launcher: &Path, runs: &[&Run]) -> Outcome<Vec<Measured>> {
    launch_by(Command::new(launcher), place, runs)
}

/// The launcher with a file system in memory at a directory, which nobody else sees; nothing where that may not be mounted.
pub fn with_memory_at(directory: &Path, launcher: &Path) -> Option<Command> {
    const MOUNT: &str = r#"mount -t tmpfs tmpfs "$1" && shift && exec "$@""#;
    let command = |own: &[&str], program: &Path| {
        let mut command = Command::new("unshare");
        command.args(own).args(["--mount", "sh", "-c", MOUNT, "sh"]).args([directory, program]);
        command
    };
    // Who is not root may be it in a namespace of users.
    let works = |own: &&[&str]| command(own, Path::new("true")).output().is_ok_and(|it| it.status.success());
    [&[][..], &["--user", "--map-root-user"]].into_iter().find(works).map(|own| command(own, launcher))
}

/// The same with a launcher that was made ready.
pub fn launch_by(mut launcher: Command, place: &Place, runs: &[&Run]) -> Outcome<Vec<Measured>> {
    let lines: Vec<String> = runs
        .iter()
        .map(|run| format!("{}\t{}\t{}\n", path(&run.written), path(&run.input), run.command.join("\t")))
        .collect();
    let list = place.work.join("runs");
    fs::write(&list, lines.concat())?;
    let output = launcher.stdin(File::open(&list)?).output()?;
    if !output.status.success() {
        return Err(format!("the launcher ended with {}: {}", output.status, last_line(&output.stderr)).into());
    }
    let results = String::from_utf8(output.stdout)?.lines().map(measured).collect::<Outcome<Vec<_>>>()?;
    if results.len() == runs.len() { Ok(results) } else { Err("the launcher left runs out".into()) }
}

/// The last words of a program that did not do well.
pub fn last_line(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).lines().last().unwrap_or_default().to_owned()
}

fn measured(line: &str) -> Outcome<Measured> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().ok_or("the launcher's line is short");
    Ok(Measured { time: Duration::from_nanos(next()?.parse()?), peak_kib: next()?.parse()?, written: next()?.parse()? })
}

/// All runs of one side: times of those after the warm-up, the highest peak of all.
pub struct Side {
    pub median: Duration,
    pub peak_kib: u32,
    min: Duration,
    max: Duration,
}

impl Side {
    /// The first `warm_up` runs fill the caches and are not timed.
    pub fn of(results: &[&Measured], warm_up: usize) -> Outcome<Self> {
        let peak_kib = results.iter().map(|result| result.peak_kib).max().ok_or("no run")?;
        let mut times: Vec<Duration> = results.iter().skip(warm_up).map(|result| result.time).collect();
        times.sort();
        let at = |index: usize| times.get(index).copied().ok_or("no run");
        Ok(Self { min: at(0)?, median: at(times.len() / 2)?, max: at(times.len() - 1)?, peak_kib })
    }

    /// How many times the other side's median it took.
    pub fn ratio(&self, other: &Side) -> f64 {
        self.median.div_duration_f64(other.median)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let [min, median, max] = [self.min, self.median, self.max].map(|time| time.as_secs_f64() * 1000.0);
        write!(out, "median {median:.3} ms (min {min:.3}, max {max:.3})")
    }
}

/// How a goal came out.
pub fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// Kibibytes as mebibytes.
pub fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}

/// The launcher reads fields as text.
pub fn path(path: &Path) -> String {
    path.display().to_string()
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}
