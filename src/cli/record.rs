//! `record`: what the unit calls once RKE2 is ready.

use super::verb::{Verb, tell_outcome};
use crate::Context;
use crate::rke2::Unit;
use crate::start::ready;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// rke2-server or rke2-agent
    #[arg(value_parser = Unit::ALL.map(Unit::name))]
    unit: String,
}

impl Verb for Record {
    fn run(self, context: &Context) -> u8 {
        Unit::of(&self.unit).map_or(0, |unit| tell_outcome(&ready::run(context, unit)))
    }
}
