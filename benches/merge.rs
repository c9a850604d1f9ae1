//! What merging the drop-ins costs, in one command: `cargo bench --bench merge`. It needs `jq`.
//!
//! * time: the whole process `apply config`, which reads and checks all drop-ins, merges them, writes config.yaml
//!   durably and opens the gate, against `jq` with the filter of the Go provider, which writes the same options from
//!   the same drop-ins into a file, without a sync. Both are run in turn by one small static launcher
//!   (`static/launcher.rs`), which removes the file before each run.
//! * growth: ours for 10 000 options against ours for 1 000. (That of jq is quadratic: to beat it there proves little.)
//! * memory: the highest peak of all runs, as the kernel gives it to the launcher.
//!
//! RKE2 has some 130 options, so many options are many items of lists, and unknown options. Of N options a tenth, at
//! most twenty, are single values of known options; of the others half are items of four list options, and half are
//! unknown options with one text each. One half of all stands in the user's drop-in, the other in one of another
//! author, both JSON, none in both.
//!
//! With `-- --check` a missed goal is exit status 1; without, only a run that went wrong is.
#![allow(clippy::disallowed_methods, reason = "a program of its own, without a Host")]

mod support;

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde_json::{Map, Value, json};
use support::{Measured, Outcome, Place, Run, Side, launch, mib, path, verdict};

/// Numbers of options; how many pairs of runs are measured, and how many before them only warm the caches.
const SIZES: [Size; 4] = [
    Size { options: 10, pairs: 100, warm_up: 10 },
    Size { options: 100, pairs: 100, warm_up: 10 },
    Size { options: 1_000, pairs: 40, warm_up: 4 },
    Size { options: 10_000, pairs: 10, warm_up: 1 },
];

const FASTER_GOAL: f64 = 3.0;
const GROWTH_GOAL: f64 = 12.0;

/// How the Go provider merges the files of config.d.
const FILTER: &str = concat!(
    r#"def flatten: reduce .[] as $i([]; if $i | type == "array" then . + ($i | flatten) else . + [$i] end); "#,
    "[.[] | to_entries] | flatten | reduce .[] as $dot ({}; .[$dot.key] += $dot.value)",
);

const DROP_INS: &str = "etc/rancher/rke2/config.d";
const CONFIG: &str = "etc/rancher/rke2/config.yaml";

struct Size {
    options: usize,
    pairs: usize,
    warm_up: usize,
}

fn main() -> ExitCode {
    support::main("merge", measure)
}

fn measure() -> Outcome<Report> {
    let jq = find("jq").ok_or("jq is not installed, install it")?;
    let place = Place::new("merge")?;
    let agent = place.build_agent()?;
    let launcher = place.build_static("launcher")?;
    let mut sizes = Vec::new();
    for size in &SIZES {
        let (ours, theirs) = prepare(&place, &agent, &jq, size.options)?;
        // The order alternates: neither side always runs in the wake of the other.
        let rounds = size.warm_up + size.pairs;
        let order: Vec<bool> = (0..rounds).flat_map(|pair| [pair % 2 == 0, pair % 2 != 0]).collect();
        let runs: Vec<&Run> = order.iter().map(|is_ours| if *is_ours { &ours } else { &theirs }).collect();
        let results = launch(&place, &launcher, &runs)?;
        let side = |wanted: bool| {
            let of_side = order.iter().zip(&results).filter(|(is_ours, _)| **is_ours == wanted);
            let of_side: Vec<&Measured> = of_side.map(|(_, result)| result).collect();
            let same = of_side.windows(2).all(|pair| matches!(pair, [a, b] if a.written == b.written));
            if same { Side::of(&of_side, size.warm_up) } else { Err("the runs left different files".into()) }
        };
        sizes.push(Compared { options: size.options, pairs: size.pairs, ours: side(true)?, theirs: side(false)? });
    }
    Ok(Report { machine: place.machine()?, jq: version(&jq)?, sizes })
}

/// A program in one of the directories of `PATH`: the launcher clears the environment.
fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn version(jq: &Path) -> Outcome<String> {
    Ok(String::from_utf8(Command::new(jq).arg("--version").output()?.stdout)?.trim().to_owned())
}

/// The options of the user, and those of another author.
fn options(count: usize) -> [Map<String, Value>; 2] {
    const SINGLE: [&str; 20] = [
        "node-name", "resolv-conf", "log", "snapshotter", "system-default-registry", "private-registry",
        "kubelet-path", "etcd-image", "pause-image", "runtime-image", "etcd-s3-endpoint", "etcd-s3-folder",
        "etcd-s3-bucket", "etcd-s3-region", "etcd-snapshot-dir", "etcd-snapshot-name", "kube-apiserver-image",
        "kube-scheduler-image", "audit-policy-file", "default-runtime",
    ];
    const LISTS: [&str; 4] = ["kubelet-arg", "node-label", "kube-apiserver-arg", "tls-san"];
    let mut files = [Map::new(), Map::new()];
    let single = (count / 10).min(SINGLE.len());
    for (number, file) in (0..count).map(|number| (number, number % 2)) {
        let Some(options) = files.get_mut(file) else { continue };
        if let Some(name) = SINGLE.get(number).filter(|_| number < single) {
            options.insert((*name).to_owned(), json!(format!("value-{number:05}")));
        } else if number / 2 % 2 == 0 {
            let name = LISTS.get(number / 4 % LISTS.len()).copied().unwrap_or_default();
            let item = json!(format!("item-{number:05}.example"));
            match options.get_mut(name).and_then(Value::as_array_mut) {
                Some(items) => items.push(item),
                None => drop(options.insert(name.to_owned(), json!([item]))),
            }
        } else {
            options.insert(format!("new-option-{number:05}"), json!(format!("a value of some length {number:05}")));
        }
    }
    files
}

/// A node with so many options, its configuration installed once: what is measured, and that both sides do the same.
fn prepare(place: &Place, agent: &Path, jq: &Path, count: usize) -> Outcome<(Run, Run)> {
    let root = place.work.join(format!("root-{count}"));
    let [user, other] = options(count);
    let drop_ins = root.join(DROP_INS);
    fs::create_dir_all(&drop_ins)?;
    fs::write(drop_ins.join("50_site.yaml"), serde_json::to_string_pretty(&other)?)?;
    let section = json!({ "cluster": {
        "role": "controlplane",
        "cluster_token": "3f9c1e7ab2d84c60915e7d3ab8f46c2170e5d9b3",
        "control_plane_host": "10.10.0.5",
        "config": user,
    }});
    place.configure(agent, &root, &section).map_err(|error| format!("with {count} options: {error}"))?;

    let merged = place.work.join(format!("jq-{count}"));
    fs::create_dir_all(&merged)?;
    let theirs = merged.join("config.yaml");
    let script = r#"exec "$0" -s "$1" "$2"/*.yaml >"$3""#;
    let theirs = Run {
        input: "/dev/null".into(),
        command: ["/bin/sh", "-c", script, &path(jq), FILTER, &path(&drop_ins), &path(&theirs)]
            .map(str::to_owned)
            .into(),
        written: theirs,
    };
    let ours = Run {
        written: root.join(CONFIG),
        input: "/dev/null".into(),
        command: vec![path(agent), "--root".into(), path(&root), "apply".into(), "config".into()],
    };
    let (program, arguments) = theirs.command.split_first().ok_or("no command")?;
    if !Command::new(program).args(arguments).status()?.success() {
        return Err(format!("jq does not merge {count} options").into());
    }
    let read = |file: &Path| -> Outcome<Value> { Ok(serde_json::from_str(&fs::read_to_string(file)?)?) };
    if read(&ours.written)? != read(&theirs.written)? {
        return Err(format!("of {count} options jq makes something else than we do").into());
    }
    Ok((ours, theirs))
}

struct Compared {
    options: usize,
    pairs: usize,
    ours: Side,
    theirs: Side,
}

struct Report {
    machine: String,
    jq: String,
    sizes: Vec<Compared>,
}

impl Report {
    fn size(&self, options: usize) -> Option<&Compared> {
        self.sizes.iter().find(|size| size.options == options)
    }

    /// How many times faster than jq we merge ten options.
    fn faster(&self) -> f64 {
        self.size(10).map_or(0.0, |size| size.theirs.ratio(&size.ours))
    }

    /// How many times longer ten times as many options take.
    fn growth(&self) -> f64 {
        let sizes = self.size(10_000).zip(self.size(1_000));
        sizes.map_or(f64::INFINITY, |(many, fewer)| many.ours.ratio(&fewer.ours))
    }
}

impl support::Report for Report {
    fn goals_met(&self) -> bool {
        self.faster() >= FASTER_GOAL && self.growth() <= GROWTH_GOAL
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "machine: {}; {}", self.machine, self.jq)?;
        for Compared { options, pairs, ours, theirs } in &self.sizes {
            writeln!(out, "{options} options, {pairs} pairs: {:.1} x faster than jq", theirs.ratio(ours))?;
            for (name, side) in [("apply config", ours), ("jq          ", theirs)] {
                writeln!(out, "  {name} {side}, {:.2} MiB at its peak", mib(side.peak_kib))?;
            }
        }
        let (faster, met) = (self.faster(), verdict(self.faster() >= FASTER_GOAL));
        writeln!(out, "time:   {faster:.1} x faster than jq at 10 options, goal >= {FASTER_GOAL} x: {met}")?;
        let (growth, met) = (self.growth(), verdict(self.growth() <= GROWTH_GOAL));
        write!(out, "growth: 10 000 options take {growth:.1} x as long as 1 000, goal <= {GROWTH_GOAL} x: {met}")
    }
}
