//! `apply images`: local images into RKE2's directory, within a budget. The rest follows when RKE2 starts.

use super::step::{Apply, IDLE, Leaf, Step};
use crate::Context;
use crate::identity;
use crate::identity::home::Home;
use crate::images::import::{self, Mode, Request};
use crate::images::record;
use crate::plan::plan::Plan;
use crate::plan::staged;
use crate::report::outcome::Outcome;

/// The step.
pub(crate) const STEP: Step = Step {
    name: "images",
    what: "Imports local images",
    stages: &["60-images.yaml"],
    run: |apply: &Apply| apply.with_plan("images", |plan| step(apply.context, plan)),
    // What is in RKE2's directory goes with that.
    leaves: &[Leaf::Ours(record::PATH)],
};

/// Imports, unless the disk that the images belong on comes later: the start of RKE2 waits for it, and imports then.
fn step(context: &Context, plan: &Plan) -> Outcome {
    if let Some(mount) = Home::of(context.host, &plan.data_dir).unmounted {
        return Outcome::done(format!("{mount} is not mounted yet, so images are imported when RKE2 starts"));
    }
    let mode = if context.host.is_rehearsal() { Mode::Rehearse } else { Mode::Import };
    import::step(context, &Request { mode, ..plan.images() })
}

/// How a person or a script calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Whether something is done.
    pub mode: Mode,
    /// The content directory, in place of the cloud-config's.
    pub from: Option<String>,
}

/// The step as a person or a script calls it: as a rehearsal, or with another content directory.
pub(crate) fn run(context: &Context, call: &Call) -> Outcome {
    let host = context.host;
    if identity::is_idle(host) {
        return Outcome::done(IDLE);
    }
    let planned = match staged::applied(host) {
        Ok(plan) => plan.images(),
        Err(_) if call.from.is_some() => Request::default(),
        Err(sentence) => return Outcome::failed(sentence),
    };
    import::run(host, &request(planned, call))
}

fn request(planned: Request, call: &Call) -> Request {
    match &call.from {
        Some(from) => Request {
            is_elsewhere: planned.content.as_ref() != Some(from),
            content: Some(from.clone()),
            prefix: String::new(),
            marker: None,
            budget: None,
            mode: call.mode,
            ..planned
        },
        None => Request { budget: planned.budget.filter(|_| call.mode == Mode::Import), mode: call.mode, ..planned },
    }
}
