//! `render`: the document that `agent.boot` would write.

use std::path::PathBuf;

use super::input;
use super::verb::{FAILED, fail, tell};
use crate::cluster::mask;
use crate::findings::code::Severity;
use crate::host::Host;
use crate::plan::document::document;
use crate::plan::plan::Plan;
use crate::report::stdio;
use crate::text::paths::PROGRAM;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Render {
    /// The cloud-config; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Prints tokens, passwords and environment values as they are
    #[arg(long)]
    show_secrets: bool,
    /// Where the node has this program, for the commands that name it
    #[arg(long, value_name = "PATH", default_value = PROGRAM)]
    program: String,
}

impl Render {
    /// Renders for a node that a person names, else for a fresh one: then nothing of the machine is read. Gives the exit status.
    pub(super) fn run(self, host: Option<&Host>) -> u8 {
        let judged = match input::judged(host, &self.file) {
            Ok(judged) => judged,
            Err(sentence) => return fail(&sentence),
        };
        for sentence in judged.findings.refused() {
            tell(&sentence);
        }
        let is_refused = judged.findings.worst() == Some(Severity::Refused);
        let Some(cluster) = judged.cluster.filter(|_| !is_refused) else { return u8::from(is_refused) };
        let cluster = if self.show_secrets { cluster } else { mask::masked(cluster) };
        match Plan::of(cluster).and_then(|plan| document(&plan, &self.program)) {
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
