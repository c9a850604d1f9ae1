//! `cluster.config`: RKE2's options, as text with YAML or as a mapping.

use std::collections::BTreeMap;

use super::cloud_config::Options;
use super::foreign;
use super::provider::Provider;
use super::reader::{self, Reader};
use super::role::Role;
use crate::findings::Instead;
use crate::findings::code::Code;
use crate::rke2::drop_in::{self, Braces, DropIn, Owned, Read, Value};
use crate::rke2::options;
use crate::text::yaml::{Kind, Node, Yaml11};

/// Reads the key.
pub(crate) fn read(reader: &mut Reader, role: Role) -> Read {
    let path = reader::path("config");
    match &reader.section.options {
        Options::None => {}
        Options::WrongType => {
            let rest = "is a list; write text with YAML, or a mapping, with RKE2's options by name";
            reader.findings.refuse(Code::WrongType, reader.at("config"), rest);
        }
        Options::Broken(place, error) => {
            let at = place.at(&path, error.line);
            let rest = match at.inner {
                Some(line) => format!("line {line} of its text {}", error.problem),
                None => error.problem.clone(),
            };
            reader.findings.refuse(Code::OptionsInvalidYaml, at, &rest);
        }
        Options::Read(place, document) => {
            if let Some((_, line)) = &document.anchor_twice {
                let rest = "defines an anchor twice, which YAML readers read differently; rename one";
                reader.findings.refuse_fresh(Code::OptionsAnchorTwice, place.at(&path, *line), rest, Instead::Kept);
            }
            if let Some(line) = document.second {
                let rest = "goes on with a second document, which has no effect; remove it";
                reader.findings.warn(Code::SecondDocument, place.at(&path, line), rest);
            }
            let root = &document.root;
            if matches!(root.kind, Kind::Map(_)) {
                let read = drop_in::read(
                    root.entries(),
                    &path,
                    *place,
                    Braces::Template,
                    reader.reads(role.unit()),
                    reader.findings,
                );
                if let Some(program) = foreign::program(root.entries()) {
                    foreign::tell(program, reader.at("config"), reader.findings);
                }
                return read;
            }
            if !root.is_null() {
                let rest = format!("holds {}; write a mapping with RKE2's options by name", root.described());
                reader.findings.refuse(Code::OptionsNotMapping, place.at(&path, root.line), &rest);
            }
        }
    }
    Read::default()
}

/// `token` or `server` among RKE2's options: it counts where `key` of the cluster section is missing.
pub(crate) fn embedded<'o>(
    reader: &mut Reader,
    name: &str,
    key: &str,
    is_missing: bool,
    owned: &'o [Owned],
) -> Option<&'o Owned> {
    for (number, it) in owned.iter().filter(|it| it.name == name).enumerate() {
        let rest = match number == 0 && is_missing {
            true => format!("is used, because cluster.{key} is missing; write it there"),
            false => format!("is ignored, because cluster.{key} counts; remove it"),
        };
        reader.findings.warn(Code::TokenEmbedded, it.at.clone(), &rest);
    }
    owned.iter().find(|it| it.name == name)
}

/// Whether an option stands here, and not in `providerConfig`.
pub(crate) fn is_in_config(it: &Owned) -> bool {
    it.at.path.steps().nth(1) == Some(Ok("config"))
}

/// Whether an option stands in `config` as text under its long name: only that the Go provider merged with its own, and RKE2 takes that one
/// where another spelling stands beside it.
pub(crate) fn is_text_of_config(reader: &Reader, it: &Owned) -> bool {
    let Options::Read(_, document) = &reader.section.options else { return false };
    let is_text = |node: &Node| node.scalar().is_some_and(|scalar| matches!(scalar.yaml11(), Yaml11::Text(_)));
    is_in_config(it) && document.root.get(it.name).is_some_and(is_text)
}

/// With the profile `cis`, RKE2 stops where protect-kernel-defaults is false (rke2 `pkg/cli/cmds/profile_linux.go`).
pub(crate) fn check_profile(
    reader: &mut Reader,
    provider: &Provider,
    of_config: &DropIn,
    of_provider: &DropIn,
    env: &BTreeMap<String, String>,
) {
    let name = "protect-kernel-defaults";
    let drop_ins = [of_config, of_provider];
    let profile = options::find("profile").and_then(|spec| drop_in::given(&drop_ins, env, spec));
    let is_cis = matches!(profile, Some(Value::Text(name)) if name == "cis" || name.starts_with("cis-1."));
    if !is_cis || drop_in::option(&drop_ins, name) != Some(&Value::Bool(false)) {
        return;
    }
    let line = |node: Option<&Node>| node.and_then(|node| node.entry(name)).map(|(key, _)| key.line);
    let in_config = match &reader.section.options {
        Options::Read(place, document) if drop_in::option(&[of_provider], name).is_none() => {
            line(Some(&document.root)).map(|line| place.at(&reader::path("config").key(name), line))
        }
        _ => None,
    };
    let at = in_config.unwrap_or_else(|| {
        let line = line(reader.section.node.get(provider.key)).unwrap_or(reader.section.line);
        reader::path(provider.key).key(name).at(line)
    });
    let rest = "is false, with which RKE2 does not start under the profile cis; remove it";
    reader.findings.error(Code::ProfileKernelDefaults, at, rest);
}
