//! The configuration that RKE2 would read on this node: config.yaml, then its own drop-ins (k3s `pkg/configfilearg/parser.go`).

use super::Unit;
use super::drop_in::{self, Braces, DropIn, For, Place, Read, Value};
use super::merge::{self, CONFIG, DROP_INS, Source};
use super::options::{self, Class};
use super::overrides;
use crate::findings::Findings;
use crate::findings::path::Path;
use crate::host::Host;
use crate::text::yaml::{self, Kind, OPTIONS};

/// What stands in RKE2's files, whoever wrote them.
#[derive(Debug, Default)]
pub(crate) struct Effective {
    /// The options of the unit, without those that follow.
    pub options: DropIn,
    /// The secret.
    pub token: Option<String>,
    /// The server that is joined.
    pub server: Option<String>,
}

/// Reads what is installed. None if config.yaml is missing, is not a mapping, or holds nothing: then nobody knows what RKE2 ran with.
pub(crate) fn read(host: &Host, unit: Unit) -> Option<Effective> {
    let mut effective = Effective::default();
    effective.add(file(host, CONFIG, unit).filter(|read| !read.options.is_empty() || !read.owned.is_empty())?);
    effective.overlay(host, unit);
    Some(effective)
}

/// The same for a config.yaml that is yet to be installed.
pub(crate) fn of(host: &Host, unit: Unit, config: &DropIn) -> Effective {
    let mut effective = Effective::default();
    for (name, value) in config {
        match (name.as_str(), value) {
            ("token", Value::Text(text)) => effective.token = Some(text.clone()),
            ("server", Value::Text(text)) => effective.server = Some(text.clone()),
            _ => effective.options.push((name.clone(), value.clone())),
        }
    }
    effective.overlay(host, unit);
    effective
}

/// The same for drop-ins that are yet to be written, beside those of other authors that are on the node.
pub(crate) fn beside(host: &Host, unit: Unit, own: [Source; 2]) -> Effective {
    let mut sources: Vec<Source> = of_others(host, unit).chain(own).collect();
    sources.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    // What is wrong with the merging is told where the node merges.
    of(host, unit, &merge::merge(sources, &mut Findings::default()))
}

/// Whether a drop-in of another author names a token.
pub(crate) fn names_token(host: &Host, unit: Unit) -> bool {
    of_others(host, unit).any(|it| it.read.owned.iter().any(|owned| owned.name == "token"))
}

/// The drop-ins of other authors that can be read.
fn of_others(host: &Host, unit: Unit) -> impl Iterator<Item = Source> {
    let names = host.list(DROP_INS).unwrap_or_default().into_iter().filter(|name| merge::is_of_others(name));
    names.filter_map(move |name| {
        let path = format!("{DROP_INS}/{name}");
        Some(Source { read: file(host, &path, unit)?, name, path })
    })
}

impl Effective {
    fn overlay(&mut self, host: &Host, unit: Unit) {
        overrides::drop_ins(host).iter().filter_map(|path| file(host, path, unit)).for_each(|read| self.add(read));
    }

    /// Takes in a file that is read later: it replaces, unless the option ends in `+`. An empty value leaves nothing of what was given.
    pub(crate) fn add(&mut self, read: Read) {
        for name in read.emptied {
            match name.as_str() {
                "token" => self.token = None,
                "server" => self.server = None,
                _ => self.options.retain(|(it, _)| *it != name),
            }
        }
        for owned in read.owned {
            let own = if owned.name == "token" { &mut self.token } else { &mut self.server };
            *own = Some(owned.text);
        }
        for (name, value) in read.options {
            let is_added = read.appended.contains(&name);
            match (self.options.iter_mut().find(|(it, _)| *it == name), value) {
                (Some((_, Value::List(list))), Value::List(more)) if is_added => list.extend(more),
                (Some((_, earlier)), value) => *earlier = value,
                (None, value) => self.options.push((name, value)),
            }
        }
    }

    /// The value of an option.
    pub(crate) fn get(&self, option: &str) -> Option<&Value> {
        self.options.iter().rev().find(|(name, _)| name == option).map(|(_, value)| value)
    }
}

/// One file, read without judging it; none if it is no mapping.
fn file(host: &Host, path: &str, unit: Unit) -> Option<Read> {
    let bytes = host.read(path, OPTIONS.bytes as u64).ok()?;
    let document = yaml::read(&String::from_utf8_lossy(&bytes), OPTIONS).ok()?;
    if !matches!(document.root.kind, Kind::Map(_)) {
        return None;
    }
    // Nothing is refused here: RKE2 has read it, or will.
    let mut findings = Findings::default();
    findings.lenient = true;
    let known = |name: &str| options::of_key(name).is_some_and(|spec| spec.class != Class::Dropped);
    let entries: Vec<_> = document.root.entries().iter().filter(|(key, _)| known(&key.scalar.text)).cloned().collect();
    Some(drop_in::read(
        &entries,
        &Path::default(),
        Place::Here,
        Braces::Text,
        For { unit, version: None },
        &mut findings,
    ))
}
