//! `apply environment`: the environment file of RKE2's service.

use super::step::{Apply, Leaf, Step};
use crate::environment;
use crate::report::outcome::Outcome;
use crate::rke2::Unit;

/// The step.
pub(crate) const STEP: Step = Step {
    name: "environment",
    what: "Writes the environment file of RKE2's service",
    stages: &["50-environment.yaml"],
    run: |apply| apply.with_plan("environment", |plan| run(apply, &plan.environment())),
    leaves: &[Leaf::Environment(Unit::Server), Leaf::Environment(Unit::Agent)],
};

/// With another environment RKE2 may look for its state elsewhere, so without it nothing is started.
fn run(apply: &Apply, asked: &environment::Asked) -> Outcome {
    let _lock = match apply.locked() {
        Ok(lock) => lock,
        Err(locked) => return apply.without_lock(locked),
    };
    match environment::install(apply.host, asked) {
        Ok(done) => Outcome { done, ..Outcome::default() },
        Err(reason) => apply.not_configured(Outcome::failed(reason)),
    }
}
