//! Drop-ins become a config.yaml that readers of three makes read alike, in which nothing is invented and nothing is read twice in two ways.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use provider_rke2::findings::Findings;
use provider_rke2::findings::path::Path;
use provider_rke2::rke2::Unit;
use provider_rke2::rke2::drop_in::{self, Braces, For, Place};
use provider_rke2::rke2::merge::{self, OWNER, Source};
use provider_rke2::text::yaml::{self, Kind, Node, OPTIONS, Yaml11};
use serde_json::Value;

fuzz_target!(|text: &str| {
    let mut findings = Findings::default();
    let mut given = BTreeSet::new();
    let mut sources = Vec::new();
    for (number, file) in text.split("\n#----\n").take(4).enumerate() {
        let Ok(document) = yaml::read(file, OPTIONS) else { continue };
        scalars(&document.root, &mut given);
        let name = if number == 3 { OWNER.to_owned() } else { format!("{number}0.yaml") };
        sources.push(source(name, document.root.entries(), &mut findings));
    }
    let merged = merge::merge(sources, &mut findings);
    for finding in &findings.list {
        assert!(support::is_sentence(&finding.message), "{}", finding.message);
    }
    let config = drop_in::to_json(&merged);
    let json: Value = serde_json::from_str(&config).unwrap_or_else(|error| panic!("{error}: {config}"));
    let other: Value = serde_yaml::from_str(&config).unwrap_or_else(|error| panic!("{error}: {config}"));
    let limits = yaml::Limits { nodes: usize::MAX, bytes: usize::MAX, ..OPTIONS };
    let ours = yaml::read(&config, limits).unwrap_or_else(|error| panic!("{error}: {config}"));
    assert_eq!(json, other, "{config}");
    assert_eq!(json, yaml11(&ours.root), "{config}");
    for (name, value) in json.as_object().expect("a mapping") {
        assert!(!name.ends_with('+') && !name.is_empty(), "{name:?}");
        for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            let Value::String(text) = value else { continue };
            // A mode is written as octal digits, an old profile by its new name.
            let is_made = name.ends_with("-mode") || name == "profile";
            assert!(is_made || given.contains(text.as_str()), "{name}: {text:?} of nobody: {given:?}");
        }
    }
    // What is written means the same when it is read again.
    let again = source(OWNER.to_owned(), ours.root.entries(), &mut findings);
    assert_eq!(merge::merge(vec![again], &mut findings).len(), merged.len(), "{config}");
});

fn source(name: String, entries: &[(yaml::Key, Node)], findings: &mut Findings) -> Source {
    let reads = For { unit: Unit::Server, version: None };
    let read = drop_in::read(entries, &Path::default(), Place::Here, Braces::Text, reads, findings);
    Source { path: format!("/etc/rancher/rke2/config.d/{name}"), name, read }
}

/// What RKE2 reads of each scalar, also where it splits one at commas.
fn scalars(node: &Node, given: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let text = scalar.yaml11().printed();
            given.extend(text.split(',').map(|it| it.trim().to_owned()));
            given.insert(text);
        }
        Kind::List(items) => items.iter().for_each(|it| scalars(it, given)),
        Kind::Map(entries) => entries.iter().for_each(|(_, it)| scalars(it, given)),
    }
}

/// What a reader of YAML 1.1 takes a text for.
fn yaml11(node: &Node) -> Value {
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.scalar.text.clone(), yaml11(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Kind::List(items) => items.iter().map(yaml11).collect(),
        Kind::Scalar(scalar) => match scalar.yaml11() {
            Yaml11::Null => Value::Null,
            Yaml11::Bool(it) => it.into(),
            Yaml11::Int(it) => {
                i64::try_from(it).map_or_else(|_| u64::try_from(it).expect("an unsigned").into(), Value::from)
            }
            Yaml11::Float(it) => it.into(),
            Yaml11::Text(it) => it.into(),
        },
    }
}
