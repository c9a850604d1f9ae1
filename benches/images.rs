//! What importing local images costs, in one command: `cargo bench --bench images`. It needs `cp`, `rsync`, `stat` and `sync`.
//!
//! * first import: the whole process `apply images` for archives of zstd frames, in 1, 10 and 200 files, against `cp` of the same files and
//!   a `sync` of each (we promise that what has its final name is on the disk), and against `cp` alone, which promises nothing.
//! * second run: the same with nothing to do, against `rsync -a` and against `stat` of the archives and their copies.
//! * memory: the highest peak of all runs, as the kernel gives it to the launcher.
//!
//! Sides take turns. Cold means that the pages of the archives have been dropped before (`posix_fadvise(2)`), warm that they have been
//! read. Every run copies to an empty directory, on the file system of cargo's output. `IMAGES_MIB` is how much is copied: 1024 are the
//! figures to quote; less is for a look. With `-- --check` a missed goal is exit status 1; without, only a run that went wrong is.
#![allow(clippy::disallowed_methods, clippy::indexing_slicing, reason = "a program of its own, without a Host")]

#[path = "../tests/it/support/archives.rs"]
mod archives;
mod support;

use std::{
    env, fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde_json::json;
use support::{Measured, Outcome, Place, Run, Side, launch, mib, path, verdict};

const MIB: usize = 128;
const FILES: [usize; 3] = [1, 10, 200];
/// Rounds that are measured, after one that is not.
const ROUNDS: usize = 5;
/// The same of runs that copy nothing.
const QUICK_ROUNDS: usize = 30;

const SPEED_GOAL: f64 = 0.95;
const STAT_GOAL: f64 = 3.0;
const PEAK_GOAL_KIB: u32 = 4 * 1024;

const CONTENT: &str = "opt/content/images";
const AGENT: &str = "var/lib/rancher/rke2/agent";
const RECORD: &str = "usr/local/lib/provider-rke2/images.json";

fn main() -> ExitCode {
    support::main("images", measure)
}

fn measure() -> Outcome<Report> {
    let place = Place::new("images")?;
    let agent = place.build_agent()?;
    let launcher = place.build_static("launcher")?;
    let size = env::var("IMAGES_MIB").map_or(Ok(MIB), |text| text.parse())?;
    let mut copied = Vec::new();
    let mut again = Vec::new();
    for files in FILES {
        let bench = Bench::prepare(&place, &agent, &launcher, files, size << 20)?;
        for cold in [true, false] {
            copied.push(bench.copies(cold)?);
        }
        again.push(bench.again()?);
        fs::remove_dir_all(&bench.root)?;
    }
    fs::remove_dir_all(&place.work)?;
    fs::create_dir_all(&place.work)?;
    Ok(Report { machine: place.machine()?, size, copied, again })
}

/// A node with its content, and where the others copy it to.
struct Bench<'a> {
    place: &'a Place,
    launcher: &'a Path,
    files: usize,
    root: PathBuf,
    other: PathBuf,
    ours: Run,
}

impl<'a> Bench<'a> {
    fn prepare(place: &'a Place, agent: &Path, launcher: &'a Path, files: usize, bytes: usize) -> Outcome<Self> {
        let root = place.work.join(format!("root-{files}"));
        let content = root.join(CONTENT);
        fs::create_dir_all(&content)?;
        let noise = archives::tar(7, bytes / files);
        for number in 0..files {
            fs::write(content.join(format!("rke2-images-{number:03}.tar.zst")), archives::zstd(&noise, 0x38))?;
        }
        let section = json!({ "cluster": {
            "role": "init",
            "cluster_token": "3f9c1e7ab2d84c60915e7d3ab8f46c2170e5d9b3",
            "import_local_images": true,
            "config": { "cni": "none" },
            "providerConfig": { "images_budget": "10m" },
        }});
        place.configure(agent, &root, &section)?;
        let ours = Run {
            written: root.join(RECORD),
            input: "/dev/null".into(),
            command: vec![path(agent), "--root".into(), path(&root), "apply".into(), "images".into()],
        };
        let other = place.work.join(format!("other-{files}"));
        Ok(Self { place, launcher, files, root, other, ours })
    }

    fn by_shell(&self, script: &str) -> Run {
        let command = ["/bin/sh", "-c", script, "sh", &path(&self.root.join(CONTENT)), &path(&self.other)];
        let command = command.map(str::to_owned).into();
        Run { written: self.other.join(".mark"), input: "/dev/null".into(), command }
    }

    fn run(&self, run: &Run) -> Outcome<Measured> {
        launch(self.place, self.launcher, &[run])?.pop().ok_or_else(|| "no run".into())
    }

    /// Nothing is copied yet, nothing is left to be written, and the archives are in memory or not.
    fn clear(&self, cold: bool) -> Outcome<()> {
        for directory in [self.root.join(AGENT), self.other.clone()] {
            if directory.exists() {
                fs::remove_dir_all(&directory)?;
            }
        }
        fs::create_dir_all(&self.other)?;
        fs::create_dir_all(self.root.join(AGENT).join("images"))?;
        for entry in fs::read_dir(self.root.join(CONTENT))? {
            let mut file = File::open(entry?.path())?;
            file.sync_all()?;
            if cold {
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            } else {
                io::copy(&mut file, &mut io::sink())?;
            }
        }
        rustix::fs::syncfs(File::open(&self.root)?)?;
        Ok(())
    }

    fn copies(&self, cold: bool) -> Outcome<Copied> {
        let durable = self.by_shell(r#"cp "$1"/* "$2" && sync "$2"/* "$2" && : >"$2/.mark""#);
        let plain = self.by_shell(r#"cp "$1"/* "$2" && : >"$2/.mark""#);
        let mut sides = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..=ROUNDS {
            for turn in 0..3 {
                let at = (round + turn) % 3;
                self.clear(cold)?;
                let measured = self.run([&self.ours, &durable, &plain][at])?;
                sides[at].push(measured);
            }
        }
        self.clear(cold)?;
        self.run(&self.ours)?;
        self.same()?;
        let [ours, durable, plain] = sides.each_ref().map(|side| Side::of(&side.iter().collect::<Vec<_>>(), 1));
        Ok(Copied { files: self.files, cold, ours: ours?, durable: durable?, plain: plain? })
    }

    /// Both have all the bytes.
    fn same(&self) -> Outcome<()> {
        let (content, images) = (self.root.join(CONTENT), self.root.join(AGENT).join("images"));
        let compared = Command::new("diff").args(["-rq", "-x", ".cache.json"]).args([content, images]).output()?;
        if compared.stdout.is_empty() && compared.status.success() {
            Ok(())
        } else {
            Err("we copied something else".into())
        }
    }

    fn again(&self) -> Outcome<Again> {
        self.clear(false)?;
        self.run(&self.ours)?;
        let rsync = self.by_shell(r#"rsync -a "$1"/ "$2" && : >"$2/.mark""#);
        self.run(&rsync)?;
        let images = path(&self.root.join(AGENT).join("images"));
        let stat = self.by_shell(&format!(r#"stat -c %Y "$1"/* {images}/* >/dev/null && : >"$2/.mark""#));
        // The record must stay, so the launcher looks at another file that each run writes.
        let log = self.root.join("run/provider-rke2/images.lock");
        let ours = Run { written: log, input: "/dev/null".into(), command: self.ours.command.clone() };
        let mut sides = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..=QUICK_ROUNDS {
            for turn in 0..3 {
                let at = (round + turn) % 3;
                let measured = self.run([&ours, &rsync, &stat][at])?;
                sides[at].push(measured);
            }
        }
        let [ours, rsync, stat] = sides.each_ref().map(|side| Side::of(&side.iter().collect::<Vec<_>>(), 1));
        Ok(Again { files: self.files, ours: ours?, rsync: rsync?, stat: stat? })
    }
}

struct Copied {
    files: usize,
    cold: bool,
    ours: Side,
    durable: Side,
    plain: Side,
}

struct Again {
    files: usize,
    ours: Side,
    rsync: Side,
    stat: Side,
}

struct Report {
    machine: String,
    size: usize,
    copied: Vec<Copied>,
    again: Vec<Again>,
}

impl Report {
    fn peak(&self) -> u32 {
        let sides = self.copied.iter().map(|it| &it.ours).chain(self.again.iter().map(|it| &it.ours));
        sides.map(|side| side.peak_kib).max().unwrap_or(u32::MAX)
    }

    fn speed(&self) -> f64 {
        self.copied.iter().map(|it| it.durable.ratio(&it.ours)).fold(f64::INFINITY, f64::min)
    }

    fn stats(&self) -> f64 {
        self.again.iter().map(|it| it.ours.ratio(&it.stat)).fold(0.0, f64::max)
    }
}

impl support::Report for Report {
    fn goals_met(&self) -> bool {
        self.speed() >= SPEED_GOAL && self.stats() <= STAT_GOAL && self.peak() <= PEAK_GOAL_KIB
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "machine: {}; {} MiB", self.machine, self.size)?;
        for Copied { files, cold, ours, durable, plain } in &self.copied {
            let state = if *cold { "cold" } else { "warm" };
            writeln!(
                out,
                "first import, {files} files, {state}: {:.2} x the speed of cp and sync, {:.2} x that of cp alone",
                durable.ratio(ours),
                plain.ratio(ours)
            )?;
            for (name, side) in [("apply images", ours), ("cp and sync ", durable), ("cp alone    ", plain)] {
                writeln!(out, "  {name} {side}, {:.2} MiB at its peak", mib(side.peak_kib))?;
            }
        }
        for Again { files, ours, rsync, stat } in &self.again {
            let (stats, rsyncs) = (ours.ratio(stat), rsync.ratio(ours));
            writeln!(
                out,
                "second run, {files} files: {stats:.2} x as long as stat, {rsyncs:.1} x faster than rsync -a"
            )?;
            for (name, side) in [("apply images", ours), ("rsync -a    ", rsync), ("stat        ", stat)] {
                writeln!(out, "  {name} {side}, {:.2} MiB at its peak", mib(side.peak_kib))?;
            }
        }
        let (speed, stats, peak) = (self.speed(), self.stats(), self.peak());
        let met = verdict(speed >= SPEED_GOAL);
        writeln!(out, "speed:  at least {speed:.2} x cp and sync, goal >= {SPEED_GOAL} x: {met}")?;
        writeln!(out, "second: at most {stats:.2} x stat, goal <= {STAT_GOAL} x: {}", verdict(stats <= STAT_GOAL))?;
        let met = verdict(peak <= PEAK_GOAL_KIB);
        write!(out, "memory: {:.2} MiB at its peak, goal <= {} MiB: {met}", mib(peak), PEAK_GOAL_KIB / 1024)
    }
}
