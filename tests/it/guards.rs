//! `testdata/guards/<case>/`: a cloud-config and the node as it was, and beside them what the guards make of it: at `agent.boot`, at
//! `apply config`, as the condition of the unit, and what the node has become by that and by RKE2 being ready.
//!
//! `reboot.yaml` is the cloud-config of the boot after, where a case has one; with a file `lost`, the data is lost before it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::What::{Fails, Killed};
use crate::support::{self, Fault, Node, Ran, UNITS, can_trace, each, event, paths, tampered, traced};

/// Where RKE2 has its data.
const DATA: &str = "var/lib/rancher/rke2";

const RECORD: &str = "usr/local/lib/provider-rke2/node.json";

#[test]
fn every_case_comes_to_what_is_written_beside_it() {
    for directory in support::cases("guards") {
        let node = Node::of(&directory.join("root"));
        let mut said = String::new();
        boot(&node, &fs::read_to_string(directory.join("cloud-config.yaml")).unwrap(), &mut said);
        if let Ok(text) = fs::read_to_string(directory.join("reboot.yaml")) {
            node.clear("run");
            if directory.join("lost").exists() {
                node.clear(DATA);
            }
            writeln!(said, "\n-- the boot after --\n").unwrap();
            boot(&node, &text, &mut said);
        }
        support::assert_expected(&directory, &said);
    }
}

/// One boot, as far as RKE2 comes in it.
fn boot(node: &Node, cloud_config: &str, said: &mut String) {
    let answer = node.boot(cloud_config);
    writeln!(said, "agent.boot: {}", or_nothing(&answer["error"])).unwrap();
    if answer["error"].is_empty() {
        node.stage();
        tell(said, "apply config", &node.run(&["apply", "config"]));
        for unit in UNITS.into_iter().filter(|unit| node.open_gates().contains(unit)) {
            let fresh = if node.exists(&format!("run/provider-rke2/fresh-{unit}")) { ", a fresh init" } else { "" };
            let guard = node.run(&["guard", unit]);
            tell(said, &format!("guard {unit}{fresh}"), &guard);
            if guard.code == Some(0) {
                tell(said, "prestart", &node.run(&["prestart", unit]));
                let left: &[&str] = match unit {
                    "rke2-server" => &["server/db/etcd/member", "server/tls/server-ca.crt", "agent/client-kubelet.crt"],
                    _ => &["agent/client-kubelet.crt"],
                };
                for path in left.iter().map(|path| format!("{DATA}/{path}")).filter(|path| !node.exists(path)) {
                    node.put(&path, "x");
                }
                tell(said, "record", &node.run(&["record", unit]));
                assert!(!node.exists(&format!("run/provider-rke2/fresh-{unit}")));
            }
        }
    }
    let status = node.run(&["status"]).stdout;
    let told = |line: &&str| ["because", "waits"].iter().any(|begin| line.starts_with(begin));
    writeln!(said, "status: {}", status.lines().next().unwrap()).unwrap();
    status.lines().filter(told).for_each(|line| writeln!(said, "  {line}").unwrap());
    let directory = Path::new(RECORD).parent().unwrap();
    if node.path(directory.to_str().unwrap()).is_dir() {
        writeln!(said, "node:\n{}", support::tree(&node.path("usr/local/lib"))).unwrap();
    }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

fn tell(said: &mut String, what: &str, ran: &Ran) {
    writeln!(said, "{what}: {}", ran.code.unwrap()).unwrap();
    let lines = ran.stderr.lines().map(|line| line.strip_prefix("agent-provider-rke2: ").unwrap_or(line));
    lines.for_each(|line| writeln!(said, "  {line}").unwrap());
}

/// System calls of writing the record, and what they may fail with.
const CALLS: [(&str, &[&str]); 8] = [
    ("openat", &["EIO", "ENOSPC", "EACCES"]),
    ("openat2", &["EIO", "EMFILE"]),
    ("mkdirat", &["EIO", "ENOSPC", "EROFS"]),
    ("fchmod", &["EIO", "EROFS"]),
    ("write", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("renameat", &["EIO", "ENOSPC", "EROFS"]),
    ("unlinkat", &["EIO", "EROFS"]),
];

const SECTION: &str =
    "#cloud-config\ncluster:\n  role: init\n  cluster_token: a-token-of-the-cluster\n  config:\n    cni: cilium\n";

/// A server that has run with another configuration, and its unit is about to start or has become ready.
fn server() -> Node {
    let node = Node::new();
    for path in ["server/db/etcd/member", "server/tls/server-ca.crt", "agent/client-kubelet.crt"] {
        node.put(&format!("var/lib/rancher/rke2/{path}"), "x");
    }
    node.put("etc/rancher/rke2/config.yaml", "{\"token\": \"a-token-of-the-cluster\", \"cni\": \"cilium\"}\n");
    node.put("usr/bin/rke2", "v1.34.1+rke2r1\n");
    node
}

/// Who writes the record, and from what on.
#[derive(Debug, Clone, Copy)]
enum Writer {
    /// The first boot after the Go provider.
    Event,
    /// RKE2 starts, of another version than before.
    Prestart,
    /// RKE2 is ready.
    Record,
}

impl Writer {
    fn arguments(self) -> (&'static [&'static str], Vec<u8>) {
        match self {
            Writer::Event => (&["agent.boot"], event("agent.boot", SECTION)),
            Writer::Prestart => (&["prestart", "rke2-server"], Vec::new()),
            Writer::Record => (&["record", "rke2-server"], Vec::new()),
        }
    }

    fn node(self) -> Node {
        let node = server();
        if !matches!(self, Writer::Event) {
            assert_eq!(node.boot(SECTION)["error"], "");
            node.stage();
            assert_eq!(node.run(&["apply", "config"]).code, Some(0));
        }
        node
    }
}

/// The record is the one before or the one after, whole, and nothing that fails with it stops a node with state.
#[test]
fn a_record_that_is_cut_off_is_the_old_one_or_the_new_one() {
    if !can_trace() {
        return;
    }
    let writers = [Writer::Event, Writer::Prestart, Writer::Record];
    each(CALLS.len() * writers.len(), |number| {
        let ((call, errors), writer) = (CALLS[number % CALLS.len()], writers[number / CALLS.len()]);
        let log = tempfile::NamedTempFile::new().unwrap();
        let (arguments, input) = writer.arguments();
        for when in 1.. {
            let mut is_hit = false;
            for what in [Killed, Fails(errors[when % errors.len()])] {
                let node = writer.node();
                let before = node.read(RECORD);
                let known = {
                    // Where the calls are that have to do with the record is seen from a run on a node of its own.
                    let other = writer.node();
                    support::run(&mut traced(&other, log.path(), &["-etrace=%file,%desc".into()], arguments), &input);
                    let here =
                        |path: String| path.replace(other.root().to_str().unwrap(), node.root().to_str().unwrap());
                    let all: Vec<String> = paths(&other, log.path()).into_iter().map(here).collect();
                    let of_record = all.chunks(2).filter(|it| it[1].contains("/usr/local/lib"));
                    of_record.flatten().cloned().collect::<Vec<String>>()
                };
                let fault = Fault { call, when, what };
                let ran = support::run(&mut fault.traced(&node, log.path(), &known, arguments), &input);
                let case = format!("{writer:?}, {fault}: {ran:?}");
                is_hit |= ran.signal.is_some() || tampered(&node, log.path()).is_some();
                let after = node.read(RECORD);
                let is_whole = after.as_ref().is_some_and(|text| {
                    let json: serde_json::Value =
                        serde_json::from_str(text).unwrap_or_else(|_| panic!("{case}: {text}"));
                    json["unit"] == "rke2-server" && json["options"]["cni"] == "cilium"
                });
                assert!(is_whole || (after.is_none() && before.is_none()), "{case}: {after:?}");
                if matches!(what, Fails(_)) && matches!(writer, Writer::Event) {
                    assert_eq!(support::answer(&ran)["error"], "", "{case}");
                }
                // A boot later all is as if nothing had happened.
                node.clear("run");
                assert_eq!(node.boot(SECTION)["error"], "", "{case}");
                node.stage();
                assert_eq!(node.run(&["apply", "config"]).code, Some(0), "{case}");
                assert_eq!(node.run(&["guard", "rke2-server"]).code, Some(0), "{case}");
                assert_eq!(node.run(&["record", "rke2-server"]).code, Some(0), "{case}");
                let json: serde_json::Value = serde_json::from_str(&node.read(RECORD).unwrap()).unwrap();
                assert_eq!(json["ready"], "v1.34.1+rke2r1", "{case}");
                assert_eq!(node.left_over(), Vec::<String>::new(), "{case}");
            }
            if !is_hit {
                assert!(when > 1 || !matches!(call, "write" | "fsync" | "renameat"), "{writer:?}: no {call} at all");
                return;
            }
        }
    });
}
