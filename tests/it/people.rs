//! What `check` shows a person of a file: the place to the column, and of its line what cannot be a secret.

use std::fs;
use std::process::Command;

use crate::support::{self, BINARY, Ran};

const SECRET: &str = "hUsh7hush-Zx9qpLw2";

fn check(text: &str, format: &str) -> Ran {
    let node = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command.arg("--root").arg(node.path()).args(["check", "--format", format]);
    support::run(&mut command, text.as_bytes())
}

/// The place and the drawing of the one finding with a code.
fn drawn(section: &str, code: &str) -> String {
    let ran = check(&format!("#cloud-config\ncluster:\n{section}"), "text");
    let (_, behind) = ran.stdout.split_once(&format!("[{code}]\n")).unwrap_or_else(|| panic!("{code}: {ran:?}"));
    let is_drawing = |line: &&str| line.contains("--> ") || line.contains(" |") || line.contains(" | ");
    let lines: Vec<&str> = behind.lines().take_while(is_drawing).collect();
    lines.join("\n")
}

#[test]
fn the_place_is_exact_in_every_kind_of_text() {
    let head = "  role: init\n  cluster_token: hUsh7hush-Zx9qpLw2\n";
    for (config, expected) in [
        ("|\n    selinux: maybe\n", " --> -:6:14\n  |\n6 |     selinux: maybe\n  |              ^^^^^"),
        ("|2\n    selinux: maybe\n", " --> -:6:14\n  |\n6 |     selinux: maybe\n  |              ^^^^^"),
        (
            "|\n    debug: true\n\n    selinux: maybe",
            " --> -:8:14\n  |\n8 |     selinux: maybe\n  |              ^^^^^",
        ),
        (
            ">\n    debug: true\n\n    selinux: maybe\n",
            " --> -:8:14\n  |\n8 |     selinux: maybe\n  |              ^^^^^",
        ),
        (
            "\"debug: true\\nselinux: maybe\\n\"\n",
            " --> -:5:34\n  |\n5 |   config: \"debug: true…selinux: maybe…\n  |                                 ^^^^^",
        ),
        (
            "'debug: true\n\n\n    selinux: maybe'\n",
            " --> -:8:14\n  |\n8 |     selinux: maybe'\n  |              ^^^^^",
        ),
        ("{selinux: maybe}\n", " --> -:5:21\n  |\n5 |   config: {selinux: maybe}\n  |                     ^^^^^"),
        ("\n    selinux: \"maybe\"\n", " --> -:6:14\n  |\n6 |     selinux: \"maybe\"\n  |              ^^^^^^^"),
    ] {
        assert_eq!(drawn(&format!("{head}  config: {config}"), "option-boolean"), expected, "{config:?}");
    }
    // What is merged in stands where it was written.
    for from in ["*common", "[*none, *common]"] {
        let common = "x-common: &common\n  selinux: maybe\nx-none: &none\n  debug: true\n";
        let merged = format!("#cloud-config\n{common}cluster:\n  role: init\n  config:\n    <<: {from}\n");
        let ran = check(&merged, "text");
        assert!(ran.stdout.contains("--> -:3:12\n") && !ran.stdout.contains("3 |"), "{ran:?}");
    }
}

#[test]
fn of_what_does_not_parse_nothing_is_shown() {
    for section in [
        "  role: init\n  cluster_token: \"SECRET\n",
        "  role: init\n  cluster_token: SECRET: SECRET\n",
        "  role: [SECRET\n",
        "  role: init\n\tSECRET: 1\n",
        "  role: init\n  cluster_token: SECRET\n  config: |\n    debug: true\n    SECRET: [\n",
        "  role: init\n  cluster_token: SECRET\n  config: |\n    debug: true\n    a: \"SECRET\n",
        "  role: init\n  cluster_token: SECRET\n  config: \"debug: [\\nSECRET\"\n",
    ] {
        let text = format!("#cloud-config\ncluster:\n{section}").replace("SECRET", SECRET);
        let ran = check(&text, "text");
        assert!(ran.stdout.contains("--> -:") && !ran.stdout.contains('^'), "{section}: {ran:?}");
        assert!(!ran.stdout.contains(SECRET), "{section}: {ran:?}");
    }
}

/// A finding in a line with a secret, in every place of a line where a text can stand.
#[test]
fn a_line_never_shows_a_secret() {
    for section in [
        "  {role: master, cluster_token: SECRET}\n",
        "  {role: &SECRET master}\n",
        "  {role: !SECRET master}\n",
        "  {role: master} # SECRET\n",
        "  role: master # SECRET\n  cluster_token: x\n",
        "  {role: master, SECRET: 1}\n",
        "  {role: master, SECRET: {SECRET: SECRET}}\n",
        "  {role: master, env: {SECRET: SECRET}}\n",
        "  {role: master, env: [SECRET]}\n",
        "  {role: init, config: {selinux: maybe, token: SECRET}}\n",
        "  {role: init, config: {selinux: maybe, node-name: SECRET}}\n",
        "  {role: init, config: {selinux: maybe, kubelet-arg: \"a=SECRET\"}}\n",
        "  {role: init, config: {selinux: maybe, agent-token: true, vpn-auth: \"SECRET\"}}\n",
        "  {role: init, config: {selinux: maybe, 'SECRET': 1}}\n",
        "  {role: init, config: \"{selinux: maybe, token: SECRET}\"}\n",
        "  {role: init, config: \"selinux: maybe # SECRET\"}\n",
        "  {role: init, config: 'selinux: maybe\n\n    token: SECRET'}\n",
        "  {role: init, config: \"selinux: maybe\\nnode-name: SECRET\\n---\\nSECRET\"}\n",
        "  {role: init, config: \"selinux: &SECRET maybe\"}\n",
        "  role: init\n  config: |\n    {selinux: maybe, token: SECRET, node-name: SECRET} # SECRET\n",
        "  role: init\n  config: >-\n    {selinux: maybe, token: SECRET, node-name: SECRET}\n    # SECRET\n",
        "  role: init\n  providerConfig: {swap: perhaps, SECRET: SECRET, agent-token: SECRET}\n",
        "  {role: init, ca_certs: [\"-----BEGIN PRIVATE KEY----- SECRET\"], import_local_images: perhaps}\n",
        "  {role: init, cluster_token: SECRET, cluster_token: SECRET}\n",
        "  {role: init, import_local_images: perhaps, local_images_path: /SECRET, cluster_config_path: /oem/SECRET.yaml}\n",
        "  {role: worker, cluster_token: x, control_plane_host: \"https://u:SECRET@h\", colour: SECRET}\n",
    ] {
        let text = format!("#cloud-config\ncluster:\n{section}").replace("SECRET", SECRET);
        for format in ["text", "json", "github", "sarif"] {
            let ran = check(&text, format);
            // A key is told in its path, with which a sentence begins; what follows it is the drawing.
            let shown: String = match format {
                "text" => ran.stdout.lines().filter(|line| !line.ends_with(']')).map(|it| format!("{it}\n")).collect(),
                _ => ran.stdout.replace(&format!("cluster.{SECRET}: "), "").replace(&format!(".{SECRET}"), ""),
            };
            assert!(!shown.contains(SECRET) && !shown.contains(&SECRET[..6]), "{section} {format}: {}", ran.stdout);
        }
    }
}

/// Neither a drawing nor a column tells how long a secret is.
#[test]
fn nothing_depends_on_the_length_of_a_secret() {
    for section in ["  role: init\n  cluster_token: K10SECRET\n", "  {role: init, cluster_token: K10SECRET}\n"] {
        for format in ["text", "json", "github", "sarif"] {
            let [short, long] = ["abcdefghijklmnop", "abcdefghijklmnopqrstuvwxyz"].map(|secret| {
                check(&format!("#cloud-config\ncluster:\n{section}").replace("SECRET", secret), format).stdout
            });
            assert_eq!(short, long, "{section} {format}");
        }
    }
}

#[test]
fn a_code_can_be_allowed() {
    let text = "#cloud-config\ncluster:\n  role: init\n  cluster_token: hUsh7hush-Zx9qpLw2\n  colour: red\n";
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        support::run(command.arg("check").args(arguments).arg("file").current_dir(place.path()), b"")
    };
    assert_eq!(run(&["--strict"]).code, Some(1));
    let ran = run(&["--strict", "--allow", "unknown-key"]);
    assert_eq!(ran.outcome(), (Some(0), "file: init, rke2-server, 1 allowed\n", ""));
    let ran = run(&["--strict", "--allow", "unknown-key", "--format", "github"]);
    assert_eq!(ran.outcome(), (Some(0), "", ""));
    let ran = run(&["--strict", "--allow=unknown-key", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &found[0]["allowed"]), (Some(0), &true.into()));
    assert_eq!(run(&["--strict", "--allow", "token-short"]).code, Some(1));
    let ran = run(&["--allow", "unkown-key"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean unknown-key?"), "{ran:?}");
}
