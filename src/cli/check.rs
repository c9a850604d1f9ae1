//! `check`: what is wrong with cloud-configs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::input;
use super::verb::{FAILED, UNREADABLE, fail, tell};
use crate::VERSION;
use crate::check::{self, Judged, Part, Seen};
use crate::cluster::host::Endpoint;
use crate::cluster::locate;
use crate::cluster::role::Role;
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::findings::path::At;
use crate::findings::render::Paint;
use crate::findings::sarif;
use crate::host::Host;
use crate::report::stdio;
use crate::rke2::installed;
use crate::rke2::options::nearest_of;
use crate::rke2::version::{self, Version};
use crate::text::escape::escape;

/// Where the program's pages are.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The cloud-configs: files, which are one cluster, or directories, each merged to one as Kairos does; - is standard input
    #[arg(default_value = "-", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Lets warnings fail the check too
    #[arg(long)]
    strict: bool,
    /// The RKE2 that the cloud-configs are for, such as v1.36.5+rke2r1; without it the newest that is known
    #[arg(long, value_name = "VERSION")]
    rke2: Option<Version>,
    /// The root directory of the Kairos image that the cloud-configs are for: its RKE2, units, provider and archives are looked at too
    #[arg(long, value_name = "DIR")]
    image_root: Option<PathBuf>,
    /// Says nothing of findings with this code, and does not fail because of them; may be given several times
    #[arg(long, value_name = "CODE", value_parser = code)]
    allow: Vec<Code>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each with its place, and what each file is
    Text,
    /// One array of objects
    Json,
    /// Workflow commands of GitHub Actions
    Github,
    /// The Static Analysis Results Interchange Format 2.1.0, for code scanning
    Sarif,
}

fn code(name: &str) -> Result<Code, String> {
    Code::of(name).ok_or_else(|| {
        let names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        nearest_of(name, &names).map_or_else(
            || "expected the code of a finding; `agent-provider-rke2 explain` lists them".to_owned(),
            |near| format!("expected the code of a finding; did you mean {near}?"),
        )
    })
}

/// A file that was looked at.
struct Checked {
    name: String,
    findings: Findings,
    /// What it is, in a few words.
    summary: String,
}

impl Check {
    /// Judges the files for a node, or for a fresh one; gives the exit status.
    pub(super) fn run(self, host: Option<&Host>) -> u8 {
        if self.files.iter().any(|file| file == Path::new("-")) && io::stdin().is_terminal() {
            tell("reads a cloud-config from standard input; end it with Ctrl-D, or name a file");
        }
        let image = match self.image_root.as_deref().map(Host::new).transpose() {
            Ok(image) => image,
            Err(error) => return fail(&error.to_string()),
        };
        let installed = || image.as_ref().and_then(|image| installed::version(image).version());
        let known = self.rke2.clone().or_else(installed);
        let version = known.clone().unwrap_or_else(version::newest);
        // Files for an image are for nodes that run it, not for this machine.
        let host = image.as_ref().or(host);
        let (mut seen, mut unreadable) = (Vec::new(), Vec::new());
        for file in &self.files {
            match check::of_path(host, file, &input::text, Some(&version)) {
                Ok(of_file) => seen.extend(of_file),
                Err(sentence) => unreadable.push((file.display().to_string(), sentence)),
            }
        }
        if let Some(image) = &image {
            check::image(image, known.as_ref(), &mut seen);
        }
        check::compare(&mut seen);
        let seen = seen.into_iter().map(|it| self.checked(it));
        let checked: Vec<Checked> =
            seen.chain(unreadable.into_iter().map(|(name, why)| not_read(name, &why))).collect();
        match self.format {
            Format::Text => stdio::to_stdout(&text(&checked)),
            Format::Github => {
                let all: String = checked.iter().map(|it| it.findings.to_github(&it.name)).collect();
                stdio::to_stdout(&all);
            }
            Format::Json => {
                let all: Vec<_> = checked.iter().flat_map(|it| it.findings.to_json(&it.name)).collect();
                stdio::to_stdout(&(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"));
            }
            Format::Sarif => {
                let files: Vec<_> = checked.iter().map(|it| (it.name.as_str(), &it.findings)).collect();
                let log = sarif::log(&files, VERSION, HOME);
                stdio::to_stdout(&(serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"));
            }
        }
        let fails_at = if self.strict { Severity::Warning } else { Severity::Error };
        let status = |it: &Checked| match it.findings.worst_told() {
            _ if it.findings.list.iter().any(|it| it.code == Code::InputUnreadable) => UNREADABLE,
            worst if worst >= Some(fails_at) => FAILED,
            _ => 0,
        };
        checked.iter().map(status).max().unwrap_or(0)
    }

    /// Gives the findings of a file their columns, and says what the file is.
    fn checked(&self, seen: Seen) -> Checked {
        let Seen { name, part, mut judged, text } = seen;
        locate::locate(&mut judged.findings, &text);
        for finding in &mut judged.findings.list {
            finding.is_allowed = self.allow.contains(&finding.code);
        }
        let what = if part == Part::OfDirectory { "a file of the directory".into() } else { what(&judged) };
        let summary = what + &counts(&judged.findings);
        Checked { name, findings: judged.findings, summary }
    }
}

/// A file that cannot be read.
fn not_read(name: String, why: &str) -> Checked {
    tell(why);
    let mut findings = Findings::default();
    findings.error(Code::InputUnreadable, At::line(1), why);
    Checked { name, findings, summary: "cannot be read".into() }
}

/// The findings of each file, and in the last lines what each file is. That a file cannot be read was told already.
fn text(checked: &[Checked]) -> String {
    let paint = if stdio::wants_color() { Paint::Colored } else { Paint::Plain };
    let is_read = |it: &&Checked| it.findings.list.iter().all(|it| it.code != Code::InputUnreadable);
    let mut text: String = checked.iter().filter(is_read).map(|it| it.findings.to_text(&it.name, paint)).collect();
    let told = checked.iter().filter(is_read).flat_map(|it| &it.findings.list).find(|it| !it.is_allowed);
    if let Some(finding) = told {
        let _ = writeln!(text, "\nmore about a code: agent-provider-rke2 explain {}", finding.code.as_str());
    }
    for Checked { name, summary, .. } in checked {
        let _ = writeln!(text, "{}: {summary}", escape(name));
    }
    text
}

/// What a cloud-config makes of a node.
fn what(judged: &Judged) -> String {
    let Some(section) = &judged.section else {
        let is_unreadable = judged.findings.worst() == Some(Severity::Refused);
        return if is_unreadable { "Kairos does not read it" } else { "no cluster section" }.into();
    };
    let role = section.node.get("role").and_then(|node| Role::of(&node.scalar()?.text));
    let role = judged.cluster.as_ref().map(|cluster| cluster.role).or(role);
    let Some(role) = role else { return "no role".into() };
    let mut what = format!("{}, {}", role.as_str(), role.unit().name());
    if let Some(endpoint @ (Endpoint::Name(_) | Endpoint::Address(_))) =
        judged.cluster.as_ref().and_then(|it| it.endpoint.as_ref())
    {
        what += if role.joins() { ", joins at " } else { ", others join at " };
        what += &endpoint.join_url();
    }
    what
}

/// How many findings of each severity there are, the heaviest first.
fn counts(findings: &Findings) -> String {
    let count = |severity| findings.list.iter().filter(|it| !it.is_allowed && it.severity == severity).count();
    let mut counts = String::new();
    for (severity, one, many) in [
        (Severity::Refused, "refused", "refused"),
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Note, "note", "notes"),
    ] {
        match count(severity) {
            0 => {}
            1 => drop(write!(counts, ", 1 {one}")),
            number => drop(write!(counts, ", {number} {many}")),
        }
    }
    let allowed = findings.list.iter().filter(|it| it.is_allowed).count();
    match (counts.is_empty(), allowed) {
        (true, 0) => ", no findings".into(),
        (_, 0) => counts,
        _ => format!("{counts}, {allowed} allowed"),
    }
}
