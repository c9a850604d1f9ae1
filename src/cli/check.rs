//! `check`: what is wrong with cloud-configs.

use std::path::PathBuf;

use clap::ValueEnum;

use super::input;
use super::verb::{Verb, fail};
use crate::Context;
use crate::check::{self, Seen};
use crate::findings::code::Severity;
use crate::findings::render::Paint;
use crate::report::stdio;
use crate::rke2::version::{self, Version};

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
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line each
    Text,
    /// One array
    Json,
    /// Workflow commands of GitHub Actions
    Github,
}

impl Verb for Check {
    fn run(self, context: &Context) -> u8 {
        let paint = if stdio::wants_color() { Paint::Colored } else { Paint::Plain };
        let fails_at = if self.strict { Severity::Warning } else { Severity::Error };
        let version = self.rke2.unwrap_or_else(version::newest);
        let (mut status, mut array) = (0, Vec::new());
        let mut seen = Vec::new();
        for file in &self.files {
            match check::of_path(context.host, file, &input::text, Some(&version)) {
                Ok(of_file) => seen.extend(of_file),
                Err(sentence) => status = fail(&sentence),
            }
        }
        check::compare(&mut seen);
        for Seen { name, judged, .. } in seen {
            let findings = judged.findings;
            match self.format {
                Format::Text => stdio::to_stdout(&findings.to_text(&name, paint)),
                Format::Github => stdio::to_stdout(&findings.to_github(&name)),
                Format::Json => array.extend(findings.to_json(&name)),
            }
            status = status.max(u8::from(findings.worst() >= Some(fails_at)));
        }
        if self.format == Format::Json {
            let array = serde_json::to_string_pretty(&array).unwrap_or_default();
            stdio::to_stdout(&format!("{array}\n"));
        }
        status
    }
}
