//! Which processes run, by what the kernel says of them and never by their names, and ending them.

use std::{
    collections::HashSet,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{readlink, stat},
    process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal},
};

use super::Host;

/// How often a process that was told to end is looked at.
const TICK: Duration = Duration::from_millis(20);

/// Device and inode.
pub(crate) type Identity = (u64, u64);

/// What makes a process one that is looked for; one of these is enough.
#[derive(Debug, Default, Clone)]
pub(crate) struct Search {
    /// Its executable or its root lies below one of these directories.
    pub below: Vec<String>,
    /// Its executable is one of these files.
    pub files: HashSet<Identity>,
    /// Its root is one of these directories.
    pub roots: HashSet<Identity>,
    /// Its control group is one of these, or below one: paths from that of the init system on, `/system.slice/x.service`, `/x`.
    pub groups: Vec<String>,
}

/// A process that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub pid: i32,
    /// Its executable, as the kernel names it.
    pub executable: String,
    /// When it was started, in the kernel's count: with it the number stands for this process only.
    start: u64,
}

impl Host {
    /// Gives the processes that match, but for this one and those that it descends from. With another root than `/`
    /// there are none. A process whose links cannot be read does not match.
    pub(crate) fn processes(&self, search: &Search) -> Vec<Process> {
        if !self.is_real() {
            return Vec::new();
        }
        let Some(here) = Here::new() else { return Vec::new() };
        let spared = ancestors();
        let names = self.list("/proc").unwrap_or_default();
        let pids = names.iter().filter_map(|name| name.parse::<i32>().ok()).filter(|pid| !spared.contains(pid));
        pids.filter_map(|pid| self.found(pid, search, &here)).collect()
    }

    /// Sends SIGTERM to each, after `grace` SIGKILL to those that are left, and gives those that are left after
    /// `burial`.
    pub(crate) fn end_processes(&self, processes: &[Process], grace: Duration, burial: Duration) -> Vec<Process> {
        let mut left = processes.to_vec();
        for (signal, wait) in [(Signal::TERM, grace), (Signal::KILL, burial)] {
            for process in &left {
                send(process, signal);
            }
            let end = Instant::now() + wait;
            loop {
                left.retain(is_alive);
                if left.is_empty() || Instant::now() >= end {
                    break;
                }
                sleep(TICK);
            }
        }
        left
    }

    fn found(&self, pid: i32, search: &Search, here: &Here) -> Option<Process> {
        let start = stat_of(pid)?.start;
        let link = |what: &str| {
            let link = readlink(format!("/proc/{pid}/{what}"), Vec::new()).ok()?;
            Some(String::from_utf8_lossy(link.as_bytes()).into_owned())
        };
        let executable = link("exe")?;
        let file = identity(&format!("/proc/{pid}/exe"))?;
        let root = identity(&format!("/proc/{pid}/root"))?;
        let is_ours = search.files.contains(&file)
            || runs_from(pid, &executable, file, search, here)
            || (root != here.root && (search.roots.contains(&root) || lies_at(&link("root")?, root, search)))
            || self.is_in_group(pid, search, here);
        is_ours.then_some(Process { pid, executable, start })
    }

    fn is_in_group(&self, pid: i32, search: &Search, here: &Here) -> bool {
        let Some(prefix) = here.groups.as_deref().filter(|_| !search.groups.is_empty()) else { return false };
        let text = self.read(&format!("/proc/{pid}/cgroup"), 1 << 16).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut groups = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)?.strip_prefix(prefix));
        let is_below = |group: &str, ours: &String| {
            group.strip_prefix(ours.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        groups.any(|group| search.groups.iter().any(|ours| is_below(group, ours)))
    }
}

/// What this process takes for the machine.
struct Here {
    root: Identity,
    /// Its mount namespace.
    mounts: Option<Identity>,
    /// The control group that the init system's own groups are in; none where init is not ours to see, as in a chroot.
    groups: Option<String>,
}

impl Here {
    fn new() -> Option<Here> {
        let root = identity("/")?;
        let is_inits = identity("/proc/1/root") == Some(root);
        let text = is_inits.then(|| std::fs::read_to_string("/proc/1/cgroup").ok()).flatten();
        let group = text.and_then(|text| {
            let named = [":name=systemd:", ":name=openrc:"];
            let is_own = |line: &&str| line.starts_with("0::") || named.iter().any(|it| line.contains(it));
            let line = text.lines().find(is_own)?;
            let group = line.splitn(3, ':').nth(2)?;
            Some(group.strip_suffix("/init.scope").unwrap_or(group).trim_end_matches('/').to_owned())
        });
        Some(Here { root, mounts: identity("/proc/self/ns/mnt"), groups: group })
    }
}

fn identity(path: &str) -> Option<Identity> {
    let stat = stat(path).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Whether a path lies below a directory of the search.
fn below(path: &str, search: &Search) -> bool {
    search.below.iter().any(|directory| path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/')))
}

/// The path alone proves nothing, for in a chroot processes of the host show the same: it must lead us to the file. To a deleted one no path
/// leads any more; with the same root in the same mounts it was there.
fn runs_from(pid: i32, executable: &str, file: Identity, search: &Search, here: &Here) -> bool {
    if let Some(deleted) = executable.strip_suffix(" (deleted)") {
        let namespace = || identity(&format!("/proc/{pid}/ns/mnt")) == here.mounts && here.mounts.is_some();
        return below(deleted, search) && identity(&format!("/proc/{pid}/root")) == Some(here.root) && namespace();
    }
    lies_at(executable, file, search)
}

fn lies_at(path: &str, file: Identity, search: &Search) -> bool {
    below(path, search) && identity(path) == Some(file)
}

struct Stat {
    is_dead: bool,
    parent: i32,
    start: u64,
}

/// What of /proc/PID/stat counts here (`proc_pid_stat(5)`); the name may hold anything, also parentheses.
fn stat_of(pid: i32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        is_dead: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

fn is_alive(process: &Process) -> bool {
    stat_of(process.pid).is_some_and(|stat| !stat.is_dead && stat.start == process.start)
}

fn ancestors() -> HashSet<i32> {
    let mut pid = getpid().as_raw_nonzero().get();
    let mut spared = HashSet::from([0, 1]);
    while spared.insert(pid) {
        pid = stat_of(pid).map_or(0, |stat| stat.parent);
    }
    spared
}

/// A number that belongs to another process by now is seen after the descriptor is open: that stays with the process.
fn send(process: &Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) if is_alive(process) => drop(pidfd_send_signal(&fd, signal)),
        Err(rustix::io::Errno::NOSYS) if is_alive(process) => drop(rustix::process::kill_process(pid, signal)),
        _ => {}
    }
}
