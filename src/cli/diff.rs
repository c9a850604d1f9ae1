//! `diff`: what changes on a node between two cloud-configs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::input;
use super::verb::{FAILED, Verb, fail, tell};
use crate::Context;
use crate::cluster::mask;
use crate::environment;
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::host::Host;
use crate::identity::critical::{self, DECISIVE};
use crate::identity::record::password;
use crate::plan::plan::Plan;
use crate::plan::staged;
use crate::plan::{self, find};
use crate::report::stdio;
use crate::rke2::Unit;
use crate::rke2::drop_in::{self, DropIn, Value};
use crate::rke2::options;
use crate::text::collected;
use crate::text::escape::{escape, mask_userinfo};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The cloud-config of now and the new one; a single one is compared with the plan of this node. - is standard input
    #[arg(num_args = 1..=2, required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What a plan says of one thing.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// It can be shown.
    Shown(String),
    /// Nobody may see it.
    Secret(String),
}

impl Verb for Diff {
    fn run(self, context: &Context) -> u8 {
        let mut files = self.files.iter().rev();
        let Some(new) = files.next() else { return fail("no file is named") };
        let (new, mut refused) = match planned(context.host, new, files.len() == 0) {
            Ok(planned) => planned,
            Err(status) => return status,
        };
        let old = match files.next() {
            Some(old) => planned(context.host, old, false).map(|(plan, _)| plan),
            None => of_node(context.host).ok_or_else(|| fail("this node has no plan to compare with; name two files")),
        };
        let old = match old {
            Ok(old) => old,
            Err(status) => return status,
        };
        if self.files.len() == 2 {
            refused = guards(&old, &new);
        }
        let mut lines = changes(&said(&old), &said(&new));
        if lines.is_empty() {
            lines.push("nothing changes".into());
        }
        lines.push(restart(&old, &new));
        lines.extend(refused);
        stdio::to_stdout(&lines.into_iter().map(|line| escape(&line) + "\n").collect::<String>());
        0
    }
}

/// The plan of a file, and what the guards of this node say of it where it is for this node. Fails with the exit status.
fn planned(host: &Host, file: &Path, is_for_this_node: bool) -> Result<(Plan, Vec<String>), u8> {
    let judged = input::judged(Some(host), file).map_err(|sentence| fail(&sentence))?;
    let name = file.display().to_string();
    let no_plan = |sentence: &str| {
        tell(&format!("{}: {sentence}", escape(&name)));
        FAILED
    };
    for sentence in judged.findings.refused() {
        no_plan(&sentence);
    }
    if judged.findings.worst() == Some(Severity::Refused) {
        return Err(FAILED);
    }
    let (Some(section), Some(cluster)) = (&judged.section, judged.cluster) else {
        return Err(no_plan("has no cluster section"));
    };
    let mut findings = Findings::default();
    if is_for_this_node {
        plan::guarded(host, section, &cluster, &mut findings);
    }
    let guards = findings.list.iter().filter(|it| it.severity >= Severity::Error);
    let guards = guards.map(|it| format!("guard {}: {}", it.code.as_str(), it.message)).collect();
    Plan::of(cluster).map(|plan| (plan, guards)).map_err(|sentence| no_plan(&sentence))
}

fn of_node(host: &Host) -> Option<Plan> {
    staged::applied(host).ok().or_else(|| find::in_force(host)?.plan())
}

/// Everything that a plan says, by its name.
fn said(plan: &Plan) -> BTreeMap<String, Said> {
    let shown = |text: &str| Said::Shown(mask_userinfo(text));
    let mut said: BTreeMap<String, Said> = collected([
        ("role".to_owned(), shown(plan.role.as_str())),
        ("unit".into(), shown(plan.role.unit().name())),
        ("data directory".into(), shown(&plan.data_dir)),
        ("document".into(), shown(&plan.document_path)),
        ("certificates".into(), Said::Secret(format!("{:?}", plan.ca_certs))),
    ]);
    let mut say = |name: String, what: Said| drop(said.insert(name, what));
    if let Some(host) = &plan.control_plane_host {
        say("control_plane_host".into(), shown(host));
    }
    if !plan.root_path.is_empty() {
        say("providerConfig.cluster_root_path".into(), shown(&plan.root_path));
    }
    if let Some(images) = &plan.images {
        say("images".into(), shown(images));
    }
    for (part, text) in [("config", &plan.user), ("99_userdata", &plan.provider)] {
        for (name, value) in drop_in::of_json(text).unwrap_or_default() {
            let what = if options::is_secret(&name) {
                Said::Secret(value.to_json())
            } else {
                Said::Shown(visible(&name, value))
            };
            say(format!("{part}.{name}"), what);
        }
    }
    for (name, text) in plan.settings.given() {
        say(format!("providerConfig.{name}"), shown(&text));
    }
    for (name, text) in &plan.env {
        say(format!("env.{name}"), Said::Secret(text.clone()));
    }
    said
}

fn visible(name: &str, mut value: Value) -> String {
    mask::mask(name, &mut value);
    value.to_json()
}

/// A line for each thing that is said otherwise, or by one of them only.
fn changes(old: &BTreeMap<String, Said>, new: &BTreeMap<String, Said>) -> Vec<String> {
    let names: BTreeSet<&String> = collected(old.keys().chain(new.keys()));
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    changed
        .map(|name| match (old.get(name), new.get(name)) {
            (Some(Said::Shown(old)), Some(Said::Shown(new))) => format!("{name}: {old} -> {new}"),
            (Some(Said::Shown(old)), None) => format!("{name}: {old} -> nothing"),
            (None, Some(Said::Shown(new))) => format!("{name}: nothing -> {new}"),
            _ => format!("{name}: changed"),
        })
        .collect()
}

/// Whether RKE2 is restarted, and why.
fn restart(old: &Plan, new: &Plan) -> String {
    let unit = old.role.unit();
    let reads = |plan: &Plan| (plan.user.clone(), plan.provider.clone(), plan.append.clone());
    let environment = |plan: &Plan| environment::asked_for(&plan.environment());
    let mut why = Vec::new();
    if unit != new.role.unit() {
        why.push(format!("{unit} is replaced by {}", new.role.unit()));
    }
    if reads(old) != reads(new) {
        why.push("its configuration changes".into());
    }
    if environment(old) != environment(new) {
        why.push("its environment changes".into());
    }
    match why.is_empty() {
        true => "restarts RKE2: no".into(),
        false => format!("restarts RKE2: yes, because {}", why.join(", and ")),
    }
}

/// What the guards say on a node that runs with one plan and gets the other.
fn guards(old: &Plan, new: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |code: Code, rest: &str| lines.push(format!("guard {}: {rest}", code.as_str()));
    if old.role.unit() == Unit::Agent {
        return lines;
    }
    if new.role.unit() == Unit::Agent {
        say(Code::RoleChanged, "a node that runs as a server is refused, until it is reset");
        return lines;
    }
    let options = |plan: &Plan| -> [DropIn; 2] {
        [&plan.user, &plan.provider].map(|text| drop_in::of_json(text).unwrap_or_default())
    };
    let ([one, two], [three, four]) = (options(old), options(new));
    let (before, after) = (critical::of(&[&one, &two], &old.env), critical::of(&[&three, &four], &new.env));
    let differ: Vec<&String> =
        before.iter().filter(|(name, value)| after.get(*name).is_some_and(|it| it != *value)).map(|it| it.0).collect();
    let (decisive, other): (Vec<&String>, Vec<&String>) =
        differ.into_iter().partition(|name| DECISIVE.contains(&name.as_str()));
    for name in decisive {
        say(Code::CriticalChanged, &format!("{name} cannot change in a cluster that runs, so the plan is refused"));
    }
    for name in other {
        say(Code::CriticalDiffers, &format!("{name} must be the same on all servers"));
    }
    let token = |options: &DropIn| match drop_in::option(&[options], "token") {
        Some(Value::Text(token)) => Some(password(token).to_owned()),
        _ => None,
    };
    let (before, after) = (token(&two), token(&four));
    if before.is_some() && after.is_some() && before != after {
        say(Code::TokenChanged, "a server does not start with another token; rke2 token rotate changes it");
    }
    lines
}
