//! `registries.yaml`: where images are pulled from (rancher/wharfie `pkg/registries`, k3s `pkg/agent/containerd`). RKE2 does not start
//! where it cannot be read, and skips without a word what it does not know.

use super::written::{Around, Written, is_map};
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::Path;
use crate::rke2::Unit;
use crate::rke2::drop_in::Value;
use crate::rke2::options::nearest_of;
use crate::text::escape::quoted;
use crate::text::yaml::{Kind, Node, Yaml11};

/// Where RKE2 looks for it.
pub(super) const FILE: &str = "/etc/rancher/rke2/registries.yaml";

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// A mapping whose keys are names of registries.
    Hosts(&'static [(&'static str, Type)]),
    /// A mapping of these keys.
    Map(&'static [(&'static str, Type)]),
    Endpoints,
    Rewrites,
    Text,
    File,
    Boolean,
}

const AUTH: &[(&str, Type)] =
    &[("username", Type::Text), ("password", Type::Text), ("auth", Type::Text), ("identity_token", Type::Text)];

const TLS: &[(&str, Type)] = &[
    ("ca_file", Type::File),
    ("cert_file", Type::File),
    ("key_file", Type::File),
    ("insecure_skip_verify", Type::Boolean),
];

/// The keys that the file has.
const ROOT: Type = Type::Map(&[
    ("mirrors", Type::Hosts(&[("endpoint", Type::Endpoints), ("rewrite", Type::Rewrites)])),
    ("configs", Type::Hosts(&[("auth", Type::Map(AUTH)), ("tls", Type::Map(TLS))])),
    ("auths", Type::Hosts(AUTH)),
]);

/// Judges a file.
pub(super) fn judge(file: &Written, around: &Around, findings: &mut Findings) {
    let Some(document) = file.yaml(Code::RegistriesInvalid, "RKE2 does not start with", findings) else { return };
    let root = &document.root;
    if root.is_null() {
        return;
    }
    walk(file, &file.key, root, ROOT, root.line, findings);
    if is_embedded(around) && root.get("mirrors").is_none_or(|it| it.entries().is_empty()) {
        let rest = format!(
            "{} has no mirrors, and embedded-registry shares the images of those alone; write \"*\", or the registries",
            quoted(&file.path)
        );
        findings.warn(Code::EmbeddedRegistry, file.at(), &rest);
    }
}

/// What is wrong where the cloud-config writes no such file: another one is named, or the embedded registry has no mirrors.
pub(super) fn missing(around: &Around, findings: &mut Findings, line: usize) {
    let of = |name: &str| Path::of("cluster").key("config").key(name).at(line);
    if let Some(Value::Text(named)) = around.option("private-registry").filter(|it| it.texts() != [FILE]) {
        let rest = format!(
            "names {}, which the cloud-config does not write, and RKE2 says nothing of a file that is missing; write it here, unless the image has it",
            quoted(named)
        );
        findings.warn(Code::RegistriesMissing, of("private-registry"), &rest);
    }
    if is_embedded(around) {
        let rest = format!(
            "is on, but the cloud-config writes no {FILE}, whose mirrors say which registries are shared; write it here, unless the image has it"
        );
        findings.warn(Code::EmbeddedRegistry, of("embedded-registry"), &rest);
    }
}

fn is_embedded(around: &Around) -> bool {
    around.unit == Unit::Server && around.option("embedded-registry") == Some(&Value::Bool(true))
}

fn walk(file: &Written, path: &Path, node: &Node, expected: Type, line: usize, findings: &mut Findings) {
    let at = || file.of(path, line);
    let mut invalid = |what: &str| {
        let rest = format!("is {}, with which RKE2 does not start; write {what}", node.described());
        findings.error(Code::RegistriesInvalid, at(), &rest);
    };
    if node.is_null() {
        return;
    }
    match expected {
        Type::Hosts(_) | Type::Map(_) | Type::Rewrites if !is_map(node) => invalid("a mapping"),
        // yaml.v2 makes no list of a single text.
        Type::Endpoints if !matches!(node.kind, Kind::List(_)) => invalid("a list of URLs"),
        Type::Endpoints => {
            for (index, item) in node.items().iter().enumerate() {
                match item.scalar() {
                    Some(scalar) => endpoint(&scalar.text, file, &path.item(index), item.line, findings),
                    None => walk(file, &path.item(index), item, Type::Text, item.line, findings),
                }
            }
        }
        Type::Text | Type::File if node.scalar().is_none() => invalid("text"),
        Type::Boolean if !node.scalar().is_some_and(|it| matches!(it.yaml11(), Yaml11::Bool(_))) => {
            invalid("true or false");
        }
        Type::File => {
            let text = node.scalar().map(|it| it.text.as_str()).unwrap_or_default();
            if !text.is_empty() && !text.starts_with('/') {
                let rest = format!(
                    "{} is not an absolute path, so it depends on where RKE2 is started; write one",
                    quoted(text)
                );
                findings.error(Code::RegistriesTls, at(), &rest);
            }
        }
        Type::Text | Type::Boolean => {}
        Type::Rewrites => {
            for (key, value) in node.entries() {
                if !is_balanced(&key.scalar.text) {
                    let rest = "is not a regular expression, so RKE2 leaves the rewrite out; close what it opens";
                    findings.error(Code::RegistriesRewrite, file.of(&path.key(&key.scalar.text), key.line), rest);
                }
                if value.scalar().is_none() {
                    walk(file, &path.key(&key.scalar.text), value, Type::Text, key.line, findings);
                }
            }
        }
        Type::Hosts(keys) => {
            for (key, value) in node.entries() {
                let (name, path) = (key.scalar.text.as_str(), path.key(&key.scalar.text));
                if name.contains("://") || name.contains('/') {
                    let rest = "is no registry, because a registry is host or host:port alone, so nothing matches it; write that";
                    findings.error(Code::RegistriesHost, file.of(&path, key.line), rest);
                }
                walk(file, &path, value, Type::Map(keys), key.line, findings);
            }
        }
        Type::Map(keys) => {
            for (key, value) in node.entries() {
                let (name, path) = (key.scalar.text.as_str(), path.key(&key.scalar.text));
                if let Some((_, expected)) = keys.iter().find(|(it, _)| *it == name) {
                    walk(file, &path, value, *expected, key.line, findings);
                    continue;
                }
                let names: Vec<&str> = keys.iter().map(|(it, _)| *it).collect();
                let meant = nearest_of(name, &names).map_or_else(
                    || format!("write one of {}", names.join(", ")),
                    |near| format!("did you mean {near}?"),
                );
                let rest = format!("is not a key of registries.yaml, so RKE2 ignores it; {meant}");
                findings.warn(Code::RegistriesKey, file.of(&path, key.line), &rest);
            }
            let has = |name: &str| node.get(name).is_some_and(|it| !it.is_null());
            if keys == TLS && has("cert_file") != has("key_file") {
                let rest = "has one of cert_file and key_file, and RKE2 needs both; write the other";
                findings.error(Code::RegistriesTls, at(), rest);
            }
        }
    }
}

/// Where a mirror is: a URL with a scheme that RKE2 speaks, and a host.
fn endpoint(text: &str, file: &Written, path: &Path, line: usize, findings: &mut Findings) {
    let wrong = match text.split_once("://") {
        None => Some("has no scheme, without which RKE2 pulls nothing from it; write https:// before it"),
        Some((scheme, _)) if !matches!(scheme, "http" | "https") => {
            Some("has a scheme that RKE2 does not speak; write https or http")
        }
        Some((_, rest)) if rest.split('/').next().is_none_or(str::is_empty) => {
            Some("names no host; write https://HOST")
        }
        Some(_) if text.contains(char::is_whitespace) => Some("has blanks in it; write one URL in each item"),
        Some((_, rest)) if rest.split('/').next().is_some_and(|host| host.contains('@')) => {
            Some("holds a user, which RKE2 does not use; write auth under configs")
        }
        Some(_) => None,
    };
    if let Some(what) = wrong {
        findings.error(Code::RegistriesEndpoint, file.of(path, line), &format!("{} {what}", quoted(text)));
    }
}

/// Whether a regular expression closes what it opens.
fn is_balanced(expression: &str) -> bool {
    let (mut open, mut is_class, mut is_escaped) = (0_usize, false, false);
    for c in expression.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' if is_class => is_class = false,
            '[' if !is_class => is_class = true,
            '(' if !is_class => open += 1,
            ')' if !is_class => match open.checked_sub(1) {
                Some(less) => open = less,
                None => return false,
            },
            _ => {}
        }
    }
    open == 0 && !is_class && !is_escaped
}
