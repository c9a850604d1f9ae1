//! Whatever stands in the way of the real program, config.yaml is the old or the new one, whole, and the gate is never
//! open for a configuration that was not asked for.
//!
//! A test takes a node in one of three beginnings ([`Begin`]: nothing is installed, something was by an earlier boot, or by this one), asks
//! for another configuration ([`Turn::ask`]), does something bad, compares with the two configurations what is there ([`Turn::check`]), and
//! lets an undisturbed run bring everything in order ([`Turn::heal`]). What is bad is a file that is spoiled, a file system that is full, or
//! a [`Fault`] of one system call, made by strace:
//!
//! ```text
//! let turn = Turn::new(Begin::NewBoot);                                       // the server is installed; this boot asks for its change
//! turn.ask();                                                                 // agent.boot, then yip lays out the files
//! let fault = Fault { call: "renameat", when: 2, what: Fails("ENOSPC") };     // the second renameat fails
//! fault.traced(&turn.node, log, &known, &["apply", "config"]);                // the run that meets it; `known` are the paths that count
//! turn.check(case);                                                           // each file is the old or the new one, the gate fits
//! turn.heal(turn.asked, case);                                                // the next run installs the change
//! ```
//!
//! `FAULTS_KILLS` sets how many kills at random times there are (300).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread::{self, sleep};
use std::time::{Duration, SystemTime};

use crate::support::What::{Fails, Killed};
use crate::support::{
    self, AT_ONCE, CONFIG, DOCUMENT, Fault, GATES, Node, REFUSED, Ran, UNITS, can_trace, each, event, inner_room,
    inside, paths, tampered, traced, until,
};

/// The first server, another configuration of it, and an agent.
const SERVER: &str = "#cloud-config
cluster:
  role: init
  cluster_token: a-token-that-is-long-enough
  control_plane_host: 10.10.0.5
  env:
    HTTPS_PROXY: http://proxy.test:3128
  config: |
    node-name: server-1
";
const CHANGED: &str = "#cloud-config
cluster:
  role: init
  cluster_token: another-token-that-is-long-enough
  control_plane_host: 10.10.0.6
  env:
    RKE2_DATA_DIR: /var/lib/other
  config: |
    node-name: server-one
    node-label: [a=b, c=d]
    etcd-snapshot-retention: 7
";
const AGENT: &str = "#cloud-config
cluster:
  role: worker
  cluster_token: a-token-that-is-long-enough
  control_plane_host: 10.10.0.5
  config: |
    node-name: agent-1
";
const BAD: &str = "#cloud-config\ncluster:\n  role: master\n  cluster_token: a-token-that-is-long-enough\n";

const DROP_INS: [&str; 2] =
    ["etc/rancher/rke2/config.d/90_userdata.yaml", "etc/rancher/rke2/config.d/99_userdata.yaml"];
const STAGED: [&str; 3] = [
    "run/provider-rke2/plan.yaml",
    "run/provider-rke2/config.d/90_userdata.yaml",
    "run/provider-rke2/config.d/99_userdata.yaml",
];
/// A cloud-config, and what an undisturbed run makes of it.
struct Asked {
    cloud_config: &'static str,
    unit: &'static str,
    document: String,
    /// Everything in /etc/rancher and /etc/default.
    installed: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Asked {
    fn new(cloud_config: &'static str, unit: &'static str, name: &str) -> Asked {
        let node = Node::new();
        assert_eq!(node.boot(cloud_config)["error"], "");
        node.stage();
        let ran = node.run(&["apply", "config"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let config = node.read(CONFIG).unwrap();
        assert!(config.contains(&format!("\"node-name\": \"{name}\"")), "{config}");
        assert_eq!(node.open_gates(), [unit]);
        Asked { cloud_config, unit, document: node.read(DOCUMENT).unwrap(), installed: installed(&node) }
    }

    fn of(&self, path: &str) -> String {
        String::from_utf8(self.installed[path].1.clone()).unwrap()
    }
}

static ASKED: LazyLock<[Asked; 3]> = LazyLock::new(|| {
    [
        Asked::new(SERVER, "rke2-server", "server-1"),
        Asked::new(CHANGED, "rke2-server", "server-one"),
        Asked::new(AGENT, "rke2-agent", "agent-1"),
    ]
});

/// One of the three, which follow each other in a circle: the server, its change, the agent.
fn asked(number: usize) -> &'static Asked {
    &ASKED[number % ASKED.len()]
}

fn server() -> &'static Asked {
    asked(0)
}

fn changed() -> &'static Asked {
    asked(1)
}

/// Puts something wrong in the place of a file.
type Spoiled = fn(&Node, &str);

/// All that RKE2 reads.
fn installed(node: &Node) -> BTreeMap<String, (u32, Vec<u8>)> {
    ["etc/rancher/", "etc/default/"].into_iter().flat_map(|below| node.files(below)).collect()
}

/// How a case begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// A node that never was configured.
    Fresh,
    /// Configured in an earlier boot: the gate of this one is shut.
    NewBoot,
    /// Configured in this boot: the gate is open for what is installed.
    SameBoot,
}

const BEGINS: [Begin; 3] = [Begin::Fresh, Begin::NewBoot, Begin::SameBoot];

/// A node on which something is installed and something else is asked for.
struct Turn {
    node: Node,
    before: Option<&'static Asked>,
    asked: &'static Asked,
    begin: Begin,
}

impl Turn {
    /// The server is installed, unless the node is fresh, and its change is asked for.
    fn new(begin: Begin) -> Turn {
        Turn::nth(begin, 0)
    }

    /// Another of the three is installed, and the one that follows it is asked for.
    fn nth(begin: Begin, number: usize) -> Turn {
        let (before, asked) = (asked(number), asked(number + 1));
        let turn = Turn { node: Node::new(), before: (begin != Begin::Fresh).then_some(before), asked, begin };
        if begin != Begin::Fresh {
            turn.install(before);
        }
        turn
    }

    fn install(&self, asked: &Asked) {
        assert_eq!(self.node.boot(asked.cloud_config)["error"], "");
        self.apply(asked);
    }

    fn apply(&self, asked: &Asked) {
        self.node.stage();
        self.heal(asked, "undisturbed");
    }

    /// The plan phase and yip, but not yet `apply config`.
    fn ask(&self) {
        let answer = match self.begin {
            Begin::SameBoot => self.node.boot(self.asked.cloud_config),
            _ => self.node.boot_anew(self.asked.cloud_config),
        };
        assert_eq!(answer["error"], "");
        self.node.stage();
    }

    /// Goes on with the next configuration on the same node.
    fn next(mut self, begin: Begin) -> Turn {
        let at = ASKED.iter().position(|it| std::ptr::eq(it, self.asked)).unwrap();
        self.before = Some(self.asked);
        self.asked = asked(at + 1);
        self.begin = begin;
        self
    }

    /// What must hold at any time after `apply config` was begun, however it ended.
    fn check(&self, case: &str) {
        let node = &self.node;
        for path in [CONFIG, DROP_INS[0], DROP_INS[1]] {
            let found = installed(node).remove(path);
            let old = self.before.map(|it| it.installed[path].clone());
            let new = self.asked.installed[path].clone();
            assert!(found == old || found == Some(new), "{case}: {path} is {found:?}");
        }
        let open = node.open_gates();
        assert!(open.len() < 2, "{case}: {open:?}");
        let Some(unit) = open.first() else { return };
        let environment = format!("etc/default/{unit}");
        let is = |it: &Asked| {
            let environment_of = it.installed.contains_key(&environment).then(|| it.of(&environment));
            it.unit == *unit && node.read(CONFIG) == Some(it.of(CONFIG)) && node.read(&environment) == environment_of
        };
        let untouched = |it: &Asked| {
            self.begin == Begin::SameBoot
                && is(it)
                && DROP_INS.into_iter().all(|path| node.read(path) == Some(it.of(path)))
        };
        let what = node.read(CONFIG);
        assert!(is(self.asked) || self.before.is_some_and(untouched), "{case}: open for {unit}, with {what:?}");
        assert!(GATES.into_iter().all(|gate| node.exists(gate)), "{case}: open, but there is no gate");
    }

    /// Another run, undisturbed, brings everything in order.
    fn heal(&self, asked: &Asked, case: &str) {
        let ran = self.node.run(&["apply", "config"]);
        assert_eq!(ran.code, Some(0), "{case}: {ran:?}");
        assert!(installed(&self.node) == asked.installed, "{case}: not healed");
        assert_eq!(self.node.open_gates(), [asked.unit], "{case}");
        assert_eq!(self.node.left_over(), [""; 0], "{case}");
    }
}

// --- killed -------------------------------------------------------------------------------------------------------

#[test]
fn killed_at_any_time() {
    const WORKERS: u32 = 2;
    let kills: u32 = env::var("FAULTS_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(300);
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos() | 1;
    let worker = |mut random: u32| {
        let mut turn = Turn::new(Begin::SameBoot);
        turn.ask();
        // How long a run takes; it changes with what else the machine does.
        let mut usual = turn.node.run(&["apply", "config"]).took;
        turn = turn.next(Begin::SameBoot);
        let mut killed = 0;
        for number in 0..kills / WORKERS {
            turn.ask();
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let delay = usual * (random % 1000) / 1000;
            let mut child = support::start(&mut turn.node.program(&["apply", "config"]), b"");
            sleep(delay);
            let _ = child.child.kill();
            let is_killed = child.end().signal == Some(9);
            killed += u32::from(is_killed);
            usual = if is_killed { usual * 51 / 50 } else { delay };
            let case = format!("kill {number} of seed {seed}, {:?}, after {delay:?}", turn.begin);
            turn.check(&case);
            turn.heal(turn.asked, &case);
            turn = turn.next(BEGINS[1 + number as usize / 2 % 2]);
        }
        killed
    };
    let killed: u32 = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|number| scope.spawn(move || worker(seed + 2 * number))).collect();
        workers.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert!(killed >= kills / 4, "only {killed} of {kills} runs were killed before they ended");
}

/// System calls by which the program changes files, or finds out what there is.
const CALLS: &[&str] = &[
    "write", "fsync", "renameat", "openat", "openat2", "unlinkat", "fchmod", "mkdirat", "flock", "newfstatat", "close",
    "read", "getdents64",
];

/// Those that a run may do without.
const RARE: [&str; 4] = ["fchmod", "mkdirat", "unlinkat", "getdents64"];

/// Which of the calls are tried: of those that are many and change nothing, every fifth will do.
fn step(call: &str) -> usize {
    if matches!(call, "read" | "close" | "newfstatat") { 5 } else { 1 }
}

#[test]
fn killed_at_each_system_call() {
    if !can_trace() {
        return;
    }
    each(CALLS.len() * BEGINS.len(), |number| {
        let (call, begin) = (CALLS[number % CALLS.len()], BEGINS[number / CALLS.len()]);
        let log = tempfile::NamedTempFile::new().unwrap();
        let step = step(call);
        let mut turn = Turn::nth(begin, number);
        for when in (1..).step_by(step) {
            let fault = Fault { call, when, what: Killed };
            let case = format!("{begin:?}, {fault}");
            turn.ask();
            let ran = support::run(&mut fault.traced(&turn.node, log.path(), &[], &["apply", "config"]), b"");
            turn.check(&case);
            turn.heal(turn.asked, &case);
            if ran.signal.is_none() {
                assert_eq!(ran.code, Some(0), "{case}: {ran:?}");
                assert!(when > 1 || RARE.contains(&call), "no {call} at all");
                return;
            }
            turn = if begin == Begin::Fresh { Turn::nth(begin, when) } else { turn.next(begin) };
        }
    });
}

// --- errors of the system -----------------------------------------------------------------------------------------

/// Calls, and what they may fail with.
const ERRORS: &[(&str, &[&str])] = &[
    ("write", &["EIO", "ENOSPC", "EDQUOT"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("renameat", &["EIO", "ENOSPC", "EROFS"]),
    ("openat", &["EIO", "ENOSPC", "EROFS", "EMFILE"]),
    ("openat2", &["EIO", "EROFS", "EMFILE"]),
    ("unlinkat", &["EIO", "EROFS"]),
    ("fchmod", &["EIO", "EROFS"]),
    ("mkdirat", &["EIO", "ENOSPC", "EROFS"]),
    ("flock", &["ENOLCK"]),
    ("newfstatat", &["EIO"]),
    ("read", &["EIO"]),
    ("getdents64", &["EIO"]),
];

/// Each call, and how it begins.
fn each_error(work: impl Fn(&'static str, &'static [&'static str], Begin, usize) + Sync) {
    each(ERRORS.len() * BEGINS.len(), |number| {
        let ((call, errors), begin) = (ERRORS[number % ERRORS.len()], BEGINS[number / ERRORS.len()]);
        work(call, errors, begin, number);
    });
}

/// The paths that an undisturbed run comes upon.
fn traced_paths(node: &Node, arguments: &[&str], stdin: &[u8]) -> Vec<String> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = ["-etrace=%file,%desc,flock,fsync".to_owned()];
    support::run(&mut traced(node, log.path(), &options, arguments), stdin);
    paths(node, log.path())
}

#[test]
fn apply_config_meets_an_error_at_each_system_call() {
    if !can_trace() {
        return;
    }
    each_error(|call, errors, begin, number| {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut turn = Turn::nth(begin, number);
        turn.ask();
        // A node with a log, as there is one after any boot; the paths are those of all runs on it.
        let known = {
            let paths = traced_paths(&turn.node, &["apply", "config"], b"");
            if begin != Begin::Fresh {
                turn = turn.next(begin);
            }
            paths
        };
        for when in 1.. {
            if begin == Begin::Fresh {
                for path in ["etc", "var", "run"] {
                    turn.node.clear(path);
                }
            }
            turn.ask();
            let error = errors[when % errors.len()];
            let fault = Fault { call, when, what: Fails(error) };
            let ran = support::run(&mut fault.traced(&turn.node, log.path(), &known, &["apply", "config"]), b"");
            let Some(path) = tampered(&turn.node, log.path()) else {
                assert!(when > 1 || RARE.contains(&call), "no {call} at all: {ran:?}");
                turn.heal(turn.asked, "the last");
                return;
            };
            let case = format!("{begin:?}, {fault}, {path}: {ran:?}");
            turn.check(&case);
            failed_or_done(&turn, &ran, &path, &case);
            turn.heal(turn.asked, &case);
            if begin != Begin::Fresh {
                turn = turn.next(begin);
            }
        }
    });
}

/// Either what was asked for is installed and may start, or nothing may start and the sentence names the file.
fn failed_or_done(turn: &Turn, ran: &Ran, path: &str, case: &str) {
    match ran.code {
        Some(0) => {
            assert!(installed(&turn.node) == turn.asked.installed, "{case}: not installed");
            assert_eq!(turn.node.open_gates(), [turn.asked.unit], "{case}");
        }
        Some(1) => {
            assert_eq!(turn.node.open_gates(), [""; 0], "{case}");
            let told = ran.stderr.lines().any(|line| line.contains(path) && line.starts_with("agent-provider-rke2: "));
            assert!(told, "{case}: the file is not named");
        }
        // Without its root the program can do nothing at all.
        Some(2) => assert_eq!(path, "/", "{case}"),
        _ => panic!("{case}"),
    }
}

#[test]
fn an_event_whose_disk_hangs_is_answered_and_ends() {
    if !can_trace() {
        return;
    }
    let node = Node::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    // strace itself waits to the end of the delay.
    let hangs = ["-etrace=fsync", "-einject=fsync:delay_enter=20s:when=1"].map(str::to_owned);
    let event = event("agent.boot", server().cloud_config);
    let ran = support::run(&mut traced(&node, log.path(), &hangs, &["agent.boot"]), &event);
    assert!(support::answer(&ran)["error"].contains("gave up after 18 seconds"), "{ran:?}");
    // Nothing is decided, so nothing starts.
    assert!(node.exists(REFUSED) && !node.exists(DOCUMENT), "{:?}", node.read(REFUSED));
}

#[test]
fn agent_boot_meets_an_error_at_each_system_call() {
    if !can_trace() {
        return;
    }
    each_error(|call, errors, begin, number| {
        let log = tempfile::NamedTempFile::new().unwrap();
        let node = Node::new();
        let known = {
            node.boot(server().cloud_config);
            traced_paths(&node, &["agent.boot"], &event("agent.boot", changed().cloud_config))
        };
        for when in 1.. {
            let (before, asked) = (asked(number + when), asked(number + when + 1));
            if begin == Begin::Fresh {
                for path in ["usr", "etc", "var"] {
                    node.clear(path);
                }
            } else {
                assert_eq!(node.boot(before.cloud_config)["error"], "");
            }
            match begin {
                // What a boot that was refused has left.
                Begin::SameBoot => assert_ne!(node.boot(BAD)["error"], ""),
                _ => node.clear("run"),
            }
            let error = errors[when % errors.len()];
            let fault = Fault { call, when, what: Fails(error) };
            let event = event("agent.boot", asked.cloud_config);
            let ran = support::run(&mut fault.traced(&node, log.path(), &known, &["agent.boot"]), &event);
            let answer = support::answer(&ran);
            let Some(path) = tampered(&node, log.path()) else {
                // A fresh node has no file that an event reads.
                let is_rare = RARE.contains(&call) || (begin == Begin::Fresh && call == "read");
                assert!(when > 1 || is_rare, "no {call} at all");
                return;
            };
            let case = format!("{begin:?}, {fault}, {path}: {ran:?}");
            let document = node.read(DOCUMENT);
            let is_new = document.as_ref() == Some(&asked.document);
            let old = (begin != Begin::Fresh).then_some(&before.document);
            assert!(is_new || document.as_ref() == old, "{case}: {document:?}");
            if !is_new {
                assert!(answer["error"].contains(&path), "{case}: the file is not named");
                // Without its root the program can do nothing at all.
                let told = node.exists(REFUSED) || answer["error"].contains("/run/provider-rke2") || path == "/";
                assert!(told, "{case}: the old document is in force");
            }
            if answer["error"].is_empty() {
                assert!(!node.exists(REFUSED), "{case}: refused without an error");
                assert!(GATES.into_iter().all(|gate| node.exists(gate)), "{case}: there is no gate");
            } else {
                assert!(answer["error"].contains(&path), "{case}: the file is not named");
            }
            assert_eq!(node.boot(asked.cloud_config)["error"], "", "{case}");
            assert_eq!(node.read(DOCUMENT).as_ref(), Some(&asked.document), "{case}");
            assert_eq!((node.left_over(), node.exists(REFUSED)), (Vec::new(), false), "{case}");
        }
    });
}

/// Without a cluster section the document must not run any more; where it cannot be put aside, somebody is told.
#[test]
fn agent_boot_without_a_section_meets_an_error_at_each_system_call() {
    const NONE: &str = "#cloud-config\n\n# Sources:\n# - cmdline\n\nhostname: a\n";
    if !can_trace() {
        return;
    }
    each(ERRORS.len(), |number| {
        let (call, errors) = ERRORS[number];
        let log = tempfile::NamedTempFile::new().unwrap();
        let node = Node::new();
        let event = event("agent.boot", NONE);
        node.boot(SERVER);
        let known = traced_paths(&node, &["agent.boot"], &event);
        let retired = format!("{DOCUMENT}.retired");
        for when in 1.. {
            node.clear(&retired);
            assert_eq!(node.boot(SERVER)["error"], "");
            let error = errors[when % errors.len()];
            let fault = Fault { call, when, what: Fails(error) };
            let ran = support::run(&mut fault.traced(&node, log.path(), &known, &["agent.boot"]), &event);
            let answer = support::answer(&ran);
            let Some(path) = tampered(&node, log.path()) else { break };
            let case = format!("{fault}, {path}: {ran:?}");
            let (document, aside) = (node.read(DOCUMENT), node.read(&retired));
            assert!(document.is_some() != aside.is_some(), "{case}: {document:?} and {aside:?}");
            assert_eq!(document.as_ref().or(aside.as_ref()), Some(&server().document), "{case}");
            assert!(aside.is_some() || answer["error"].contains(&path), "{case}: it still runs, and nobody is told");
            assert_eq!(node.boot(NONE)["error"], "", "{case}");
            assert!(!node.exists(DOCUMENT) && !GATES.into_iter().any(|gate| node.exists(gate)), "{case}: not healed");
        }
    });
}

/// What says that nothing may start must hold also where it cannot be read.
#[test]
fn a_refused_plan_stays_refused_whatever_fails() {
    if !can_trace() {
        return;
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let turn = Turn::new(Begin::SameBoot);
    turn.ask();
    assert_ne!(turn.node.boot(BAD)["error"], "");
    let known = traced_paths(&turn.node, &["apply", "config"], b"");
    for (call, error) in [("openat2", "EMFILE"), ("openat2", "EIO"), ("read", "EIO"), ("fstat", "EIO")] {
        for when in 1.. {
            let fault = Fault { call, when, what: Fails(error) };
            // As a successful run before has left it.
            turn.node.write("run/provider-rke2/ready-rke2-server", "", 0o600);
            let ran = support::run(&mut fault.traced(&turn.node, log.path(), &known, &["apply", "config"]), b"");
            let Some(path) = tampered(&turn.node, log.path()) else { break };
            let case = format!("{fault}, {path}: {ran:?}");
            assert_ne!(ran.code, Some(0), "{case}");
            assert!(installed(&turn.node) == turn.before.unwrap().installed, "{case}");
            // What keeps the gate itself from being shut is told.
            let told = ran.stderr.contains(&path);
            assert!(turn.node.open_gates().is_empty() || told || path == "/", "{case}");
        }
    }
}

// --- full and read-only file systems ------------------------------------------------------------------------------

#[test]
fn a_full_or_read_only_file_system() {
    // Nodes are made in the run inside, where file systems may be mounted.
    const ALLOWED: &str = "mount -t tmpfs none \"$1\"";
    if inner_room().is_none() {
        let room = tempfile::tempdir().unwrap();
        return inside("faults::a_full_or_read_only_file_system", ALLOWED, room.path());
    }
    for begin in [Begin::NewBoot, Begin::SameBoot] {
        full(begin, "etc/rancher", "size=64k");
        full(begin, "etc/rancher", "nr_inodes=9");
        full(begin, "run/provider-rke2", "nr_inodes=20");
        read_only(begin, "etc");
        read_only(begin, "run");
    }
    full_of_blocks_in_run();
    prestart_in_a_read_only_run();
    plan_on_full_disks();
}

fn mount(arguments: &[&str], on: &Path) {
    assert!(
        Command::new("mount").args(arguments).arg(on).status().unwrap().success(),
        "{arguments:?} {}",
        on.display()
    );
}

fn unmount(on: &Path) {
    assert!(Command::new("umount").arg(on).status().unwrap().success(), "{}", on.display());
}

/// Moves a directory of the node into a file system of its own.
fn mounted(node: &Node, directory: &str, options: &str) {
    let files = node.files(&format!("{directory}/"));
    mount(&["-t", "tmpfs", "-o", &format!("mode=755,{options}"), "none"], &node.path(directory));
    for (path, (mode, bytes)) in files {
        if mode & 0o170_000 == 0o040_000 {
            fs::create_dir_all(node.path(&path)).unwrap();
        } else {
            node.write(&path, bytes, mode & 0o7777);
        }
    }
    for private in ["run/provider-rke2", "run/provider-rke2/config.d", "etc/rancher/rke2/config.d"] {
        if node.exists(private) {
            fs::set_permissions(node.path(private), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
    }
}

/// Fills a file system until it takes neither a byte nor, where these are what is short, a file.
fn fill(node: &Node, directory: &str) -> Vec<String> {
    let names: Vec<String> = (0..100).map(|number| format!("{directory}/ballast-{number}")).collect();
    for name in &names {
        let _ = fs::write(node.path(name), vec![0; 8192]);
    }
    assert!(fs::write(node.path(&format!("{directory}/one-more")), b"x").is_err(), "{directory} is not full");
    node.clear(&format!("{directory}/one-more"));
    names
}

fn full(begin: Begin, directory: &str, options: &str) {
    let case = format!("{directory} with {options}, {begin:?}");
    let turn = Turn::new(begin);
    turn.ask();
    mounted(&turn.node, directory, options);
    let ballast = fill(&turn.node, directory);
    let ran = turn.node.run(&["apply", "config"]);
    turn.check(&case);
    failed_or_done(&turn, &ran, &format!("/{directory}/"), &case);
    // The file that shut the gate makes room for the one that opens it.
    let has_room = directory.starts_with("run/") && begin == Begin::SameBoot;
    assert!(has_room || ran.code == Some(1), "{case}: {ran:?}");
    assert!(has_room || ran.stderr.contains(": no space left on device"), "{case}: {ran:?}");
    assert_eq!(turn.node.left_over(), [""; 0], "{case}");
    for path in ballast {
        turn.node.clear(&path);
    }
    turn.heal(turn.asked, &case);
    // What is installed already needs no space.
    let ballast = fill(&turn.node, directory);
    let ran = turn.node.run(&["apply", "config"]);
    assert_eq!((ran.code, turn.node.open_gates()), (Some(0), vec![turn.asked.unit]), "{case}, unchanged: {ran:?}");
    for path in ballast {
        turn.node.clear(&path);
    }
    turn.heal(turn.asked, &format!("{case}, unchanged"));
    unmount(&turn.node.path(directory));
}

/// Blocks, but not files, are short in /run: a gate that opens is an empty file.
fn full_of_blocks_in_run() {
    let turn = Turn::new(Begin::NewBoot);
    turn.ask();
    mounted(&turn.node, "run", "size=128k");
    fill(&turn.node, "run");
    let ran = turn.node.run(&["apply", "config"]);
    turn.check("full /run");
    failed_or_done(&turn, &ran, "/run", "full /run");
    // What could not be recorded is not told as if all were well.
    let status = turn.node.run(&["status"]);
    assert!(ran.code == Some(0) || status.code != Some(0), "{ran:?} {status:?}");
    unmount(&turn.node.path("run"));
}

fn read_only(begin: Begin, directory: &str) {
    let case = format!("read-only {directory}, {begin:?}");
    let turn = Turn::new(begin);
    turn.ask();
    let path = turn.node.path(directory);
    let remount = || {
        mounted(&turn.node, directory, "size=1m");
        mount(&["-o", "remount,bind,ro"], &path);
    };
    remount();
    let before = turn.node.files("");
    let ran = turn.node.run(&["apply", "config"]);
    assert_eq!(ran.code, Some(1), "{case}: {ran:?}");
    let told = ran
        .stderr
        .lines()
        .any(|line| line.contains(&format!("/{directory}/")) && line.ends_with("read-only file system"));
    assert!(told, "{case}: {ran:?}");
    let after = turn.node.files("etc/");
    // The person at the console is told all the same.
    let told = |path: &str| path.starts_with("etc/issue.d");
    assert!(after.iter().all(|(path, file)| told(path) || before.get(path) == Some(file)), "{case}");
    if directory == "etc" {
        assert_eq!(turn.node.open_gates(), [""; 0], "{case}");
    }
    turn.check(&case);
    unmount(&path);
    turn.ask();
    turn.heal(turn.asked, &case);
    // What is installed already needs no writing.
    remount();
    let before = installed(&turn.node);
    let ran = turn.node.run(&["apply", "config"]);
    assert!(ran.code == Some(0) || directory == "run", "{case}, unchanged: {ran:?}");
    assert!(before == installed(&turn.node), "{case}, unchanged");
    if ran.code == Some(0) {
        assert_eq!(turn.node.open_gates(), [turn.asked.unit], "{case}, unchanged");
    }
    unmount(&path);
}

fn prestart_in_a_read_only_run() {
    let turn = Turn::new(Begin::SameBoot);
    let path = turn.node.path("run");
    mounted(&turn.node, "run", "size=1m");
    mount(&["-o", "remount,bind,ro"], &path);
    let ran = turn.node.run(&["prestart", "rke2-server"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.took < AT_ONCE && ran.stderr.contains("/run/provider-rke2/started"), "{ran:?}");
    unmount(&path);
}

fn plan_on_full_disks() {
    for (directory, options) in [("usr/local/cloud-config", "size=64k"), ("usr/local/cloud-config", "nr_inodes=3")] {
        let node = Node::new();
        node.boot(server().cloud_config);
        node.clear("run");
        mounted(&node, directory, options);
        let ballast = fill(&node, directory);
        let answer = node.boot(changed().cloud_config);
        assert!(
            answer["error"].contains(DOCUMENT) && answer["error"].contains("no space left on device"),
            "{answer:?}"
        );
        assert_eq!(node.read(DOCUMENT).as_ref(), Some(&server().document));
        assert!(node.read(REFUSED).unwrap().contains(DOCUMENT));
        // The document in force is not the one that was asked for.
        node.stage();
        assert_eq!(node.run(&["apply", "config"]).code, Some(1));
        assert!(!node.exists("etc/rancher") && node.open_gates().is_empty());
        for path in ballast {
            node.clear(&path);
        }
        assert_eq!(node.boot(changed().cloud_config)["error"], "");
        assert_eq!(node.read(DOCUMENT).as_ref(), Some(&changed().document));
        unmount(&node.path(directory));
    }
    for options in ["ro", "nr_inodes=2"] {
        let node = Node::new();
        node.boot(server().cloud_config);
        node.clear("run");
        fs::create_dir(node.path("run")).unwrap();
        mounted(&node, "run", "size=1m,nr_inodes=2");
        if options == "ro" {
            mount(&["-o", "remount,bind,ro"], &node.path("run"));
        } else {
            fill(&node, "run");
        }
        let answer = node.boot(changed().cloud_config);
        assert!(answer["error"].contains("/run/provider-rke2"), "{answer:?}");
        let document = node.read(DOCUMENT);
        assert!([server(), changed()].iter().any(|it| document.as_ref() == Some(&it.document)));
        unmount(&node.path("run"));
    }
}

// --- several at a time --------------------------------------------------------------------------------------------

#[test]
fn several_at_a_time() {
    for (number, count) in [2, 10, 2, 10].into_iter().enumerate() {
        let begin = BEGINS[number % 3];
        let turn = Turn::nth(begin, number);
        turn.ask();
        let runs: Vec<_> =
            (0..count).map(|_| support::start(&mut turn.node.program(&["apply", "config"]), b"")).collect();
        for ran in runs.into_iter().map(support::Running::end) {
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        turn.check("several");
        turn.heal(turn.asked, "several");
        let log = turn.node.read("var/log/provider-rke2.log").unwrap();
        assert!(log.lines().all(|line| line.contains(" info ")), "{log}");
    }
}

#[test]
fn planned_while_applied() {
    each(12, |number| {
        let turn = Turn::nth(BEGINS[1 + number % 2], number);
        turn.ask();
        let later = asked(number + 2);
        let mut boot = turn.node.program(&["agent.boot"]);
        let apply = || support::start(&mut turn.node.program(&["apply", "config"]), b"");
        let (first, boot, second) =
            (apply(), support::start(&mut boot, &event("agent.boot", later.cloud_config)), apply());
        for ran in [first.end(), second.end()] {
            // Which of them finds an older plan than the one in force is chance.
            let is_older = ran.stderr.contains("is not of the plan in force") && ran.code == Some(1);
            assert!(ran.code == Some(0) || is_older, "{ran:?}");
        }
        assert_eq!(support::answer(&boot.end())["error"], "");
        assert_eq!(turn.node.read(DOCUMENT).as_ref(), Some(&later.document));
        turn.check("planned while applied");
        assert_eq!(turn.node.left_over(), [""; 0]);
        turn.apply(later);
    });
}

#[test]
fn refused_while_applied() {
    each(12, |number| {
        let turn = Turn::nth(BEGINS[1 + number % 2], number);
        turn.ask();
        let apply = support::start(&mut turn.node.program(&["apply", "config"]), b"");
        let boot = support::run(&mut turn.node.program(&["agent.boot"]), &event("agent.boot", BAD));
        let applied = apply.end();
        assert_ne!(support::answer(&boot)["error"], "");
        turn.check("refused while applied");
        // Whoever was first: from now on nothing is started.
        assert!(turn.node.exists(REFUSED));
        for arguments in [&["apply", "service"][..], &["apply", "config"]] {
            let ran = turn.node.run(arguments);
            assert_eq!(ran.code, Some(1), "{applied:?} {ran:?}");
        }
        assert_eq!(turn.node.open_gates(), [""; 0]);
    });
}

// --- an event without an outcome ----------------------------------------------------------------------------------

/// What `agent.boot` leaves where it is killed: nothing of the plan before is installed once it has begun.
#[test]
fn agent_boot_killed_at_each_system_call() {
    if !can_trace() {
        return;
    }
    each(CALLS.len() * 2, |number| {
        let (call, begin) = (CALLS[number % CALLS.len()], BEGINS[1 + number / CALLS.len()]);
        let log = tempfile::NamedTempFile::new().unwrap();
        let step = step(call);
        // Fewer calls come before the outcome than in any later run.
        let mut has_begun = false;
        for when in (1..).step_by(step) {
            let fault = Fault { call, when, what: Killed };
            let case = format!("{begin:?}, {fault}");
            let turn = Turn::new(begin);
            let node = &turn.node;
            if begin == Begin::NewBoot {
                node.clear("run");
            }
            let event = event("agent.boot", turn.asked.cloud_config);
            let killed = support::run(&mut fault.traced(node, log.path(), &[], &["agent.boot"]), &event);
            has_begun |= node.exists(REFUSED);
            let is_new = node.read(DOCUMENT).as_ref() == Some(&turn.asked.document);
            // yip goes on with whatever the document says, and its files may be there from before as well.
            node.stage();
            let applied = node.run(&["apply", "config"]);
            let status = node.run(&["status"]).stdout;
            match node.open_gates().first() {
                None => {
                    turn.check(&case);
                    assert!(node.exists(REFUSED), "{case}: {applied:?}");
                    assert_eq!(applied.code, Some(1), "{case}: {applied:?}");
                    assert!(status.starts_with("refused\n") && status.contains("event-unfinished"), "{case}: {status}");
                }
                Some(_) if is_new => assert!(installed(node) == turn.asked.installed, "{case}: {applied:?}"),
                Some(_) => {
                    assert!(!has_begun, "{case}: the plan before is in force");
                    assert!(installed(node) == turn.before.unwrap().installed, "{case}");
                    let is_told = status.starts_with("degraded\n") && status.contains("event-missing");
                    assert!(is_told || begin == Begin::SameBoot, "{case}: {status}");
                }
            }
            if killed.signal.is_none() {
                let may_be_none = matches!(call, "mkdirat" | "getdents64");
                assert!(is_new && (when > 1 || may_be_none), "no {call} at all: {killed:?}");
                return;
            }
            assert_eq!(node.boot(turn.asked.cloud_config)["error"], "", "{case}");
            turn.apply(turn.asked);
        }
    });
}

/// Nothing has changed, so there is nothing to decide: wherever the event is killed, the node starts.
#[test]
fn agent_boot_of_the_plan_in_force_killed_at_each_system_call() {
    if !can_trace() {
        return;
    }
    each(CALLS.len() * 2, |number| {
        let (call, begin) = (CALLS[number % CALLS.len()], BEGINS[1 + number / CALLS.len()]);
        let log = tempfile::NamedTempFile::new().unwrap();
        let step = step(call);
        let turn = Turn::new(begin);
        let (node, before) = (&turn.node, turn.before.unwrap());
        for when in (1..).step_by(step) {
            let fault = Fault { call, when, what: Killed };
            let case = format!("{begin:?}, {fault}");
            if begin == Begin::NewBoot {
                node.clear("run");
            }
            let event = event("agent.boot", before.cloud_config);
            let killed = support::run(&mut fault.traced(node, log.path(), &[], &["agent.boot"]), &event);
            assert!(!node.exists(REFUSED), "{case}");
            node.stage();
            let applied = node.run(&["apply", "config"]);
            assert_eq!(applied.code, Some(0), "{case}: {applied:?}");
            assert!(installed(node) == before.installed && node.open_gates() == [before.unit], "{case}");
            if killed.signal.is_none() {
                return;
            }
        }
    });
}

/// A step that meets an event which is under way waits for its outcome.
#[test]
fn an_event_that_is_under_way_is_waited_for() {
    for (config, is_refused) in [(CHANGED, false), (BAD, true)] {
        let turn = Turn::new(Begin::NewBoot);
        let node = &turn.node;
        node.clear("run");
        let mut boot = node.program(&["agent.boot"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        until("refused is there", || node.exists(REFUSED));
        node.stage();
        let apply = support::start(&mut node.program(&["apply", "config"]), b"");
        until("the step says that it waits", || {
            node.run(&["status"]).stdout.contains("waits:           config for agent.boot to finish, since ")
        });
        assert!(installed(node) == turn.before.unwrap().installed && node.open_gates().is_empty());
        let mut stdin = boot.stdin.take().unwrap();
        stdin.write_all(&event("agent.boot", config)).unwrap();
        drop(stdin);
        assert!(boot.wait_with_output().unwrap().status.success());
        let applied = apply.end();
        assert_eq!(node.exists(REFUSED), is_refused, "{applied:?}");
        if is_refused {
            assert_eq!((applied.code, node.open_gates()), (Some(1), vec![]), "{applied:?}");
            continue;
        }
        // What yip has laid out before the event had an outcome is of the older plan, or is laid out again.
        turn.check("under way");
        turn.apply(changed());
    }
}

/// Whoever decides last decides: an event that goes on after a reset brings nothing back.
#[test]
fn a_reset_overtakes_an_event() {
    let turn = Turn::new(Begin::SameBoot);
    let node = &turn.node;
    let mut boot = node.program(&["agent.boot"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    until("refused is there", || node.exists(REFUSED));
    let reset = support::answer(&support::run(&mut node.program(&["cluster.reset"]), &event("cluster.reset", SERVER)));
    assert_eq!(reset["error"], "", "{reset:?}");
    let mut stdin = boot.stdin.take().unwrap();
    stdin.write_all(&event("agent.boot", SERVER)).unwrap();
    drop(stdin);
    let answer = String::from_utf8(boot.wait_with_output().unwrap().stdout).unwrap();
    assert!(answer.contains("another agent.boot, or a reset, has decided meanwhile"), "{answer}");
    assert!(!node.exists(DOCUMENT) && node.exists(REFUSED) && node.open_gates().is_empty());
    assert_eq!(node.run(&["apply", "config"]).code, Some(1));
    // The next event decides again.
    assert_eq!(node.boot(SERVER)["error"], "");
    turn.apply(server());
}

// --- staged files -------------------------------------------------------------------------------------------------

/// Puts something wrong in the place of one staged file.
type Spoil = Box<dyn Fn(&Node, &str)>;

fn spoils(old: BTreeMap<String, String>) -> Vec<(String, Spoil)> {
    let mut spoils: Vec<(String, Spoil)> = Vec::new();
    let mut add = |name: &str, spoil: Spoil| spoils.push((name.into(), spoil));
    add("missing", Box::new(Node::clear));
    add("empty", Box::new(|node, path| node.write(path, b"", 0o600)));
    for part in 1..8 {
        let cut = move |node: &Node, path: &str| {
            let bytes = fs::read(node.path(path)).unwrap();
            node.write(path, &bytes[..bytes.len() * part / 8], 0o600);
        };
        add(&format!("{part} eighths"), Box::new(cut));
    }
    for (name, end) in [("no line break", 1), ("a short id", 2), ("no id", 17), ("half a mark", 21)] {
        let cut = move |node: &Node, path: &str| {
            let bytes = fs::read(node.path(path)).unwrap();
            node.write(path, &bytes[..bytes.len() - end], 0o600);
        };
        add(name, Box::new(cut));
    }
    let edit = |change: fn(String) -> String| -> Spoil {
        Box::new(move |node, path| {
            let text = node.read(path).unwrap();
            node.write(path, change(text), 0o600);
        })
    };
    add(
        "no last line",
        edit(|text| text.lines().filter(|it| !it.starts_with("# ")).fold(String::new(), |a, b| a + b + "\n")),
    );
    add("another id", edit(|text| text.replace("# plan ", "# plan 0").replace("# values ", "# values 0")));
    add(
        "an id of nothing",
        edit(|text| {
            text.lines().filter(|it| !it.starts_with("# ")).fold(String::new(), |a, b| a + b + "\n") + "# plan \n"
        }),
    );
    add("a line too many", edit(|text| text + "x: y\n"));
    add("an empty line too many", edit(|text| text + "\n"));
    add("NULs, as a crash leaves them", edit(|text| "\0".repeat(text.len())));
    let old = move |node: &Node, path: &str| node.write(path, &old[path], 0o600);
    add("of an earlier plan", Box::new(old));
    let directory = |node: &Node, path: &str| {
        node.clear(path);
        fs::create_dir(node.path(path)).unwrap();
    };
    add("a directory", Box::new(directory));
    for (name, target) in
        [("a dangling symlink", "nothing"), ("a symlink to a device", "/dev/zero"), ("a symlink to /", "/")]
    {
        let link = move |node: &Node, path: &str| {
            node.clear(path);
            symlink(target, node.path(path)).unwrap();
        };
        add(name, Box::new(link));
    }
    let itself = |node: &Node, path: &str| {
        node.clear(path);
        symlink(node.path(path).file_name().unwrap(), node.path(path)).unwrap();
    };
    add("a symlink to itself", Box::new(itself));
    let fifo = |node: &Node, path: &str| {
        node.clear(path);
        node.fifo(path);
    };
    add("a FIFO", Box::new(fifo));
    let huge = |node: &Node, path: &str| {
        fs::File::options().write(true).open(node.path(path)).unwrap().set_len(1 << 33).unwrap();
    };
    add("huge", Box::new(huge));
    add("not UTF-8", Box::new(|node, path| node.write(path, b"\xff\xfe\n# plan 0123456789abcdef\n", 0o600)));
    spoils
}

#[test]
fn a_staged_file_that_is_not_what_yip_was_asked_for() {
    const TEMPLATES: &str = "#cloud-config
cluster:
  role: init
  cluster_token: a-token-that-is-long-enough
  config: |
    node-name: \"{{ .Values.node.hostname }}\"
";
    let begins = [Begin::NewBoot, Begin::SameBoot];
    each(begins.len() * 4, |number| {
        let (begin, file) = (begins[number / 4], number % 4);
        let path = STAGED.get(file).copied().unwrap_or("run/provider-rke2/values/0");
        let turn = Turn::new(begin);
        let asked = if file == 3 { TEMPLATES } else { turn.asked.cloud_config };
        let old: BTreeMap<String, String> = turn.node.staged().into_iter().collect();
        for (name, spoil) in spoils(old) {
            // Files of two plans are laid out anew.
            if name == "of an earlier plan" {
                continue;
            }
            let case = format!("{path}: {name}, {begin:?}");
            assert_eq!(turn.node.boot(turn.before.unwrap().cloud_config)["error"], "");
            turn.apply(turn.before.unwrap());
            let installed = turn.node.files("etc/");
            let answer = if begin == Begin::NewBoot { turn.node.boot_anew(asked) } else { turn.node.boot(asked) };
            assert_eq!(answer["error"], "");
            turn.node.stage();
            spoil(&turn.node, path);
            for arguments in [&["apply", "config"][..], &["apply", "service"], &["apply", "config"]] {
                let ran = turn.node.run(arguments);
                assert_eq!(ran.code, Some(1), "{case}: {arguments:?} {ran:?}");
                assert!(ran.took < AT_ONCE, "{case}: {arguments:?} {ran:?}");
                let told = format!("/{path}");
                assert!(arguments[1] == "service" || ran.stderr.contains(&told), "{case}: {arguments:?} {ran:?}");
                assert_eq!(turn.node.open_gates(), [""; 0], "{case}: {arguments:?}");
                let mut now = turn.node.files("etc/");
                let issue = now.remove("etc/issue.d/50-provider-rke2.issue");
                now.remove("etc/issue.d");
                assert!(now.iter().all(|(path, file)| installed.get(path) == Some(file)), "{case}: {arguments:?}");
                assert!(String::from_utf8(issue.unwrap().1).unwrap().contains(&told), "{case}");
            }
            turn.node.clear(path);
        }
    });
}

/// Without yip, what is applied is what the document says now, not what an earlier one has left in /run.
#[test]
fn a_newer_document_is_not_passed_over() {
    let turn = Turn::new(Begin::Fresh);
    for asked in ASKED.iter() {
        assert_eq!(turn.node.boot(asked.cloud_config)["error"], "");
        let ran = turn.node.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(turn.node.read(CONFIG), Some(asked.of(CONFIG)), "applied is the plan before");
        assert_eq!(turn.node.open_gates(), [asked.unit]);
    }
}

/// Where nothing can be laid out, nothing may start.
#[test]
fn without_a_document_the_gate_is_shut() {
    for path in [DOCUMENT, "run/provider-rke2/plan.yaml"] {
        let turn = Turn::new(Begin::SameBoot);
        turn.ask();
        turn.node.clear(DOCUMENT);
        turn.node.clear(STAGED[0]);
        turn.node.write(path, "torn", 0o600);
        let ran = turn.node.run(&["apply"]);
        assert_eq!(ran.code, Some(1), "{path}: {ran:?}");
        assert!(ran.stderr.contains(&format!("/{DOCUMENT}")), "{path}: {ran:?}");
        assert_eq!(turn.node.open_gates(), [""; 0], "{path}: the plan that was asked for is lost");
    }
}

#[test]
fn a_torn_file_is_laid_out_again_without_yip() {
    for path in STAGED {
        let turn = Turn::new(Begin::NewBoot);
        turn.ask();
        turn.node.write(path, "torn", 0o600);
        let ran = turn.node.run(&["apply"]);
        assert_eq!((ran.code, turn.node.open_gates()), (Some(0), vec![turn.asked.unit]), "{path}: {ran:?}");
        assert_eq!(turn.node.read(CONFIG), Some(turn.asked.of(CONFIG)), "{path}");
    }
}

// --- the clock ----------------------------------------------------------------------------------------------------

/// A clock that jumps leaves files of the future and of long ago behind; nobody asks for their time.
#[test]
fn nothing_depends_on_the_clock() {
    fn set(directory: &Path, time: SystemTime) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                set(&path, time);
            }
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
    }
    let ages = Duration::from_secs(100 * 365 * 86_400);
    let times = [SystemTime::now() + ages, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - ages / 4];
    for (number, time) in times.into_iter().enumerate() {
        for begin in BEGINS {
            let turn = Turn::nth(begin, number);
            set(turn.node.root(), time);
            turn.ask();
            set(turn.node.root(), time);
            turn.heal(turn.asked, "another time");
            set(turn.node.root(), time);
            let stamp = |path: &str| fs::metadata(turn.node.path(path)).unwrap().modified().unwrap();
            turn.heal(turn.asked, "another time, again");
            assert_eq!(stamp(CONFIG), time, "written again");
            assert_eq!(turn.node.boot(turn.asked.cloud_config)["error"], "");
            assert_eq!(stamp(DOCUMENT), time, "written again");
            assert_eq!(turn.node.run(&["apply"]).code, Some(0));
        }
    }
}

// --- refused, and modes of the boot -------------------------------------------------------------------------------

#[test]
fn a_refused_plan_starts_nothing() {
    for begin in BEGINS {
        let turn = Turn::new(begin);
        turn.ask();
        assert_ne!(turn.node.boot(BAD)["error"], "");
        let sentence = turn.node.read(REFUSED).unwrap();
        assert!(sentence.contains("cluster.role") && sentence.contains("master"), "{sentence}");
        let before = installed(&turn.node);
        for arguments in [&["apply"][..], &["apply", "config"], &["apply", "service"], &["apply", "config"]] {
            let ran = turn.node.run(arguments);
            assert_eq!(ran.code, Some(1), "{begin:?} {arguments:?} {ran:?}");
            assert!(ran.stderr.contains(sentence.trim()), "{begin:?} {arguments:?} {ran:?}");
            assert!(!ran.stderr.contains("systemctl start"), "{begin:?} {arguments:?} {ran:?}");
            assert!(installed(&turn.node) == before, "{begin:?} {arguments:?}: written");
            assert!(!arguments.contains(&"config") || turn.node.open_gates().is_empty(), "{begin:?} {arguments:?}");
        }
        assert_eq!(turn.node.read(REFUSED), Some(sentence));
    }
}

#[test]
fn whatever_stands_for_refused_refuses() {
    let kinds: [(&str, Spoiled); 5] = [
        ("empty", |node, path| node.write(path, b"", 0o600)),
        ("not UTF-8", |node, path| node.write(path, b"\xff\xff", 0o600)),
        ("a directory", |node, path| fs::create_dir(node.path(path)).unwrap()),
        ("a FIFO", Node::fifo),
        ("a symlink to itself", |node, path| symlink("refused", node.path(path)).unwrap()),
    ];
    for (name, make) in kinds {
        let turn = Turn::new(Begin::SameBoot);
        turn.ask();
        make(&turn.node, REFUSED);
        for arguments in [&["apply", "config"][..], &["apply", "service"]] {
            let ran = turn.node.run(arguments);
            assert_eq!(ran.code, Some(1), "{name}: {arguments:?} {ran:?}");
            let sentences = ran.stderr.lines().filter_map(|line| line.strip_prefix("agent-provider-rke2: "));
            assert!(
                sentences.clone().count() > 0 && sentences.clone().all(|it| it.len() > 10),
                "{name}: no sentence: {ran:?}"
            );
        }
        assert_eq!(turn.node.open_gates(), [""; 0], "{name}");
        assert!(installed(&turn.node) == turn.before.unwrap().installed, "{name}: written");
    }
}

#[test]
fn in_other_modes_of_the_boot_nothing_is_done() {
    for mode in ["recovery_mode", "live_mode", "autoreset_mode", "uki_install_mode"] {
        for begin in BEGINS {
            let turn = Turn::new(begin);
            turn.ask();
            turn.node.write("etc/fstab", "/swap none swap sw 0 0\n", 0o644);
            turn.node.write(&format!("run/cos/{mode}"), b"1", 0o644);
            let before = turn.node.files("");
            for arguments in [&["apply"][..], &["apply", "swap"], &["apply", "config"], &["apply", "service"]] {
                let ran = turn.node.run(arguments);
                assert_eq!(ran.code, Some(0), "{mode}: {ran:?}");
                assert!(!ran.stderr.contains("would run"), "{mode}: {ran:?}");
            }
            assert_eq!(turn.node.boot(turn.asked.cloud_config)["error"], "");
            assert_eq!(turn.node.boot("#cloud-config\nhostname: a\n")["error"], "");
            assert!(turn.node.files("") == before, "{mode}: something was written");
        }
    }
}

// --- prestart -----------------------------------------------------------------------------------------------------

#[test]
fn prestart_never_fails_a_start() {
    const REGISTRIES: &str = "etc/rancher/rke2/registries.yaml";
    const STARTED: &str = "run/provider-rke2/started";
    let cases: [(&str, &str, Spoiled); 8] = [
        ("a FIFO", "etc/default/rke2-server", Node::fifo),
        ("a FIFO", "etc/sysconfig/rke2-server", Node::fifo),
        ("a FIFO", STARTED, Node::fifo),
        ("a file", STARTED, |node, path| node.write(path, b"", 0o600)),
        ("a directory", REGISTRIES, |node, path| fs::create_dir_all(node.path(path)).unwrap()),
        ("a symlink to /", REGISTRIES, |node, path| symlink("/", node.path(path)).unwrap()),
        ("a symlink to itself", REGISTRIES, |node, path| symlink("registries.yaml", node.path(path)).unwrap()),
        ("huge", REGISTRIES, |node, path| fs::File::create(node.path(path)).unwrap().set_len(1 << 33).unwrap()),
    ];
    for (name, path, spoil) in cases {
        let turn = Turn::new(Begin::SameBoot);
        spoil(&turn.node, path);
        let ran = turn.node.run(&["prestart", "rke2-server"]);
        assert_eq!(ran.code, Some(0), "{path} {name}: {ran:?}");
        assert!(ran.took < AT_ONCE && ran.stderr.contains(&format!("/{path}")), "{path} {name}: {ran:?}");
        assert_eq!(turn.node.open_gates(), ["rke2-server"], "{path} {name}");
    }
}

/// What cannot be read does not keep the rest from being recorded.
#[test]
fn prestart_records_what_it_can() {
    let turn = Turn::new(Begin::SameBoot);
    turn.node.write("etc/default/rke2-server", "A=\"b\"\n", 0o600);
    turn.node.write("etc/sysconfig/rke2-server", "C=\"d\"\n", 0o600);
    fs::create_dir(turn.node.path("etc/rancher/rke2/registries.yaml")).unwrap();
    assert_eq!(turn.node.run(&["prestart", "rke2-server"]).code, Some(0));
    let started = |name: &str| turn.node.read(&format!("run/provider-rke2/started/rke2-server/{name}"));
    assert_eq!(started("config.yaml"), turn.node.read(CONFIG));
    assert_eq!(started("default").as_deref(), Some("A=\"b\"\n"));
    assert_eq!(started("sysconfig").as_deref(), Some("C=\"d\"\n"));
}

// --- swap ---------------------------------------------------------------------------------------------------------

#[test]
fn swap_is_commented_out_whatever_fstab_looks_like() {
    let rows = [
        ("", ""),
        ("/dev/sda1 / ext4 defaults 0 1\n", "/dev/sda1 / ext4 defaults 0 1\n"),
        ("/dev/sda2\tnone\tswap\tsw\t0\t0\n", "#/dev/sda2\tnone\tswap\tsw\t0\t0\n"),
        ("UUID=1  none \t swap sw 0 0", "#UUID=1  none \t swap sw 0 0"),
        ("#/dev/sda2 none swap sw 0 0\n", "#/dev/sda2 none swap sw 0 0\n"),
        ("  # /dev/sda2 none swap sw 0 0\n", "  # /dev/sda2 none swap sw 0 0\n"),
        ("a none swap sw\n\n# swap\nb none swap sw\n", "#a none swap sw\n\n# swap\n#b none swap sw\n"),
        ("swap /swap tmpfs swap 0 0\n", "swap /swap tmpfs swap 0 0\n"),
        ("a none swap sw 0 0\r\n", "#a none swap sw 0 0\r\n"),
        ("a none swap", "#a none swap"),
        ("é none swap sw 0 0 # ü\n", "#é none swap sw 0 0 # ü\n"),
    ];
    for (fstab, expected) in rows {
        for mode in [0o644, 0o600] {
            let node = Node::new();
            node.write("etc/fstab", fstab, mode);
            for _ in 0..2 {
                let ran = node.run(&["apply", "swap"]);
                assert_eq!(ran.code, Some(0), "{fstab:?}: {ran:?}");
                assert_eq!(node.read("etc/fstab").as_deref(), Some(expected));
                assert_eq!((node.mode("etc/fstab"), node.left_over()), (mode, Vec::new()), "{fstab:?}");
            }
        }
    }
}

#[test]
fn swap_without_an_fstab_that_can_be_changed() {
    let node = Node::new();
    let ran = node.run(&["apply", "swap"]);
    assert_eq!((ran.code, node.exists("etc")), (Some(0), false), "{ran:?}");

    fs::create_dir(node.path("etc")).unwrap();
    node.fifo("etc/fstab");
    let ran = node.run(&["apply", "swap"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("/etc/fstab") && ran.took < AT_ONCE, "{ran:?}");
    // What else there is to do is done all the same.
    assert!(
        ran.stderr.contains("swap.target") || node.read("var/log/provider-rke2.log").unwrap().contains("swap.target"),
        "{ran:?}"
    );

    node.clear("etc/fstab");
    node.write("etc/fstab", b"\xff none swap sw 0 0\n", 0o644);
    let ran = node.run(&["apply", "swap"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("/etc/fstab"), "{ran:?}");
    assert_eq!(fs::read(node.path("etc/fstab")).unwrap(), b"\xff none swap sw 0 0\n");
}

#[test]
fn swap_with_a_read_only_etc() {
    const MOUNTS: &str = "
        mkdir \"$1/etc\"
        printf 'a none swap sw 0 0\\n' > \"$1/etc/fstab\"
        mount --bind \"$1/etc\" \"$1/etc\"
        mount -o remount,bind,ro \"$1/etc\"";
    let Some(room) = inner_room() else {
        let room = tempfile::tempdir().unwrap();
        return inside("faults::swap_with_a_read_only_etc", MOUNTS, room.path());
    };
    let ran = support::run(Command::new(support::BINARY).arg("--root").arg(&room).args(["apply", "swap"]), b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("/etc/fstab: read-only file system"), "{ran:?}");
    assert_eq!(fs::read_to_string(room.join("etc/fstab")).unwrap(), "a none swap sw 0 0\n");
}

#[test]
fn swap_is_kept_where_the_plan_says_so() {
    const FSTAB: &str = "a none swap sw 0 0\n";
    const KEEP: &str = "#cloud-config
cluster:
  role: init
  cluster_token: a-token-that-is-long-enough
  providerConfig:
    swap: keep
";
    let node = Node::new();
    node.write("etc/fstab", FSTAB, 0o644);
    assert_eq!(node.boot(KEEP)["error"], "");
    for arguments in [&["apply"][..], &["apply", "swap"]] {
        let ran = node.run(arguments);
        assert_eq!((ran.code, node.read("etc/fstab").as_deref()), (Some(0), Some(FSTAB)), "{ran:?}");
        assert!(!ran.stderr.contains("swap.target"), "{ran:?}");
    }
    assert_eq!(node.boot(SERVER)["error"], "");
    node.stage();
    assert_eq!(node.run(&["apply", "swap"]).code, Some(0));
    assert_eq!(node.read("etc/fstab"), Some(format!("#{FSTAB}")));
}

/// The names of the units in this file are those of the gate.
#[test]
fn the_gate_of_each_unit_is_known() {
    assert_eq!(UNITS, provider_rke2::rke2::Unit::ALL.map(provider_rke2::rke2::Unit::name));
}
