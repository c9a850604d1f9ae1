//! The apply phase: the steps that yip's boot stages call, and `apply` without a step, which takes them all.

pub(crate) mod accounts;
pub(crate) mod config;
pub(crate) mod environment;
pub(crate) mod host;
pub(crate) mod images;
pub(crate) mod prepared;
pub(crate) mod service;
pub(crate) mod step;
pub(crate) mod swap;
pub(crate) mod trust;

use std::time::Duration;

use crate::Context;
use crate::findings::Reason;
use crate::identity;
use crate::plan;
use crate::report::log::Level;
use crate::report::outcome::Outcome;
use crate::service::gate;
use crate::status;
use step::{Apply, IDLE, Step, Taken};

/// Every step, in the order in which they are taken.
pub const STEPS: [&Step; 7] =
    [&swap::STEP, &config::STEP, &host::STEP, &trust::STEP, &environment::STEP, &images::STEP, &service::STEP];

/// How long another run of the same step is waited for; a switch of the role takes a minute.
const TURN_WAIT: Duration = Duration::from_secs(120);

/// The step of a name.
pub fn step(name: &str) -> Option<&'static Step> {
    STEPS.into_iter().find(|step| step.name == name)
}

/// What a run of a step holds, so that there is one at a time.
pub(crate) fn lock(step: &Step) -> String {
    format!("{}/{}.lock", gate::RUN, step.name)
}

/// Takes one step.
pub fn run(context: &Context, step: &Step) -> Outcome {
    match identity::is_idle(context.host) {
        true => Outcome::done(IDLE),
        false => take(&Apply::new(context), step),
    }
}

/// Takes all steps, from the document on.
pub fn run_all(context: &Context) -> Outcome {
    if identity::is_idle(context.host) {
        return Outcome::done(IDLE);
    }
    let apply = Apply::new(context);
    if apply.refused("apply").is_some() {
        return take(&apply, &config::STEP);
    }
    let laid_out = match apply.locked() {
        Ok(_lock) => plan::lay_out(apply.host).map_err(|reason| apply.not_configured(Outcome::failed(reason))),
        Err(locked) => Err(apply.without_lock(locked)),
    };
    if let Err(outcome) = laid_out {
        return tell(&apply, &config::STEP, Taken::Done(None, outcome));
    }
    let mut all = Outcome::default();
    for step in STEPS {
        let Outcome { done, notes, failed } = take(&apply, step);
        all.done.extend(done);
        all.notes.extend(notes);
        let new: Vec<Reason> = failed.into_iter().filter(|it| !all.failed.contains(it)).collect();
        all.failed.extend(new);
    }
    all
}

/// One step, once no other run is at it and nobody is about to plan the node anew.
fn take(apply: &Apply, step: &Step) -> Outcome {
    // An import holds its lock itself, because the start of RKE2 imports too.
    if step.name == images::STEP.name {
        return tell(apply, step, (step.run)(apply));
    }
    match apply.lock(step.name, &lock(step), TURN_WAIT) {
        Ok(_turn) => tell(apply, step, (step.run)(apply)),
        Err(locked) => {
            // Without these two, what RKE2 reads is not what is asked for.
            let decides = [config::STEP.name, environment::STEP.name].contains(&step.name);
            let outcome = if decides { apply.without_lock(locked) } else { Outcome::failed(locked) };
            tell(apply, step, Taken::Done(None, outcome))
        }
    }
}

/// Tells what a step came to, in the log and the status; gives it.
fn tell(apply: &Apply, step: &Step, taken: Taken) -> Outcome {
    let line = |level, sentence: &str| apply.log.line(level, step.name, sentence);
    match taken {
        Taken::Left(sentence) => {
            line(Level::Info, &sentence);
            Outcome::failed(sentence)
        }
        Taken::Done(role, outcome) => {
            outcome.done.iter().for_each(|sentence| line(Level::Info, sentence));
            outcome.notes.iter().for_each(|it| line(Level::of(it.severity), &it.sentence));
            outcome.failed.iter().for_each(|it| line(Level::Error, &it.sentence));
            status::step(apply.context, step.name, role, &outcome);
            outcome
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::document::TEXTS;

    #[test]
    fn every_stage_calls_the_step_that_names_it() {
        let of_steps: Vec<&str> = STEPS.iter().flat_map(|step| step.stages).copied().collect();
        assert_eq!(of_steps, TEXTS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for step in STEPS {
            for stage in step.stages {
                let (_, text) = TEXTS.iter().find(|(name, _)| name == stage).unwrap();
                assert!(text.contains(&format!("\"@PROGRAM@ apply {}\"", step.name)), "{stage}");
            }
        }
    }
}
