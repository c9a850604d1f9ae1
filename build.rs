//! Gives `--version` the git revision (without a repository it is `unknown`), and the program the files of `stages/`.
// A build script has no host::Host to go through.
#![allow(clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    stages(&here);
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&here).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // A repository further up (a vendored copy) is not ours.
    let revision = Path::new(&here).join(".git").exists().then(|| git(&["rev-parse", "--short=12", "HEAD"])).flatten();
    // An image is built from a context without a repository: its builder names the revision.
    let given = env::var("PROVIDER_RKE2_REVISION").ok().filter(|revision| !revision.is_empty());
    println!("cargo:rustc-env=GIT_REVISION={}", given.or(revision).as_deref().unwrap_or("unknown"));
    println!("cargo:rerun-if-env-changed=PROVIDER_RKE2_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// Writes the constant `STAGES`: file name and text of each stage, in the order of the names.
fn stages(here: &str) {
    let directory = format!("{here}/stages");
    println!("cargo:rerun-if-changed={directory}");
    let names =
        fs::read_dir(&directory).into_iter().flatten().flatten().filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    let mut source = "/// The boot stages, in the order in which they run: file name and text.\n\
                      pub(crate) const STAGES: &[(&str, &str)] = &[\n"
        .to_owned();
    for name in names {
        let _ = writeln!(source, "    ({name:?}, include_str!({:?})),", format!("{directory}/{name}"));
    }
    source += "];\n";
    let written = env::var("OUT_DIR").map(|out| fs::write(format!("{out}/stages.rs"), source));
    assert!(matches!(written, Ok(Ok(()))), "OUT_DIR must be writable");
}
