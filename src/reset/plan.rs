//! What a reset does, in order: each phase looks at the node and says its actions. That list is what `--dry-run` prints.

use std::fmt;

use crate::environment;
use crate::gate::{self, RUN};
use crate::host::mounts::Mount;
use crate::host::process::{Process, Search};
use crate::host::{Error, Host};
use crate::images::record::{self, Ours, Record};
use crate::staged::PLAN_PATH;
use crate::whose::Whose;

use super::Request;
use super::network::{self, Rules};
use super::targets::{CLEARED, Targets, cleared};
use super::units;

/// The parts of a reset, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing starts RKE2 any more.
    Gate,
    /// The units are stopped.
    Units,
    /// What runs from the data directory ends.
    Processes,
    /// What is mounted there is taken away.
    Mounts,
    /// Interfaces and rules.
    Network,
    /// Files.
    State,
    /// The document, last: until then a reset that was cut off can be repeated with what it says.
    Document,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 7] =
        [Phase::Gate, Phase::Units, Phase::Processes, Phase::Mounts, Phase::Network, Phase::State, Phase::Document];

    /// Whether it belongs to a reset that keeps the state.
    pub fn is_for(self, request: &Request) -> bool {
        !request.keep_state || !matches!(self, Phase::Gate | Phase::State | Phase::Document)
    }
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Keeps RKE2 from being started until the node is planned anew.
    ShutGate,
    /// Stops a unit and waits until it is gone.
    Stop {
        /// Without its suffix.
        unit: &'static str,
    },
    /// Ends a process.
    End(Process),
    /// Unmounts.
    Unmount {
        /// What.
        mount: Mount,
        /// Whether it may go lazily.
        lazily: bool,
        /// Whether unmounts below it would reach copies that are none of our business.
        private: bool,
    },
    /// Runs a tool of the host.
    Run {
        /// What comes of it.
        what: String,
        /// The tool and its arguments.
        command: Vec<String>,
        /// What it reads.
        input: String,
    },
    /// Deletes a file, or a directory with all that is in it.
    Delete {
        /// Where.
        path: String,
        /// Whether it may itself be a mount, which is then emptied and stays.
        mounted: bool,
    },
    /// Removes a directory that is empty by then.
    RemoveEmpty {
        /// Where.
        path: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let escape = crate::emit::escape;
        match self {
            Action::ShutGate => write!(out, "shut the gate: no RKE2 before the node is planned anew"),
            Action::Stop { unit } => write!(out, "stop {unit}"),
            Action::End(process) => write!(out, "end process {} ({})", process.pid, escape(&process.executable)),
            Action::Unmount { mount, .. } => write!(out, "unmount {} ({})", escape(&mount.point), escape(&mount.kind)),
            Action::Run { what, .. } => out.write_str(what),
            Action::Delete { path, .. } => write!(out, "delete {}", escape(path)),
            Action::RemoveEmpty { path } => write!(out, "remove {}, which is empty then", escape(path)),
        }
    }
}

/// The actions of one phase, and sentences about what could not be looked at.
pub fn phase(host: &Host, targets: &Targets, request: &Request, phase: Phase) -> (Vec<Action>, Vec<String>) {
    let all = |actions| (actions, Vec::new());
    match phase {
        Phase::Gate => {
            let links = gate::links(host).into_iter().map(|path| Action::Delete { path, mounted: false });
            let shut = may_start(host, targets).then_some(Action::ShutGate);
            all(shut.into_iter().chain(links).collect())
        }
        Phase::Units => units(host, targets),
        Phase::Processes => all(processes(host, targets)),
        Phase::Mounts => match host.mounts() {
            Ok(mounts) => {
                let notes = if request.keep_state { Vec::new() } else { storages(host, targets, &mounts) };
                (unmounts(host, targets, &mounts), notes)
            }
            Err(error) => (Vec::new(), vec![error.to_string()]),
        },
        Phase::Network if host.is_real() => from_network(host),
        Phase::Network => all(Vec::new()),
        Phase::State => {
            let actions = state(host, targets, request);
            let notes = state_notes(host, targets, &actions);
            (actions, notes)
        }
        Phase::Document => {
            let documents = targets.documents.iter();
            all(documents.map(|path| Action::Delete { path: path.clone(), mounted: false }).collect())
        }
    }
}

/// The whole of it; nothing if nothing is there.
pub fn whole(host: &Host, targets: &Targets, request: &Request) -> (Vec<Action>, Vec<String>) {
    let (mut actions, mut notes) = (Vec::new(), Vec::new());
    for it in Phase::ALL.into_iter().filter(|it| it.is_for(request)) {
        let (of_phase, said) = phase(host, targets, request, it);
        actions.extend(of_phase);
        notes.extend(said);
    }
    // A gate that is shut already, and units of which nobody knows whether they run, are nothing to do.
    let is_something = |action: &Action| match action {
        Action::ShutGate => gate::is_ready(host),
        Action::Stop { .. } => host.is_real(),
        _ => true,
    };
    if !actions.iter().any(is_something) {
        actions.clear();
    }
    (actions, notes)
}

/// Whether anything here may start RKE2, or has started it.
pub fn may_start(host: &Host, targets: &Targets) -> bool {
    is_configured(host, targets) || !units(host, targets).0.is_empty()
}

fn is_configured(host: &Host, targets: &Targets) -> bool {
    [PLAN_PATH, "/etc/rancher/rke2"].iter().any(|path| host.is_there(path))
        || gate::is_ready(host)
        || !targets.documents.is_empty()
        || !targets.data_dirs.is_empty()
        || !gate::links(host).is_empty()
}

/// On another root nobody knows whether the units run: they are named where something may start them.
fn units(host: &Host, targets: &Targets) -> (Vec<Action>, Vec<String>) {
    if !host.is_real() && !is_configured(host, targets) {
        return (Vec::new(), Vec::new());
    }
    let (busy, notes) = units::busy(host);
    (busy.into_iter().map(|unit| Action::Stop { unit }).collect(), notes)
}

fn processes(host: &Host, targets: &Targets) -> Vec<Action> {
    // What runs from a directory that an earlier reset has cleared was started meanwhile, or was missed.
    let below: Vec<String> = targets.roots().into_iter().chain(cleared(host)).collect();
    let mut search = Search { below: with_real_paths(host, &below), ..Search::default() };
    let mounts = host.mounts().unwrap_or_default();
    for data_dir in &targets.data_dirs {
        let releases = host.list(&format!("{data_dir}/data")).unwrap_or_default().into_iter();
        let programs = releases.map(|release| format!("{data_dir}/data/{release}"));
        // A symlink may lead to programs of the system.
        let is_whole = |release: &String| !host.is_symlink(release) && !host.is_symlink(&format!("{release}/bin"));
        for directory in programs.filter(is_whole).map(|release| format!("{release}/bin")) {
            let directory = host.real_path(&directory).unwrap_or(directory);
            let names = host.list(&directory).unwrap_or_default().into_iter();
            let files = names.map(|name| format!("{directory}/{name}"));
            // So may a mount.
            let files = files.filter(|path| !is_from_elsewhere(&mounts, path, &search.below));
            search.files.extend(files.filter_map(|path| host.file_identity(&path)));
        }
    }
    search.roots = roots(&mounts, &search.below).filter_map(|mount| host.identity(&mount.point)).collect();
    search.groups = gate::UNITS.iter().map(|unit| format!("/system.slice/{unit}.service")).collect();
    if !targets.data_dirs.is_empty() {
        search.groups.extend(["/kubepods.slice".to_owned(), "/kubepods".to_owned()]);
    }
    host.processes(&search).into_iter().map(Action::End).collect()
}

/// The mounts below the directories that may be the root of a container: with a file system of their own, or stored there. What is
/// mounted from elsewhere may be the root of somebody else's process too.
fn roots<'m>(mounts: &'m [Mount], directories: &'m [String]) -> impl Iterator<Item = &'m Mount> {
    let own = mounts.iter().filter(|mount| is_below(&mount.point, directories));
    own.filter(|mount| {
        let mut others =
            mounts.iter().filter(|other| other.device == mount.device && !is_below(&other.point, directories));
        let is_stored_there = || {
            directories.iter().any(|path| {
                stored(mounts, path)
                    .is_some_and(|(device, root)| device == mount.device && is_below(&mount.root, &[root]))
            })
        };
        others.next().is_none() || is_stored_there()
    })
}

/// Whether a path below the directories lies in a mount there whose content has other paths too.
fn is_from_elsewhere(mounts: &[Mount], path: &str, directories: &[String]) -> bool {
    let below = mounts.iter().filter(|mount| is_below(&mount.point, directories));
    let around = below.filter(|mount| path == mount.point || is_below(path, std::slice::from_ref(&mount.point)));
    let innermost = around.max_by_key(|mount| mount.point.len());
    innermost.is_some_and(|mount| !roots(mounts, directories).any(|own| own == mount))
}

/// The device that a directory is on, and its path there.
fn stored<'m>(mounts: &'m [Mount], path: &str) -> Option<(&'m str, String)> {
    let rest = |mount: &Mount| {
        let point = mount.point.trim_end_matches('/');
        path.strip_prefix(point).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(ToOwned::to_owned)
    };
    let found = mounts.iter().filter_map(|mount| Some((mount, rest(mount)?)));
    let (mount, rest) = found.max_by_key(|(mount, _)| mount.point.len())?;
    Some((&mount.device, format!("{}{rest}", mount.root.trim_end_matches('/'))))
}

/// The paths, and what they are without symlinks: that is how the kernel names mounts and programs.
fn with_real_paths(host: &Host, paths: &[String]) -> Vec<String> {
    let mut all = paths.to_vec();
    all.extend(paths.iter().filter_map(|path| host.real_path(path)).filter(|path| !paths.contains(path)));
    all
}

fn is_below(path: &str, directories: &[String]) -> bool {
    directories.iter().any(|directory| path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/')))
}

/// What is mounted below the directories of RKE2, the deepest first, of several at one place the last first.
fn unmounts(host: &Host, targets: &Targets, mounts: &[Mount]) -> Vec<Action> {
    let roots = with_real_paths(host, &targets.roots());
    let all: Vec<String> =
        roots.iter().cloned().chain(with_real_paths(host, &targets.kubelets().collect::<Vec<_>>())).collect();
    select_unmounts(mounts, &roots, &all)
}

fn select_unmounts(mounts: &[Mount], roots: &[String], all: &[String]) -> Vec<Action> {
    let is_namespace = |mount: &Mount| mount.point.starts_with("/run/netns/cni-");
    let is_ours = |mount: &Mount| is_below(&mount.point, all) || is_namespace(mount);
    let mut ours: Vec<(usize, &Mount)> = mounts.iter().enumerate().filter(|(_, mount)| is_ours(mount)).collect();
    let depth = |mount: &Mount| mount.point.matches('/').count();
    ours.sort_by_key(|(number, mount)| std::cmp::Reverse((depth(mount), *number)));
    let others: Vec<&Mount> = mounts.iter().filter(|mount| !is_ours(mount)).collect();
    ours.into_iter()
        .map(|(_, mount)| Action::Unmount {
            lazily: is_namespace(mount) || (is_below(&mount.point, roots) && goes_lazily(mount, &others)),
            private: mount.peers.is_some_and(|peers| others.iter().any(|other| other.peers == Some(peers))),
            mount: mount.clone(),
        })
        .collect()
}

/// Kinds of file systems that keep nothing of their own over a boot.
const VOLATILE: [&str; 11] =
    ["bpf", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "nsfs", "overlay", "proc", "sysfs", "tmpfs"];

/// What is stored in mounts among the state is not deleted with it, and may be mounted again by the next boot.
fn storages(host: &Host, targets: &Targets, mounts: &[Mount]) -> Vec<String> {
    let data_dirs = with_real_paths(host, &targets.data_dirs);
    select_storages(mounts, &data_dirs).into_iter().map(|mount| {
        let escape = crate::emit::escape;
        let (point, source, root) = (escape(&mount.point), escape(&mount.source), escape(&mount.root));
        format!("{point} is a mount: what it holds ({root} on {source}) stays; if RKE2's state is there, empty it before the node boots")
    }).collect()
}

fn select_storages<'m>(mounts: &'m [Mount], data_dirs: &[String]) -> Vec<&'m Mount> {
    let parts = |path: &str| [format!("{path}/server"), format!("{path}/agent")];
    let state: Vec<String> = data_dirs.iter().flat_map(|path| parts(path)).collect();
    let is_state = |point: &String| state.contains(point) || is_below(point, &state);
    // A bind mount of what lies in the data directory itself goes there.
    let is_deleted = |mount: &Mount| {
        data_dirs.iter().filter_map(|path| stored(mounts, path)).any(|(device, root)| {
            let parts = parts(root.trim_end_matches('/'));
            device == mount.device && (parts.contains(&mount.root) || is_below(&mount.root, &parts))
        })
    };
    let own = mounts.iter().filter(|mount| is_state(&mount.point) && !VOLATILE.contains(&mount.kind.as_str()));
    own.filter(|mount| !is_deleted(mount)).collect()
}

/// What may go while it is in use, for nothing is stored in it: that lies elsewhere, or nowhere.
fn goes_lazily(mount: &Mount, others: &[&Mount]) -> bool {
    let is_bind = others.iter().any(|other| other.device == mount.device)
        // The root of btrfs' subvolumes is not `/` either.
        || (mount.root != "/" && mount.kind != "btrfs");
    matches!(mount.kind.as_str(), "nsfs" | "overlay" | "proc") || is_bind
}

/// How long a tool may take to tell.
const TELLS: std::time::Duration = std::time::Duration::from_secs(20);

/// A node with thousands of services has megabytes of rules.
const TOLD: usize = 256 << 20;

/// What a tool of the host says; nothing if there is no such tool, or with a note if it fails.
fn ask(host: &Host, program: &str, arguments: &[&str], notes: &mut Vec<String>) -> Option<String> {
    match host.run_with(program, arguments, b"", TOLD, TELLS) {
        Ok(output) => Some(output),
        Err(Error::NoProgram { .. }) => None,
        Err(error) => {
            notes.push(format!("{error}, so what it would tell was not looked at"));
            None
        }
    }
}

fn from_network(host: &Host) -> (Vec<Action>, Vec<String>) {
    let (mut actions, mut notes) = (Vec::new(), Vec::new());
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let output = ask(host, "ip", &["-o", "link", "show"], &mut notes);
    if output.is_none() && notes.is_empty() {
        notes.push("ip is not installed, so network interfaces were not looked at".to_owned());
    }
    let links = network::links(&output.unwrap_or_default());
    if links.iter().any(|link| link == "kube-ipvs0")
        && let Some(saved) = ask(host, "ipvsadm", &["-S", "-n"], &mut notes)
    {
        let addresses = ask(host, "ip", &["-o", "address", "show", "dev", "kube-ipvs0"], &mut notes);
        for [protocol, server] in network::virtual_servers(&saved, &addresses.unwrap_or_default()) {
            let what = format!("delete the virtual server {server}");
            actions.push(Action::Run {
                what,
                command: command(&["ipvsadm", "-D", &protocol, &server]),
                input: String::new(),
            });
        }
    }
    for link in links {
        let what = format!("delete the network interface {link}");
        actions.push(Action::Run {
            what,
            command: command(&["ip", "link", "delete", "dev", &link]),
            input: String::new(),
        });
    }
    for (tool, rules) in rules(host, &mut notes) {
        let what = format!("delete {} rules and {} chains of {tool}", rules.rules, rules.chains);
        let command = command(&[&format!("{tool}-restore"), "--noflush"]);
        actions.push(Action::Run { what, command, input: rules.input });
    }
    let sets = ask(host, "ipset", &["list", "-n"], &mut notes).map(|output| network::sets(&output)).unwrap_or_default();
    for set in sets {
        let what = format!("destroy the address set {set}");
        actions.push(Action::Run { what, command: command(&["ipset", "destroy", &set]), input: String::new() });
    }
    let tables =
        ask(host, "nft", &["list", "tables"], &mut notes).map(|output| network::tables(&output)).unwrap_or_default();
    for (family, name) in tables {
        let what = format!("delete the table {family} {name} of nftables");
        let command = command(&["nft", "delete", "table", &family, &name]);
        actions.push(Action::Run { what, command, input: String::new() });
    }
    (actions, notes)
}

/// The rules of both families in both kernels' tables, by the tool that knows them.
fn rules(host: &Host, notes: &mut Vec<String>) -> Vec<(String, Rules)> {
    let mut found = Vec::new();
    for (family, names) in [("iptables", "ip_tables_names"), ("ip6tables", "ip6_tables_names")] {
        let mut told = false;
        for variant in ["-nft", "-legacy", ""] {
            // Of the plain one nobody knows which it is; it counts where the others are not.
            if variant.is_empty() && told {
                continue;
            }
            // Asking for tables that are not there would load them.
            let is_loaded = || host.read(&format!("/proc/self/net/{names}"), 1 << 16).is_ok_and(|it| !it.is_empty());
            if variant == "-legacy" && !is_loaded() {
                continue;
            }
            let tool = format!("{family}{variant}");
            let Some(saved) = ask(host, &format!("{tool}-save"), &[], notes) else { continue };
            told = true;
            let rules = network::rules(&saved);
            if !rules.input.is_empty() {
                found.push((tool, rules));
            }
        }
    }
    found
}

/// What RKE2, kubelet and the CNI keep, each of which is theirs alone (rke2 `bundle/bin/rke2-uninstall.sh`).
const STATE: [&str; 7] = [
    "/var/lib/kubelet",
    "/etc/cni",
    "/var/lib/cni",
    "/var/lib/calico",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/calico",
];

/// The same where a root path means nothing.
const FIXED: [&str; 4] = ["/run/k3s", "/run/flannel", "/run/calico", "/etc/rancher/rke2"];

/// What bears our mark, if it is ours.
const MARKED: [&str; 3] = [
    "/etc/sysctl.d/90-provider-rke2.conf",
    "/etc/modules-load.d/90-provider-rke2.conf",
    "/etc/NetworkManager/conf.d/90-provider-rke2.conf",
];

/// What only this program writes (the log stays, it tells of the reset).
const OURS: [&str; 4] = [
    "/etc/issue.d/50-provider-rke2.issue",
    "/usr/local/lib/provider-rke2/node.json",
    record::PATH,
    crate::report::status::MIRROR,
];

fn state(host: &Host, targets: &Targets, request: &Request) -> Vec<Action> {
    let mounts = host.mounts().unwrap_or_default();
    let is_mount = |path: &str| mounts.iter().any(|mount| mount.point == path);
    let mut actions = Vec::new();
    for path in &targets.data_dirs {
        data_dir(host, path, &is_mount, &mut actions);
    }
    let delete = |path: String, mounted| Action::Delete { path, mounted };
    let prefixed = targets.prefixes.iter().flat_map(|prefix| STATE.iter().map(move |path| format!("{prefix}{path}")));
    let node = request.node_password.then(|| "/etc/rancher/node".to_owned());
    for path in prefixed.chain(FIXED.map(ToOwned::to_owned)).chain(node) {
        // A mount that is empty stays as it is.
        let is_done = is_mount(&path) && host.list(&path).is_ok_and(|names| names.is_empty());
        if host.is_there(&path) && !is_done {
            actions.push(delete(path, true));
        }
    }
    let below = |directory: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        let names = host.list(directory).unwrap_or_default();
        names.into_iter().filter(|name| wanted(name)).map(|name| format!("{directory}/{name}")).collect()
    };
    let namespaces = below("/run/netns", &|name| name.starts_with("cni-"));
    // Somebody may have put a file of one of these names there.
    let marked = gate::UNITS.map(environment::path).into_iter().chain(MARKED.map(ToOwned::to_owned));
    let marked = marked.filter(|path| matches!(Whose::of(host, path), Ok(Whose::Ours)));
    let ours = OURS.map(ToOwned::to_owned).into_iter().filter(|path| host.is_there(path));
    // What keeps the gate shut is needed until the node is planned anew; what opens it has gone with the gate.
    let kept = [gate::LOCK, gate::REFUSED, CLEARED];
    let is_kept = |name: &str| {
        kept.contains(&format!("{RUN}/{name}").as_str()) || name.ends_with(".lock") || name.starts_with("ready-")
    };
    let run = below(RUN, &|name| !is_kept(name));
    let files = namespaces.into_iter().chain(marked).chain(ours).chain(run);
    actions.extend(files.map(|path| delete(path, false)));
    actions
}

/// What of the state stays, though a person may not expect it.
fn state_notes(host: &Host, targets: &Targets, actions: &[Action]) -> Vec<String> {
    let escape = crate::emit::escape;
    let unmarked = targets.unmarked.iter().map(|path| {
        let path = escape(path);
        format!(
            "{path} has none of the directories that RKE2 makes (server, agent, data), so nothing in it was deleted"
        )
    });
    let links = actions.iter().filter_map(|action| match action {
        // RKE2 itself makes the link `bin`, to what goes too.
        Action::Delete { path, .. } if !path.ends_with("/bin") && host.is_symlink(path) && host.is_dir(path) => {
            Some(path)
        }
        _ => None,
    });
    let links = links.map(|path| {
        let path = escape(path);
        format!("{path} is a symlink: only it goes, what it leads to stays; if state is there, empty it before the node boots")
    });
    unmarked.chain(links).collect()
}

/// RKE2's own children of a data directory, and it itself if nothing else is in it.
fn data_dir(host: &Host, path: &str, is_mounted: &dyn Fn(&str) -> bool, actions: &mut Vec<Action>) {
    let names = host.list(path).unwrap_or_default();
    let before = actions.len();
    let mut stays = is_mounted(path);
    for name in &names {
        let child = format!("{path}/{name}");
        match name.as_str() {
            "agent" if !host.is_symlink(&child) => stays |= agent(host, &child, is_mounted, actions),
            "agent" | "server" | "data" | "bin" => actions.push(Action::Delete { path: child, mounted: false }),
            name if is_unpacking(name) => actions.push(Action::Delete { path: child, mounted: false }),
            _ => stays = true,
        }
    }
    if !stays && (actions.len() > before || names.is_empty()) {
        actions.push(Action::RemoveEmpty { path: path.to_owned() });
    }
}

/// Where RKE2 unpacks a release before it gets its name: `runtime-` and a number (Go `os.MkdirTemp`).
fn is_unpacking(name: &str) -> bool {
    name.strip_prefix("runtime-").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What RKE2 writes among the images: its cache, and lists of what it pulls (rke2 `pkg/images/images.go`, `Pull`).
const LISTS: [&str; 10] = [
    ".cache.json",
    "cloud-controller-manager-image.txt",
    "etcd-image.txt",
    "kube-apiserver-image.txt",
    "kube-controller-manager-image.txt",
    "kube-proxy-image.txt",
    "kube-scheduler-image.txt",
    "pause-image.txt",
    "runtime-image.txt",
    "kubelet-image.txt",
];

/// All of the agent's directory but images of others; gives whether there are some.
fn agent(host: &Host, path: &str, is_mounted: &dyn Fn(&str) -> bool, actions: &mut Vec<Action>) -> bool {
    let delete = |path: String| Action::Delete { path, mounted: false };
    let images = format!("{path}/images");
    let imported = imported(host, &images);
    // A mount is taken away before, with all that is in it; where it cannot be, nothing in it is deleted.
    let is_elsewhere = host.is_symlink(&images) || is_mounted(path) || is_mounted(&images);
    let names = if is_elsewhere { Vec::new() } else { host.list(&images).unwrap_or_default() };
    let is_ours = |name: &&String| LISTS.contains(&name.as_str()) || imported.contains(name);
    let (ours, others): (Vec<&String>, Vec<&String>) = names.iter().partition(is_ours);
    if others.is_empty() {
        actions.push(delete(path.to_owned()));
        return false;
    }
    actions.extend(ours.into_iter().map(|name| delete(format!("{images}/{name}"))));
    let names = host.list(path).unwrap_or_default();
    actions.extend(names.iter().filter(|name| *name != "images").map(|name| delete(format!("{path}/{name}"))));
    true
}

/// The names of images that this program imported into this directory, but for those that somebody has replaced.
fn imported(host: &Host, images: &str) -> Vec<String> {
    let ours = Record::read(host, images).archives.into_values().filter_map(|archive| archive.imported);
    let is_there = |it: &Ours| host.size_and_second(&format!("{images}/{}", it.name)) == Some((it.size, it.second));
    ours.filter(is_there).map(|it| it.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mounts::parse;

    #[test]
    fn mounts_go_the_deepest_first_and_lazily_only_where_nothing_is_stored() {
        let text = b"22 1 8:1 / / rw shared:1 - ext4 /dev/vda rw\n\
            30 22 0:50 / /home rw shared:5 - tmpfs home rw\n\
            40 22 8:1 /data /var/lib/rancher rw shared:1 - ext4 /dev/vda rw\n\
            41 40 8:2 / /var/lib/rancher/rke2 rw - ext4 /dev/vdb rw\n\
            42 41 0:50 / /var/lib/rancher/rke2/agent/home rw shared:5 - tmpfs home rw\n\
            43 42 0:51 / /var/lib/rancher/rke2/agent/home/a rw - tmpfs own rw\n\
            44 22 0:60 / /run/k3s/c/1/rootfs rw - overlay overlay rw\n\
            45 44 0:61 / /run/k3s/c/1/rootfs/x rw - tmpfs one rw\n\
            46 44 0:62 / /run/k3s/c/1/rootfs/x rw - proc proc rw\n\
            47 22 0:63 / /var/lib/kubelet/pods/p/v rw - tmpfs pod rw\n\
            48 22 8:1 /home/x /var/lib/kubelet/pods/p/b rw - ext4 /dev/vda rw\n\
            49 22 0:4 net:[1] /run/netns/cni-1 rw - nsfs nsfs rw\n\
            50 22 0:4 net:[2] /run/netns/mine rw - nsfs nsfs rw\n\
            51 22 0:70 / /run/k3s-other/x rw - tmpfs t rw\n\
            52 22 0:36 /@sub /run/k3s/sub rw - btrfs /dev/vdc rw\n";
        let roots = ["/var/lib/rancher/rke2".to_owned(), "/run/k3s".to_owned()];
        let all: Vec<String> = roots.iter().cloned().chain(["/var/lib/kubelet".to_owned()]).collect();
        let row = |action: Action| match action {
            Action::Unmount { mount, lazily, private } => {
                format!(
                    "{} {}{}",
                    mount.point,
                    if lazily { "lazily" } else { "" },
                    if private { "private" } else { "" }
                )
            }
            other => other.to_string(),
        };
        let found: Vec<String> = select_unmounts(&parse(text), &roots, &all).into_iter().map(row).collect();
        assert_eq!(
            found,
            [
                "/var/lib/rancher/rke2/agent/home/a ",
                "/var/lib/kubelet/pods/p/b ",
                "/var/lib/kubelet/pods/p/v ",
                "/run/k3s/c/1/rootfs/x lazily",
                "/run/k3s/c/1/rootfs/x ",
                "/var/lib/rancher/rke2/agent/home lazilyprivate",
                "/run/k3s/c/1/rootfs lazily",
                "/run/k3s/sub ",
                "/run/netns/cni-1 lazily",
            ]
        );
    }

    #[test]
    fn what_is_stored_in_a_mount_among_the_state_is_told() {
        let text = b"22 1 8:1 / / rw - ext4 /dev/vda rw\n\
            40 22 8:1 /data /var/lib/rancher rw - ext4 /dev/vda rw\n\
            41 40 8:2 / /var/lib/rancher/rke2/server/db rw - ext4 /dev/vdb rw\n\
            42 40 8:1 /images /var/lib/rancher/rke2/agent/images rw - ext4 /dev/vda rw\n\
            43 40 8:1 /data/rke2/agent/x /var/lib/rancher/rke2/agent/y rw - ext4 /dev/vda rw\n\
            44 40 0:60 / /var/lib/rancher/rke2/agent/rootfs rw - overlay overlay rw\n\
            45 40 0:61 / /var/lib/rancher/rke2/agent/t rw - tmpfs tmpfs rw\n\
            48 40 8:5 / /var/lib/rancher/rke2/agent rw - ext4 /dev/vde rw\n\
            46 40 8:3 / /var/lib/rancher/rke2/server-backup rw - ext4 /dev/vdc rw\n\
            47 22 8:4 / /var/lib/kubelet/pods/p/v rw - ext4 /dev/vdd rw\n";
        let mounts = parse(text);
        let found = select_storages(&mounts, &["/var/lib/rancher/rke2".to_owned()]);
        let points: Vec<&str> = found.iter().map(|mount| mount.point.as_str()).collect();
        let data_dir = "/var/lib/rancher/rke2";
        assert_eq!(points, ["server/db", "agent/images", "agent"].map(|it| format!("{data_dir}/{it}")));
    }

    #[test]
    fn programs_that_are_mounted_from_elsewhere_are_not_rke2s() {
        let text = b"22 1 8:1 / / rw - ext4 /dev/vda rw\n\
            40 22 8:1 /data /var/lib/rancher rw - ext4 /dev/vda rw\n\
            41 40 8:1 /usr/bin /var/lib/rancher/rke2/data/v1/bin rw - ext4 /dev/vda rw\n\
            42 40 8:1 /usr/bin/nft /var/lib/rancher/rke2/data/v2/bin/nft rw - ext4 /dev/vda rw\n\
            43 40 8:1 /data/rke2/data/v1 /var/lib/rancher/rke2/data/v3 rw - ext4 /dev/vda rw\n\
            44 40 8:2 / /var/lib/rancher/rke2/data/v4 rw - ext4 /dev/vdb rw\n";
        let (mounts, directories) = (parse(text), ["/var/lib/rancher/rke2".to_owned()]);
        let is_elsewhere = |file| is_from_elsewhere(&mounts, &format!("{}/data/{file}", directories[0]), &directories);
        for (file, expected) in [
            ("v1/bin/cat", true),
            ("v2/bin/nft", true),
            ("v2/bin/nft2", false),
            ("v3/bin/kubelet", false),
            ("v4/bin/kubelet", false),
        ] {
            assert_eq!(is_elsewhere(file), expected, "{file}");
        }
    }

    #[test]
    fn only_rke2_unpacks_into_numbered_directories() {
        assert!(is_unpacking("runtime-123456"));
        assert!(!is_unpacking("runtime-") && !is_unpacking("runtime-notes") && !is_unpacking("runtime"));
    }
}
