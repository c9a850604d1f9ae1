//! `render`: the document that `agent.boot` would write.

use std::path::PathBuf;

use super::input;
use super::verb::{FAILED, Verb, fail, tell};
use crate::Context;
use crate::cluster::mask;
use crate::findings::code::Severity;
use crate::plan::document::document;
use crate::plan::plan::Plan;
use crate::report::stdio;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Render {
    /// The cloud-config; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Prints tokens, passwords and environment values as they are
    #[arg(long)]
    show_secrets: bool,
}

impl Verb for Render {
    fn run(self, context: &Context) -> u8 {
        let judged = match input::judged(context.host, &self.file) {
            Ok(judged) => judged,
            Err(sentence) => return fail(&sentence),
        };
        for sentence in judged.findings.refused() {
            tell(&sentence);
        }
        let is_refused = judged.findings.worst() == Some(Severity::Refused);
        let Some(cluster) = judged.cluster.filter(|_| !is_refused) else { return u8::from(is_refused) };
        let cluster = if self.show_secrets { cluster } else { mask::masked(cluster) };
        match Plan::of(cluster).and_then(|plan| document(&plan, context.program)) {
            Ok(document) => {
                stdio::to_stdout(&document);
                0
            }
            Err(sentence) => {
                tell(&sentence);
                FAILED
            }
        }
    }
}
