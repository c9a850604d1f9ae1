//! `migrate`: what other programs read, as a cluster section.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;

use super::input;
use super::verb::{FAILED, Verb, fail, tell};
use crate::Context;
use crate::check;
use crate::cluster::role::Role;
use crate::findings::code::Severity;
use crate::migrate::{self, Asked};
use crate::report::stdio;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// A cloud-config, or the configuration of RKE2, k3s or kubeadm; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// What the node is, where the file does not say it
    #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::as_str)))]
    role: Option<String>,
    /// What the options are for, where the file does not say it; rke2 holds for a section of the Go provider too
    #[arg(long, value_enum)]
    from: Option<From>,
    /// A file with the token, which is written into the cloud-config
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// RKE2, with the Go provider or without
    Rke2,
    /// k3s
    K3s,
}

impl Verb for Migrate {
    fn run(self, context: &Context) -> u8 {
        let read = |file: &PathBuf| input::text(file);
        let token = match self.token_file.as_ref().map(read).transpose() {
            Ok(token) => token.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()),
            Err(sentence) => return fail(&sentence),
        };
        let text = match read(&self.file) {
            Ok(text) => text,
            Err(sentence) => return fail(&sentence),
        };
        let is_k3s = self.from.map(|it| it == From::K3s);
        let asked = Asked { role: self.role.as_deref().and_then(Role::of), is_k3s, token };
        let migrated = match migrate::migrate(&text, &asked) {
            Ok(migrated) => migrated,
            Err(sentence) => {
                tell(&sentence);
                return FAILED;
            }
        };
        migrated.said.iter().for_each(|sentence| tell(sentence));
        stdio::to_stdout(&migrated.text);
        let findings = check::of_text(Some(context.host), &migrated.text).findings;
        let mut status = 0;
        for finding in findings.list.iter().filter(|it| it.severity >= Severity::Error) {
            tell(&format!("to be mended by hand: {}", finding.sentence()));
            status = FAILED;
        }
        status
    }
}
