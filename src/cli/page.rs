//! The command line without a machine: what the page of `crates/page` asks. There are no files, so a cloud-config is standard input.

mod check;
mod explain;
mod input;
mod render;
mod verb;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::VERSION;
use crate::report::stdio;
use crate::rke2::options;
use crate::rke2::version::{self, Version};
use verb::UNREADABLE;

#[derive(Debug, Parser)]
#[command(name = "agent-provider-rke2", version = VERSION)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Render(render::Render),
    Check(check::Check),
    Explain(explain::Explain),
    /// The versions of RKE2 to choose from, a line each, the newest first
    Versions,
}

/// Runs a verb, as on a machine on which RKE2 has never been. The exit status is that of the program.
pub fn run(arguments: Vec<OsString>, _: &str) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(UNREADABLE));
        }
    };
    ExitCode::from(match arguments.verb {
        Verb::Render(verb) => verb.run(None),
        Verb::Check(verb) => verb.run(None),
        Verb::Explain(verb) => verb.run(),
        Verb::Versions => {
            let versions: Vec<String> = versions().iter().rev().map(ToString::to_string).collect();
            stdio::to_stdout(&(versions.join("\n") + "\n"));
            0
        }
    })
}

/// The first minor version that the table of options was recorded from.
const OLDEST: (u32, u32) = (1, 31);

/// Of each minor version the last one that brought something, the oldest first: what is newer is judged like it.
fn versions() -> Vec<Version> {
    let newest = version::newest();
    let first = |minor: u32| format!("v1.{minor}.0+rke2r1").parse().ok();
    let named = options::all().iter().flat_map(|it| it.since.split('|')).filter_map(|since| {
        // A table names the first release of a patch without its revision.
        let revision = if since.contains('+') { "" } else { "+rke2r1" };
        format!("v{since}{revision}").parse().ok()
    });
    let all = (OLDEST.1..=newest.minor().1).filter_map(first).chain(named).chain([newest.clone()]);
    let mut last: BTreeMap<(u32, u32), Version> = BTreeMap::new();
    for version in all.filter(|it: &Version| (OLDEST..=newest.minor()).contains(&it.minor())) {
        let kept = last.entry(version.minor()).or_insert_with(|| version.clone());
        if version > *kept {
            *kept = version;
        }
    }
    last.into_values().collect()
}
