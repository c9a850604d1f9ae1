//! `reset` on trees that look like nodes: what goes, what stays, what is refused, and that nothing outside is touched. What needs mounts,
//! processes, units and rules is in `tests/lab/reset` and in the lab's scenarios.

use crate::support;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use serde_json::json;
use tempfile::TempDir;

/// A node after a year in a cluster. What begins with `-` goes, with `+` stays; `a -> b` is a symlink, `a = text` a file with that
/// content, `a/` a directory.
const NODE: &str = "\
- /var/lib/rancher/rke2/server/db/etcd/member/wal
- /var/lib/rancher/rke2/server/token = SECRET-token
- /var/lib/rancher/rke2/server/tls/server-ca.key
- /var/lib/rancher/rke2/server/outside -> /home/user
- /var/lib/rancher/rke2/agent/client-kubelet.crt
- /var/lib/rancher/rke2/agent/containerd/io.containerd/overlay/1/fs/etc/passwd
- /var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml
- /var/lib/rancher/rke2/agent/up -> ../../../../../home
- /var/lib/rancher/rke2/agent/images/.cache.json
- /var/lib/rancher/rke2/agent/images/runtime-image.txt
+ /var/lib/rancher/rke2/agent/images/site.tar.zst
- /var/lib/rancher/rke2/data/v1.33.4-rke2r1-0a1b2c3d4e5f/bin/containerd
- /var/lib/rancher/rke2/bin -> /var/lib/rancher/rke2/data/v1.33.4-rke2r1-0a1b2c3d4e5f/bin
- /var/lib/rancher/rke2/runtime-123456/bin/half
+ /var/lib/rancher/rke2/notes-of-the-admin
+ /var/lib/rancher/k3s/server/db
- /var/lib/kubelet/pods/uid/volumes/kubernetes.io~empty-dir/v/file
- /var/lib/kubelet/home -> /home
- /etc/cni/net.d/10-canal.conflist
- /var/lib/cni/networks/k8s-pod-network/10.42.0.7
- /var/lib/calico/nodename
- /var/log/pods/ns_pod_uid/c/0.log
- /var/log/containers/c.log -> /var/log/pods/ns_pod_uid/c/0.log
- /run/k3s/containerd/containerd.sock
- /run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/0a1b/config.json
- /run/containerd/runc/k8s.io/0a1b/state.json
+ /run/containerd/runc/k8s.io/of-another-containerd/state.json
- /run/flannel/subnet.env
- /run/netns/cni-0a1b
+ /run/netns/mine
- /sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/
- /sys/fs/cgroup/memory/kubepods/besteffort/pod1/
- /sys/fs/cgroup/openrc/rke2-agent/
+ /sys/fs/cgroup/memory/system.slice/
- /etc/rancher/rke2/config.yaml = {\"token\": \"SECRET-token\"}
- /etc/rancher/rke2/config.d/90_userdata.yaml = {}
- /etc/rancher/rke2/rke2.yaml
+ /etc/rancher/node/password
+ /etc/rancher/k3s/config.yaml
- /etc/default/rke2-server = # written by provider-rke2; from the cloud-config
+ /etc/default/rke2-agent = SITE=1
- /etc/sysctl.d/90-provider-rke2.conf = # written by provider-rke2; a
- /etc/modules-load.d/90-provider-rke2.conf = # written by provider-rke2; b
+ /etc/NetworkManager/conf.d/90-provider-rke2.conf = [keyfile]
+ /etc/sysctl.d/60-rke2-cis.conf
- /etc/issue.d/50-provider-rke2.issue
+ /etc/issue.d/10-site.issue
- /usr/local/lib/provider-rke2/node.json
- /run/provider-rke2/plan.yaml = data_dir: /var/lib/rancher/rke2
- /run/provider-rke2/config.d/90_userdata.yaml
- /run/provider-rke2/ready-rke2-server
- /run/provider-rke2/status.yaml
- /run/provider-rke2/started/rke2-server/config.yaml
- /etc/systemd/system/multi-user.target.wants/rke2-server.service -> /usr/lib/systemd/system/rke2-server.service
- /run/systemd/system/multi-user.target.wants/rke2-server.service -> /usr/lib/systemd/system/rke2-server.service
+ /etc/systemd/system/multi-user.target.wants/sshd.service -> /usr/lib/systemd/system/sshd.service
+ /etc/systemd/system/rke2-agent.service -> /opt/rke2-agent.service
+ /usr/lib/systemd/system/rke2-server.service
+ /usr/bin/rke2
+ /opt/cni/bin/bridge
+ /opt/content/images/rke2.tar.zst
+ /home/user/thesis
- /usr/local/cloud-config/cluster.kairos.yaml = name: RKE2 Kairos Cluster Provider
- /usr/local/cloud-config/cluster.kairos.yaml.retired = name: \"RKE2 Kairos Cluster Provider\"
- /oem/site/95_deeper.yml = name: RKE2 Kairos Cluster Provider
- /system/oem/95_image.yaml = name: RKE2 Kairos Cluster Provider
- /oem/95_elsewhere.yaml = name: RKE2 Kairos Cluster Provider
+ /oem/90_custom.yaml = name: mine
+ /usr/local/cloud-config/other.yaml = name: k3s Kairos Cluster Provider
";

/// What a reset leaves of its own, so that nothing starts RKE2 in this boot.
const TRACES: [&str; 9] = [
    "/run/provider-rke2/lock",
    "/run/provider-rke2/refused",
    "/run/provider-rke2/reset",
    "/run/systemd",
    "/run/systemd/system",
    "/run/systemd/system/rke2-agent.service.d",
    "/run/systemd/system/rke2-server.service.d",
    "/var/log/provider-rke2.log",
    "/run/provider-rke2",
];

fn make(room: &Path, entry: &str) {
    let (path, rest) = entry.split_once(' ').unwrap_or((entry, ""));
    let at = room.join(path.trim_start_matches('/'));
    if path.ends_with('/') {
        fs::create_dir_all(&at).unwrap();
        return;
    }
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    match (rest.strip_prefix("-> "), rest.strip_prefix("= ")) {
        (Some(target), _) => symlink(target, &at).unwrap(),
        (_, Some(text)) => fs::write(&at, format!("{text}\n")).unwrap(),
        _ => fs::write(&at, "x\n").unwrap(),
    }
}

fn node(entries: &str) -> TempDir {
    let room = tempfile::tempdir().unwrap();
    entries.lines().for_each(|line| make(room.path(), line.trim_start_matches(['-', '+', ' '])));
    room
}

fn is_there(room: &Path, path: &str) -> bool {
    room.join(path.trim_start_matches('/')).symlink_metadata().is_ok()
}

fn program(room: &Path) -> Command {
    let mut command = Command::new(support::BINARY);
    command.env_clear().arg("--root").arg(room).stdin(Stdio::null());
    command
}

fn reset(room: &Path, arguments: &[&str]) -> Output {
    program(room).arg("reset").args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The answer to `cluster.reset` with this cloud-config.
fn event(room: &Path, config: &str) -> BTreeMap<String, String> {
    support::answer(&support::run(program(room).arg("cluster.reset"), &support::event("cluster.reset", config)))
}

#[test]
fn what_is_rke2s_goes_and_all_else_stays() {
    let room = node(NODE);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "").unwrap();
    symlink(outside.path(), room.path().join("var/lib/rancher/rke2/server/far")).unwrap();
    let output = reset(room.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for line in NODE.lines() {
        let path = line[2..].split(' ').next().unwrap();
        assert_eq!(is_there(room.path(), path), line.starts_with('+'), "{line}");
    }
    assert!(outside.path().join("file").exists());
    assert!(stderr(&output).contains("kubectl delete node") && stderr(&output).contains("Node password rejected"));
    assert!(!stderr(&output).contains("SECRET-") && output.stdout.is_empty());
    assert!(!fs::read_to_string(room.path().join("var/log/provider-rke2.log")).unwrap().contains("SECRET-"));
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_the_run_does() {
    let room = node(NODE);
    let before = support::tree(room.path());
    let planned = reset(room.path(), &["--dry-run"]);
    assert_eq!((planned.status.code(), support::tree(room.path())), (Some(0), before));
    let planned = String::from_utf8(planned.stdout).unwrap();
    assert!(planned.lines().count() > 20, "{planned}");
    assert!(planned.lines().next().unwrap().starts_with("shut the gate"));
    assert_eq!(planned.lines().last().unwrap(), "delete /usr/local/cloud-config/cluster.kairos.yaml");
    let done = stderr(&reset(room.path(), &[]));
    let done: Vec<&str> =
        done.lines().take(planned.lines().count()).map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(done, planned.lines().collect::<Vec<_>>());
    assert!(reset(room.path(), &["--dry-run"]).stdout.is_empty());
}

#[test]
fn a_second_reset_finds_nothing() {
    let room = node(NODE);
    reset(room.path(), &[]);
    let before = support::tree(room.path());
    let output = reset(room.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(support::tree(room.path()), before);
    assert_eq!(event(room.path(), "#cloud-config\n")["error"], "");
    // Nothing at all was there: nothing is left behind either.
    let empty = tempfile::tempdir().unwrap();
    let output = reset(empty.path(), &[]);
    assert_eq!((output.status.code(), fs::read_dir(empty.path()).unwrap().count()), (Some(0), 0));
    assert!(stderr(&output).contains("nothing of RKE2"));
}

#[test]
fn a_node_password_goes_only_when_asked_for() {
    let room = node(NODE);
    reset(room.path(), &["--node-password"]);
    assert!(!is_there(room.path(), "/etc/rancher/node") && is_there(room.path(), "/etc/rancher/k3s/config.yaml"));
}

#[test]
fn state_can_be_kept() {
    let room = node(NODE);
    let before = support::tree(room.path());
    let output = reset(room.path(), &["--keep-state"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(NODE.lines().all(|line| is_there(room.path(), line[2..].split(' ').next().unwrap())), "{before}");
    assert!(!is_there(room.path(), "/run/provider-rke2/refused"), "it may be started again");
    assert!(stderr(&output).contains("nothing of RKE2 runs on this node"), "{}", stderr(&output));
}

/// A data directory that is refused: nothing at all changes, and the sentence names it.
#[test]
fn directories_that_cannot_be_rke2s_are_refused() {
    let config = |path: &str| format!("#cloud-config\ncluster:\n  role: init\n  config: |\n    data-dir: {path}\n");
    for (path, entries) in [
        ("/var/lib", NODE),
        ("/var/lib/", NODE),
        ("/", NODE),
        ("/var/lib/rancher/rke2/../../../../var", NODE),
        ("/var/lib/rancher", NODE),
        ("/etc", NODE),
        ("/usr/local", NODE),
        ("/home", NODE),
        ("/opt", "+ /opt/server/\n+ /opt/agent/\n"),
        ("/proc/1/root", "+ /proc/1/root/server/\n"),
        ("/srv/photos", "+ /srv/photos/summer.jpg\n"),
        ("/srv/file", "+ /srv/file\n"),
        ("/srv/link", "+ /srv/link -> /srv/rke2\n+ /srv/rke2/server/db\n"),
        ("/srv/a/b", "+ /srv/a -> /srv/rke2\n+ /srv/rke2/b/server/db\n"),
        ("/srv/lib", "+ /var/lib/server/\n+ /srv/../srv/lib -> /var/lib\n"),
    ] {
        let room = node(entries);
        let before = support::tree(room.path());
        let answer = event(room.path(), &config(path));
        let error = &answer["error"];
        let named = path.trim_end_matches('/').replace("/var/lib/rancher/rke2/../../../..", "");
        assert!(
            error.contains(if named.is_empty() { "/" } else { &named }) && error.contains("nothing was reset"),
            "{path}: {error}"
        );
        assert_eq!(support::tree(room.path()), before, "{path}");
    }
}

#[test]
fn the_data_directory_is_found_wherever_it_is_said() {
    let document = |plan: &str| {
        format!(
            "name: RKE2 Kairos Cluster Provider\nstages:\n  boot.before:\n  - files:\n    - path: /run/provider-rke2/plan.yaml\n      content: |\n        {plan}\n        # plan 0123456789abcdef\n"
        )
    };
    for (way, path, text, config) in [
        ("the event", "", "", "cluster: {role: init, config: {data-dir: /data/rke2}}"),
        ("the event's environment", "", "", "cluster: {role: init, env: {RKE2_DATA_DIR: /data/rke2}}"),
        ("the plan", "run/provider-rke2/plan.yaml", "role: init\ndata_dir: /data/rke2\n", ""),
        ("the document", "usr/local/cloud-config/cluster.kairos.yaml", &document("data_dir: /data/rke2"), ""),
        ("the configuration", "etc/rancher/rke2/config.yaml", "{\"data-dir\": \"/data/rke2\"}", ""),
        ("the environment", "etc/default/rke2-agent", "# mine\nRKE2_DATA_DIR=\"/data/rke2/\"\n", ""),
    ] {
        let room = node("- /data/rke2/server/db/x\n+ /data/rke2/mine\n+ /data/other\n");
        if !path.is_empty() {
            fs::create_dir_all(room.path().join(path).parent().unwrap()).unwrap();
            fs::write(room.path().join(path), text).unwrap();
        }
        let answer = event(room.path(), &format!("#cloud-config\n{config}\n"));
        assert_eq!(answer["error"], "", "{way}");
        assert!(!is_there(room.path(), "/data/rke2/server"), "{way}");
        assert!(is_there(room.path(), "/data/rke2/mine") && is_there(room.path(), "/data/other"), "{way}");
        // The same again, though now nothing proves that it was RKE2's.
        let answer = event(room.path(), &format!("#cloud-config\n{config}\n"));
        assert_eq!(answer["error"], "", "{way}, again");
    }
}

/// What RKE2 was told last, before it could run with it.
#[test]
fn a_data_directory_that_never_was_leaves_the_one_of_before() {
    let room = node(NODE);
    fs::write(room.path().join("etc/rancher/rke2/config.yaml"), "{\"data-dir\": \"/nonexistent\"}").unwrap();
    assert!(is_there(room.path(), "/var/lib/rancher/rke2/server"));
    assert_eq!(event(room.path(), "")["error"], "");
    assert!(!is_there(room.path(), "/var/lib/rancher/rke2/server"));
    for path in ["data", "7", "~/rke2"] {
        let room = node(NODE);
        fs::write(room.path().join("etc/rancher/rke2/config.yaml"), format!("{{\"data-dir\": \"{path}\"}}")).unwrap();
        let before = support::tree(room.path());
        let error = &event(room.path(), "")["error"];
        assert!(error.contains("is not an absolute path") && error.contains("nothing was reset"), "{path}: {error}");
        assert_eq!(support::tree(room.path()), before, "{path}");
    }
}

/// Without the directories that RKE2 makes: what is left by a reset that was cut off, or that was before the last boot, is no mistake.
#[test]
fn a_reset_can_be_repeated_after_a_boot() {
    let document = "- /usr/local/cloud-config/cluster.kairos.yaml";
    let rest = "- /var/lib/kubelet/pods/x\n- /etc/rancher/rke2/config.yaml = {\"token\": \"SECRET-token\"}\n";
    for (path, config) in [("/var/lib/rancher/rke2", ""), ("/data/rke2", "config: {data-dir: /data/rke2}")] {
        let room = node(&format!("{rest}+ {path}/mine\n{document}\n"));
        let text = format!(
            "name: RKE2 Kairos Cluster Provider\nstages:\n  boot.before:\n  - files:\n    - path: /run/provider-rke2/plan.yaml\n      content: \"data_dir: {path}\"\n"
        );
        fs::write(room.path().join("usr/local/cloud-config/cluster.kairos.yaml"), text).unwrap();
        let answer = event(room.path(), &format!("#cloud-config\ncluster: {{role: init, {config}}}\n"));
        assert_eq!(answer["error"], "", "{path}");
        assert!(answer["log"].contains(&format!("{path} has none of")), "{answer:?}");
        assert!(is_there(room.path(), &format!("{path}/mine")));
        for line in rest.lines().chain([document]) {
            assert!(!is_there(room.path(), line[2..].split(' ').next().unwrap()), "{path}: {line}");
        }
        fs::remove_dir_all(room.path().join("run")).unwrap();
        assert_eq!(reset(room.path(), &[]).status.code(), Some(0), "{path}, after a boot");
    }
    // Below a root path there may be something else of that name.
    let room = node("+ /persistent/data/rke2/notes\n- /data/rke2/server/db\n");
    make(room.path(), "/etc/spectro/environment = STYLUS_ROOT=/persistent");
    let answer = event(room.path(), "#cloud-config\ncluster: {role: init, config: {data-dir: /data/rke2}}\n");
    assert_eq!(answer["error"], "");
    assert!(is_there(room.path(), "/persistent/data/rke2/notes") && !is_there(room.path(), "/data/rke2"));
}

/// Where Kairos does not look for boot stages, only the plan knows of the document.
#[test]
fn a_document_at_another_path_is_found_by_the_plan() {
    let room = node("- /run/provider-rke2/x\n");
    let config = "#cloud-config\ncluster:\n  role: init\n  cluster_token: SECRET-of-some-length\n  cluster_config_path: /srv/a/b.yaml\n";
    let text = json!({ "name": "agent.boot", "data": json!({ "config": config }).to_string() }).to_string();
    let mut child = program(room.path()).arg("agent.boot").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap();
    let document = fs::read_to_string(room.path().join("srv/a/b.yaml")).unwrap();
    assert!(document.contains("document: /srv/a/b.yaml"), "{document}");
    make(room.path(), "/run/provider-rke2/plan.yaml = document: /srv/a/b.yaml");
    make(room.path(), "/srv/a/mine.yaml = name: mine");
    assert_eq!(reset(room.path(), &[]).status.code(), Some(0));
    assert!(!is_there(room.path(), "/srv/a/b.yaml") && is_there(room.path(), "/srv/a/mine.yaml"));
}

#[test]
fn a_root_path_is_a_prefix_of_state_and_nothing_else() {
    let entries = "\
- /persistent/spectro/var/lib/rancher/rke2/server/db/x
- /persistent/spectro/var/lib/kubelet/pods/x
- /var/lib/rancher/rke2/agent/x
+ /persistent/spectro/etc/rancher/rke2/config.yaml
- /etc/rancher/rke2/config.yaml = {}
";
    for (environment, config) in [
        ("", "cluster: {role: init, providerConfig: {cluster_root_path: /persistent/spectro/}}"),
        ("# x\nPROXY=a b $(touch /tmp/x)\nSTYLUS_ROOT=\"/persistent/spectro\"\n", ""),
    ] {
        let room = node(entries);
        make(room.path(), "/etc/spectro/environment");
        fs::write(room.path().join("etc/spectro/environment"), environment).unwrap();
        let answer = event(room.path(), &format!("#cloud-config\n{config}\n"));
        assert_eq!(answer["error"], "", "{config}");
        for line in entries.lines() {
            let path = line[2..].split(' ').next().unwrap();
            assert_eq!(is_there(room.path(), path), line.starts_with('+'), "{line}");
        }
    }
    for bad in ["relative", "/a/../..", "$(reboot)", "/a\tb"] {
        let room = node(entries);
        make(room.path(), "/etc/spectro/environment");
        fs::write(room.path().join("etc/spectro/environment"), format!("STYLUS_ROOT='{bad}'\n")).unwrap();
        let before = support::tree(room.path());
        let output = reset(room.path(), &[]);
        assert_eq!(output.status.code(), Some(1), "{bad}");
        assert!(stderr(&output).contains("STYLUS_ROOT in /etc/spectro/environment"), "{}", stderr(&output));
        assert_eq!(support::tree(room.path()), before, "{bad}");
    }
}

#[test]
fn an_empty_file_system_of_its_own_is_no_mistake() {
    let room = node("+ /data/rke2/lost+found/\n");
    let answer = event(room.path(), "#cloud-config\ncluster: {role: init, config: {data-dir: /data/rke2}}\n");
    assert_eq!(answer["error"], "");
    assert!(is_there(room.path(), "/data/rke2/lost+found"));
}

#[test]
fn symlinks_in_place_of_directories_are_deleted_and_not_followed() {
    let room = node(
        "+ /victim/server/db/x\n+ /victim/pods/y\n+ /victim/agent/images/z\n+ /victim/cni-1\n\
         - /var/lib/rancher/rke2/server -> /victim\n\
         - /var/lib/rancher/rke2/agent -> ../../../../victim/agent\n- /var/lib/rancher/rke2/data -> /victim\n\
         - /var/lib/kubelet -> /victim\n- /etc/cni -> ../victim\n- /etc/rancher/rke2 -> /victim\n\
         - /run/k3s -> /nowhere\n",
    );
    let output = reset(room.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for path in ["/victim/server/db/x", "/victim/pods/y", "/victim/agent/images/z", "/victim/cni-1"] {
        assert!(is_there(room.path(), path), "{path}");
    }
    for path in ["/var/lib/rancher/rke2/server", "/var/lib/kubelet", "/etc/cni"] {
        assert!(stderr(&output).contains(&format!("{path} is a symlink: only it goes")), "{}", stderr(&output));
    }
    assert_eq!(stderr(&output).matches("is a symlink").count(), 6, "{}", stderr(&output));
    for path in ["/var/lib/rancher/rke2", "/var/lib/kubelet", "/etc/cni", "/etc/rancher/rke2", "/run/k3s"] {
        assert!(!is_there(room.path(), path), "{path}");
    }
}

#[test]
fn a_tree_deeper_than_any_path_goes() {
    // In memory where that is: a disk takes a while.
    let memory = Path::new("/dev/shm");
    let room = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
    make(room.path(), "/var/lib/rancher/rke2/server/x");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = room.path().join("var/lib/rancher/rke2/server");
    let mut directory = openat(CWD, &top, flags, Mode::empty()).unwrap();
    for depth in 0..10_000 {
        let name = if depth % 2 == 0 { "a" } else { "a-longer-name" };
        mkdirat(&directory, name, Mode::from_raw_mode(0o700)).unwrap();
        if depth % 100 == 0 {
            mkdirat(&directory, "beside", Mode::from_raw_mode(0o700)).unwrap();
        }
        directory = openat(&directory, name, flags, Mode::empty()).unwrap();
    }
    let output = reset(room.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!top.exists());
}

#[test]
fn images_that_were_imported_go_and_those_of_others_stay() {
    let images = "/var/lib/rancher/rke2/agent/images";
    let room = node(&format!(
        "+ {images}/ours.tar\n+ {images}/replaced.tar\n+ {images}/site.tar\n+ {images}/deep/x\n+ /var/lib/rancher/rke2/agent/.provider-rke2/half\n"
    ));
    let size = |name: &str| {
        let file = room.path().join(&images[1..]).join(name).metadata().unwrap();
        (file.len(), std::os::unix::fs::MetadataExt::mtime(&file))
    };
    let (ours, replaced) = (size("ours.tar"), size("replaced.tar"));
    let entry = |name: &str, size: u64, second: i64| {
        json!({"size": 2, "mtime": [1, 0], "ctime": [1, 0], "inode": 1,
            "imported": {"name": name, "size": size, "second": second}})
    };
    let record = json!({"target": images, "archives": {
        "/opt/content/images/ours.tar": entry("ours.tar", ours.0, ours.1),
        "/opt/content/images/replaced.tar": entry("replaced.tar", replaced.0, replaced.1 - 7),
        "/opt/content/images/far.tar": entry("../../../../../../etc/passwd", 2, 0),
        "/opt/content/images/refused.tar": {"size": 2, "mtime": [1, 0], "ctime": [1, 0], "inode": 2, "refused": "cut"},
    }});
    make(room.path(), &format!("/usr/local/lib/provider-rke2/images.json = {record}"));
    make(room.path(), "/etc/passwd");
    let output = reset(room.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let left =
        fs::read_dir(room.path().join(&images[1..])).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        left.collect::<std::collections::BTreeSet<_>>(),
        ["deep", "replaced.tar", "site.tar"].map(str::to_owned).into()
    );
    assert!(!is_there(room.path(), "/usr/local/lib/provider-rke2/images.json") && is_there(room.path(), "/etc/passwd"));
    assert!(!is_there(room.path(), "/var/lib/rancher/rke2/agent/.provider-rke2"));
}

/// What looks like RKE2's belongs to another Kubernetes here.
#[test]
fn without_a_trace_of_rke2_nothing_is_deleted() {
    let room =
        node("+ /var/lib/kubelet/pods/x\n+ /etc/cni/net.d/x\n+ /var/lib/rancher/k3s/server/db/x\n+ /run/k3s/x\n");
    let before = support::tree(room.path());
    for config in ["", "#cloud-config\nusers: []\n"] {
        let answer = event(room.path(), config);
        assert_eq!(answer["error"], "", "{answer:?}");
        assert!(answer["log"].contains("there is nothing of RKE2 on this node"), "{answer:?}");
    }
    let run = room.path().join("run/provider-rke2");
    assert!(!run.join("refused").exists());
    let after = support::tree(room.path());
    assert_eq!(after.replace("0700 /run/provider-rke2/\n", ""), before);
}

#[test]
fn a_foreign_directory_named_data_stays() {
    let room = node("+ /mnt/storage/data/photos/x\n+ /mnt/storage/data/v\n+ /etc/rancher/rke2/config.yaml\n");
    let answer = event(room.path(), "#cloud-config\ncluster: {role: init, config: {data-dir: /mnt/storage}}\n");
    assert!(answer["error"].contains("has nothing that only RKE2 makes"), "{answer:?}");
    assert!(
        is_there(room.path(), "/mnt/storage/data/photos/x") && is_there(room.path(), "/etc/rancher/rke2/config.yaml")
    );
    // Beside what RKE2 has unpacked, too.
    let room = node(
        "- /mnt/storage/data/v1.33.4-rke2r1-abc/bin/x\n+ /mnt/storage/data/photos/x\n- /mnt/storage/server/db/x\n",
    );
    let answer = event(room.path(), "#cloud-config\ncluster: {role: init, config: {data-dir: /mnt/storage}}\n");
    assert_eq!(answer["error"], "");
    assert!(is_there(room.path(), "/mnt/storage/data/photos/x") && !is_there(room.path(), "/mnt/storage/server"));
    assert!(!is_there(room.path(), "/mnt/storage/data/v1.33.4-rke2r1-abc"));
}

#[test]
fn the_environment_of_the_go_provider_goes() {
    let room = node("- /var/lib/rancher/rke2/server/db/x\n");
    let file = room.path().join("etc/default/rke2-server");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let its = "HTTP_PROXY=http://p\nCONTAINERD_HTTP_PROXY=http://p\nNO_PROXY=,.svc\nCONTAINERD_NO_PROXY=,.svc";
    for (text, goes) in [(its.to_owned(), true), (format!("{its}\nMINE=1"), false)] {
        fs::write(&file, text).unwrap();
        assert_eq!(event(room.path(), "#cloud-config\ncluster: {role: init}\n")["error"], "");
        assert_eq!(!file.exists(), goes);
    }
}

#[test]
fn what_lies_behind_a_symlink_is_named_and_stays() {
    let room = node(
        "+ /victim/rke2/config.yaml\n+ /victim/lib/kubelet/x\n+ /etc/rancher -> /victim\n- /etc/cni/x\n\
         + /persistent/var -> /victim\n- /big/opt/rke2/server/db/x\n+ /opt -> /big/opt\n",
    );
    make(room.path(), "/etc/spectro/environment = STYLUS_ROOT=/persistent");
    let answer = event(room.path(), "#cloud-config\ncluster: {role: init, config: {data-dir: /opt/rke2}}\n");
    let error = &answer["error"];
    assert!(error.contains("/persistent/var/lib/kubelet: it lies behind the symlink /persistent/var"), "{answer:?}");
    fs::remove_file(room.path().join("etc/spectro/environment")).unwrap();
    let answer = event(room.path(), "#cloud-config\ncluster: {role: init, config: {data-dir: /opt/rke2}}\n");
    let named = "cannot delete /etc/rancher/rke2: it lies behind the symlink /etc/rancher";
    assert_eq!(answer["error"], named);
    for path in ["/victim/rke2/config.yaml", "/victim/lib/kubelet/x"] {
        assert!(is_there(room.path(), path), "{path}");
    }
    // Where the system itself has put /opt elsewhere, that is what is meant.
    assert!(!is_there(room.path(), "/big/opt/rke2") && !is_there(room.path(), "/etc/cni"));
}

/// Somebody replaces a directory by a symlink to something precious and back, all the time: whatever else comes of it, that stays.
#[test]
fn a_symlink_that_is_swapped_in_meanwhile_is_not_followed() {
    let stop = AtomicBool::new(false);
    for _ in 0..5 {
        let room = node("+ /precious/0\n- /var/lib/rancher/rke2/server/x\n");
        let server = room.path().join("var/lib/rancher/rke2/server");
        // They are deleted first, by their inodes: time for a swap between the look at a name and what is done to it.
        for number in 0..4000 {
            fs::write(server.join(format!("file-{number}")), "").unwrap();
        }
        for number in 0..60 {
            fs::create_dir_all(server.join(format!("{number}/deep/er"))).unwrap();
            fs::write(room.path().join(format!("precious/{number}")), "").unwrap();
        }
        std::thread::scope(|scope| {
            let stop = &stop;
            for number in 0..60 {
                symlink(room.path().join("precious"), server.join(format!("link-{number}"))).unwrap();
            }
            let swapper = scope.spawn(move || {
                let Ok(both) = openat(CWD, &server, OFlags::PATH, Mode::empty()) else { return };
                while !stop.load(Ordering::Relaxed) {
                    for number in 0..60 {
                        let (name, link) = (format!("{number}"), format!("link-{number}"));
                        let exchange = rustix::fs::RenameFlags::EXCHANGE;
                        let _ = rustix::fs::renameat_with(&both, &link, &both, &name, exchange);
                    }
                }
            });
            reset(room.path(), &[]);
            stop.store(true, Ordering::Relaxed);
            swapper.join().unwrap();
        });
        stop.store(false, Ordering::Relaxed);
        assert_eq!(fs::read_dir(room.path().join("precious")).unwrap().count(), 60);
    }
}

/// The same with the data directory itself.
#[test]
fn a_data_directory_that_is_swapped_meanwhile_is_not_followed() {
    for _ in 0..20 {
        let room = node("+ /precious/server/0\n+ /precious/agent/0\n- /var/lib/rancher/rke2/server/x\n");
        let stop = AtomicBool::new(false);
        let parent = room.path().join("var/lib/rancher");
        symlink(room.path().join("precious"), parent.join("link")).unwrap();
        (0..300).for_each(|number| make(room.path(), &format!("/var/lib/rancher/rke2/agent/{number}")));
        std::thread::scope(|scope| {
            let stop = &stop;
            scope.spawn(move || {
                let parent = openat(CWD, &parent, OFlags::PATH, Mode::empty()).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let exchange = rustix::fs::RenameFlags::EXCHANGE;
                    let _ = rustix::fs::renameat_with(&parent, "link", &parent, "rke2", exchange);
                }
            });
            reset(room.path(), &["--timeout", "20s"]);
            stop.store(true, Ordering::Relaxed);
        });
        assert!(is_there(room.path(), "/precious/server/0") && is_there(room.path(), "/precious/agent/0"));
    }
}

#[test]
fn somebody_who_writes_all_the_time_does_not_keep_us() {
    let room = node("- /var/lib/rancher/rke2/server/busy/x\n- /etc/cni/x\n");
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (busy, stop) = (room.path().join("var/lib/rancher/rke2/server/busy"), &stop);
            scope.spawn(move || {
                for number in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let _ = fs::create_dir_all(&busy);
                    let _ = fs::write(busy.join(format!("{writer}-{number}")), "");
                }
            });
        }
        let output = reset(room.path(), &["--timeout", "20s"]);
        stop.store(true, Ordering::Relaxed);
        assert!(start.elapsed() < Duration::from_secs(20));
        // Which of both was faster is open; it is told if it was not us.
        let said = stderr(&output);
        assert!(output.status.success() || said.contains("busy") || said.contains("server"), "{said}");
    });
    assert!(!is_there(room.path(), "/etc/cni"), "what comes after it is done");
}

#[test]
fn after_it_nothing_starts_rke2_until_it_is_planned_anew() {
    let room = node(NODE);
    reset(room.path(), &[]);
    for path in TRACES {
        assert!(is_there(room.path(), path), "{path}");
    }
    // A boot stage that had read the document before comes too late.
    make(room.path(), "/run/provider-rke2/plan.yaml = role: init");
    for step in ["config", "service"] {
        let output = program(room.path()).args(["apply", step]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{step}");
        assert!(stderr(&output).contains("this node was reset"), "{}", stderr(&output));
    }
    let config = "#cloud-config\ncluster:\n  role: init\n  cluster_token: SECRET-of-some-length\n";
    let text = json!({ "name": "agent.boot", "data": json!({ "config": config }).to_string() }).to_string();
    let mut child = program(room.path()).arg("agent.boot").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap();
    let output = program(room.path()).arg("apply").output().unwrap();
    assert!(is_there(room.path(), "/run/provider-rke2/ready-rke2-server"), "{}", stderr(&output));
}

#[test]
fn the_answer_on_the_bus_is_short_and_tells_no_secret() {
    let room = node(NODE);
    let config =
        "#cloud-config\ncluster:\n  role: init\n  cluster_token: SECRET-token\n  config: \"data-dir: /SECRET\"\n";
    let answer = event(room.path(), config);
    assert_eq!(answer["error"], "");
    let log = &answer["log"];
    assert!(log.contains(" done; 0 left") && log.contains("kubectl delete node"), "{log}");
    assert!(!answer.values().any(|it| it.contains("SECRET-")), "{answer:?}");
    assert_eq!((&*answer["state"], &*answer["data"]), ("", ""));
}

#[test]
fn the_time_is_asked_for_in_seconds_minutes_or_hours() {
    let room = tempfile::tempdir().unwrap();
    for (text, status) in [
        ("90s", 0),
        ("5m", 0),
        ("1h", 0),
        ("30", 0),
        ("0", 2),
        ("5d", 2),
        ("m", 2),
        ("99999999999999999999m", 2),
        ("-1s", 2),
    ] {
        let output = reset(room.path(), &["--dry-run", &format!("--timeout={text}")]);
        assert_eq!(output.status.code(), Some(status), "{text}");
    }
}

#[test]
fn somebody_else_at_work_is_waited_for_and_named() {
    let room = node(NODE);
    fs::create_dir_all(room.path().join("run/provider-rke2")).unwrap();
    let lock = fs::File::create(room.path().join("run/provider-rke2/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let output = reset(room.path(), &["--timeout", "2s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("somebody else held it"), "{}", stderr(&output));
    assert!(is_there(room.path(), "/var/lib/rancher/rke2/server/db/etcd/member/wal"));
    assert!(
        is_there(room.path(), "/run/provider-rke2/refused")
            && !is_there(room.path(), "/run/provider-rke2/ready-rke2-server")
    );
}
