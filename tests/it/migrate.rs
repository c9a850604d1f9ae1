//! `testdata/migrate/<case>/`: a configuration of another program, and beside it what `migrate` makes of it and says. A file `arguments` holds
//! arguments, one a line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, BINARY, Node, Ran};

/// What is in no message. Of the cases all secrets begin like this.
const SECRETS: [&str; 4] = ["a-token-that-is", "another-token", "secret-of", "0123456789abcdef"];

fn migrate(node: &Node, case: Option<&Path>, arguments: &str, input: &[u8]) -> Ran {
    let mut command = Command::new(BINARY);
    command.arg("--root").arg(node.root()).arg("migrate").args(arguments.lines());
    command.current_dir(case.unwrap_or(Path::new("/")));
    support::run(&mut command, input)
}

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/migrate");
    let mut cases: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|it| it.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 40, "{cases:?}");
    cases
}

/// What comes of an input is what comes of it again, and `check` says of it what `migrate` has said.
fn assert_settled(node: &Node, name: &str, ran: &Ran) {
    if ran.stdout.is_empty() {
        assert_eq!(ran.code, Some(1), "{name}: {ran:?}");
        return;
    }
    let again = migrate(node, None, "", ran.stdout.as_bytes());
    assert_eq!(again.stdout, ran.stdout, "{name}: {}", again.stderr);
    let changes: Vec<&str> = again.stderr.lines().filter(|it| !it.contains(MENDED) && !it.contains(STAYS)).collect();
    assert_eq!(changes, [""; 0], "{name}");
    let mut check = Command::new(BINARY);
    check.arg("--root").arg(node.root()).args(["check", "--format", "json"]);
    let checked = support::run(&mut check, ran.stdout.as_bytes());
    assert_eq!(checked.code, ran.code, "{name}: {ran:?} {}", checked.stdout);
    assert_eq!(ran.code == Some(1), ran.stderr.contains(MENDED), "{name}: {ran:?}");
}

const MENDED: &str = "to be mended by hand: ";
const STAYS: &str = "stays";

#[test]
fn every_case_becomes_what_is_written_beside_it() {
    let node = Node::new();
    for case in cases() {
        let arguments = fs::read_to_string(case.join("arguments")).unwrap_or_default() + "in.yaml";
        let ran = migrate(&node, Some(&case), &arguments, b"");
        let said = ran.stderr.replace("agent-provider-rke2: ", "");
        for secret in SECRETS {
            assert!(!said.contains(secret), "{}: {said}", case.display());
        }
        support::assert_expected(&case, &format!("exit status: {}\n\n{said}\n{}", ran.code.unwrap(), ran.stdout));
        assert_settled(&node, &case.display().to_string(), &ran);
    }
}

/// The cloud-configs of the other tests: whatever somebody has, it is read or refused, and settled at once.
#[test]
fn every_other_cloud_config_is_settled_at_once() {
    let node = Node::new();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut inputs = Vec::new();
    for directory in ["events", "checks"] {
        for case in fs::read_dir(testdata.join(directory)).unwrap().map(|it| it.unwrap().path()) {
            let files = fs::read_dir(case).into_iter().flatten().map(|it| it.unwrap().path());
            inputs.extend(files.filter(|it| it.extension().is_some_and(|it| it == "yaml")));
        }
    }
    inputs.sort();
    assert!(inputs.len() > 150, "{}", inputs.len());
    support::each(inputs.len(), |at| {
        let Ok(input) = fs::read_to_string(&inputs[at]) else { return };
        assert_settled(&node, &inputs[at].display().to_string(), &migrate(&node, None, "", input.as_bytes()));
    });
}
