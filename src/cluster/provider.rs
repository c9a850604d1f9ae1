//! `cluster.providerConfig`: settings of this program, and options of RKE2.

use super::reader::{self, Reader};
use super::role::Role;
use super::settings::{self, ROWS, Settings};
use crate::findings::code::Code;
use crate::rke2::drop_in::{self, Braces, Place, Read};
use crate::rke2::options::{self, Class};
use crate::text::escape::quoted;
use crate::text::yaml::{Key, Node};

/// The key of the prefix for scripts and content.
pub(crate) const ROOT_PATH: &str = settings::ROOT_PATH.name;

/// What the key holds.
#[derive(Debug)]
pub(crate) struct Provider<'a> {
    /// How it is written: `providerConfig`, or its usual misspelling.
    pub key: &'static str,
    /// Its entries.
    pub entries: Vec<(&'a Key, &'a Node)>,
}

/// The key under which a section has it.
pub(crate) fn key(section: &Node) -> &'static str {
    let is_there = |key: &str| section.get(key).is_some_and(|node| !node.is_null());
    if !is_there("providerConfig") && is_there("provider_options") { "provider_options" } else { "providerConfig" }
}

/// Finds the key; nothing in it is judged yet.
pub(crate) fn find<'a>(reader: &mut Reader<'a>) -> Provider<'a> {
    let key = key(&reader.section.node);
    if reader.get("provider_options").is_some() {
        let rest = match key {
            "provider_options" => "is taken for providerConfig; rename it",
            _ => "is ignored, because providerConfig is there too; remove it",
        };
        reader.findings.warn(Code::ProviderOptionsMisnamed, reader.at("provider_options"), rest);
    }
    Provider { key, entries: reader.mapping(key) }
}

/// Reads it: the settings, the root path, the options.
pub(crate) fn read(reader: &mut Reader, provider: &Provider, role: Role) -> (Settings, String, Read) {
    let (mut settings, mut root_path, mut rke2) = (Settings::default(), String::new(), Vec::new());
    for (name, value) in &provider.entries {
        let Some(scalar) = value.scalar().filter(|_| !value.is_null()) else { continue };
        let (written, text) = (name.scalar.text.as_str(), scalar.text.as_str());
        let at = reader::path(provider.key).key(written).at(name.line);
        if written == ROOT_PATH {
            // Empty is none, as it was for the Go provider.
            let given = Some(text).filter(|text| !text.trim().is_empty());
            root_path =
                given.and_then(|text| reader.absolute_path(at, text)).filter(|path| path != "/").unwrap_or_default();
            continue;
        }
        if let Some(set) = settings.set(written, text.trim()) {
            if let Err(accepted) = set {
                let code = if written == "swap" { Code::SwapUnknown } else { Code::ProviderOptionInvalid };
                let rest = format!("{} is left out; write {accepted}", quoted(text));
                reader.findings.warn(code, at, &rest);
            }
            continue;
        }
        let option = written.strip_suffix('+').unwrap_or(written);
        match options::find(option).map(|spec| spec.class) {
            Some(Class::Dropped) => {
                let rest = "is a k3s option that has no effect in RKE2; remove it";
                reader.findings.warn(Code::OptionDropped, at, rest);
            }
            Some(_) => rke2.push(drop_in::entry(written, text, name.line)),
            None => {
                let names = || ROWS.iter().map(|row| row.name).chain([ROOT_PATH]).collect::<Vec<_>>();
                let near = || options::nearest_of(option, &names()).or_else(|| options::nearest(option));
                let near = reader.findings.prints(Code::ProviderOptionUnknown).then(near).flatten().map_or_else(
                    || format!("write one of {}, or an option of RKE2", names().join(", ")),
                    |near| format!("did you mean {near}?"),
                );
                reader.findings.warn(Code::ProviderOptionUnknown, at, &format!("is not known; {near}"));
            }
        }
    }
    let path = reader::path(provider.key);
    let options =
        drop_in::read(&rke2, &path, Place::Provider, Braces::Template, reader.reads(role.unit()), reader.findings);
    (settings, root_path, options)
}
