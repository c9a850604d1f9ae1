//! What `apply config` is going to install: the drop-ins of the plan, and config.yaml merged from them and those of other authors.

use std::collections::{HashMap, HashSet};

use crate::cluster::role::Role;
use crate::findings::code::{Code, Severity};
use crate::findings::path::{At, Path};
use crate::findings::{Finding, Findings, Reason};
use crate::host::{Error, Host};
use crate::identity;
use crate::identity::guards::{self, Situation};
use crate::identity::home::Home;
use crate::identity::recall::{self, Known};
use crate::plan;
use crate::plan::plan::Plan;
use crate::plan::staged::{self, Staged};
use crate::plan::values::Trouble;
use crate::report::outcome::Outcome;
use crate::rke2::drop_in::{self, Braces, DropIn, For, Owned, Place, Read, Value};
use crate::rke2::merge::{self, CONFIG, DROP_INS, OWNER, Source, USER};
use crate::rke2::options::{self, Class};
use crate::rke2::overrides::{self, Needed};
use crate::rke2::values::view::{Told, View};
use crate::rke2::{DATA_DIR, effective, installed, values};
use crate::start::guard as start;
use crate::text::paths::normalized;
use crate::text::yaml::{self, CLOUD_CONFIG, Key, Kind, Limits, OPTIONS};
use crate::text::{collected, lossy};

/// What is going to be installed.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `90_userdata.yaml`
    pub user: String,
    /// `99_userdata.yaml`
    pub provider: String,
    /// `config.yaml`
    pub config: String,
    /// What was found on the way.
    pub notes: Vec<Reason>,
    /// Whether it is to found a cluster, on a node without state.
    pub is_fresh_init: bool,
    /// What this node became.
    pub known: Known,
    /// Lines by which a person allows what a guard would stop.
    pub allowed: Vec<String>,
}

/// Makes the data directory of a plan the one that RKE2 will have: what templates make of it and the drop-ins of others say, but where the node
/// has its state in another one, that. Gives what is to be said of it.
pub(crate) fn settle_home(host: &Host, plan: &mut Plan) -> Option<Trouble> {
    let of_text = |text: &str| drop_in::data_dir(&yaml::read(text, CLOUD_CONFIG).ok()?.root);
    let of_others = overrides::of_others(host).into_iter().filter_map(|path| {
        let bytes = host.read(&path, OPTIONS.bytes as u64).ok()?;
        Some((path, of_text(&String::from_utf8(bytes).ok()?)?))
    });
    let own = [(USER, &plan.user), (OWNER, &plan.provider)];
    let own = own.into_iter().filter_map(|(name, text)| Some((format!("{DROP_INS}/{name}"), of_text(text)?)));
    let last = own.chain(of_others).max_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
    let asked = last.map_or_else(|| plan.data_dir.clone(), |(_, path)| normalized(&path));
    let home = [&asked, &plan.data_dir].map(|path| Home::of(host, path)).into_iter().find(|home| home.state.is_any());
    let home = home.unwrap_or_else(|| Home::fresh(&asked));
    plan.data_dir.clone_from(&home.data_dir);
    (home.data_dir != asked).then(|| Trouble::of_data_dir(&asked, &home.data_dir))
}

/// Writes the data directory down where the files that were merged, or a variable of others, would make it another one.
fn keep_home(host: &Host, plan: &Plan, config: &mut DropIn) {
    let kept = Value::Text(plan.data_dir.clone());
    match config.iter_mut().find(|(name, _)| name == drop_in::DATA_DIR) {
        Some((_, Value::Text(path))) if normalized(path) == plan.data_dir => {}
        Some((_, value)) => *value = kept,
        None => {
            let of_others = overrides::variables_of(host, overrides::environment_files(host, plan.role.unit()));
            let variable = of_others.get("RKE2_DATA_DIR").or_else(|| plan.env.get("RKE2_DATA_DIR"));
            if normalized(variable.map_or(DATA_DIR, String::as_str)) != plan.data_dir {
                config.push((drop_in::DATA_DIR.into(), kept));
            }
        }
    }
}

/// RKE2's own drop-ins count after config.yaml: one that names a directory without state would make RKE2 begin anew there.
fn refuse_to_move(host: &Host, plan: &Plan, findings: &mut Findings) {
    let mut named = overrides::drop_ins(host).into_iter().filter_map(|file| {
        let text = String::from_utf8(host.read(&file, OPTIONS.bytes as u64).ok()?).ok()?;
        let path = drop_in::data_dir(&yaml::read(&text, OPTIONS).ok()?.root)?;
        Some((file, normalized(&path)))
    });
    if let Some((file, path)) = named.next_back()
        && path != plan.data_dir
        && !identity::state(host, &path).is_any()
    {
        let rest = format!(
            "is {path} in a file that RKE2 reads last, but this node has its state in {}; remove the line, or move the data by hand",
            plan.data_dir
        );
        findings.refuse(Code::DataDirKept, Path::of(drop_in::DATA_DIR).at(1).in_file(&file), &rest);
    }
}

/// What a value of another type than its option takes is called.
const WRONG: [Code; 3] = [Code::OptionBoolean, Code::OptionInteger, Code::OptionDuration];

/// Works out what is to be installed. Nothing is changed, and no lock is needed.
///
/// Fails with what is refused, and what else was found.
pub(crate) fn prepare(host: &Host, staged: &Staged) -> Result<Prepared, Outcome> {
    let plan = &staged.plan;
    let mut findings = Findings::default();
    let home = Home::of(host, &plan.data_dir);
    findings.lenient = home.state.is_any();
    // What yip has made of a template is seen here first.
    let is_of_template = |it: &Finding| {
        let option = it.path.steps().next();
        option.is_some_and(|step| step.is_ok_and(|name| staged.evaluated.contains(name)))
    };
    let mut own = |name: &str, text: &str| -> Result<Read, String> {
        let read = read_text(host, text, name, plan, CLOUD_CONFIG, &[], &mut findings)?;
        // What else is worth saying about our own files was said when they were planned.
        findings.retain(|it| it.severity == Severity::Refused || is_of_template(it));
        findings
            .list
            .iter_mut()
            .filter(|it| WRONG.contains(&it.code))
            .for_each(|it| it.severity = it.severity.max(Severity::Error));
        read.ok_or_else(|| format!("{name}: is empty; run agent.boot again"))
    };
    let mut user = own(USER, &plan.user).map_err(Outcome::failed)?;
    user.appended = collected(plan.append.iter().cloned());
    let provider = own(OWNER, &plan.provider).map_err(Outcome::failed)?;
    staged.troubles.iter().for_each(|trouble| trouble.tell(&mut findings));
    let (user_text, provider_text) = (drop_in::to_json(&user.options), owner_text(&provider));

    let has_token = provider.owned.iter().any(|it| it.name == "token");
    // Where the section has a token, a file with another one would take its place.
    let always = if findings.lenient { &[][..] } else { &["token", "server"] };
    let ignored: Vec<&str> = always.iter().copied().chain(has_token.then_some("token-file")).collect();
    let mut sources = others(host, plan, &ignored, &mut findings).map_err(Outcome::failed)?;
    let planned = values::merged(&user.options, &provider.options).unwrap_or_else(|| user.options.clone());
    let given = given_by(&sources);
    sources.extend([source(USER, user), source(OWNER, provider)]);
    sources.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let installed = lossy(host.read(CONFIG, OPTIONS.bytes as u64).unwrap_or_default());
    for name in ["token", "server"] {
        owned(name, plan.role, &mut sources, &installed, &mut findings);
    }
    let mut config = merge::merge(sources, &mut findings);
    if home.state.is_any() {
        keep_home(host, plan, &mut config);
        refuse_to_move(host, plan, &mut findings);
    }
    overrides::find(host, plan.role.unit(), &plan.data_dir, &config, &mut findings);
    let read = effective::of(host, plan.role.unit(), &config);
    if !(given.is_empty() && staged.evaluated.is_empty() && read.options == without_owned(&config)) {
        judge_values(host, staged, &planned, &read.options, &given, &mut findings);
    }
    let known = recall::recall(host, &home, &|| plan::last_unit(host));
    let intent = start::intent(host, plan, &read);
    let is_fresh_init = intent.founds && !home.state.is_any();
    let allowed = guards::judge(&Situation { host, home: &home, known: &known, intent }, &mut findings);
    let (failed, mut notes) =
        findings.reasons().into_iter().partition::<Vec<_>, _>(|it| it.severity == Severity::Refused);
    if !failed.is_empty() {
        return Err(Outcome { notes, failed, ..Outcome::default() });
    }
    verify(&config, plan.role, &home).map_err(Outcome::failed)?;
    if staged::plan_id(host).is_none() {
        let sentence = "no agent.boot has finished in this boot, so the plan of an earlier boot is in force; \
                        see in the log of Kairos why it did not run";
        notes.push(Reason { severity: Severity::Error, code: Code::EventMissing, sentence: sentence.into() });
    }
    Ok(Prepared {
        user: user_text,
        provider: provider_text,
        config: drop_in::to_json(&config),
        notes,
        is_fresh_init,
        known,
        allowed,
    })
}

/// Which file of others gives an option last.
fn given_by(sources: &[Source]) -> HashMap<String, String> {
    let names = |source: &Source| source.read.options.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    collected(sources.iter().flat_map(|source| names(source).into_iter().map(|name| (name, source.path.clone()))))
}

/// The options that are judged by their values.
fn without_owned(config: &DropIn) -> DropIn {
    config.iter().filter(|(name, _)| name != "token" && name != "server").cloned().collect()
}

/// Tells what is wrong with the values that RKE2 is going to read, but for what was told of the plan alone.
fn judge_values(
    host: &Host,
    staged: &Staged,
    planned: &DropIn,
    options: &DropIn,
    given: &HashMap<String, String>,
    findings: &mut Findings,
) {
    let plan = &staged.plan;
    let asks = options.iter().any(|(name, _)| values::asks_for_version(name));
    let version = asks.then(|| installed::at_hand(host)).flatten();
    let judge = |options: &DropIn| {
        let mut view = View::new(plan.role.unit(), options, &plan.env);
        view.joins = plan.role.joins();
        view.version = version.as_ref();
        view.host = plan.control_plane_host.as_deref();
        values::judge(&view)
    };
    let told: HashSet<Told> =
        collected(judge(&planned.iter().filter(|(name, _)| !staged.evaluated.contains(name)).cloned().collect()));
    for it in judge(options) {
        // What a template has made of a range, and one that fails, is told as such.
        let fails = |text: &String| text.contains("<no value>");
        let value = options.iter().find(|(name, _)| name == it.option).map(|(_, value)| value);
        let is_failed = it.code == Code::CidrInvalid || value.is_some_and(|value| value.texts().iter().any(fails));
        if told.contains(&it) || (is_failed && staged.evaluated.contains(it.option)) {
            continue;
        }
        let file = given.get(it.option).map_or(CONFIG, String::as_str);
        let (at, rest) = (Path::of(it.option).at(1), format!("{} ({file})", it.rest));
        findings.push(it.severity, it.code, at, &rest);
    }
}

fn source(name: &str, read: Read) -> Source {
    Source { name: name.into(), path: format!("{DROP_INS}/{name}"), read }
}

/// `token` and `server` first, then the options.
fn owner_text(read: &Read) -> String {
    let owned = read.owned.iter().map(|it| (it.name.to_owned(), Value::Text(it.text.clone())));
    let all: DropIn = owned.chain(read.options.iter().cloned()).collect();
    drop_in::to_json(&all)
}

/// The options of one file, but for those that are `ignored` in it; nothing if it holds none at all.
fn read_text(
    host: &Host,
    text: &str,
    path: &str,
    plan: &Plan,
    limits: Limits,
    ignored: &[&str],
    findings: &mut Findings,
) -> Result<Option<Read>, String> {
    let document =
        yaml::read(text, limits).map_err(|error| format!("{path}: line {} {}", error.line, error.problem))?;
    if let Some((_, line)) = document.anchor_twice {
        return Err(format!("{path}: defines an anchor twice (line {line}); rename one"));
    }
    if let Some(line) = document.second {
        let sentence = format!("{path}: goes on with a second document (line {line}), which has no effect; remove it");
        findings.warn(Code::SecondDocument, At::line(line), &sentence);
    }
    if document.root.is_null() {
        return Ok(None);
    }
    if !matches!(document.root.kind, Kind::Map(_)) {
        let found = document.root.described();
        return Err(format!("{path}: holds {found}; write a mapping with RKE2's options by name"));
    }
    let mut entries = document.root.entries().to_vec();
    findings.file = Some(path.to_owned());
    entries.retain(|(key, _)| !is_ignored(key, ignored, findings));
    let version = match drop_in::has_versioned_profile(&entries) {
        true => installed::version(host).version(),
        false => None,
    };
    let reads = For { unit: plan.role.unit(), version: version.as_ref() };
    let read = drop_in::read(&entries, &Path::default(), Place::Here, Braces::Text, reads, findings);
    findings.file = None;
    Ok(Some(read))
}

/// Whether an option comes from the cluster section only, so that another file has no say in it.
fn is_ignored(key: &Key, ignored: &[&str], findings: &mut Findings) -> bool {
    let spec = options::of_key(&key.scalar.text).filter(|spec| ignored.contains(&spec.name));
    if let Some(spec) = spec {
        findings.warn(Code::TokenEmbedded, Path::of(spec.name).at(key.line), IGNORED);
    }
    spec.is_some()
}

/// What is said of an option that another file has no say in.
const IGNORED: &str = "is ignored, because it comes from the cluster section only; remove it from this file";

/// Settles `token` or `server`, which comes from the cluster section. On a node with state that of other files counts where the section has
/// none, as it did for the Go provider; and a token that is made of all files stays, if the node runs with it.
fn owned(name: &'static str, role: Role, sources: &mut [Source], installed: &str, findings: &mut Findings) {
    // jq added texts of one key, so no other spelling.
    let is_merged = |it: &&Owned| it.name == name && it.at.path.steps().last() == Some(Ok(name));
    let of = |source: &Source| source.read.owned.iter().rev().find(is_merged).map(|it| it.text.clone());
    let own = sources.iter().find(|source| source.name == OWNER).and_then(of);
    let all: Vec<(String, At, String)> = sources
        .iter()
        .filter(|source| source.name != OWNER)
        .filter_map(|source| {
            let last = source.read.owned.iter().rev().find(|it| it.name == name)?;
            Some((source.path.clone(), last.at.clone(), last.text.clone()))
        })
        .collect();
    let Some((_, _, last)) = all.last() else { return };
    // jq adds texts.
    let glued: String = sources.iter().filter_map(of).collect();
    let is_running = || {
        let document = yaml::read(installed, OPTIONS).ok();
        let token = document.and_then(|it| Some(it.root.get(name)?.scalar()?.yaml11().printed()));
        token.as_ref() == Some(&glued)
    };
    let (value, rest) = match (&own, findings.lenient, name) {
        (None, true, "token") if !glued.is_empty() => {
            (Some(glued), "is used, because the cluster section has none; write it there")
        }
        // The empty one that the Go provider wrote for role init took the place of any other spelling.
        (None, true, "server") if !role.joins() && sources.iter().rev().find_map(of).is_none() => (None, IGNORED),
        (None, true, _) => (Some(last.clone()), "is used, because the cluster section has none; write it there"),
        (Some(_), true, "token") if is_running() => {
            let rest = "makes one token with that of the cluster section, with which this node runs; write that text in cluster_token, and \
                        remove it from this file";
            (Some(glued), rest)
        }
        _ => (None, IGNORED),
    };
    for (path, at, _) in all {
        let code = if value.is_some() && own.is_some() { Code::TokenGlued } else { Code::TokenEmbedded };
        findings.warn(code, at.in_file(&path), rest);
    }
    let Some(text) = value else { return };
    for Source { name: file, read, .. } in sources {
        read.owned.retain(|it| it.name != name);
        if file == OWNER {
            read.owned.push(Owned { name, text: text.clone(), at: At::line(1) });
        }
    }
}

/// The drop-ins of other authors: regular files and links to one, `*.yaml` and `*.yml`. One that cannot be read is refused; on a node
/// with state it is left out with a warning.
fn others(host: &Host, plan: &Plan, ignored: &[&str], findings: &mut Findings) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for name in host.list(DROP_INS).map_err(|error| error.to_string())? {
        if !merge::is_of_others(&name) {
            continue;
        }
        let path = format!("{DROP_INS}/{name}");
        let read = match host.read(&path, OPTIONS.bytes as u64) {
            // What is no file is never opened, and never in the way.
            Err(error @ Error::Kind { .. }) => {
                findings.warn(Code::SourceUnreadable, At::line(1), &format!("{error}, so it is left out; remove it"));
                continue;
            }
            Err(error) => Err(format!("{error}; mend or remove the file")),
            Ok(bytes) => String::from_utf8(bytes)
                .map_err(|error| {
                    let at = error.utf8_error().valid_up_to();
                    format!("{path}: is not UTF-8 from byte {at} on; mend or remove the file")
                })
                .and_then(|text| read_text(host, &text, &path, plan, OPTIONS, ignored, findings)),
        };
        match read {
            Ok(None) => {}
            Ok(Some(read)) => sources.push(Source { name, path, read }),
            Err(sentence) if findings.lenient => {
                let sentence = format!(
                    "{sentence} (left out on this node, because it has state of RKE2; a fresh node is refused)"
                );
                findings.warn(Code::SourceUnreadable, At::line(1), &sentence);
            }
            Err(sentence) => return Err(sentence),
        }
    }
    Ok(sources)
}

/// What must hold before RKE2 may read the configuration; the sentence says what does not.
///
/// A server that joins without a server, or without a token, founds a cluster of its own (rancher/rke2#120).
fn verify(config: &DropIn, role: Role, home: &Home) -> Result<(), Reason> {
    let has = |name: &str| config.iter().any(|(it, _)| it == name);
    let is_given = |needed| home.gives(needed, role.unit()).is_some();
    let wrong = |rest: &str| Err(Reason::from(format!("config.yaml: {rest}")));
    if role.joins() && !has("server") && !is_given(Needed::Server) {
        return wrong(&format!("has no server, which a {} needs; write cluster.control_plane_host", role.as_str()));
    }
    if role.joins() && !has("token") && !has("token-file") && !is_given(Needed::Token) {
        return wrong(&format!("has no token, which a {} needs; write cluster.cluster_token", role.as_str()));
    }
    // A node that the Go provider has joined keeps its server.
    if !role.joins() && has("server") && !home.state.is_any() {
        return wrong("has a server, which role init must not have; remove it");
    }
    for (name, value) in config {
        let is_empty = match value {
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty() || items.iter().any(String::is_empty),
            Value::Bool(_) | Value::Int(_) => false,
        };
        if is_empty {
            return wrong(&format!("{name} is empty, which RKE2 does not take for unset; remove it"));
        }
        if options::find(name).is_some_and(|spec| spec.class != Class::Dropped && !spec.takes(role.unit())) {
            return wrong(&format!("{name} is not an option of {}; remove it", role.unit()));
        }
    }
    Ok(())
}
