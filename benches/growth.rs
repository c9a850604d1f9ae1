//! Whether what grows costs in proportion, in one command: `cargo bench --bench growth`.
//!
//! Each subject is measured from 10 to 10 000 of it, in decades: `agent.boot` for what a cloud-config lists, `apply config` for drop-ins that
//! add to one list. A decade may take at most twelve times as long as the one before. Below some thousand the fixed costs of a process hide
//! what a quadratic does; so the last decade is the one that tells.
//!
//! With `-- --check` a decade that takes twice that is exit status 1; without, only a run that went wrong is.
#![allow(clippy::disallowed_methods, reason = "a program of its own, without a Host")]

mod support;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::json;
use support::{Measured, Outcome, Place, Run, Side, launch, path, verdict};

const DECADES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Of an option with a `+`, many times the items.
const PLUS: [usize; 4] = [40, 400, 4_000, 40_000];
const GOAL: f64 = 12.0;
/// What fails a run: a busy machine stays below, and what is quadratic is a hundred.
const GATE: f64 = 24.0;
/// How often each is run, the first time to warm the caches.
const ROUNDS: usize = 8;
const WARM_UP: usize = 1;

const HEAD: &str = "cluster:\n  role: init\n  cluster_token: 3f9c1e7ab2d84c60915e7d3ab8f46c21\n";
const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";
const CONFIG: &str = "etc/rancher/rke2/config.yaml";

/// What grows: its name, how many of it, and the cloud-config with so many.
struct Subject {
    name: &'static str,
    sizes: [usize; 4],
    cloud_config: fn(usize) -> String,
}

const SUBJECTS: [Subject; 6] = [
    Subject {
        name: "options that nobody knows",
        sizes: DECADES,
        cloud_config: |count| format!("{HEAD}  config: |\n{}", repeat(count, |it| format!("    new-option-{it}: x\n"))),
    },
    Subject {
        name: "items of one list",
        sizes: DECADES,
        cloud_config: |count| {
            format!("{HEAD}  config: |\n    node-label:\n{}", repeat(count, |it| format!("    - a{it}=b\n")))
        },
    },
    Subject {
        name: "items added with a +",
        sizes: PLUS,
        cloud_config: |count| format!("{HEAD}  config: |\n{}", repeat(count, |it| format!("    tls-san+: h{it}\n"))),
    },
    Subject {
        name: "variables",
        sizes: DECADES,
        cloud_config: |count| format!("{HEAD}  env:\n{}", repeat(count, |it| format!("    E{it}: x\n"))),
    },
    Subject {
        name: "settings that nobody knows",
        sizes: DECADES,
        cloud_config: |count| format!("{HEAD}  providerConfig:\n{}", repeat(count, |it| format!("    swapp{it}: x\n"))),
    },
    Subject {
        name: "certificates",
        sizes: DECADES,
        cloud_config: |count| format!("{HEAD}  ca_certs:\n{}", repeat(count, |it| format!("    - /etc/ca/{it}.pem\n"))),
    },
];

fn main() -> ExitCode {
    support::main("growth", measure)
}

fn repeat(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn measure() -> Outcome<Report> {
    let place = Place::new("growth")?;
    let agent = place.build_agent()?;
    let launcher = place.build_static("launcher")?;
    let mut grown = Vec::new();
    for subject in &SUBJECTS {
        let runs = subject.sizes.iter().map(|size| event(&place, &agent, subject, *size));
        grown.push(Grown { name: subject.name, times: times(&place, &launcher, &runs.collect::<Outcome<Vec<_>>>()?)? });
    }
    let runs = DECADES.iter().map(|count| drop_ins(&place, &agent, *count));
    let times = times(&place, &launcher, &runs.collect::<Outcome<Vec<_>>>()?)?;
    grown.push(Grown { name: "drop-ins that add to one list", times });
    Ok(Report { machine: place.machine()?, grown })
}

/// All sizes in turn, so that what disturbs one disturbs the others.
fn times(place: &Place, launcher: &Path, runs: &[Run]) -> Outcome<Vec<Side>> {
    let order: Vec<&Run> = (0..ROUNDS).flat_map(|_| runs).collect();
    let results = launch(place, launcher, &order)?;
    (0..runs.len())
        .map(|size| {
            let of_size: Vec<&Measured> = results.iter().skip(size).step_by(runs.len()).collect();
            Side::of(&of_size, WARM_UP)
        })
        .collect()
}

/// An event that writes the document of a cloud-config, its payload in a file, as a large one comes.
fn event(place: &Place, agent: &Path, subject: &Subject, count: usize) -> Outcome<Run> {
    let root = root(place, subject.name, count)?;
    let payload = root.join("payload");
    let config = format!("#cloud-config\n{}", (subject.cloud_config)(count));
    fs::write(&payload, json!({ "config": config }).to_string())?;
    let input = root.join("event");
    fs::write(&input, json!({ "name": "agent.boot", "data": "", "file": path(&payload) }).to_string())?;
    let command = vec![path(agent), "--root".into(), path(&root), "agent.boot".into()];
    // The launcher looks into it before the first run.
    fs::create_dir_all(root.join(DOCUMENT).parent().ok_or("the document has no directory")?)?;
    Ok(Run { written: root.join(DOCUMENT), input, command })
}

fn drop_ins(place: &Place, agent: &Path, count: usize) -> Outcome<Run> {
    let root = root(place, "drop-ins", count)?;
    let directory = root.join("etc/rancher/rke2/config.d");
    fs::create_dir_all(&directory)?;
    for number in 0..count {
        fs::write(directory.join(format!("{number:05}.yaml")), format!("node-label: [a{number}=b]\n"))?;
    }
    let section = json!({ "cluster": { "role": "init", "cluster_token": "3f9c1e7ab2d84c60915e7d3ab8f46c21" } });
    place.configure(agent, &root, &section)?;
    let command = vec![path(agent), "--root".into(), path(&root), "apply".into(), "config".into()];
    Ok(Run { written: root.join(CONFIG), input: "/dev/null".into(), command })
}

fn root(place: &Place, name: &str, count: usize) -> Outcome<PathBuf> {
    let root = place.work.join(name.replace(' ', "-")).join(count.to_string());
    fs::create_dir_all(&root)?;
    Ok(root)
}

struct Grown {
    name: &'static str,
    times: Vec<Side>,
}

impl Grown {
    /// How many times as long each decade takes as the one before.
    fn ratios(&self) -> Vec<f64> {
        self.times.iter().zip(self.times.iter().skip(1)).map(|(fewer, many)| many.ratio(fewer)).collect()
    }
}

struct Report {
    machine: String,
    grown: Vec<Grown>,
}

impl Report {
    /// Whether no decade takes more than so many times the one before.
    fn is_within(&self, bound: f64) -> bool {
        self.grown.iter().all(|it| it.ratios().iter().all(|ratio| *ratio <= bound))
    }
}

impl support::Report for Report {
    fn goals_met(&self) -> bool {
        self.is_within(GATE)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "machine: {}", self.machine)?;
        for it in &self.grown {
            let times: Vec<String> =
                it.times.iter().map(|side| format!("{:.1}", side.median.as_secs_f64() * 1000.0)).collect();
            let ratios: Vec<String> = it.ratios().iter().map(|ratio| format!("{ratio:.1}")).collect();
            writeln!(out, "{}: {} ms, {} x the decade before", it.name, times.join(", "), ratios.join(", "))?;
        }
        let (goal, gate) = (verdict(self.is_within(GOAL)), verdict(self.is_within(GATE)));
        write!(out, "growth: goal <= {GOAL} x: {goal}, gate <= {GATE} x: {gate}")
    }
}
