//! The values of RKE2's options in a section: what is wrong with them, and where it stands.

use std::collections::{BTreeMap, HashMap};

use super::cloud_config::Options;
use super::host::Endpoint;
use super::provider::Provider;
use super::reader::{self, Reader};
use super::role::Role;
use crate::findings::path::{At, Path};
use crate::rke2::drop_in::{DropIn, Place};
use crate::rke2::options;
use crate::rke2::values;
use crate::rke2::values::view::{HOST, View};
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
    let mut view = View::new(role.unit(), merged.as_ref().map_or(of_config, |it| it), env);
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
            let line = self.reader.section.node.get("env").and_then(|env| env.entry(option));
            let line = line.map_or(self.reader.section.line, |(key, _)| key.line);
            return reader::path("env").key(option).at(line);
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
        let mut found = self.entries(option);
        found.pop().map_or_else(
            || At { path: reader::path("config").key(option), ..self.reader.at("config") },
            |(path, place, key, _)| place.at(&path, key.line),
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
