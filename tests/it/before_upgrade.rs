//! Before the first start of a newer minor version of RKE2 a server's data is copied, whole or not at all, and the start goes on in any case.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::support::What::{Fails, Killed};
use crate::support::{self, Fault, Node, Ran, can_trace, each, fifo, inner_room, inside, paths, tampered, traced};

const SERVER: &str = "var/lib/rancher/rke2/server";
const DB: &str = "var/lib/rancher/rke2/server/db";
const UNFINISHED: &str = "var/lib/rancher/rke2/server/.db-before.provider-rke2";
const LABEL: &str = ".provider-rke2.json";

/// What is said of a change, and what it does to a node.
type Change = (&'static str, fn(&Node));

fn cloud_config(role: &str, settings: &str) -> String {
    format!(
        "#cloud-config\ncluster:\n  role: {role}\n  cluster_token: a-token-that-is-long-enough\n  \
         control_plane_host: 10.10.0.5\n{settings}"
    )
}

/// A node on which RKE2 of this version has been, with all that a server's data may hold.
fn node(version: &str) -> Node {
    let node = Node::new();
    fill(&node);
    node.put(&format!("var/lib/rancher/rke2/data/{}-0a1b2c3d4e5f/bin/containerd", version.replace('+', "-")), "");
    plan(&node, "init", "");
    // Each test says itself what the node remembers.
    node.clear("usr/local/lib/provider-rke2");
    node
}

fn fill(node: &Node) {
    node.write(&format!("{DB}/etcd/member/snap/db"), vec![7; 300_000], 0o600);
    node.write(&format!("{DB}/etcd/member/wal/0.wal"), "first", 0o600);
    node.write(&format!("{DB}/etcd/config"), "", 0o640);
    node.write(&format!("{DB}/snapshots/at-noon"), "old", 0o600);
    fs::create_dir(node.path(&format!("{DB}/empty"))).unwrap();
    fs::set_permissions(node.path(&format!("{DB}/etcd")), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("snapshots/at-noon", node.path(&format!("{DB}/last"))).unwrap();
    symlink("/nowhere", node.path(&format!("{DB}/dangling"))).unwrap();
    fifo(&node.path(&format!("{DB}/pipe")));
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    for path in ["etcd/member/snap/db", "etcd/member"] {
        fs::File::open(node.path(&format!("{DB}/{path}"))).unwrap().set_modified(old).unwrap();
    }
}

fn plan(node: &Node, role: &str, settings: &str) {
    assert_eq!(node.boot(&cloud_config(role, settings))["error"], "");
    node.stage();
    assert_eq!(node.run(&["apply", "config"]).code, Some(0));
}

/// Puts another RKE2 into the image. Under another root it is searched for its version.
fn install(node: &Node, version: &str) {
    node.write("usr/bin/rke2", format!("#!/bin/sh\necho rke2 version {version}\n"), 0o755);
}

/// The unit is about to start RKE2 of this version.
fn start(node: &Node, version: &str) -> Ran {
    install(node, version);
    let ran = node.run(&["prestart", "rke2-server"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// The names of what begins like a copy.
fn copies(node: &Node) -> Vec<String> {
    let Ok(entries) = fs::read_dir(node.path(SERVER)) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "db" && name != "tls");
    names.sort();
    names
}

/// All that a copy keeps of each thing in a tree, by path.
fn contents(top: &Path) -> BTreeMap<String, (u32, Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(String::new(), top.to_owned())];
    while let Some((name, path)) = waiting.pop() {
        let it = fs::symlink_metadata(&path).unwrap();
        let kind = it.file_type();
        let bytes = match () {
            () if kind.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            () if kind.is_file() => fs::read(&path).unwrap(),
            () if kind.is_dir() => Vec::new(),
            () => continue,
        };
        if kind.is_dir() {
            let entries = fs::read_dir(&path).unwrap().map(|it| it.unwrap());
            waiting.extend(entries.map(|it| (format!("{name}/{}", it.file_name().to_str().unwrap()), it.path())));
        }
        // The label is written into the copy, which changes the time of its own directory alone.
        if name != format!("/{LABEL}") {
            let time = if name.is_empty() { (0, 0) } else { (it.mtime(), it.mtime_nsec()) };
            found.insert(name, (it.mode(), bytes, time.0, time.1));
        }
    }
    found
}

fn status(node: &Node) -> serde_json::Value {
    serde_json::from_str(&node.run(&["status", "--format", "json"]).stdout).unwrap()
}

/// Why the last start has no copy.
fn why(node: &Node) -> String {
    let reasons = status(node)["reasons"].clone();
    let reasons: Vec<_> = reasons.as_array().unwrap().iter().filter(|it| it["code"] == "copy-missing").collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons[0]["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_data_is_copied_before_a_newer_minor_version() {
    let node = node("v1.33.4+rke2r1");
    let before = contents(&node.path(DB));
    for version in ["v1.33.4+rke2r1", "v1.33.5-rc1+rke2r1", "v1.33.12+rke2r2"] {
        assert_eq!((start(&node, version).stderr, copies(&node)), (String::new(), vec![]), "{version}");
    }
    let ran = start(&node, "v1.34.1+rke2r1");
    assert_eq!(copies(&node), ["db-before-v1.34.1+rke2r1"], "{ran:?}");
    assert!(ran.stdout.is_empty() || !ran.stdout.contains("because"), "{ran:?}");
    let copy = node.path(&format!("{SERVER}/db-before-v1.34.1+rke2r1"));
    assert_eq!(contents(&copy), before);
    assert!(!copy.join("pipe").exists() && copy.join("empty").is_dir());
    assert_eq!(contents(&node.path(DB)), before);
    assert!(node.read(support::LOG).unwrap().contains("db-before-v1.34.1+rke2r1: made before the first start of RKE2"));
    // The status says how to go back.
    let told = status(&node);
    assert_eq!((&told["copy"]["of"], &told["copy"]["before"]), (&"v1.33.4+rke2r1".into(), &"v1.34.1+rke2r1".into()));
    assert_eq!((&told["rke2"], &told["data"]), (&"v1.34.1+rke2r1".into(), &"v1.33.4+rke2r1".into()));
    assert!(node.run(&["status"]).stdout.contains("mv db-before-v1.34.1+rke2r1 db"));
}

#[test]
fn what_was_copied_at_the_first_attempt_stays() {
    let node = node("v1.33.4+rke2r1");
    start(&node, "v1.34.1+rke2r1");
    let copy = node.path(&format!("{SERVER}/db-before-v1.34.1+rke2r1"));
    let before = contents(&copy);
    // RKE2 ends in the middle of it and is started again, of a newer patch too.
    node.write(&format!("{DB}/etcd/member/snap/db"), "half converted", 0o600);
    for version in ["v1.34.1+rke2r1", "v1.34.2+rke2r1"] {
        start(&node, version);
        assert_eq!(copies(&node), ["db-before-v1.34.1+rke2r1"], "{version}");
        assert_eq!(contents(&copy), before, "{version}");
    }
}

#[test]
fn the_newest_copy_is_kept() {
    let node = node("v1.33.4+rke2r1");
    start(&node, "v1.34.1+rke2r1");
    node.put("usr/local/lib/provider-rke2/node.json", node_json("v1.34.1+rke2r1", "/var/lib/rancher/rke2"));
    node.write(&format!("{DB}/etcd/member/snap/db"), "of 1.34", 0o600);
    start(&node, "v1.35.0+rke2r1");
    assert_eq!(copies(&node), ["db-before-v1.35.0+rke2r1"]);
    assert_eq!(node.read(&format!("{SERVER}/db-before-v1.35.0+rke2r1/etcd/member/snap/db")).unwrap(), "of 1.34");
}

fn node_json(started: &str, data_dir: &str) -> String {
    format!("{{\"form\": 1, \"unit\": \"rke2-server\", \"data_dir\": {data_dir:?}, \"started\": {started:?}}}")
}

#[test]
fn the_version_of_the_data_is_what_the_node_remembers_of_this_directory() {
    for (json, expected) in [
        (node_json("v1.34.9+rke2r1", "/var/lib/rancher/rke2"), "v1.34.9+rke2r1"),
        (node_json("v1.32.9+rke2r1", "/var/lib/rancher/rke2"), "v1.32.9+rke2r1"),
        // Another disk, or a record that cannot be read: what RKE2 has left there.
        (node_json("v1.34.9+rke2r1", "/mnt/old"), "v1.33.4+rke2r1"),
        (node_json("latest", "/var/lib/rancher/rke2"), "v1.33.4+rke2r1"),
        ("{".into(), "v1.33.4+rke2r1"),
    ] {
        let node = node("v1.33.4+rke2r1");
        node.put("var/lib/rancher/rke2/data/v1.31.1-rke2r1-0a1b2c3d4e5f/bin/runc", "");
        node.put("var/lib/rancher/rke2/data/other", "");
        node.put("usr/local/lib/provider-rke2/node.json", &json);
        assert_eq!(status(&node)["data"], expected, "{json}");
    }
}

#[test]
fn the_data_is_put_back_with_the_command_of_the_status() {
    let node = node("v1.33.4+rke2r1");
    node.put("usr/local/lib/provider-rke2/node.json", node_json("v1.33.4+rke2r1", "/var/lib/rancher/rke2"));
    let before = contents(&node.path(DB));
    start(&node, "v1.34.1+rke2r1");
    node.write(&format!("{DB}/etcd/member/snap/db"), "converted", 0o600);
    node.put("usr/local/lib/provider-rke2/node.json", node_json("v1.34.1+rke2r1", "/var/lib/rancher/rke2"));
    assert_eq!(status(&node)["data"], "v1.34.1+rke2r1");

    let command =
        status(&node)["copy"]["command"].as_str().unwrap().replace("/var/lib", node.path("var/lib").to_str().unwrap());
    assert!(Command::new("sh").args(["-ec", &command]).status().unwrap().success(), "{command}");
    assert_eq!(contents(&node.path(DB)), before);
    assert_eq!(copies(&node), ["db-of-v1.34.1+rke2r1"]);
    // The data say themselves what they are, whatever the node remembers, and go on from there.
    assert_eq!(status(&node)["data"], "v1.33.4+rke2r1");
    start(&node, "v1.33.5+rke2r1");
    assert_eq!(status(&node)["data"], "v1.33.5+rke2r1");
    start(&node, "v1.34.2+rke2r1");
    assert_eq!(status(&node)["data"], "v1.34.2+rke2r1");
    let copy = node.path(&format!("{SERVER}/db-before-v1.34.2+rke2r1"));
    assert_eq!((contents(&copy), &status(&node)["copy"]["of"]), (before, &"v1.33.5+rke2r1".into()));
}

#[test]
fn a_snapshot_that_was_restored_by_hand_is_of_the_version_that_restored_it() {
    let node = node("v1.34.1+rke2r1");
    node.put("usr/local/lib/provider-rke2/node.json", node_json("v1.34.1+rke2r1", "/var/lib/rancher/rke2"));
    // What `rke2 server --cluster-reset --cluster-reset-restore-path` of the older one leaves.
    node.put(&format!("{DB}/reset-flag"), "");
    install(&node, "v1.33.4+rke2r1");
    assert_eq!(status(&node)["data"], "v1.33.4+rke2r1");
    start(&node, "v1.33.4+rke2r1");
    // RKE2 removes it once it runs.
    node.clear(&format!("{DB}/reset-flag"));
    assert_eq!(status(&node)["data"], "v1.33.4+rke2r1");
    start(&node, "v1.34.1+rke2r1");
    assert_eq!(copies(&node), ["db-before-v1.34.1+rke2r1"]);
    assert_eq!(status(&node)["data"], "v1.34.1+rke2r1");
}

#[test]
fn a_copy_of_what_an_older_version_has_gone_on_with_is_made_anew() {
    let node = node("v1.34.1+rke2r1");
    start(&node, "v1.35.1+rke2r1");
    // The image falls back, and the older RKE2 can read the data.
    start(&node, "v1.34.1+rke2r1");
    assert_eq!(status(&node)["copy"]["is_old"], true);
    node.write(&format!("{DB}/etcd/member/snap/db"), "of a month later", 0o600);
    for version in ["v1.35.1+rke2r1", "v1.35.2+rke2r1"] {
        start(&node, version);
        let name = "db-before-v1.35.1+rke2r1";
        assert_eq!(copies(&node), [name], "{version}");
        assert_eq!(node.read(&format!("{SERVER}/{name}/etcd/member/snap/db")).unwrap(), "of a month later");
    }
}

#[test]
fn nothing_is_copied_where_nothing_is_asked_for_or_known() {
    let cases: &[Change] = &[
        ("switched off", |node| plan(node, "init", "  providerConfig:\n    copy_before_upgrade: \"false\"\n")),
        ("no data", |node| node.clear(DB)),
        ("data of an unknown version", |node| node.clear("var/lib/rancher/rke2/data")),
        ("RKE2 of an unknown version", |node| install(node, "dev")),
        ("no RKE2", |node| node.clear("usr/bin/rke2")),
        ("the plan of an agent", |node| {
            node.clear("var/lib/rancher/rke2/server");
            node.put("var/lib/rancher/rke2/agent/client-kubelet.crt", "");
            plan(node, "worker", "");
            fill(node);
        }),
        ("an older version", |node| install(node, "v1.32.1+rke2r1")),
    ];
    for (case, change) in cases {
        let node = node("v1.33.4+rke2r1");
        install(&node, "v1.34.1+rke2r1");
        change(&node);
        let ran = node.run(&["prestart", "rke2-server"]);
        assert_eq!((ran.code, copies(&node)), (Some(0), Vec::<String>::new()), "{case}: {ran:?}");
        assert!(!ran.stderr.contains("copied"), "{case}: {ran:?}");
    }
}

#[test]
fn a_newer_version_that_comes_back_finds_the_data_of_the_older_one_copied_anew() {
    let node = node("v1.34.1+rke2r1");
    node.put("usr/local/lib/provider-rke2/node.json", node_json("v1.34.1+rke2r1", "/var/lib/rancher/rke2"));
    start(&node, "v1.35.1+rke2r1");
    // It has unpacked itself, and has never been ready; the older one goes on with the data.
    node.put("var/lib/rancher/rke2/data/v1.35.1-rke2r1-0a1b2c3d4e5f/bin/containerd", "");
    start(&node, "v1.35.1+rke2r1");
    start(&node, "v1.34.1+rke2r1");
    node.write(&format!("{DB}/etcd/member/snap/db"), "of a month later", 0o600);
    start(&node, "v1.35.1+rke2r1");
    let copy = format!("{SERVER}/db-before-v1.35.1+rke2r1/etcd/member/snap/db");
    assert_eq!(node.read(&copy).unwrap(), "of a month later");
    assert_eq!(status(&node)["copy"]["of"], "v1.34.1+rke2r1");
    assert_eq!(status(&node)["data"], "v1.35.1+rke2r1");
}

#[test]
fn what_cannot_be_copied_is_told_and_rke2_starts() {
    let cases: &[Change] = &[
        ("db/etcd is on a file system of its own, or a symlink", |node| {
            fs::rename(node.path(&format!("{DB}/etcd")), node.path("var/elsewhere")).unwrap();
            symlink("/var/elsewhere", node.path(&format!("{DB}/etcd"))).unwrap();
        }),
        ("server/db is on a file system of its own, or a symlink", |node| {
            fs::rename(node.path(DB), node.path("var/elsewhere")).unwrap();
            symlink("/var/elsewhere", node.path(DB)).unwrap();
        }),
        ("MiB must be free and", |node| {
            let large = fs::File::options().write(true).open(node.path(&format!("{DB}/etcd/member/snap/db"))).unwrap();
            large.set_len(1 << 43).unwrap();
        }),
        ("file name too long", |node| {
            let deep = format!("{DB}/{}", ["d"; 40].join("/"));
            fs::create_dir_all(node.path(&deep)).unwrap();
        }),
        ("cannot look through", |node| {
            fs::remove_dir_all(node.path(DB)).unwrap();
            fs::write(node.path(DB), "").unwrap();
        }),
    ];
    for (expected, change) in cases {
        let node = node("v1.33.4+rke2r1");
        change(&node);
        let ran = start(&node, "v1.34.1+rke2r1");
        assert_eq!(copies(&node), [""; 0], "{expected}");
        assert!(why(&node).contains(expected), "{expected}: {}", why(&node));
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    // etcd still runs, as after a restart of RKE2 alone.
    let node = node("v1.33.4+rke2r1");
    let db = fs::File::open(node.path(&format!("{DB}/etcd/member/snap/db"))).unwrap();
    flock(&db, FlockOperation::LockExclusive).unwrap();
    start(&node, "v1.34.1+rke2r1");
    assert!(copies(&node).is_empty() && why(&node).contains("because etcd runs"), "{}", why(&node));
    drop(db);
    start(&node, "v1.34.1+rke2r1");
    assert_eq!(copies(&node), ["db-before-v1.34.1+rke2r1"]);
    assert_eq!(status(&node)["reasons"], serde_json::json!([]));
}

#[test]
fn what_was_cut_off_is_removed() {
    let node = node("v1.33.4+rke2r1");
    node.put(&format!("{UNFINISHED}/etcd/half"), "x");
    start(&node, "v1.33.4+rke2r1");
    assert!(!node.exists(UNFINISHED));
    node.put(&format!("{UNFINISHED}/etcd/half"), "x");
    // One that has no label is none of ours.
    node.put(&format!("{SERVER}/db-before-v1.30.1+rke2r1/kept"), "x");
    start(&node, "v1.34.1+rke2r1");
    assert_eq!(copies(&node), ["db-before-v1.30.1+rke2r1", "db-before-v1.34.1+rke2r1"]);
    assert!(!node.exists(&format!("{SERVER}/db-before-v1.34.1+rke2r1/etcd/half")));
}

/// Whether the data is as it was, and what has the name of a copy is one.
fn check(node: &Node, before: &BTreeMap<String, (u32, Vec<u8>, i64, i64)>, case: &str) {
    assert!(&contents(&node.path(DB)) == before, "{case}: the data is changed");
    let name = format!("{SERVER}/db-before-v1.34.1+rke2r1");
    if node.exists(&name) {
        assert!(&contents(&node.path(&name)) == before, "{case}: the copy is not whole");
        assert_eq!(status(node)["copy"]["of"], "v1.33.4+rke2r1", "{case}");
    }
}

/// System calls of a copy, and what they may fail with.
const CALLS: &[(&str, &[&str])] = &[
    ("openat", &["EIO", "ENOSPC", "EMFILE"]),
    ("openat2", &["EIO", "EMFILE"]),
    ("mkdirat", &["EIO", "ENOSPC", "EROFS"]),
    ("copy_file_range", &["EIO", "ENOSPC", "EDQUOT"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fchmod", &["EIO", "EROFS"]),
    ("utimensat", &["EIO", "EROFS"]),
    ("symlinkat", &["EIO", "ENOSPC"]),
    ("readlinkat", &["EIO"]),
    ("renameat", &["EIO", "ENOSPC", "EROFS"]),
    ("unlinkat", &["EIO", "EROFS"]),
    ("getdents64", &["EIO"]),
    ("newfstatat", &["EIO"]),
    ("write", &["EIO", "ENOSPC"]),
    ("flock", &["ENOLCK"]),
];

#[test]
fn a_run_that_is_killed_or_meets_an_error_leaves_a_whole_copy_or_none() {
    if !can_trace() {
        return;
    }
    each(CALLS.len() * 2, |number| {
        let (call, errors) = CALLS[number / 2];
        let log = tempfile::NamedTempFile::new().unwrap();
        let node = node("v1.33.4+rke2r1");
        let before = contents(&node.path(DB));
        install(&node, "v1.34.1+rke2r1");
        let known = {
            let options = ["-etrace=%file,%desc,flock,fsync".to_owned()];
            support::run(&mut traced(&node, log.path(), &options, &["prestart", "rke2-server"]), b"");
            paths(&node, log.path())
        };
        assert_eq!(copies(&node), ["db-before-v1.34.1+rke2r1"]);
        let mut many = 0;
        // Of the calls that are many and change nothing, every fourth will do for a kill.
        let changes =
            ["mkdirat", "copy_file_range", "fsync", "symlinkat", "renameat", "unlinkat", "write"].contains(&call);
        for when in (1..).step_by(if changes || number % 2 == 1 { 1 } else { 4 }) {
            node.clear(&format!("{SERVER}/db-before-v1.34.1+rke2r1"));
            let what = if number % 2 == 0 { Killed } else { Fails(errors[when % errors.len()]) };
            let fault = Fault { call, when, what };
            let ran = support::run(&mut fault.traced(&node, log.path(), &known, &["prestart", "rke2-server"]), b"");
            let path = tampered(&node, log.path()).unwrap_or_default();
            let is_hit = if number % 2 == 0 { ran.signal.is_some() } else { !path.is_empty() };
            let case = format!("{fault}, {path}: {ran:?}");
            check(&node, &before, &case);
            if number % 2 == 1 {
                // Without its root the program can do nothing at all.
                assert!(matches!(ran.code, Some(0 | 2)), "{case}");
                let is_there = node.exists(&format!("{SERVER}/db-before-v1.34.1+rke2r1"));
                let is_told =
                    ran.code == Some(2) || ran.stderr.contains("is not copied") || ran.stderr.contains("plan.yaml");
                let is_of_data = path.starts_with("/var/lib/rancher/rke2/server");
                assert!(is_there || is_told || !is_of_data, "{case}: no copy, and nobody says so");
            }
            // The next start makes it, or finds it made.
            start(&node, "v1.34.1+rke2r1");
            assert_eq!(copies(&node), ["db-before-v1.34.1+rke2r1"], "{case}");
            check(&node, &before, &case);
            if !is_hit {
                break;
            }
            many = when;
        }
        assert!(many > 0 || call == "write", "no {call} at all");
    });
}

#[test]
fn a_full_disk_and_a_mount_in_the_data_leave_no_copy() {
    const ALLOWED: &str = "mount -t tmpfs none \"$1\"";
    if inner_room().is_none() {
        let room = tempfile::tempdir().unwrap();
        return inside("before_upgrade::a_full_disk_and_a_mount_in_the_data_leave_no_copy", ALLOWED, room.path());
    }
    let mount = |node: &Node, on: &str, options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "none"]).arg(node.path(on));
        assert!(command.status().unwrap().success());
    };
    // Room for the data and a half, for the data and its copy but not for the rest of it, and for files.
    for (options, expected) in
        [("size=640k", "MiB must be free"), ("nr_inodes=40", "no space left on device"), ("", "")]
    {
        let node = Node::new();
        fs::create_dir_all(node.path(SERVER)).unwrap();
        mount(&node, SERVER, &format!("mode=700,{options}"));
        fill(&node);
        for number in 0..if options.starts_with("nr") { 20 } else { 0 } {
            let _ = fs::write(node.path(&format!("{SERVER}/ballast-{number}")), "");
        }
        node.put("var/lib/rancher/rke2/data/v1.33.4-rke2r1-0a1b2c3d4e5f/bin/containerd", "");
        plan(&node, "init", "");
        let before = contents(&node.path(DB));
        start(&node, "v1.34.1+rke2r1");
        check(&node, &before, options);
        assert!(!node.exists(UNFINISHED), "{options}");
        let is_there = node.exists(&format!("{SERVER}/db-before-v1.34.1+rke2r1"));
        assert_eq!(is_there, expected.is_empty(), "{options}");
        assert!(is_there || why(&node).contains(expected), "{options}: {}", why(&node));
    }
    for (on, expected) in [("etcd", "file system of its own"), ("snapshots", "invalid cross-device link")] {
        let node = node("v1.33.4+rke2r1");
        mount(&node, &format!("{DB}/{on}"), "mode=700");
        start(&node, "v1.34.1+rke2r1");
        assert!(copies(&node).is_empty() && why(&node).contains(expected), "{on}: {}", why(&node));
    }
}
