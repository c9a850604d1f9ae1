//! What the boot event `agent.boot` costs, in one command: `cargo bench --bench agent_boot`.
//!
//! * time: the whole process, against a bare static program (`static/bare.rs`) that only writes, fsyncs and renames one
//!   fresh file of the same size and fsyncs the directory. Both are run in turn by one small static launcher
//!   (`static/launcher.rs`) on one file system, so that what disturbs one disturbs the other.
//!   `/run` of the node is in memory, as on a real one, where that may be mounted.
//! * memory: the highest peak of all runs, as the kernel gives it to the launcher.
//! * size: of the release binary, static, for musl.
//!
//! The event is measured twice: one with nothing to say about it, and one with a finding, whose line is looked up in the source.
//!
//! With `-- --check` a gate that is passed is exit status 1; without, only a run that went wrong is.
#![allow(clippy::disallowed_methods, reason = "a program of its own, without a Host")]

mod support;

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use support::{Outcome, Place, Run, Side, launch_by, mib, path, verdict, with_memory_at};

/// Measured pairs of runs, and the pairs before them that warm the caches and are not counted.
const PAIRS: usize = 200;
const WARM_UP: usize = 20;

/// What is wanted, and what must not be passed.
const RATIO_GOAL: f64 = 2.0;
const RATIO_GATE: f64 = 2.6;
const PEAK_GOAL_KIB: u32 = 2 * 1024;
const SIZE_GATE: u64 = 3_150_000;

/// Where the event's document lands, below `--root`.
const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";
/// Where the node keeps the cloud-config that the event carries; the event names it, so it is read again.
const SOURCE: &str = "oem/90_custom.yaml";

fn main() -> ExitCode {
    support::main("agent_boot", measure)
}

fn measure() -> Outcome<Report> {
    let place = Place::new("agent_boot")?;
    let agent = place.build_agent()?;
    let bare = place.build_static("bare")?;
    let launcher = place.build_static("launcher")?;
    let written = fs::read_to_string(place.package.join("benches/cloud-config.yaml"))?;
    let plain = compare(&place, &agent, &bare, &launcher, "plain", &written)?;
    // A warning: RKE2 ignores an option that it does not know.
    let with_option = written.replacen("  config: |\n", "  config: |\n    tls-sna: [a.example]\n", 1);
    if with_option == written {
        return Err("the cloud-config has no config to make a finding in".into());
    }
    let finding = compare(&place, &agent, &bare, &launcher, "finding", &with_option)?;
    Ok(Report { machine: place.machine()?, plain, finding, size: fs::metadata(&agent)?.len() })
}

/// Measures the event of a cloud-config against a bare write of its document.
fn compare(place: &Place, agent: &Path, bare: &Path, launcher: &Path, name: &str, written: &str) -> Outcome<Compared> {
    let root = place.work.join(name).join("root");
    let event = write_event(place, &root, name, written)?;
    let document_size = first_event(&root, agent, &event)?;

    let agent_run = Run {
        written: root.join(DOCUMENT),
        input: event,
        command: vec![path(agent), "--root".into(), path(&root), "agent.boot".into()],
    };
    let bare_file = place.work.join(name).join("bare-file/document");
    fs::create_dir_all(place.work.join(name).join("bare-file"))?;
    let bare_run = Run {
        command: vec![path(bare), path(&bare_file), document_size.to_string()],
        written: bare_file,
        input: agent_run.input.clone(),
    };

    // The order alternates: neither side always runs in the wake of the other.
    let sides: Vec<bool> = (0..WARM_UP + PAIRS).flat_map(|pair| [pair % 2 == 0, pair % 2 != 0]).collect();
    let runs: Vec<&Run> = sides.iter().map(|is_agent| if *is_agent { &agent_run } else { &bare_run }).collect();
    let (launcher, is_run_in_memory) = match with_memory_at(&root.join("run"), launcher) {
        Some(launcher) => (launcher, true),
        None => (Command::new(launcher), false),
    };
    let results = launch_by(launcher, place, &runs)?;
    if let Some(odd) = results.iter().find(|result| result.written != document_size) {
        return Err(format!("a run left {} bytes where {document_size} were expected", odd.written).into());
    }

    let side = |wanted: bool| {
        let of_side = sides.iter().zip(&results).filter(|(is_agent, _)| **is_agent == wanted);
        Side::of(&of_side.map(|(_, result)| result).collect::<Vec<_>>(), WARM_UP)
    };
    let event_size = fs::metadata(&agent_run.input)?.len();
    Ok(Compared { event_size, document_size, is_run_in_memory, agent: side(true)?, bare: side(false)? })
}

/// Writes the event as the Kairos agent sends it, and the source that it names.
fn write_event(place: &Place, root: &Path, name: &str, written: &str) -> Outcome<PathBuf> {
    let source = root.join(SOURCE);
    fs::create_dir_all(source.parent().ok_or("the source has no directory")?)?;
    fs::write(&source, written)?;

    let body = written.strip_prefix("#cloud-config\n").ok_or("the cloud-config has no header")?;
    let collected = format!("#cloud-config\n\n# Sources:\n# - /{SOURCE}\n\n{body}");
    let data = serde_json::json!({ "config": collected }).to_string();
    let event = place.work.join(name).join("event.json");
    fs::write(&event, serde_json::json!({ "name": "agent.boot", "data": data, "file": "" }).to_string())?;
    Ok(event)
}

/// Runs the event once, and looks at the answer before anything is measured. Gives the document's size.
fn first_event(root: &Path, agent: &Path, event: &Path) -> Outcome<u64> {
    let mut command = Command::new(agent);
    command.arg("--root").arg(root).arg("agent.boot").env_clear().stdin(File::open(event)?);
    let output = command.output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if !output.status.success() || answer.get("error").and_then(serde_json::Value::as_str) != Some("") {
        return Err(format!("the event is not answered well ({}): {answer}", output.status).into());
    }
    let document = root.join(DOCUMENT);
    match fs::metadata(&document) {
        Ok(metadata) if metadata.len() > 0 => Ok(metadata.len()),
        _ => Err(format!("the event is answered well but wrote no {}", document.display()).into()),
    }
}

struct Report {
    machine: String,
    plain: Compared,
    finding: Compared,
    size: u64,
}

struct Compared {
    event_size: u64,
    document_size: u64,
    is_run_in_memory: bool,
    agent: Side,
    bare: Side,
}

impl Compared {
    fn ratio(&self) -> f64 {
        self.agent.ratio(&self.bare)
    }
}

impl Report {
    fn both(&self) -> [(&'static str, &Compared); 2] {
        [("nothing to say", &self.plain), ("a finding", &self.finding)]
    }

    fn time_within(&self) -> bool {
        self.both().iter().all(|(_, compared)| compared.ratio() <= RATIO_GATE)
    }

    fn memory_met(&self) -> bool {
        self.both().iter().all(|(_, compared)| compared.agent.peak_kib <= PEAK_GOAL_KIB)
    }

    fn size_within(&self) -> bool {
        self.size <= SIZE_GATE
    }
}

impl support::Report for Report {
    fn goals_met(&self) -> bool {
        self.time_within() && self.memory_met() && self.size_within()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "machine: {}", self.machine)?;
        for (name, compared) in self.both() {
            let Compared { event_size, document_size, is_run_in_memory, agent, bare } = compared;
            let run = if *is_run_in_memory { "in memory" } else { "on the disk, because it may not be mounted" };
            writeln!(
                out,
                "{name}: event of {event_size} bytes, document of {document_size} bytes, /run {run}, {PAIRS} pairs"
            )?;
            writeln!(out, "  agent.boot {agent}")?;
            writeln!(out, "  bare write {bare}")?;
            let (ratio, met) = (compared.ratio(), verdict(compared.ratio() <= RATIO_GOAL));
            let within = verdict(compared.ratio() <= RATIO_GATE);
            writeln!(
                out,
                "  time:   {ratio:.2} x the bare write, goal <= {RATIO_GOAL} x: {met}, gate <= {RATIO_GATE} x: {within}"
            )?;
            let (peak, floor) = (mib(agent.peak_kib), mib(bare.peak_kib));
            let (goal, met) = (mib(PEAK_GOAL_KIB), verdict(agent.peak_kib <= PEAK_GOAL_KIB));
            writeln!(out, "  memory: {peak:.2} MiB at its peak (bare write: {floor:.2}), goal <= {goal} MiB: {met}")?;
        }
        write!(out, "size: {} bytes, gate <= {SIZE_GATE}: {}", self.size, verdict(self.size_within()))
    }
}
