//! `apply`: a step of the boot stages, or all of them.

use clap::builder::{PossibleValue, PossibleValuesParser};

use super::verb::{Verb, fail, tell_outcome};
use crate::Context;
use crate::apply::{self, STEPS, images};
use crate::images::import::Mode;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    /// The step
    #[arg(value_parser = PossibleValuesParser::new(STEPS.map(|step| PossibleValue::new(step.name).help(step.what))))]
    step: Option<String>,
    /// images: says what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// images: imports from this directory in place of the cloud-config's
    #[arg(long, value_name = "DIR")]
    from: Option<String>,
}

impl Verb for Apply {
    fn run(self, context: &Context) -> u8 {
        let step = self.step.as_deref().and_then(apply::step);
        let has_options = self.dry_run || self.from.is_some();
        let outcome = match step {
            Some(step) if has_options && step.name == images::STEP.name => {
                let mode = if self.dry_run { Mode::Rehearse } else { Mode::Import };
                images::run(context, &images::Call { mode, from: self.from })
            }
            _ if has_options => return fail("--dry-run and --from are options of apply images"),
            Some(step) => apply::run(context, step),
            None => apply::run_all(context),
        };
        tell_outcome(&outcome)
    }
}
