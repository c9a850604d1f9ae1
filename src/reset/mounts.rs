//! What is mounted below RKE2's directories, and how it is taken away.

use super::action::Action;
use super::targets::Targets;
use crate::host::Host;
use crate::host::mounts::Mount;
use crate::text::escape::escape;
use crate::text::paths;

/// The mounts below the directories that may be the root of a container: with a file system of their own, or stored there. What is
/// mounted from elsewhere may be the root of somebody else's process too.
pub(super) fn roots<'m>(mounts: &'m [Mount], directories: &'m [String]) -> impl Iterator<Item = &'m Mount> {
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
pub(super) fn is_from_elsewhere(mounts: &[Mount], path: &str, directories: &[String]) -> bool {
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
pub(super) fn with_real_paths(host: &Host, paths: &[String]) -> Vec<String> {
    let mut all = paths.to_vec();
    all.extend(paths.iter().filter_map(|path| host.real_path(path)).filter(|path| !paths.contains(path)));
    all
}

fn is_below(path: &str, directories: &[String]) -> bool {
    directories.iter().any(|directory| paths::is_below(path, directory))
}

/// What is mounted below the directories of RKE2, the deepest first, of several at one place the last first.
pub(super) fn unmounts(host: &Host, targets: &Targets, mounts: &[Mount]) -> Vec<Action> {
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
    ours.sort_unstable_by_key(|(number, mount)| std::cmp::Reverse((depth(mount), *number)));
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
pub(super) fn storages(host: &Host, targets: &Targets, mounts: &[Mount]) -> Vec<String> {
    let data_dirs = with_real_paths(host, &targets.data_dirs);
    select_storages(mounts, &data_dirs).into_iter().map(|mount| {
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

/// What may go while it is in use, because nothing is stored in it: that lies elsewhere, or nowhere.
fn goes_lazily(mount: &Mount, others: &[&Mount]) -> bool {
    let is_bind = others.iter().any(|other| other.device == mount.device)
        // The root of btrfs' subvolumes is not `/` either.
        || (mount.root != "/" && mount.kind != "btrfs");
    matches!(mount.kind.as_str(), "nsfs" | "overlay" | "proc") || is_bind
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
}
