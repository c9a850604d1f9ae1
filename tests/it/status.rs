//! The status of nodes in every state: `testdata/status/<case>.snap` holds what the program says of it, and with what exit status.
//!
//! Under another root no unit is asked: what units do is looked at in `tests/lab`.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{self, DOCUMENT, Node, REFUSED, event};

const MIRROR: &str = "var/log/provider-rke2.status.json";
const RECORD: &str = "run/provider-rke2/status.yaml";
const TOKEN: &str = "a-token-that-is-long-enough";

/// A server with lines of its section, and with options.
fn server(section: &str, options: &str) -> String {
    let options: String = options.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "#cloud-config\n\n# Sources:\n# - /oem/90.yaml\n\ncluster:\n  role: init\n  cluster_token: {TOKEN}\n  \
         control_plane_host: 10.10.0.5\n{section}  config: |\n    node-name: a\n{options}"
    )
}

const NONE: &str = "#cloud-config\n\n# Sources:\n# - /oem/90.yaml\n\nhostname: a\n";
const BAD: &str = "#cloud-config\ncluster:\n  role: master\n  cluster_token: a-token-that-is-long-enough\n";

/// A node after a boot: the event, yip, and the step that installs.
fn booted(config: &str) -> Node {
    let node = Node::new();
    node.write("oem/90.yaml", "#cloud-config\nhostname: a\n", 0o644);
    assert_eq!(node.boot(config)["error"], "");
    node.stage();
    assert_eq!(node.run(&["apply", "config"]).code, Some(0));
    node
}

fn planned(config: &str) -> Node {
    let node = Node::new();
    node.write("oem/90.yaml", "#cloud-config\nhostname: a\n", 0o644);
    node.boot(config);
    node
}

/// A state of a node, and how it comes to be.
type Case = (&'static str, fn() -> Node);

const CASES: &[Case] = &[
    ("nothing-asked", Node::new),
    ("nothing-asked-no-section", || planned(NONE)),
    ("idle", || {
        let node = booted(&server("", ""));
        node.write("run/cos/live_mode", "", 0o644);
        node
    }),
    ("pending", || planned(&server("", ""))),
    // The gate is open for the plan before.
    ("pending-planned-anew", || {
        let node = booted(&server("", ""));
        node.boot(&server("", "node-taint: [a=b:NoSchedule]"));
        node
    }),
    ("ok", || booted(&server("", ""))),
    ("ok-with-a-warning", || booted(&server("  cluster_name: edge\n", ""))),
    ("ok-with-versions-and-a-copy", || {
        let node = booted(&server("", ""));
        let server = "var/lib/rancher/rke2/server";
        node.put("usr/bin/rke2", "#!/bin/sh\necho rke2 version v1.36.5+rke2r1\n");
        node.put(&format!("{server}/db/etcd/member/snap/db"), "");
        let copy = format!("{server}/db-before-v1.37.1+rke2r1");
        node.put(&format!("{copy}/.provider-rke2.json"), r#"{"of": "v1.36.5+rke2r1", "time": "2026-10-01T09:00:00Z"}"#);
        node.put(
            "usr/local/lib/provider-rke2/node.json",
            r#"{"data_dir": "/var/lib/rancher/rke2", "started": "v1.37.1+rke2r1", "ready": "v1.36.5+rke2r1"}"#,
        );
        node.put(
            "usr/local/.kairos-state",
            "first-install: 2026-07-21T09:51:00Z\nfirst-install-source: oci://quay.io/edge:1\nlast-active-upgrade: \
             2026-10-01T08:55:00Z\nlast-active-source: oci://user:secret@registry.example/edge:2\nlast-reset: never\n",
        );
        node.put("run/cos/passive_mode", "");
        node.put("run/cos/uki_boot_mode", "");
        node
    }),
    ("ok-all-steps", || {
        let node = booted(&server("", ""));
        for step in ["environment", "config"] {
            assert_eq!(node.run(&["apply", step]).code, Some(0));
        }
        node
    }),
    ("degraded-finding", || booted(&server("", "").replace(TOKEN, "abcdef.0123456789abcdef"))),
    ("degraded-source-left-out", || {
        let node = Node::new();
        node.write("oem/90.yaml", "#cloud-config\na: [\n", 0o644);
        node.boot(&server("", ""));
        node.stage();
        assert_eq!(node.run(&["apply", "config"]).code, Some(0));
        node
    }),
    ("degraded-section-left-out", || {
        let node = booted(&server("", ""));
        node.write("oem/99.yaml", "#cloud-cfg\ncluster:\n  role: init\n", 0o644);
        node.boot(NONE);
        node
    }),
    ("degraded-section-gone", || {
        let node = booted(&server("", ""));
        node.write("var/lib/rancher/rke2/server/db/etcd", "", 0o600);
        node.boot(NONE);
        node
    }),
    ("degraded-step-failed", || {
        let node = booted(&server("", ""));
        node.write("etc/rancher/rke2/config.d/50_site.yaml", "a: [\n", 0o600);
        assert_eq!(node.run(&["apply", "config"]).code, Some(1));
        node
    }),
    ("degraded-event-missing", || {
        let node = booted(&server("", ""));
        node.clear("run");
        node.stage();
        assert_eq!(node.run(&["apply", "config"]).code, Some(0));
        node
    }),
    ("refused", || planned(BAD)),
    ("refused-without-a-record", || {
        let node = planned(BAD);
        node.clear(RECORD);
        node
    }),
    ("refused-event-unfinished", || {
        let node = booted(&server("", ""));
        node.write(REFUSED, "", 0o600);
        node
    }),
    ("refused-that-cannot-be-read", || {
        let node = booted(&server("", ""));
        std::fs::create_dir(node.path(REFUSED)).unwrap();
        node
    }),
    ("refused-after-a-reset", || {
        let node = booted(&server("", ""));
        let reset = support::run(&mut node.program(&["cluster.reset"]), &event("cluster.reset", &server("", "")));
        assert_eq!(support::answer(&reset)["error"], "");
        node
    }),
    ("unknown-record-gone", || {
        let node = booted(&server("", ""));
        node.clear(RECORD);
        node
    }),
    ("unknown-record-torn", || {
        let node = booted(&server("", ""));
        let record = node.read(RECORD).unwrap();
        node.write(RECORD, record.split_once("steps:").unwrap().0, 0o600);
        node
    }),
    ("unknown-record-of-others", || {
        let node = booted(&server("", ""));
        node.write(RECORD, "\0\0\0", 0o600);
        node
    }),
    ("unknown-no-event", || {
        let node = booted(&server("", ""));
        node.clear("run");
        node
    }),
    ("unknown-gate-open-without-a-plan", || {
        let node = Node::new();
        node.write("run/provider-rke2/ready-rke2-server", "", 0o600);
        node
    }),
    // A run of the boot stages for an older plan that comes late spoils nothing.
    ("ok-older-run-left-alone", || {
        let node = booted(&server("", "node-taint: [a=b:NoSchedule]"));
        let older = node.read(DOCUMENT).unwrap();
        node.boot(&server("", ""));
        node.stage();
        assert_eq!(node.run(&["apply", "config"]).code, Some(0));
        let newer = node.read(DOCUMENT).unwrap();
        node.write(DOCUMENT, older, 0o600);
        node.stage();
        node.write(DOCUMENT, newer, 0o600);
        assert_eq!(node.run(&["apply", "config"]).code, Some(1));
        node
    }),
];

#[test]
fn every_state_has_its_word() {
    for (name, state) in CASES {
        let node = state();
        let ran = node.run(&["status"]);
        let is_stamp = |line: &&str| line.starts_with("time: ") || line.starts_with("version: ");
        let told: String = ran.stdout.lines().filter(|line| !is_stamp(line)).map(|line| format!("{line}\n")).collect();
        let whole = format!("exit status {}\n{told}", ran.code.unwrap());
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/status"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(*name, whole));

        // JSON says the same, and so does the mirror, as long as only phases have changed something.
        let json = node.run(&["status", "--format", "json"]);
        let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((json.code, told["status"].as_str()), (ran.code, ran.stdout.lines().next()), "{name}");
        for reason in told["reasons"].as_array().unwrap() {
            assert!(ran.stdout.contains(reason["message"].as_str().unwrap()), "{name}: {reason}");
        }
        let Some(mirror) = node.read(MIRROR) else { continue };
        assert_eq!(node.mode(MIRROR), 0o644, "{name}");
        assert!(!mirror.contains(TOKEN), "{name}: {mirror}");
        serde_json::from_str::<serde_json::Value>(&mirror).unwrap();
    }
}

/// The mirror is for those who may not ask the program, and for the time after the boot.
#[test]
fn the_mirror_says_what_the_last_phase_came_to() {
    let word = |node: &Node| {
        let mirror: serde_json::Value = serde_json::from_str(&node.read(MIRROR).unwrap()).unwrap();
        mirror["status"].as_str().unwrap().to_owned()
    };
    let node = planned(&server("", ""));
    assert_eq!(word(&node), "pending");
    node.stage();
    node.run(&["apply", "config"]);
    assert_eq!(word(&node), "ok");
    node.boot(BAD);
    assert_eq!(word(&node), "refused");
    node.clear("run");
    assert_eq!(word(&node), "refused", "it outlives the boot");
    support::run(&mut node.program(&["cluster.reset"]), &event("cluster.reset", &server("", "")));
    assert!(!node.exists(MIRROR), "it does not outlive a reset");
}

/// A full disk, or a directory in the way: what could not be told is told by the next run, though that one comes to the same.
#[test]
fn what_could_not_be_told_is_told_by_the_next_run() {
    const ISSUE: &str = "etc/issue.d/50-provider-rke2.issue";
    let node = planned(&server("", ""));
    for path in [MIRROR, ISSUE] {
        node.clear(path);
        node.put(&format!("{path}/in-the-way"), "");
    }
    for _ in 0..2 {
        node.boot(BAD);
    }
    for path in [MIRROR, ISSUE] {
        assert!(node.path(path).is_dir(), "{path}");
        node.clear(path);
    }
    node.boot(BAD);
    for path in [MIRROR, ISSUE] {
        assert!(node.read(path).unwrap().contains("master"), "{path}");
    }
}

#[test]
fn wait_ends_when_there_is_nothing_more_to_wait_for() {
    // Nothing is asked, so nothing is waited for.
    let ran = Node::new().run(&["status", "--wait", "60"]);
    assert_eq!((ran.code, ran.stdout.lines().next()), (Some(0), Some("nothing asked")));

    let node = planned(&server("", ""));
    let start = Instant::now();
    let ran = node.run(&["status", "--wait", "1"]);
    assert_eq!((ran.code, ran.stdout.lines().next()), (Some(0), Some("pending")));
    assert!(start.elapsed() >= Duration::from_secs(1));

    let mut status = node.program(&["status", "--wait", "60"]);
    let waiting = status.stdout(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(300));
    node.stage();
    assert_eq!(node.run(&["apply", "config"]).code, Some(0));
    let output = waiting.wait_with_output().unwrap();
    assert!(output.stdout.starts_with(b"ok\n"), "{}", String::from_utf8_lossy(&output.stdout));
}
