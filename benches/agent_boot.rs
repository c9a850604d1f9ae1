//! What the boot event `agent.boot` costs, in one command: `cargo bench --bench agent_boot`.
//!
//! * time: the whole process, against a bare static program (`static/bare.rs`) that only writes, fsyncs and renames one
//!   fresh file of the same size and fsyncs the directory. Both are run in turn by one small static launcher
//!   (`static/launcher.rs`) on one file system, so that what disturbs one disturbs the other.
//! * memory: the highest peak of all runs, as the kernel gives it to the launcher.
//! * size: of the release binary, static, for musl.
//!
//! With `-- --check` a missed goal is exit status 1; without, only a run that went wrong is.
// A program of its own: it has no Host, and stdout is where its figures go.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

use std::{
    env,
    error::Error,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

/// Measured pairs of runs, and the pairs before them that warm the caches and are not counted.
const PAIRS: usize = 200;
const WARM_UP: usize = 20;

const RATIO_GOAL: f64 = 1.5;
const PEAK_GOAL_KIB: u32 = 2 * 1024;
const SIZE_GOAL: u64 = 1_200_000;

/// Where the event's document lands, below `--root`.
const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";
/// Where the node keeps the cloud-config that the event carries; the event names it, so it is read again.
const SOURCE: &str = "oem/90_custom.yaml";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let given = |option: &str| env::args().any(|argument| argument == option);
    // `cargo test --all-targets` runs this file too, but only `cargo bench` says so.
    if !given("--bench") {
        println!("agent_boot: left out, run `cargo bench --bench agent_boot`");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(report) => {
            println!("{report}");
            if given("--check") && !report.goals_met() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("agent_boot: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Outcome<Report> {
    let place = Place::new()?;
    let agent = place.build_agent()?;
    let bare = place.build_static("bare")?;
    let launcher = place.build_static("launcher")?;
    let event = place.write_event()?;
    let document_size = first_event(&place, &agent, &event)?;

    let root = place.root();
    let agent_run = Run {
        written: root.join(DOCUMENT),
        input: event,
        command: vec![path(&agent), "--root".into(), path(&root), "agent.boot".into()],
    };
    let bare_file = place.work.join("bare-file/document");
    fs::create_dir_all(place.work.join("bare-file"))?;
    let bare_run = Run {
        command: vec![path(&bare), path(&bare_file), document_size.to_string()],
        written: bare_file,
        input: agent_run.input.clone(),
    };

    // The order alternates: neither side always runs in the wake of the other.
    let runs: Vec<(bool, &Run)> = (0..WARM_UP + PAIRS)
        .flat_map(|pair| {
            let agent_first = pair % 2 == 0;
            [agent_first, !agent_first].map(|is_agent| (is_agent, if is_agent { &agent_run } else { &bare_run }))
        })
        .collect();
    let results = launch(&place, &launcher, &runs)?;
    if let Some(odd) = results.iter().find(|result| result.written != document_size) {
        return Err(format!("a run left {} bytes where {document_size} were expected", odd.written).into());
    }

    let side = |wanted: bool| {
        let of_side = runs.iter().zip(&results).filter(|((is_agent, _), _)| *is_agent == wanted);
        Side::of(of_side.map(|(_, result)| result).collect())
    };
    Ok(Report {
        machine: machine(&place.work)?,
        event_size: fs::metadata(&agent_run.input)?.len(),
        document_size,
        agent: side(true)?,
        bare: side(false)?,
        size: fs::metadata(&agent)?.len(),
    })
}

/// The directories: of the package, of cargo's output, and of this benchmark, which lies in cargo's output.
struct Place {
    package: PathBuf,
    target: PathBuf,
    work: PathBuf,
    triple: String,
}

impl Place {
    /// An empty work directory; nothing of an earlier run is measured.
    fn new() -> Outcome<Self> {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = temporary.parent().ok_or("cargo gave no target directory")?.to_path_buf();
        let work = temporary.join("agent_boot");
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        let triple = format!("{}-unknown-linux-musl", env::consts::ARCH);
        Ok(Self { package: env!("CARGO_MANIFEST_DIR").into(), target, work, triple })
    }

    fn root(&self) -> PathBuf {
        self.work.join("root")
    }

    /// Builds the binary that ships.
    fn build_agent(&self) -> Outcome<PathBuf> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--bin", "agent-provider-rke2", "--target", &self.triple]);
        succeed(cargo.arg("--target-dir").arg(&self.target).current_dir(&self.package))?;
        Ok(self.target.join(&self.triple).join("release/agent-provider-rke2"))
    }

    /// Compiles one of the static programs, which are no targets of the package.
    fn build_static(&self, name: &str) -> Outcome<PathBuf> {
        let program = self.work.join(name);
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "-O", "-C", "strip=symbols", "--target", &self.triple, "-o"]).arg(&program);
        succeed(rustc.arg(format!("benches/static/{name}.rs")).current_dir(&self.package))?;
        Ok(program)
    }

    /// Writes the event as the Kairos agent sends it, and the source that it names.
    fn write_event(&self) -> Outcome<PathBuf> {
        let written = fs::read_to_string(self.package.join("benches/cloud-config.yaml"))?;
        let source = self.root().join(SOURCE);
        fs::create_dir_all(source.parent().ok_or("the source has no directory")?)?;
        fs::write(&source, &written)?;

        let body = written.strip_prefix("#cloud-config\n").ok_or("the cloud-config has no header")?;
        let collected = format!("#cloud-config\n\n# Sources:\n# - /{SOURCE}\n\n{body}");
        let data = serde_json::json!({ "config": collected }).to_string();
        let event = self.work.join("event.json");
        fs::write(&event, serde_json::json!({ "name": "agent.boot", "data": data, "file": "" }).to_string())?;
        Ok(event)
    }
}

/// Runs the event once, and looks at the answer before anything is measured. Gives the document's size.
fn first_event(place: &Place, agent: &Path, event: &Path) -> Outcome<u64> {
    let mut command = Command::new(agent);
    command.arg("--root").arg(place.root()).arg("agent.boot").env_clear().stdin(File::open(event)?);
    let output = command.output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if !output.status.success() || answer.get("error").and_then(serde_json::Value::as_str) != Some("") {
        return Err(format!("the event is not answered well ({}): {answer}", output.status).into());
    }
    let document = place.root().join(DOCUMENT);
    match fs::metadata(&document) {
        Ok(metadata) if metadata.len() > 0 => Ok(metadata.len()),
        _ => Err(format!("the event is answered well but wrote no {}", document.display()).into()),
    }
}

/// One run of a program, as the launcher reads it.
struct Run {
    written: PathBuf,
    input: PathBuf,
    command: Vec<String>,
}

/// What the launcher says of one run.
struct Measured {
    time: Duration,
    peak_kib: u32,
    written: u64,
}

fn launch(place: &Place, launcher: &Path, runs: &[(bool, &Run)]) -> Outcome<Vec<Measured>> {
    let lines: Vec<String> = runs
        .iter()
        .map(|(_, run)| format!("{}\t{}\t{}\n", path(&run.written), path(&run.input), run.command.join("\t")))
        .collect();
    let list = place.work.join("runs");
    fs::write(&list, lines.concat())?;
    let output = Command::new(launcher).stdin(File::open(&list)?).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the launcher ended with {}", output.status).into());
    }
    let results = String::from_utf8(output.stdout)?.lines().map(measured).collect::<Outcome<Vec<_>>>()?;
    if results.len() == runs.len() { Ok(results) } else { Err("the launcher left runs out".into()) }
}

fn measured(line: &str) -> Outcome<Measured> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().ok_or("the launcher's line is short");
    Ok(Measured { time: Duration::from_nanos(next()?.parse()?), peak_kib: next()?.parse()?, written: next()?.parse()? })
}

/// All runs of one side: times of those after the warm-up, the highest peak of all.
struct Side {
    min: Duration,
    median: Duration,
    max: Duration,
    peak_kib: u32,
}

impl Side {
    fn of(results: Vec<&Measured>) -> Outcome<Self> {
        let peak_kib = results.iter().map(|result| result.peak_kib).max().ok_or("no run")?;
        let mut times: Vec<Duration> = results.into_iter().skip(WARM_UP).map(|result| result.time).collect();
        times.sort();
        let at = |index: usize| times.get(index).copied().ok_or("no run");
        Ok(Self { min: at(0)?, median: at(times.len() / 2)?, max: at(times.len() - 1)?, peak_kib })
    }
}

struct Report {
    machine: String,
    event_size: u64,
    document_size: u64,
    agent: Side,
    bare: Side,
    size: u64,
}

impl Report {
    fn ratio(&self) -> f64 {
        self.agent.median.div_duration_f64(self.bare.median)
    }

    fn time_met(&self) -> bool {
        self.ratio() <= RATIO_GOAL
    }

    fn memory_met(&self) -> bool {
        self.agent.peak_kib <= PEAK_GOAL_KIB
    }

    fn size_met(&self) -> bool {
        self.size <= SIZE_GOAL
    }

    fn goals_met(&self) -> bool {
        self.time_met() && self.memory_met() && self.size_met()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let met = |met: bool| if met { "met" } else { "missed" };
        let mib = |kib: u32| f64::from(kib) / 1024.0;
        let side = |side: &Side| {
            let [min, median, max] = [side.min, side.median, side.max].map(|time| time.as_secs_f64() * 1000.0);
            format!("median {median:.3} ms (min {min:.3}, max {max:.3})")
        };
        writeln!(out, "machine: {}", self.machine)?;
        writeln!(out, "event: {} bytes, its document: {} bytes, {PAIRS} pairs", self.event_size, self.document_size)?;
        writeln!(out, "  agent.boot {}", side(&self.agent))?;
        writeln!(out, "  bare write {}", side(&self.bare))?;
        let (ratio, verdict) = (self.ratio(), met(self.time_met()));
        writeln!(out, "time:   {ratio:.2} x the bare write, goal <= {RATIO_GOAL} x: {verdict}")?;
        let (peak, floor, verdict) = (mib(self.agent.peak_kib), mib(self.bare.peak_kib), met(self.memory_met()));
        let goal = mib(PEAK_GOAL_KIB);
        writeln!(out, "memory: {peak:.2} MiB at its peak (bare write: {floor:.2}), goal <= {goal} MiB: {verdict}")?;
        write!(out, "size:   {} bytes, goal <= {SIZE_GOAL}: {}", self.size, met(self.size_met()))
    }
}

/// What the figures depend on: processor, kernel, and the file system under `directory`.
fn machine(directory: &Path) -> Outcome<String> {
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
            directory.starts_with(point).then_some((point.len(), kind))
        })
        // Of mounts at one place the last hides the others, and is the one that max_by_key gives.
        .max_by_key(|(length, _)| *length)
        .and_then(|(_, kind)| kind.rsplit_once(' '))
        .map_or("an unknown file system", |(kind, _)| kind);
    let model = model.trim_start_matches([' ', '\t', ':']);
    let warning = if file_system.starts_with("tmpfs") { " (no disk: the ratio says little)" } else { "" };
    Ok(format!("{model}, {cpus} CPUs, Linux {}, {file_system}{warning}", kernel.trim()))
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// The launcher reads fields as text.
fn path(path: &Path) -> String {
    path.display().to_string()
}
