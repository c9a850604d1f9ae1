//! What `check` costs, in one command: `cargo bench --bench check`.
//!
//! * a cloud-config of 10 KiB, 100 KiB and 1 MiB: each decade at most twelve times the one before;
//! * a fleet of 1 000 files, compared with each other, against `cat` of the same files.
//!
//! Both go through `sh`, which puts the output into a file. With `-- --check` a missed goal is exit status 1; without, only a run that went wrong is.
#![allow(clippy::disallowed_methods, reason = "a program of its own, without a Host")]

mod support;

use std::{fmt, fs, path::Path, process::ExitCode};

use support::{Measured, Outcome, Place, Run, Side, launch, path, verdict};

/// Bytes of a cloud-config.
const SIZES: [usize; 3] = [10 << 10, 100 << 10, 1 << 20];
const NODES: usize = 1_000;
const GOAL: f64 = 12.0;
const FLEET_GOAL: f64 = 30.0;
/// How often each is run, the first time to warm the caches.
const ROUNDS: usize = 8;
const WARM_UP: usize = 1;

fn main() -> ExitCode {
    support::main("check", measure)
}

fn measure() -> Outcome<Report> {
    let place = Place::new("check")?;
    let agent = path(&place.build_agent()?);
    let launcher = place.build_static("launcher")?;
    let mut runs = Vec::new();
    for size in SIZES {
        let name = format!("{size}.yaml");
        fs::write(place.work.join(&name), cloud_config(size))?;
        runs.push(run(&place, &format!("{agent} check --format json {name}")));
    }
    let fleet = place.work.join("fleet");
    fs::create_dir_all(&fleet)?;
    for number in 0..NODES {
        fs::write(fleet.join(format!("{number:04}.yaml")), node(number))?;
    }
    runs.push(run(&place, &format!("{agent} check --format json fleet/*.yaml")));
    runs.push(run(&place, "cat fleet/*.yaml"));
    let order: Vec<&Run> = (0..ROUNDS).flat_map(|_| &runs).collect();
    let results = launch(&place, &launcher, &order)?;
    let side = |index: usize| {
        let of_one: Vec<&Measured> = results.iter().skip(index).step_by(runs.len()).collect();
        Side::of(&of_one, WARM_UP)
    };
    let sizes = (0..SIZES.len()).map(side).collect::<Outcome<Vec<_>>>()?;
    Ok(Report { machine: place.machine()?, sizes, fleet: side(SIZES.len())?, cat: side(SIZES.len() + 1)? })
}

/// A command of the shell in the directory of the benchmark.
fn run(place: &Place, command: &str) -> Run {
    let written = place.work.join("said");
    let script = format!("cd {} && exec {command} >said", quoted(&place.work));
    Run { written, input: "/dev/null".into(), command: vec!["/bin/sh".into(), "-c".into(), script] }
}

fn quoted(it: &Path) -> String {
    format!("'{}'", path(it))
}

/// A cloud-config of so many bytes: a third in options, a third in files, a third in text of no concern.
fn cloud_config(size: usize) -> String {
    let mut text = String::from(
        "#cloud-config\ncluster:\n  role: init\n  cluster_token: 3f9c1e7ab2d84c60915e7d3ab8f46c21\n  config: |\n    node-label:\n",
    );
    fill(&mut text, size / 3, |number| format!("    - a{number}=b\n"));
    text += "write_files:\n";
    fill(&mut text, size * 2 / 3, |number| format!("- path: /etc/file{number}\n  content: |\n    some text\n"));
    text += "runcmd:\n";
    fill(&mut text, size, |number| format!("- echo {number} and so on\n"));
    text
}

fn fill(text: &mut String, size: usize, line: impl Fn(usize) -> String) {
    let mut number = 0;
    while text.len() < size {
        *text += &line(number);
        number += 1;
    }
}

/// The cloud-config of a node of one cluster.
fn node(number: usize) -> String {
    let role = if number == 0 { "init" } else { "worker" };
    format!(
        "#cloud-config\nhostname: n{number}\ncluster:\n  role: {role}\n  cluster_token: 3f9c1e7ab2d84c60915e7d3ab8f46c21\n  \
         control_plane_host: 10.10.0.5\n  config: |\n    node-name: n{number}\n    node-label: [site=a]\n"
    )
}

struct Report {
    machine: String,
    sizes: Vec<Side>,
    fleet: Side,
    cat: Side,
}

impl Report {
    fn ratios(&self) -> Vec<f64> {
        self.sizes.iter().zip(self.sizes.iter().skip(1)).map(|(smaller, larger)| larger.ratio(smaller)).collect()
    }
}

impl support::Report for Report {
    fn goals_met(&self) -> bool {
        self.ratios().iter().all(|it| *it <= GOAL) && self.fleet.ratio(&self.cat) <= FLEET_GOAL
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "machine: {}", self.machine)?;
        for (size, side) in SIZES.iter().zip(&self.sizes) {
            writeln!(out, "a cloud-config of {} KiB: {side}", size >> 10)?;
        }
        let ratios: Vec<String> = self.ratios().iter().map(|it| format!("{it:.1}")).collect();
        let met = verdict(self.ratios().iter().all(|it| *it <= GOAL));
        writeln!(out, "{} x the decade before, goal <= {GOAL} x: {met}", ratios.join(", "))?;
        writeln!(out, "a fleet of {NODES} files: {}; cat: {}", self.fleet, self.cat)?;
        let ratio = self.fleet.ratio(&self.cat);
        write!(out, "{ratio:.1} x reading them, goal <= {FLEET_GOAL} x: {}", verdict(ratio <= FLEET_GOAL))
    }
}
