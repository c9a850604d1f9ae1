//! Strange input costs no more than its size: 256 MiB of memory whatever 16 MiB hold, here a quarter of both, and what the plan accepts the
//! steps can carry out.

use std::fmt::Write as _;
use std::process::Command;

use crate::support::{self, Node};

const HEAD: &str =
    "#cloud-config\n\n# Sources:\n# - cmdline\n\ncluster:\n  role: init\n  cluster_token: 0123456789abcdef0\n";

/// The address space that the program may use, in KiB: 64 MiB, and what its threads and its own pages take without using it.
const MEMORY: &str = "105000";

/// Runs the program where no more memory is to be had than that.
fn bounded(node: &Node, arguments: &[&str], stdin: &[u8]) -> support::Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {MEMORY} && exec \"$@\""), "sh", support::BINARY, "--root"]);
    // glibc reserves 128 MiB for the allocations of a second thread, and gives half of it back: in between nothing would be left.
    shell.arg(node.root()).args(arguments).env("MALLOC_ARENA_MAX", "1");
    support::run(&mut shell, stdin)
}

fn repeat(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        text += &line(number);
        text
    })
}

/// Name, cloud-config, and what of the answer is expected: an empty text is a plan.
fn inputs() -> Vec<(&'static str, String, &'static str)> {
    let nested = |opening: &str| format!("{}{}{}\n", opening.repeat(60), "1,".repeat(225_000), "]".repeat(60));
    let anchored = (0..60).fold(String::from("x: "), |mut text, number| {
        write!(text, "&a{number} [").unwrap();
        text
    });
    let labels = |count| repeat(count, |number| format!("    node-label+: a={number}\n"));
    vec![
        ("unknown keys", format!("{HEAD}{}", repeat(120_000, |it| format!("  key{it}: 1\n"))), ""),
        (
            "unknown settings",
            format!("{HEAD}  providerConfig:\n{}", repeat(75_000, |it| format!("    key{it}: x\n"))),
            "",
        ),
        (
            "typos of settings",
            format!("{HEAD}  providerConfig:\n{}", repeat(75_000, |it| format!("    swapp{it}: x\n"))),
            "",
        ),
        ("one list from many lines", format!("{HEAD}  config: |\n{}", labels(49_000)), ""),
        (
            "a long list",
            format!("{HEAD}  config:\n    node-label:\n{}", repeat(75_000, |it| format!("    - a={it}\n"))),
            "",
        ),
        ("variables", format!("{HEAD}  env:\n{}", repeat(100_000, |it| format!("    E{it}: x\n"))), ""),
        (
            "a list of no proxies",
            format!(
                "{HEAD}  env:\n    HTTP_PROXY: http://p\n    NO_PROXY: \"{}\"\n",
                repeat(125_000, |it| format!("h{it},"))
            ),
            "",
        ),
        (
            "a long domain",
            format!(
                "{HEAD}  env:\n    HTTP_PROXY: http://p\n  config: |\n    cluster-domain: {}a\n",
                "a.".repeat(100_000)
            ),
            "",
        ),
        ("nested lists", format!("{HEAD}x: {}", nested("[")), ""),
        (
            "bad values",
            format!("{HEAD}  env:\n{}", repeat(120_000, |it| format!("    E{it}: \"\\a.\"\n"))),
            "cluster.env.E0",
        ),
        ("keys that stand twice", format!("{HEAD}x:\n{}", "  a: 1\n".repeat(120_000)), "unreadable"),
        ("nested anchors", format!("{HEAD}{anchored}{}{}\n", "1,".repeat(225_000), "]".repeat(60)), ""),
        (
            "nested anchors, many of them",
            format!(
                "{HEAD}y:\n{}",
                format!("  - {}{}{}\n", &anchored[3..], "1,".repeat(9_000), "]".repeat(60)).repeat(120)
            ),
            "unreadable",
        ),
        (
            "directives",
            format!("{}---\n{HEAD}", repeat(110_000, |it| format!("%TAG !a{it}! tag:x,2000:\n"))),
            "unreadable",
        ),
        (
            "options as a mapping",
            format!("{HEAD}  config:\n{}", repeat(75_000, |it| format!("    option{it}: x\n"))),
            "cluster.config: has more than 100000 values",
        ),
        (
            "items between commas",
            format!("{HEAD}  providerConfig:\n    tls-san: \"{}\"\n", repeat(110_000, |it| format!("h{it},"))),
            "cluster: its options have more than 100000 items",
        ),
    ]
}

#[test]
fn whatever_is_sent_is_answered_within_bounded_memory() {
    for (name, config, expected) in inputs() {
        assert!(config.len() <= 4 << 20, "{name}");
        let node = Node::new();
        // The payload in a file, as go-pluggable moves a large one.
        let mut payload = tempfile::NamedTempFile::new().unwrap();
        serde_json::to_writer(&mut payload, &serde_json::json!({ "config": config })).unwrap();
        let event = serde_json::json!({"name": "agent.boot", "data": "", "file": payload.path()}).to_string();
        let ran = bounded(&node, &["agent.boot"], event.as_bytes());
        assert_eq!(ran.signal, None, "{name}: {ran:?}");
        let answer = support::answer(&ran);
        match expected {
            "" => assert_eq!(answer["error"], "", "{name}"),
            "unreadable" => assert!(answer["log"].contains("there is no earlier plan"), "{name}: {answer:?}"),
            part => assert!(answer["error"].contains(part), "{name}: {answer:?}"),
        }
        // What the plan accepts the steps can carry out.
        let applied = bounded(&node, &["apply"], b"");
        assert_eq!(applied.code, Some(i32::from(!expected.is_empty())), "{name}: {:.300}", applied.stderr);
    }
}

#[test]
fn a_plan_that_the_steps_would_not_read_is_refused() {
    let node = Node::new();
    // Braces that nobody evaluates are four times as long in the document.
    let token = format!("\"{}\"", "{{".repeat((16 << 20) / 8 + 1000));
    let error = node.boot(&HEAD.replace("0123456789abcdef0", &token))["error"].clone();
    assert!(error.contains("cluster: its plan is larger than 16 MiB"), "{error:.200}");
    assert!(!node.exists(support::DOCUMENT));
}

#[test]
fn many_certificates_and_drop_ins_are_carried_out() {
    let pem = include_str!("../../testdata/trust/ca-one.pem");
    let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // Another signature each: the last characters are its end.
    let certificate = |number: usize| {
        let mut body = body.join("");
        let at = body.len() - 12;
        body.replace_range(at..at + 6, &format!("{:06}", 100_000 + number));
        format!("  - |\n    -----BEGIN CERTIFICATE-----\n    {body}\n    -----END CERTIFICATE-----\n")
    };
    let node = Node::new();
    node.write("etc/ssl/certs/ca-certificates.crt", pem, 0o644);
    for number in 0..10_000 {
        let text = format!("node-label: [a{number}=b]\nkubelet-arg: [v={number}]\n");
        node.write(&format!("etc/rancher/rke2/config.d/{number:05}.yaml"), text, 0o600);
    }
    assert_eq!(node.boot(&format!("{HEAD}  ca_certs:\n{}", repeat(900, certificate)))["error"], "");
    let ran = bounded(&node, &["apply"], b"");
    assert_eq!(ran.code, Some(0), "{:.1000}", ran.stderr);
    let bundle = node.read("etc/ssl/certs/ca-certificates.crt").unwrap();
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 901);
    let config: serde_json::Value = serde_json::from_str(&node.read(support::CONFIG).unwrap()).unwrap();
    assert_eq!(config["node-label"].as_array().unwrap().len(), 10_000);
    eprintln!("10 000 drop-ins and 900 certificates: {:?}", ran.took);
}

#[test]
fn the_name_of_an_option_is_more_than_a_plus() {
    for name in ["+", "++", "node-label++", "server++", "token+++"] {
        let node = Node::new();
        let error = node.boot(&format!("{HEAD}  config: |\n    \"{name}\": SECRET\n"))["error"].clone();
        assert!(error.contains("write the name of an option") && !error.contains("SECRET"), "{name}: {error}");
    }
    assert_eq!(Node::new().boot(&format!("{HEAD}  config: |\n    node-label+: a=b\n"))["error"], "");
}
