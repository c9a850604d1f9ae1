//! `testdata/guards/<case>/`: a cloud-config and the node as it was, and beside them what the guards make of it: at `agent.boot`, at
//! `apply config`, as the condition of the unit, and what the node has become by that and by RKE2 being ready.
//!
//! `reboot.yaml` is the cloud-config of the boot after, where a case has one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::{self, Node, Ran, UNITS};

const RECORD: &str = "usr/local/lib/provider-rke2/node.json";

#[test]
fn every_case_comes_to_what_is_written_beside_it() {
    for directory in support::cases("guards") {
        let node = Node::of(&directory.join("root"));
        let mut said = String::new();
        boot(&node, &fs::read_to_string(directory.join("cloud-config.yaml")).unwrap(), &mut said);
        if let Ok(text) = fs::read_to_string(directory.join("reboot.yaml")) {
            node.clear("run");
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
