//! The files that a reset deletes: RKE2's state, and what this program has put on the node.

use super::action::{Action, Request};
use super::targets::{CLEARED, Targets, is_release};
use crate::apply::STEPS;
use crate::apply::step::Leaf;
use crate::environment;
use crate::host::Host;
use crate::host::owned::Whose;
use crate::identity::record;
use crate::images::record::{Ours, Record};
use crate::rke2::is_unpacking;
use crate::service::gate::{self, RUN};
use crate::status;

/// What RKE2, kubelet and the CNI keep, each of which is theirs alone (rke2 `bundle/bin/rke2-uninstall.sh`).
const STATE: [&str; 7] = [
    "/var/lib/kubelet", "/etc/cni", "/var/lib/cni", "/var/lib/calico", "/var/log/pods", "/var/log/containers",
    "/var/log/calico",
];

/// The same where a root path means nothing.
const FIXED: [&str; 4] = ["/run/k3s", "/run/flannel", "/run/calico", "/etc/rancher/rke2"];

/// The containers of pods, by RKE2's containerd (k3s `pkg/agent/templates`), and where runc remembers them (containerd `cmd/containerd-shim-runc-v2/process`).
const TASKS: &str = "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io";
const RUNC: &str = "/run/containerd/runc/k8s.io";

/// What this program writes outside the steps, and nobody else does (the log stays, because it tells of the reset).
const OURS: [&str; 3] = [status::ISSUE, record::DIRECTORY, status::MIRROR];

/// The files that are deleted, and RKE2's data.
pub(super) fn actions(host: &Host, targets: &Targets, request: &Request) -> Vec<Action> {
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
    // Another containerd of the host has its own there.
    let containers = host.list(TASKS).unwrap_or_default().into_iter().map(|name| format!("{RUNC}/{name}"));
    let containers = containers.filter(|path| host.is_there(path));
    let leaves = STEPS.into_iter().flat_map(|step| step.leaves).copied().chain(OURS.map(Leaf::Ours));
    let is_there = |leaf: &Leaf| match leaf {
        Leaf::Marked(path) => matches!(Whose::of(host, path), Ok(Whose::Ours)),
        Leaf::Environment(unit) => matches!(environment::whose(host, *unit), Ok(Whose::Ours)),
        Leaf::Ours(path) => host.is_there(path),
    };
    let leaves = leaves.filter(is_there).map(|leaf| leaf.path().to_owned());
    // What keeps the gate shut is needed until the node is planned anew; what opens it has gone with the gate.
    let kept = [gate::LOCK, gate::REFUSED, CLEARED];
    let is_kept = |name: &str| {
        kept.contains(&format!("{RUN}/{name}").as_str()) || name.ends_with(".lock") || name.starts_with("ready-")
    };
    let run = below(RUN, &|name| !is_kept(name));
    let files = namespaces.into_iter().chain(containers).chain(leaves).chain(run);
    actions.extend(files.map(|path| delete(path, false)));
    actions
}

/// What of the state stays, though a person may not expect it.
/// What stays of RKE2's directories, and why.
pub(super) fn notes(host: &Host, targets: &Targets, actions: &[Action]) -> Vec<String> {
    let escape = crate::text::escape::escape;
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
            "data" if !host.is_symlink(&child) => stays |= releases(host, &child, actions),
            "agent" | "server" | "data" | "bin" => actions.push(Action::Delete { path: child, mounted: false }),
            name if is_unpacking(name) => actions.push(Action::Delete { path: child, mounted: false }),
            _ => stays = true,
        }
    }
    if !stays && (actions.len() > before || names.is_empty()) {
        actions.push(Action::RemoveEmpty { path: path.to_owned() });
    }
}

/// What RKE2 has unpacked, and nothing else below `data/`; gives whether something of others stays.
fn releases(host: &Host, path: &str, actions: &mut Vec<Action>) -> bool {
    let names = host.list(path).unwrap_or_default();
    let (ours, others): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_release(name));
    if others.is_empty() {
        actions.push(Action::Delete { path: path.to_owned(), mounted: false });
    } else {
        actions.extend(ours.iter().map(|name| Action::Delete { path: format!("{path}/{name}"), mounted: false }));
    }
    !others.is_empty()
}

/// What RKE2 writes among the images: its cache, and lists of what it pulls (rke2 `pkg/images/images.go`, `Pull`).
const LISTS: [&str; 10] = [
    ".cache.json", "cloud-controller-manager-image.txt", "etcd-image.txt", "kube-apiserver-image.txt",
    "kube-controller-manager-image.txt", "kube-proxy-image.txt", "kube-scheduler-image.txt", "pause-image.txt",
    "runtime-image.txt", "kubelet-image.txt",
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
