//! RKE2's options as a drop-in holds them: what RKE2 would read, in the type that the option takes.
//!
//! RKE2 turns each `key: value` into a flag `--key=value` (k3s `pkg/configfilearg/parser.go`) and types it by urfave/cli; a value
//! is normalised here once, so that what is written can be read one way only.

mod read;

use std::collections::{BTreeMap, HashSet};

use super::options::{self, Spec};
use crate::text::emit::push_json_string;
use crate::text::escape::mask_userinfo;
use crate::text::yaml::{self, Key, Kind, Node, Scalar, Yaml11};
pub use read::{Braces, For, Owned, Place, Read, read};

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Text, always quoted when written.
    Text(String),
    /// A list of text. Empty, it discards what earlier drop-ins gave.
    List(Vec<String>),
}

impl Value {
    /// The value as JSON, which YAML 1.1 and 1.2 read alike.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        self.push_json(&mut json);
        json
    }

    /// Adds it.
    fn push_json(&self, json: &mut String) {
        match self {
            Value::Bool(it) => json.push_str(if *it { "true" } else { "false" }),
            Value::Int(it) => json.push_str(&it.to_string()),
            Value::Text(it) => push_json_string(json, it),
            Value::List(items) => {
                json.push('[');
                for (number, item) in items.iter().enumerate() {
                    json.push_str(if number == 0 { "" } else { ", " });
                    push_json_string(json, item);
                }
                json.push(']');
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Option<&[String]> {
        if let Value::List(list) = self { Some(list) } else { None }
    }

    /// Its texts, one or many.
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Value::Text(text) => std::slice::from_ref(text),
            Value::List(items) => items,
            Value::Bool(_) | Value::Int(_) => &[],
        }
    }

    /// The same, to be replaced.
    pub(crate) fn texts_mut(&mut self) -> &mut [String] {
        match self {
            Value::Text(text) => std::slice::from_mut(text),
            Value::List(items) => items,
            Value::Bool(_) | Value::Int(_) => &mut [],
        }
    }

    /// Of the exact duplicates in a list the last stays.
    pub(crate) fn without_duplicates(&mut self) {
        let Value::List(list) = self else { return };
        let mut seen = HashSet::new();
        let is_last: Vec<bool> = list.iter().rev().map(|item| seen.insert(item.clone())).collect();
        let mut is_last = is_last.into_iter().rev();
        list.retain(|_| is_last.next().unwrap_or(true));
    }
}

/// Options by their long name, in the order of first appearance.
pub type DropIn = Vec<(String, Value)>;

/// Whether a text of an option is a template for yip. yip logs the whole file of one that fails for everybody to read, so no secret is one: neither
/// the value of a secret option nor the user information of a URL, masked or not.
pub(crate) fn is_template(name: &str, text: &str) -> bool {
    text.contains("{{") && !options::is_secret(name) && !mask_userinfo(text).contains("***@")
}

/// The option that names the data directory.
pub(crate) const DATA_DIR: &str = "data-dir";

/// The data directory that options name, however they spell it; nothing of what is empty.
pub(crate) fn data_dir(root: &Node) -> Option<String> {
    let is_it = |key: &Key| {
        let written = key.scalar.text.as_str();
        options::find(written.strip_suffix('+').unwrap_or(written)).is_some_and(|spec| spec.name == DATA_DIR)
    };
    // Of a list RKE2 takes the last.
    let one = |value: &Node| printed(value.items().last().unwrap_or(value));
    let texts = root.entries().iter().filter(|(key, _)| is_it(key)).map(|(_, value)| one(value));
    texts.rev().find(|text| !text.is_empty())
}

/// Whether options name a profile that only some versions of RKE2 take.
pub(crate) fn has_versioned_profile<'a>(entries: impl IntoIterator<Item = &'a (Key, Node)>) -> bool {
    let is_versioned = |node: &Node| node.scalar().is_some_and(|it| it.text.trim().starts_with("cis-1."));
    entries.into_iter().any(|(key, value)| key.scalar.text.trim_end_matches('+') == "profile" && is_versioned(value))
}

/// A boolean as people write it; RKE2 itself takes only Go's spellings.
pub(crate) fn boolean(read: &Yaml11) -> Option<bool> {
    match read {
        Yaml11::Bool(it) => Some(*it),
        Yaml11::Null => None,
        it => match it.printed().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        },
    }
}

/// Whether Go's `time.ParseDuration` takes it.
pub(crate) fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        if !digits.bytes().any(|byte| byte.is_ascii_digit()) || digits.matches('.').count() > 1 {
            return false;
        }
        let Some(unit) = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].into_iter().find(|unit| {
            let end = tail.strip_prefix(unit);
            end.is_some_and(|end| end.chars().next().is_none_or(|c| c.is_ascii_digit() || c == '.'))
        }) else {
            return false;
        };
        rest = tail.get(unit.len()..).unwrap_or_default();
        parts += 1;
    }
    parts > 0
}

/// The text that RKE2 makes of anything: Go's `fmt.Sprint` of what gopkg.in/yaml.v2 reads.
fn printed(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.yaml11().printed(),
        Kind::List(items) => items.first().map(printed).unwrap_or_default(),
        Kind::Map(entries) => {
            let pairs: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{{{} {}}}", key.scalar.yaml11().printed(), printed(value)))
                .collect();
            format!("[{}]", pairs.join(" "))
        }
    }
}

/// An entry for [`read()`] from a text that is no YAML, such as a value of `providerConfig`.
pub(crate) fn entry(name: &str, text: &str, line: usize) -> (Key, Node) {
    let scalar = |text: &str| Scalar::quoted(text);
    (Key { line, scalar: scalar(name) }, Node { line, kind: Kind::Scalar(scalar(text)) })
}

/// The value of an option in drop-ins of which the last counts.
pub(crate) fn option<'a>(drop_ins: &[&'a DropIn], name: &str) -> Option<&'a Value> {
    let mut all = drop_ins.iter().rev().flat_map(|options| options.iter().rev());
    all.find(|(it, _)| it == name).map(|(_, value)| value)
}

/// What RKE2 takes for an option: what the last drop-in says, or a variable where none has it (urfave/cli, which RKE2 reads both with).
pub(crate) fn given(drop_ins: &[&DropIn], env: &BTreeMap<String, String>, spec: &Spec) -> Option<Value> {
    option(drop_ins, spec.name).cloned().or_else(|| variable(env, spec).map(|text| Value::Text(text.to_owned())))
}

/// The variable that gives an option; an empty one is none.
pub(crate) fn variable<'a>(env: &'a BTreeMap<String, String>, spec: &Spec) -> Option<&'a str> {
    spec.env.iter().find_map(|name| env.get(*name)).map(String::as_str).filter(|text| !text.is_empty())
}

/// The options of a file that [`to_json`] has written; nothing if it is not one.
pub(crate) fn of_json(text: &str) -> Option<DropIn> {
    let document = yaml::read(text, yaml::CLOUD_CONFIG).ok()?;
    let single = |node: &Node| {
        Some(match node.scalar()?.yaml11() {
            Yaml11::Bool(it) => Value::Bool(it),
            Yaml11::Int(it) => Value::Int(it),
            read => Value::Text(read.printed()),
        })
    };
    let item = |node: &Node| Some(node.scalar()?.yaml11().printed());
    let value = |node: &Node| match &node.kind {
        Kind::List(items) => items.iter().map(item).collect::<Option<_>>().map(Value::List),
        _ => single(node),
    };
    let Kind::Map(entries) = &document.root.kind else { return None };
    entries.iter().map(|(key, node)| Some((key.scalar.text.clone(), value(node)?))).collect()
}

/// The file of a drop-in: a JSON object, an option in each line, which is YAML 1.1 and 1.2 with one meaning.
pub fn to_json(options: &[(String, Value)]) -> String {
    let mut text = String::from("{");
    for (number, (name, value)) in options.iter().enumerate() {
        text.push_str(if number == 0 { "\n  " } else { ",\n  " });
        push_json_string(&mut text, name);
        text.push_str(": ");
        value.push_json(&mut text);
    }
    text + if options.is_empty() { "}\n" } else { "\n}\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::Style;

    #[test]
    fn durations_are_those_of_go() {
        for good in ["0", "10m", "1h30m", "-1.5h", "300ms", "1us", "1µs", ".5s", "+5s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "600", "m", "10 m", "10x", "1.2.3s", "1h30", "5mm", "."] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn a_quoted_scalar_is_text() {
        let (_, node) = entry("x", "yes", 1);
        assert_eq!(node.scalar().map(|it| (it.style, it.yaml11())), Some((Style::Quoted, Yaml11::Text("yes".into()))));
    }
}
