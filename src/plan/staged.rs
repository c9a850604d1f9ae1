//! The plan on the node: what yip has laid out for the steps, and what `apply config` has accepted of it. Each file ends in the line that
//! proves it whole.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::plan::{Plan, is_id};
use super::values::{self, Evaluated, Trouble, Unread, Value};
use crate::host::{Error, Host};
use crate::service::gate::RUN;

/// How long a file that is not whole is looked at again: another run of the boot stages may be writing it, in place, under no lock of ours.
const WRITING: Duration = Duration::from_millis(200);

/// How much of a staged file is read.
pub(super) const LIMIT: u64 = 16 << 20;

const PLAN: &str = "plan.yaml";
const USER: &str = "config.d/90_userdata.yaml";
const PROVIDER: &str = "config.d/99_userdata.yaml";

/// All that is staged, but for the texts that yip evaluates.
pub(super) const STAGED: [&str; 3] = [PLAN, USER, PROVIDER];

/// Where yip lays out the plan; without this file nothing is staged.
pub(crate) const PLAN_PATH: &str = "/run/provider-rke2/plan.yaml";

/// Where yip lays out the drop-ins of the plan.
pub(crate) const USER_PATH: &str = "/run/provider-rke2/config.d/90_userdata.yaml";
/// The same for the other one.
pub(crate) const PROVIDER_PATH: &str = "/run/provider-rke2/config.d/99_userdata.yaml";

/// The id of the plan in force: what the last `agent.boot` of this boot has left behind.
const PLAN_ID: &str = "/run/provider-rke2/plan-id";

/// What `apply config` has accepted of the staged files, which every other step goes by: no template is left in it. yip may lay out an older plan meanwhile.
const APPLIED: &str = "/run/provider-rke2/applied";

/// The plan in it.
pub(crate) const APPLIED_PLAN: &str = "/run/provider-rke2/applied/plan.yaml";

/// The id of the plan in force; nothing if no `agent.boot` has left one in this boot.
pub(crate) fn plan_id(host: &Host) -> Option<String> {
    let bytes = host.read(PLAN_ID, 64).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    is_id(text.trim_end()).then(|| text.trim_end().to_owned())
}

/// Says which plan is in force, or that none is.
pub(crate) fn set_plan_id(host: &Host, id: Option<&str>) -> Result<(), Error> {
    match id {
        Some(id) => host.put(PLAN_ID, format!("{id}\n").as_bytes(), 0o600).map(drop),
        None => host.remove(PLAN_ID).map(drop),
    }
}

/// Removes all that is staged, so that it is not installed by hand either.
pub(crate) fn remove(host: &Host) -> Result<(), Error> {
    set_plan_id(host, None)?;
    for path in [PLAN_PATH, APPLIED_PLAN] {
        host.remove(path)?;
    }
    Ok(())
}

/// Why what is staged is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unstaged {
    /// It is whole, but of another plan than the one in force. The sentence is no reason to do anything.
    Other(String),
    /// Its files are whole, but not all of one plan.
    Mixed(String),
    /// A file is missing, cut off, or cannot be read.
    Torn(String),
}

impl Unstaged {
    /// The sentence.
    pub(crate) fn sentence(self) -> String {
        match self {
            Unstaged::Other(sentence) | Unstaged::Mixed(sentence) | Unstaged::Torn(sentence) => sentence,
        }
    }
}

/// What is staged.
#[derive(Debug)]
pub struct Staged {
    /// The plan, with what yip has made of its templates.
    pub plan: Plan,
    /// What is wrong with them.
    pub(crate) troubles: Vec<Trouble>,
    /// The options that had any.
    pub(crate) evaluated: BTreeSet<String>,
}

/// Reads what yip has laid out, once it is whole and of one plan, and that the one in force, if that is known.
pub fn read(host: &Host) -> Result<Staged, Unstaged> {
    let end = Instant::now() + WRITING;
    loop {
        let read = read_at_once(host, RUN);
        if read.is_ok() || !host.exists(PLAN_PATH) || Instant::now() >= end {
            let staged = read?;
            return match is_in_force(host, &staged.plan) {
                true => Ok(staged),
                false => Err(Unstaged::Other(format!(
                    "{PLAN_PATH}: is not of the plan in force, which agent.boot has made since, so it is left alone; \
                     run the boot stages again if RKE2 does not start"
                ))),
            };
        }
        sleep(Duration::from_millis(25));
    }
}

/// Reads what `apply config` has accepted; where that is not of the plan in force, what is staged, if that is. Fails with a sentence if
/// neither is.
pub(crate) fn applied(host: &Host) -> Result<Plan, String> {
    let accepted = read_at_once(host, APPLIED).ok().filter(|staged| is_in_force(host, &staged.plan));
    accepted.map_or_else(|| read(host).map_err(Unstaged::sentence), Ok).map(|staged| staged.plan)
}

/// Whether a plan is the one in force. Where no `agent.boot` has left one in this boot, any plan is.
pub(crate) fn is_in_force(host: &Host, plan: &Plan) -> bool {
    plan_id(host).is_none_or(|id| id == plan.id)
}

/// Keeps what was accepted for the other steps.
pub(crate) fn accept(host: &Host, plan: &Plan) -> Result<(), Error> {
    host.make_dir(APPLIED, 0o700)?;
    host.make_dir(&format!("{APPLIED}/config.d"), 0o700)?;
    // The plan is the last: without it nothing is accepted.
    for (name, text) in [(USER, &plan.user), (PROVIDER, &plan.provider), (PLAN, &plan.to_yaml())] {
        host.put(&format!("{APPLIED}/{name}"), format!("{text}# plan {}\n", plan.id).as_bytes(), 0o600)?;
    }
    Ok(())
}

/// What lies in a directory at this moment.
fn read_at_once(host: &Host, directory: &str) -> Result<Staged, Unstaged> {
    let (text, id) = whole(host, directory, PLAN).map_err(Unstaged::Torn)?;
    let file = |name: &str| of_plan(host, directory, name, &id);
    let (user, provider) = (file(USER)?, file(PROVIDER)?);
    let plan = Plan::from_yaml(&text, user, provider, id)
        .map_err(|what| Unstaged::Torn(format!("{directory}/{PLAN}: {what}; run agent.boot again")))?;
    let id = values::id(&plan.templates);
    let texts = plan.templates.iter().enumerate();
    let values =
        texts.map(|(number, text)| value(host, &format!("{directory}/{}/{number}", values::DIRECTORY), text, &id));
    let values = values.collect::<Result<_, _>>()?;
    let Evaluated { plan, troubles, options } = values::evaluate(plan, values);
    Ok(Staged { plan, troubles, evaluated: options })
}

/// What yip has made of a text.
fn value(host: &Host, path: &str, text: &str, id: &str) -> Result<Value, Unstaged> {
    let file = host.read(path, LIMIT).map_err(|error| Unstaged::Torn(error.to_string()))?;
    let value = String::from_utf8(file).map_err(|_| Unread::Torn).and_then(|file| Value::of(&file, text, id));
    value.map_err(|unread| match unread {
        Unread::Other => Unstaged::Mixed(of_another(path)),
        Unread::Torn => Unstaged::Torn(not_whole(path)),
    })
}

fn of_another(path: &str) -> String {
    format!("{path}: is of another plan than {PLAN}; reboot, or run the boot stages again")
}

fn not_whole(path: &str) -> String {
    format!("{path}: is not whole, its last line has no id; free space on the file system and reboot")
}

/// A staged file of a plan.
fn of_plan(host: &Host, directory: &str, name: &str, id: &str) -> Result<String, Unstaged> {
    match whole(host, directory, name) {
        Ok((text, its)) if its == id => Ok(text),
        Ok(_) => Err(Unstaged::Mixed(of_another(&format!("{directory}/{name}")))),
        Err(sentence) => Err(Unstaged::Torn(sentence)),
    }
}

/// A staged file without its last line, and the id in it. yip writes in place: a full disk leaves an empty file behind, a write that was
/// cut off a short one.
fn whole(host: &Host, directory: &str, name: &str) -> Result<(String, String), String> {
    let path = format!("{directory}/{name}");
    let bytes = host.read(&path, LIMIT).map_err(|error| error.to_string())?;
    let cut = || not_whole(&path);
    let text = String::from_utf8(bytes).map_err(|_| cut())?;
    let (text, last) = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).ok_or_else(cut)?;
    let id = last.strip_prefix("# plan ").filter(|id| is_id(id));
    Ok((format!("{text}\n"), id.ok_or_else(cut)?.to_owned()))
}
