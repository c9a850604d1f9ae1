//! Gives `--version` the git revision; without a repository it is `unknown`.
// A build script has no host::Host to go through.
#![allow(clippy::disallowed_methods)]

use std::{env, path::Path, process::Command};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
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
