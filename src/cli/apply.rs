//! `apply`: a step of the boot stages, or all of them.

use clap::builder::{PossibleValue, PossibleValuesParser};

use super::verb::{Verb, fail, tell, tell_outcome};
use crate::Context;
use crate::apply::step::Step;
use crate::apply::{self, STEPS, images};
use crate::images::import::Mode;
use crate::report::stdio;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    /// The step
    #[arg(value_parser = PossibleValuesParser::new(STEPS.map(|step| PossibleValue::new(step.name).help(step.what))))]
    step: Option<String>,
    /// Says what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// images: imports from this directory in place of the cloud-config's
    #[arg(long, value_name = "DIR")]
    from: Option<String>,
}

/// Takes a step, or all, on a host where nothing changes, and tells what would.
fn rehearse(context: &Context, step: Option<&Step>) -> u8 {
    let host = match context.host.rehearsing() {
        Ok(host) => host,
        Err(error) => return fail(&error.to_string()),
    };
    let context = Context { host: &host, ..*context };
    let outcome = match step {
        Some(step) => apply::run(&context, step),
        None => apply::run_all(&context),
    };
    tell("a rehearsal: nothing is changed, and each step says what it would say");
    let status = tell_outcome(&outcome);
    host.changes().iter().for_each(|sentence| stdio::to_stdout(&format!("{sentence}\n")));
    status
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
            _ if self.from.is_some() => return fail("--from is an option of apply images"),
            _ if self.dry_run => return rehearse(context, step),
            Some(step) => apply::run(context, step),
            None => apply::run_all(context),
        };
        tell_outcome(&outcome)
    }
}
