//! `prestart`: what the unit calls before each start of RKE2.

use super::verb::{Verb, tell_outcome};
use crate::Context;
use crate::rke2::Unit;
use crate::start;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Prestart {
    /// rke2-server or rke2-agent
    #[arg(value_parser = Unit::ALL.map(Unit::name))]
    unit: String,
}

impl Verb for Prestart {
    /// It never keeps RKE2 from starting.
    fn run(self, context: &Context) -> u8 {
        if let Some(unit) = Unit::of(&self.unit) {
            tell_outcome(&start::run(context, unit));
        }
        0
    }
}
