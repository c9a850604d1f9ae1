//! `guard`: the condition of RKE2's unit.

use super::verb::{Verb, tell_outcome};
use crate::Context;
use crate::rke2::Unit;
use crate::start::guard;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Guard {
    /// rke2-server or rke2-agent
    #[arg(value_parser = Unit::ALL.map(Unit::name))]
    unit: String,
}

impl Verb for Guard {
    /// Only 1 keeps RKE2 from starting.
    fn run(self, context: &Context) -> u8 {
        Unit::of(&self.unit).map_or(0, |unit| tell_outcome(&guard::run(context, unit)))
    }
}
