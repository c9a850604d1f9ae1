//! The control groups of pods: the kubelet makes them and nobody else removes them (kubernetes `pkg/kubelet/cm`), so empty ones would stay for
//! good, and the next kubelet would take them for those of pods that are to end. And those that OpenRC makes for RKE2: a stop leaves them, because
//! pods run on in them (OpenRC `sh/rc-cgroup.sh`, `cgroup2_remove`).

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::action::Action;
use crate::findings::Reason;
use crate::host::Host;
use crate::rke2::Unit;
use crate::service::systemd;

/// Where hierarchies are: that of cgroup v2, and below it those of cgroup v1.
const ROOT: &str = "/sys/fs/cgroup";

/// The groups of all pods, by the drivers `systemd` and `cgroupfs` of the kubelet, and of OpenRC's services.
const SLICE: &str = "kubepods.slice";
const TREES: [&str; 4] = [SLICE, "kubepods", Unit::Server.name(), Unit::Agent.name()];

/// A pod has one level, its containers the next; below them is what a container makes itself.
const DEPTH: usize = 32;

/// How long systemd may take to stop a slice without processes.
const STOP: Duration = Duration::from_secs(10);

/// How long the kernel may take to let go of processes that have ended.
const GONE: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(50);

/// What takes them away: systemd forgets its slices, then the directories go.
pub(super) fn actions(host: &Host) -> Vec<Action> {
    let trees = trees(host);
    let has_slice = trees.iter().any(|path| path.ends_with(SLICE)) && systemd::runs_here(host);
    let is_active = has_slice && host.run("systemctl", &["is-active", "--quiet", SLICE], STOP).is_ok();
    let stop = is_active.then(|| Action::Run {
        what: format!("stop {SLICE}"),
        command: ["systemctl", "stop", SLICE].map(ToOwned::to_owned).to_vec(),
        input: String::new(),
    });
    stop.into_iter().chain(trees.into_iter().map(|path| Action::RemoveGroups { path })).collect()
}

fn trees(host: &Host) -> Vec<String> {
    // In cgroup v2 it is itself a group, and what is below it are others.
    let is_one = host.is_there(&format!("{ROOT}/cgroup.procs"));
    let names = if is_one { Vec::new() } else { host.list(ROOT).unwrap_or_default() };
    // The controllers that share a hierarchy have symlinks to it.
    let hierarchies = names.into_iter().map(|name| format!("{ROOT}/{name}")).filter(|path| !host.is_symlink(path));
    let all = std::iter::once(ROOT.to_owned()).chain(hierarchies);
    all.flat_map(|hierarchy| TREES.map(|name| format!("{hierarchy}/{name}"))).filter(|path| host.is_dir(path)).collect()
}

/// Removes a tree of control groups; false if it is gone already. Fails if processes are left in it.
pub(super) fn remove(host: &Host, path: &str, end: Instant) -> Result<bool, Reason> {
    if !host.is_there(path) {
        return Ok(false);
    }
    let end = end.min(Instant::now() + GONE);
    loop {
        clear(host, path, DEPTH);
        if !host.is_there(path) {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Err("processes are still in it".into());
        }
        sleep(TICK);
    }
}

fn clear(host: &Host, path: &str, depth: usize) {
    let names = if depth == 0 { Vec::new() } else { host.list(path).unwrap_or_default() };
    for below in names.into_iter().map(|name| format!("{path}/{name}")) {
        if !host.is_symlink(&below) && host.is_dir(&below) {
            clear(host, &below, depth - 1);
        }
    }
    host.remove_empty(path);
}
