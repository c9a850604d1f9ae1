//! `testdata/checks/<case>/`: what a person names to `check`, and beside it the whole of what it says: all files of a case are one call, so
//! are its directories. A file `arguments` holds further arguments, one a line.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, BINARY, Node};

#[test]
fn every_case_says_what_is_written_beside_it() {
    let checks = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/checks");
    let mut cases: Vec<PathBuf> = fs::read_dir(checks).unwrap().map(|it| it.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 20, "{cases:?}");
    let version = support::run(Command::new(BINARY).arg("--version"), b"").stdout;
    let version = version.trim().strip_prefix("agent-provider-rke2 ").unwrap();
    for case in cases {
        let mut names: Vec<String> =
            fs::read_dir(&case).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".yaml") || case.join(name).is_dir() && name != "image");
        names.sort();
        let arguments = fs::read_to_string(case.join("arguments")).unwrap_or_default();
        let node = Node::new();
        let mut command = Command::new(BINARY);
        command.arg("--root").arg(node.root()).arg("check").args(arguments.lines()).args(&names).current_dir(&case);
        let ran = support::run(&mut command, b"");
        let mut said = String::new();
        writeln!(said, "exit status: {}\n\n{}{}", ran.code.unwrap(), ran.stdout, ran.stderr).unwrap();
        let said = said.replace(version, "VERSION");
        for secret in ["a-token-that-is", "another-token", "secret-of"] {
            assert!(!said.contains(secret), "{}: {said}", case.display());
        }
        support::assert_expected(&case, &said);
    }
}
