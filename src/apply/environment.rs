//! `apply environment`: the environment file of RKE2's service.

use super::step::{Apply, Leaf, Step};
use crate::environment;
use crate::plan::plan::Plan;
use crate::report::outcome::Outcome;
use crate::rke2::Unit;
use crate::service::gate;

/// The step.
pub(crate) const STEP: Step = Step {
    name: "environment",
    what: "Writes the environment file of RKE2's service",
    stages: &["50-environment.yaml"],
    run: |apply| apply.with_plan("environment", |plan| run(apply, plan)),
    leaves: &[Leaf::Environment(Unit::Server), Leaf::Environment(Unit::Agent)],
};

/// With another environment RKE2 may look for its state elsewhere, so without it nothing is started.
fn run(apply: &Apply, plan: &Plan) -> Outcome {
    let _lock = match apply.locked() {
        Ok(lock) => lock,
        Err(locked) => return apply.without_lock(locked),
    };
    let (host, asked) = (apply.host, plan.environment());
    // Together with the configuration of another plan it is what nobody has asked for.
    if !gate::is_open_by(host, asked.unit, &plan.id)
        && !environment::is_installed(host, &asked)
        && let Err(error) = gate::close(host)
    {
        return apply.not_configured(Outcome::failed(error));
    }
    match environment::install(host, &asked) {
        Ok(done) => Outcome { done, ..Outcome::default() },
        Err(reason) => apply.not_configured(Outcome::failed(reason)),
    }
}
