//! `apply config`: drop-ins and config.yaml installed, whole, then the gate opened.

use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::Context;
use crate::check::{Code, Findings, Path, Severity};
use crate::cloud_config::Place;
use crate::config::{self, CONFIG, DROP_INS, OWNER, Source, USER};
use crate::drop_in::{self, DropIn, Read, Value};
use crate::environment;
use crate::gate;
use crate::host::{Error, Host};
use crate::node;
use crate::options;
use crate::overrides;
use crate::prestart;
use crate::report::outcome::{Outcome, Reason};
use crate::staged::{self, Staged};
use crate::template::{self, Evaluated};
use crate::yaml::{self, CLOUD_CONFIG, Kind, Limits, OPTIONS};

/// What is going to be installed.
#[derive(Debug)]
pub struct Prepared {
    user: String,
    provider: String,
    config: String,
    notes: Vec<Reason>,
}

/// Works out what is to be installed. Nothing is changed, and no lock is needed.
///
/// Fails with the sentences of what is refused.
pub fn prepare(host: &Host, staged: &Staged) -> Result<Prepared, Outcome> {
    let mut findings = Findings::default();
    findings.lenient = node::has_state(host, &staged.data_dir);
    let values = Values { text: staged.values.as_deref(), json: OnceCell::new() };
    let mut own = |name: &str, text: &str| -> Result<Read, String> {
        let read = read_text(text, name, staged, CLOUD_CONFIG, &mut findings)?;
        // What else is worth saying about our own files was said when they were planned.
        findings.list.retain(|it| it.severity == Severity::Refused);
        let mut read = read.ok_or_else(|| format!("{name}: is empty, run agent.boot again"))?;
        values.fill(&mut read.options, &mut findings)?;
        Ok(read)
    };
    let mut user = own(USER, &staged.user).map_err(Outcome::failed)?;
    user.appended = staged.append.iter().cloned().collect();
    let provider = own(OWNER, &staged.provider).map_err(Outcome::failed)?;
    let (user_text, provider_text) = (drop_in::to_json(&user.options), owner_text(&provider));

    let mut sources = vec![source(USER, user), source(OWNER, provider)];
    sources.extend(others(host, staged, &mut findings).map_err(Outcome::failed)?);
    sources.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let config = config::merge(sources, &mut findings);
    overrides::find(host, staged, &config, &mut findings);
    let (failed, notes) = findings.reasons().into_iter().partition(|it: &Reason| it.severity == Severity::Refused);
    let mut outcome = Outcome { notes, failed, ..Outcome::default() };
    if !outcome.failed.is_empty() {
        return Err(outcome);
    }
    config::verify(&config, staged.role).map_err(Outcome::failed)?;
    if staged::plan_id(host).is_none() {
        let sentence = "no agent.boot has finished in this boot, so the plan of an earlier boot is in force; \
                        see in the log of Kairos why it did not run";
        let code = Code::EventMissing;
        outcome.notes.push(Reason { severity: Severity::Error, code, sentence: sentence.into() });
    }
    let config = drop_in::to_json(&config);
    Ok(Prepared { user: user_text, provider: provider_text, config, notes: outcome.notes })
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

/// The options of one file; nothing if it holds none at all.
fn read_text(
    text: &str,
    path: &str,
    staged: &Staged,
    limits: Limits,
    findings: &mut Findings,
) -> Result<Option<Read>, String> {
    let document =
        yaml::read(text, limits).map_err(|error| format!("{path}: {} (line {})", error.problem, error.line))?;
    if let Some((_, line)) = document.anchor_twice {
        return Err(format!("{path}: defines an anchor twice (line {line}), rename one"));
    }
    if let Some(line) = document.second {
        let rest = format!("{path}: goes on with a second document (line {line}), which has no effect, remove it");
        findings.push(Severity::Warning, Code::SecondDocument, &Path::default(), line, &rest);
    }
    if document.root.is_null() {
        return Ok(None);
    }
    if !matches!(document.root.kind, Kind::Map(_)) {
        let found = document.root.described();
        return Err(format!("{path}: holds {found}, accepted is a mapping with RKE2's options by name, write that"));
    }
    let before = findings.list.len();
    let read = drop_in::read(document.root.entries(), &Path::default(), Place::Here, staged.role.is_server(), findings);
    let is_own = [USER, OWNER].contains(&path);
    for finding in findings.list.iter_mut().skip(before) {
        finding.file = Some(path.to_owned());
        // What other files say of these two is ignored, so a mistake in it does no harm.
        let is_ignored = !is_own && matches!(finding.path.steps().next(), Some(Ok("token" | "server")));
        if is_ignored && finding.severity == Severity::Refused {
            finding.severity = Severity::Warning;
        }
    }
    Ok(Some(read))
}

/// The drop-ins of other authors: regular files and links to one, `*.yaml` and `*.yml`. One that cannot be read is refused; on a node
/// with state it is left out with a warning.
fn others(host: &Host, staged: &Staged, findings: &mut Findings) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for name in host.list(DROP_INS).map_err(|error| error.to_string())? {
        if name.starts_with('.') || !config::is_drop_in(&name) || name == USER || name == OWNER {
            continue;
        }
        let path = format!("{DROP_INS}/{name}");
        let read = match host.read(&path, OPTIONS.bytes as u64) {
            // What is no file is never opened, and never in the way.
            Err(error @ Error::Kind { .. }) => {
                findings.push(
                    Severity::Warning,
                    Code::SourceUnreadable,
                    &Path::default(),
                    1,
                    &format!("{error}, it is left out"),
                );
                continue;
            }
            Err(error) => Err(format!("{error}, mend or remove the file")),
            Ok(bytes) => String::from_utf8(bytes)
                .map_err(|error| {
                    let at = error.utf8_error().valid_up_to();
                    format!("{path}: is not UTF-8 from byte {at} on, mend or remove the file")
                })
                .and_then(|text| read_text(&text, &path, staged, OPTIONS, findings)),
        };
        match read {
            Ok(None) => {}
            Ok(Some(read)) => sources.push(Source { name, path, read }),
            Err(sentence) if findings.lenient => {
                let rest =
                    format!("{sentence} (left out on this node, for it has state of RKE2; a fresh node is refused)");
                findings.push(Severity::Warning, Code::SourceUnreadable, &Path::default(), 1, &rest);
            }
            Err(sentence) => return Err(sentence),
        }
    }
    Ok(sources)
}

/// yip's values, read when the first template asks for them.
struct Values<'a> {
    text: Result<&'a str, &'a String>,
    json: OnceCell<Result<Json, String>>,
}

impl Values<'_> {
    fn get(&self) -> &Result<Json, String> {
        self.json.get_or_init(|| {
            let wrong = |_| format!("{}/values.json: is not the JSON that yip gives", gate::RUN);
            serde_json::from_str(self.text.map_err(Clone::clone)?).map_err(wrong)
        })
    }

    /// Evaluates the templates in the text values of options that are not secret.
    fn fill(&self, options: &mut DropIn, findings: &mut Findings) -> Result<(), String> {
        for (name, value) in options {
            if options::find(name).is_some_and(|spec| spec.secret) {
                continue;
            }
            let texts: &mut [String] = match value {
                Value::Text(text) => std::slice::from_mut(text),
                Value::List(items) => items,
                Value::Bool(_) | Value::Int(_) => &mut [],
            };
            for text in texts {
                match template::evaluate(text, || self.get().clone().unwrap_or_default()) {
                    Evaluated::Text(filled) => *text = filled,
                    Evaluated::Kept => {}
                    Evaluated::Missing(path) => {
                        self.get().as_ref().map_err(Clone::clone)?;
                        let rest = format!("holds a template of {path}, which this node does not have, correct it");
                        findings.push(Severity::Refused, Code::OptionTemplate, &Path::of(name), 1, &rest);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Installs it, under the lock of the program, and opens the gate. The gate is shut before anything is changed that RKE2 reads.
///
/// Whatever fails, config.yaml is the old or the new one; the caller shuts the gate. Nothing is written that has the bytes already.
pub fn install(context: &Context, staged: &Staged, prepared: Prepared) -> Outcome {
    match write(context, staged, &prepared) {
        Ok(done) => Outcome { done, notes: prepared.notes, ..Outcome::default() },
        Err(error) => Outcome { notes: prepared.notes, ..Outcome::failed(error.to_string()) },
    }
}

fn write(context: &Context, staged: &Staged, prepared: &Prepared) -> Result<Vec<String>, Error> {
    let (host, unit) = (context.host, staged.role.unit());
    host.make_dir("/etc/rancher", 0o755)?;
    host.make_dir("/etc/rancher/rke2", 0o755)?;
    host.make_dir(DROP_INS, 0o700)?;
    let changes = !host.holds(CONFIG, prepared.config.as_bytes());
    if changes || !environment::is_installed(host, staged) {
        gate::close(host)?;
        // If nobody knows what RKE2 has read, this is not what it runs with.
        prestart::set_changed(host)?;
    }
    for (name, text) in [(USER, &prepared.user), (OWNER, &prepared.provider)] {
        host.install(&format!("{DROP_INS}/{name}"), text.as_bytes(), 0o400, true)?;
    }
    host.install(CONFIG, prepared.config.as_bytes(), 0o600, true)?;
    // A queued unit starts as soon as the gate opens, so what it reads must be there.
    let mut done = environment::install(host, staged)?;
    gate::open(context, unit)?;
    let config = if changes { "written" } else { "unchanged" };
    done.push(format!("{CONFIG} {config}, {unit} may start"));
    Ok(done)
}
