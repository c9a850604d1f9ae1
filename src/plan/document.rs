//! The yip document that `agent.boot` leaves behind: a plan bound to the boot stages of `stages/`.
//!
//! This is the only place where a value meets a stage. Values reach the node in staged files, never in `commands` or `if`.

use super::plan::Plan;
use super::values;
use crate::cluster::cloud_config::DOCUMENT_NAME;
use crate::cluster::settings::Swap;
use crate::text::emit;
#[cfg(test)]
use crate::text::emit::Item;
use crate::text::yaml::{self, CLOUD_CONFIG, Node};

// `STAGES`: file name and parts of every file of `stages/`, in the order in which they run; `TEXTS`: the files.
include!(concat!(env!("OUT_DIR"), "/stages.rs"));

/// The stage that `providerConfig.swap: keep` leaves out.
const SWAP: &str = "10-swap.yaml";

/// The yip document for a plan; `program` is the absolute path of this program on the node.
///
/// The same plan and program give the same bytes. Fails if the plan is larger than the steps would read.
pub fn document(plan: &Plan, program: &str) -> Result<String, String> {
    let bound = Bound { variables: variables(plan, program), templates: &plan.templates };
    let mut text = format!("#cloud-config\nname: {DOCUMENT_NAME}\nstages:\n  boot.before:\n");
    for (name, parts) in STAGES {
        if *name == SWAP && plan.settings.swap == Swap::Keep {
            continue;
        }
        bind(&mut text, parts, &bound).map_err(|error| format!("stage {name}: {error}"))?;
    }
    // Room for the line that says from what event it was made.
    if text.len() + 100 > CLOUD_CONFIG.bytes {
        let most = CLOUD_CONFIG.bytes >> 20;
        return Err(format!("cluster: its plan is larger than {most} MiB; shorten config, env or ca_certs"));
    }
    Ok(text)
}

/// A value of the program that a stage asks for by `@NAME@`.
#[derive(Clone)]
struct Variable {
    name: &'static str,
    value: String,
}

/// What the stages ask for.
struct Bound<'a> {
    variables: Vec<Variable>,
    /// An entry of a list that asks for `@NUMBER@` stands there once for each, with its `@TEMPLATE@`.
    templates: &'a [String],
}

/// What they ask for by name, but for what is of a template.
fn variables(plan: &Plan, program: &str) -> Vec<Variable> {
    let values = [
        ("PLAN", plan.to_yaml()),
        ("USER_OPTIONS", plan.user.clone()),
        ("PROVIDER_OPTIONS", plan.provider.clone()),
        ("PROGRAM", emit::shell_quoted(program)),
        ("ID", plan.id.clone()),
        ("VALUES", values::id(&plan.templates)),
    ];
    values.map(|(name, value)| Variable { name, value: escape_templates(&value) }).into()
}

/// The same, but for the template in it, which yip evaluates.
fn of_template(number: usize, text: &str) -> [Variable; 2] {
    [("NUMBER", number.to_string()), ("TEMPLATE", text.to_owned())].map(|(name, value)| Variable { name, value })
}

/// Text that yip's template engine gives back as it is: only `{{` opens an action (Go `text/template`).
fn escape_templates(text: &str) -> String {
    text.replace("{{", "{{`{{`}}")
}

/// The files that a document of ours lays out: path, and the content that yip writes, or evaluates where that is what it is for.
///
/// Fails with what is wrong if the document does not parse.
pub(crate) fn staged_files(document: &str) -> Result<Vec<(String, String)>, String> {
    let read =
        yaml::read(document, CLOUD_CONFIG).map_err(|error| format!("{} (line {})", error.problem, error.line))?;
    let stages =
        read.root.get("stages").and_then(|stages| stages.get("boot.before")).map(Node::items).unwrap_or_default();
    let files = stages.iter().filter_map(|stage| stage.get("files")).flat_map(Node::items);
    let text = |file: &Node, key: &str| Some(file.get(key)?.scalar()?.text.clone());
    let found = files.filter_map(|file| Some((text(file, "path")?, text(file, "content")?)));
    let written = |(path, content): (String, String)| match values::is_path(&path) {
        true => (path, content),
        false => (path, content.replace("{{`{{`}}", "{{")),
    };
    Ok(found.map(written).collect())
}

/// What a stage is made of in a document. A test holds that against what a YAML reader makes of its file.
pub(crate) enum Part {
    /// This text.
    Text(&'static str),
    /// A text that asks for values; how deep the lines of a block stand.
    Asks { text: &'static str, indent: usize },
    /// These parts once for each template.
    Each(&'static [Part]),
}

/// Adds a stage to the text of a document. Fails with what it asks for that is not known.
fn bind(document: &mut String, parts: &[Part], bound: &Bound) -> Result<(), String> {
    for part in parts {
        match part {
            Part::Text(text) => document.push_str(text),
            Part::Asks { text, indent } => {
                let text = fill(text, &bound.variables).map_err(|name| format!("unknown @{name}@"))?;
                emit::scalar(document, &text, *indent);
            }
            Part::Each(parts) => {
                for (number, text) in bound.templates.iter().enumerate() {
                    let variables = bound.variables.iter().cloned().chain(of_template(number, text)).collect();
                    bind(document, parts, &Bound { variables, templates: &[] })?;
                }
            }
        }
    }
    Ok(())
}

/// `text` with each `@NAME@` replaced; a value is not searched again. Fails with a name that is not known.
fn fill(text: &str, variables: &[Variable]) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = placeholder(rest) {
        let variable = variables.iter().find(|variable| variable.name == name).ok_or(name)?;
        filled += before;
        filled += &variable.value;
        rest = after;
    }
    Ok(filled + rest)
}

/// The first `@NAME@` of a text, with what stands before and after it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('@')?;
    let (name, after) = rest.split_once('@')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_name.then_some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::{Kind, OPTIONS, Yaml11};

    /// What a stage, a staged file and a directory may consist of (yip `pkg/schema/schema.go`).
    const STAGE_KEYS: [&str; 5] = ["name", "if", "directories", "files", "commands"];
    const ENTRY_KEYS: [&str; 7] = ["path", "permissions", "owner", "group", "content", "encoding", "ownerstring"];

    /// The stage as a YAML reader takes it, which is what a document of ours must hold.
    fn stage(text: &str, bound: &Bound) -> Result<Item, String> {
        let read = yaml::read(text, OPTIONS).map_err(|error| format!("line {}: {error}", error.line))?;
        strict(&read.root, &STAGE_KEYS)?;
        for entry in ["directories", "files"].iter().filter_map(|key| read.root.get(key)) {
            match &entry.kind {
                Kind::List(entries) => entries.iter().try_for_each(|entry| strict(entry, &ENTRY_KEYS))?,
                _ => return Err(format!("line {}: expected a list", entry.line)),
            }
        }
        bind_tree(&read.root, bound)
    }

    fn strict(node: &Node, keys: &[&str]) -> Result<(), String> {
        let unknown = node.entries().iter().find(|(key, _)| !keys.contains(&key.scalar.text.as_str()));
        match (&node.kind, unknown) {
            (Kind::Map(_), None) => Ok(()),
            (Kind::Map(_), Some((key, _))) => Err(format!("line {}: unknown key {}", key.line, key.scalar.text)),
            _ => Err(format!("line {}: expected a mapping", node.line)),
        }
    }

    fn bind_tree(node: &Node, bound: &Bound) -> Result<Item, String> {
        Ok(match &node.kind {
            Kind::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    if item.entries().iter().any(|(_, value)| is_of_template(value)) {
                        for (number, text) in bound.templates.iter().enumerate() {
                            let variables = bound.variables.iter().cloned().chain(of_template(number, text)).collect();
                            list.push(bind_tree(item, &Bound { variables, templates: &[] })?);
                        }
                    } else {
                        list.push(bind_tree(item, bound)?);
                    }
                }
                Item::List(list)
            }
            Kind::Map(entries) => {
                let entries =
                    entries.iter().map(|(key, value)| Ok((key.scalar.text.clone(), bind_tree(value, bound)?)));
                Item::Map(entries.collect::<Result<_, String>>()?)
            }
            Kind::Scalar(scalar) => match scalar.yaml11() {
                // The document has no numbers but those of the stages; a mark stands for the missing quotes.
                Yaml11::Int(it) => Item::Text(format!("number {it}")),
                _ => Item::Text(
                    fill(&scalar.text, &bound.variables)
                        .map_err(|name| format!("line {}: unknown @{name}@", node.line))?,
                ),
            },
        })
    }

    fn is_of_template(node: &Node) -> bool {
        node.scalar().is_some_and(|it| it.text.contains("@NUMBER@"))
    }

    #[test]
    fn a_stage_is_bound_as_its_yaml_says() {
        let several = "one: \"{{ @ID@ }}\"\n# two\n";
        for value in ["x", "0", "a: b", several, " a\n", "a\n\n", ""] {
            for templates in [&[][..], &["{{ .A }}".to_owned(), "a\n{{ .B }}\n".to_owned()]] {
                let names = ["PLAN", "USER_OPTIONS", "PROVIDER_OPTIONS", "PROGRAM", "ID", "VALUES"];
                let variables = names.map(|name| Variable { name, value: value.into() }).into();
                let bound = Bound { variables, templates };
                for ((name, text), (_, parts)) in TEXTS.iter().zip(STAGES) {
                    let mut document = String::new();
                    bind(&mut document, parts, &bound).unwrap();
                    let tree = Item::map([("a", Item::map([("b", Item::List(vec![stage(text, &bound).unwrap()]))]))]);
                    assert_eq!(
                        format!("a:\n  b:\n{document}"),
                        emit::to_yaml(&tree).replace(": number ", ": "),
                        "{name}: {value:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn stages_and_program_know_the_same_variables() {
        let mut asked: Vec<&str> = Vec::new();
        for (_, text) in TEXTS {
            let mut rest = *text;
            while let Some((_, name, after)) = placeholder(rest) {
                asked.push(name);
                rest = after;
            }
        }
        asked.sort_unstable();
        asked.dedup();
        let known = ["ID", "NUMBER", "PLAN", "PROGRAM", "PROVIDER_OPTIONS", "TEMPLATE", "USER_OPTIONS", "VALUES"];
        assert_eq!(asked, known);
    }

    #[test]
    fn a_stage_that_does_not_fit_is_named() {
        let known = Bound { variables: vec![Variable { name: "ID", value: "x".into() }], templates: &[] };
        for (text, error) in [
            ("name: a\nsleep: 120\n", "line 2: unknown key sleep"),
            ("files:\n- path: /a\n  mode: 1\n", "line 3: unknown key mode"),
            ("files: /a\n", "line 1: expected a list"),
            ("- a\n", "line 1: expected a mapping"),
            ("name: \"@OTHER@\"\n", "line 1: unknown @OTHER@"),
        ] {
            assert_eq!(stage(text, &known), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_value_is_not_searched_for_variables() {
        let variables = [Variable { name: "A", value: "@B@".into() }, Variable { name: "B", value: "x".into() }];
        assert_eq!(fill("1 @A@ 2 @B@ me@example", &variables), Ok("1 @B@ 2 x me@example".into()));
    }
}
