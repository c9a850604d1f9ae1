//! The values of RKE2's options in a section: what is wrong with them, and where it stands.

use std::collections::{BTreeMap, HashMap};

use super::cloud_config::Options;
use super::host::Endpoint;
use super::provider::Provider;
use super::reader::{self, Reader};
use super::role::Role;
use crate::findings::code::{Code, Severity};
use crate::findings::path::{At, Path};
use crate::rke2::drop_in::{DropIn, Place, Value};
use crate::rke2::flags::{self, Form};
use crate::rke2::options::{self, Class, Spec};
use crate::rke2::values;
use crate::rke2::values::view::{HOST, View};
use crate::text::escape::quoted;
use crate::text::yaml::{Key, Node};

/// Judges the options of `config` and of `providerConfig`, of which the latter counts last, as its drop-in does.
pub(crate) fn judge(
    reader: &mut Reader,
    provider: &Provider,
    role: Role,
    [of_config, of_provider]: [&DropIn; 2],
    env: &BTreeMap<String, String>,
    endpoint: Option<&Endpoint>,
) {
    let merged = values::merged(of_config, of_provider);
    let host = endpoint.map(Endpoint::host);
    let given = merged.as_ref().map_or(of_config, |it| it);
    let of_env = of_env(reader, role, given, env);
    let mut view = View::new(role.unit(), given.iter().chain(&of_env), env);
    view.joins = role.joins();
    view.version = reader.home.version.as_ref();
    view.lacks_policy = reader.home.lacks_policy;
    view.host = host.as_deref();
    let told = values::judge(&view);
    if told.is_empty() {
        return;
    }
    let mut places = Places { reader, provider, items: HashMap::new() };
    let stand: Vec<At> = told.iter().map(|it| places.at(it.option, it.item.as_deref())).collect();
    for (it, at) in told.into_iter().zip(stand) {
        reader.findings.push(it.severity, it.code, at, &it.rest);
    }
}

/// The options that variables give and that nothing else does: RKE2 reads them as they are written (urfave/cli `flag_*.go`). One of the wrong
/// type stops it, whatever else gives the option.
fn of_env(reader: &mut Reader, role: Role, given: &DropIn, env: &BTreeMap<String, String>) -> DropIn {
    let mut options = DropIn::new();
    for (variable, text) in env.iter().filter(|(name, text)| name.starts_with("RKE") && is_value(text)) {
        let is_it = |spec: &&Spec| spec.env.contains(&variable.as_str()) && spec.takes(role.unit());
        let Some(spec) = options::all().iter().find(is_it) else { continue };
        let form = match spec.class {
            Class::Boolean => Some((Form::Boolean, Code::OptionBoolean)),
            Class::Integer => Some((Form::Integer, Code::OptionInteger)),
            Class::Duration => Some((Form::Duration, Code::OptionDuration)),
            _ => None,
        };
        if let Some((form, code)) = form.filter(|(form, _)| !form.takes(text)) {
            let expected = form.expected();
            let rest = format!("is not {expected}, so RKE2 does not start; write {expected}");
            let at = at_variable(reader, variable);
            reader.findings.error(code, at, &rest);
            continue;
        }
        if spec.name == "profile" && !matches!(text.as_str(), "cis" | "etcd") {
            let rest =
                format!("{} is no profile of RKE2 1.30 and later, which do not start; write cis or etcd", quoted(text));
            let at = at_variable(reader, variable);
            let severity = if text.starts_with("cis-1.") { Severity::Warning } else { Severity::Error };
            reader.findings.push(severity, Code::ProfileUnknown, at, &rest);
        }
        let value = match spec.class {
            Class::Boolean => Value::Bool(flags::boolean(text) == Some(true)),
            // Go reads them with a prefix, and so are few written.
            Class::Integer => match text.parse() {
                Ok(number) => Value::Int(number),
                Err(_) => continue,
            },
            Class::Replace | Class::Append if spec.comma_split => {
                Value::List(text.split(',').map(str::to_owned).collect())
            }
            Class::Replace | Class::Append => Value::List(vec![text.clone()]),
            _ => Value::Text(text.clone()),
        };
        if !given.iter().any(|(name, _)| name == spec.name) {
            options.push((spec.name.to_owned(), value));
        }
    }
    options
}

/// Whether the value of a variable says anything: an empty one is none, and of a template it is said that nobody evaluates it.
fn is_value(text: &str) -> bool {
    !text.is_empty() && !text.contains("{{")
}

fn at_variable(reader: &Reader, variable: &str) -> At {
    let line = reader.section.node.get("env").and_then(|env| env.entry(variable));
    reader::path("env").key(variable).at(line.map_or(reader.section.line, |(key, _)| key.line))
}

/// Where options stand.
struct Places<'r, 'a> {
    reader: &'r Reader<'a>,
    provider: &'r Provider<'a>,
    /// Of an option, where each item stands; made for the first that is asked for.
    items: HashMap<&'static str, HashMap<String, At>>,
}

impl Places<'_, '_> {
    fn at(&mut self, option: &'static str, item: Option<&str>) -> At {
        if option == HOST {
            return self.reader.at(HOST);
        }
        if option.starts_with("RKE") {
            return at_variable(self.reader, option);
        }
        if let Some(item) = item {
            if !self.items.contains_key(option) {
                let items = self.items_of(option);
                self.items.insert(option, items);
            }
            if let Some(at) = self.items.get(option).and_then(|items| items.get(item)) {
                return at.clone();
            }
        }
        if let Some((path, place, key, _)) = self.entries(option).pop() {
            return place.at(&path, key.line);
        }
        let variables = options::find(option).map_or(&[][..], |spec| spec.env);
        let env = self.reader.section.node.get("env");
        let variable = variables.iter().find(|it| env.is_some_and(|env| env.get(it).is_some()));
        variable.map_or_else(
            || At { path: reader::path("config").key(option), ..self.reader.at("config") },
            |variable| at_variable(self.reader, variable),
        )
    }

    /// The entries that give an option, that of `providerConfig` last.
    fn entries(&self, option: &str) -> Vec<(Path, Place, &Key, &Node)> {
        let is_it = |key: &Key| {
            let written = key.scalar.text.as_str();
            options::find(written.strip_suffix('+').unwrap_or(written)).is_some_and(|spec| spec.name == option)
        };
        let (place, entries) = match &self.reader.section.options {
            Options::Read(place, document) => (*place, document.root.entries()),
            _ => (Place::Here, &[][..]),
        };
        let config = entries.iter().map(|(key, node)| ("config", place, key, node));
        let provider = self.provider.entries.iter().map(|(key, node)| (self.provider.key, Place::Here, *key, *node));
        let all = config.chain(provider).filter(|(_, _, key, _)| is_it(key));
        all.map(|(holder, place, key, node)| (reader::path(holder).key(&key.scalar.text), place, key, node)).collect()
    }

    /// Where each item of an option stands: by its text, and by the parts between its commas.
    fn items_of(&self, option: &str) -> HashMap<String, At> {
        let mut items = HashMap::new();
        for (path, place, _, node) in self.entries(option) {
            for (index, it) in node.items().iter().enumerate() {
                let Some(scalar) = it.scalar() else { continue };
                let text = scalar.yaml11().printed();
                let at = place.at(&path.item(index), it.line);
                for part in text.split(',').map(str::trim).filter(|part| *part != text) {
                    items.insert(part.to_owned(), at.clone());
                }
                items.insert(text, at);
            }
        }
        items
    }
}
