//! `schema`: the JSON Schema of a cloud-config with a cluster section.

use super::verb::Verb;
use crate::Context;
use crate::cluster::schema;
use crate::report::stdio;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {}

impl Verb for Schema {
    fn run(self, _: &Context) -> u8 {
        stdio::to_stdout(&(schema::schema().to_string() + "\n"));
        0
    }
}
