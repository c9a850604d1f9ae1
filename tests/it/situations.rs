//! A node with state starts, whatever made its document and whatever becomes of the event: the first boot after the Go provider and after
//! an older version of this program, an image that falls back to either and returns, an event that comes twice, late, broken or never.

use crate::support::{self, DOCUMENT, GATES, Node, REFUSED};

const SECTION: &str = include_str!("../../testdata/situations/cloud-config.yaml");
/// What the Go provider v4.7.1 has written, and what the first release of this program has.
const GO: &str = include_str!("../../testdata/situations/document-of-go.yaml");
const OLD: &str = include_str!("../../testdata/situations/document-of-0.1.0.yaml");

/// Who has booted the node last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Go,
    Old,
    Ours,
}

const BEFORE: [Before; 3] = [Before::Go, Before::Old, Before::Ours];

/// What comes of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// What has come before.
    Same,
    /// Another option.
    Changed,
    /// A file without a header, which Kairos leaves out.
    HeaderBroken,
    /// The list of the sources is missing.
    NoSources,
    /// A source that is no YAML.
    SourceBroken,
    /// No event at all.
    Never,
    /// JSON that was cut off.
    Torn,
}

const EVENTS: [Event; 7] = [
    Event::Same,
    Event::Changed,
    Event::HeaderBroken,
    Event::NoSources,
    Event::SourceBroken,
    Event::Never,
    Event::Torn,
];

impl Before {
    /// The last boot of a server that has been up.
    fn boots(self, node: &Node) {
        node.clear("run");
        match self {
            Before::Go => node.write(DOCUMENT, GO, 0o644),
            Before::Old => node.write(DOCUMENT, OLD, 0o600),
            Before::Ours => assert_eq!(node.boot(SECTION)["error"], ""),
        }
    }
}

impl Event {
    fn comes(self, node: &Node) {
        node.write("oem/90.yaml", "#cloud-config\nhostname: a\n", 0o644);
        node.clear("oem/99.yaml");
        let without = |sources: &str| format!("#cloud-config\n\n{sources}hostname: a\n");
        let listed = "# Sources:\n# - /oem/90.yaml\n\n";
        let answer = match self {
            Event::Same => node.boot(SECTION),
            Event::Changed => node.boot(&SECTION.replace("server-1", "server-one")),
            Event::HeaderBroken => {
                node.write("oem/99.yaml", SECTION.replace("#cloud-config", "#cloud-cfg"), 0o600);
                node.boot(&without(listed))
            }
            Event::NoSources => node.boot(&without("")),
            Event::SourceBroken => {
                node.write("oem/90.yaml", "#cloud-config\na: [\n", 0o644);
                node.boot(&without(listed))
            }
            Event::Torn => {
                support::answer(&support::run(&mut node.program(&["agent.boot"]), b"{\"name\":\"agent.boot\",\"da"))
            }
            Event::Never => return,
        };
        assert_eq!(answer["error"], "", "{self:?}");
    }

    /// Whether the plan is made from it, and not the one of the boot before.
    fn is_plan(self) -> bool {
        matches!(self, Event::Same | Event::Changed)
    }
}

/// A server that has been up, and lost nothing.
fn server() -> Node {
    let node = Node::new();
    node.write("var/lib/rancher/rke2/server/db/etcd/member", "", 0o600);
    node.write("var/lib/rancher/rke2/server/tls/server-ca.crt", "", 0o600);
    node
}

/// The boot stages, and that RKE2 starts by them.
fn starts(node: &Node, before: Before, event: Event, case: &str) {
    assert!(!node.exists(REFUSED), "{case}");
    if before == Before::Go && !event.is_plan() {
        // Its own stages start RKE2, and nothing of ours is in their way.
        assert_eq!(node.read(DOCUMENT).as_deref(), Some(GO), "{case}");
        assert!(!node.exists(GATES[0]), "{case}");
        return;
    }
    node.stage();
    for step in ["config", "environment"] {
        let ran = node.run(&["apply", step]);
        assert_eq!(ran.code, Some(0), "{case}: {ran:?}");
    }
    assert_eq!(node.open_gates(), ["rke2-server"], "{case}");
    let config = node.read("etc/rancher/rke2/config.yaml").unwrap();
    let name = if event == Event::Changed { "server-one" } else { "server-1" };
    assert!(config.contains(&format!("\"node-name\": \"{name}\"")), "{case}: {config}");
    let status = node.run(&["status"]).stdout;
    let word = if event.is_plan() { "ok\n" } else { "degraded\n" };
    assert!(status.starts_with(word), "{case}: {status}");
}

#[test]
fn a_node_with_state_starts_after_every_predecessor_and_every_event() {
    for before in BEFORE {
        for event in EVENTS {
            let node = server();
            before.boots(&node);
            node.clear("run");
            event.comes(&node);
            starts(&node, before, event, &format!("{before:?}, {event:?}"));
        }
    }
}

#[test]
fn a_second_run_in_one_boot_stops_nothing() {
    for event in EVENTS {
        let node = server();
        Before::Ours.boots(&node);
        starts(&node, Before::Ours, Event::Same, "the first run");
        event.comes(&node);
        if !matches!(event, Event::Changed | Event::Never) {
            assert_eq!(node.open_gates(), ["rke2-server"], "{event:?}: the gate of what runs is shut");
        }
        // Where no event came a second time, the one of this boot counts.
        starts(&node, Before::Ours, if event == Event::Never { Event::Same } else { event }, &format!("{event:?}"));
    }
}

#[test]
fn an_event_that_comes_after_the_stages_is_no_harm() {
    for event in EVENTS {
        let node = server();
        Before::Ours.boots(&node);
        node.clear("run");
        starts(&node, Before::Ours, Event::Never, "the stages of the last boot");
        event.comes(&node);
        starts(&node, Before::Ours, event, &format!("{event:?}"));
    }
}

/// Version 0.1.0 has evaluated templates itself, from a file with yip's values.
#[test]
fn a_template_in_a_document_of_0_1_0_is_not_evaluated() {
    let rest = "node-name: holds a template, which only yip evaluates, but not in a plan of version 0.1.0; run agent.boot again";
    for (node, code) in [(Node::new(), 1), (server(), 0)] {
        node.write(DOCUMENT, OLD.replace("server-1", "{{`{{`}} .Values.node.hostname }}"), 0o600);
        node.stage();
        let ran = node.run(&["apply", "config"]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let status = node.run(&["status"]).stdout;
        assert!(status.contains(rest), "{status}");
        let config = node.read("etc/rancher/rke2/config.yaml").unwrap_or_default();
        assert_eq!(config.contains("\"node-name\": \"{{ .Values.node.hostname }}\""), code == 0, "{config}");
    }
}

#[test]
fn an_image_that_falls_back_returns() {
    for fallback in BEFORE {
        for event in EVENTS {
            let node = server();
            Before::Ours.boots(&node);
            starts(&node, Before::Ours, Event::Same, "before the fallback");
            fallback.boots(&node);
            node.clear("run");
            event.comes(&node);
            starts(&node, fallback, event, &format!("back from {fallback:?}, {event:?}"));
        }
    }
}

/// What a guard refuses on a node that has run: how the section changes, and the code.
const REFUSED_CHANGES: [(&str, &str, &str); 2] = [
    ("node-name: server-1", "cluster-cidr: 10.99.0.0/16", "critical-changed"),
    ("role: init", "role: worker", "role-changed"),
];

/// The boot stages of a plan that was made, and what the Go provider leaves beside them.
fn stages(node: &Node, before: Before) {
    if before == Before::Go {
        node.write("etc/rancher/rke2/config.yaml", "{\"token\": \"a-token-that-is-long-enough\"}\n", 0o600);
        return;
    }
    node.stage();
    for step in ["config", "environment"] {
        assert_eq!(node.run(&["apply", step]).code, Some(0), "{before:?}");
    }
}

/// Refused, whoever has booted the node before, however often the event comes, and although the stages of the last boot ran first. With the
/// section as it was the node starts again.
#[test]
fn what_a_guard_refuses_is_refused_in_every_situation() {
    for before in BEFORE {
        for (old, new, code) in REFUSED_CHANGES {
            let node = server();
            node.write("var/lib/rancher/rke2/agent/client-kubelet.crt", "", 0o600);
            before.boots(&node);
            stages(&node, before);
            let changed = SECTION.replace(old, new);
            let is_refused = |case: &str| {
                let error = node.boot(&changed)["error"].clone();
                assert!(error.contains(&format!("\"{code}: WHY\"")), "{before:?}, {code}, {case}: {error}");
                assert!(node.exists(REFUSED), "{before:?}, {code}, {case}");
                // What runs already goes on with what was right.
                assert!(node.open_gates().is_empty() || case == "a late event", "{before:?}, {code}, {case}");
                assert!(node.run(&["status"]).stdout.starts_with("refused\n"), "{before:?}, {code}, {case}");
            };
            node.clear("run");
            is_refused("the next boot");
            is_refused("again in it");
            // The image falls back to who was there before, and returns.
            before.boots(&node);
            stages(&node, before);
            node.clear("run");
            is_refused("back from the fallback");
            node.clear("run");
            if before != Before::Go {
                stages(&node, before);
                is_refused("a late event");
                node.clear("run");
            }
            assert_eq!(node.boot(SECTION)["error"], "", "{before:?}, {code}");
            starts(&node, Before::Ours, Event::Same, &format!("{before:?}, {code}: as it was"));
        }
    }
}
