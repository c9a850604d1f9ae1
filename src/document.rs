//! The yip document that `agent.boot` leaves behind: a plan bound to the boot stages of `stages/`.
//!
//! This is the only place where a value meets a stage. Values reach the node in staged files, never in `commands` or `if`.

use crate::cloud_config::DOCUMENT_NAME;
use crate::cluster::{Certificate, DOCUMENT_PATH};
use crate::drop_in;
use crate::emit::{self, Item};
use crate::plan::Plan;
use crate::yaml::{self, CLOUD_CONFIG, Kind, Node, OPTIONS, Yaml11};

/// The boot stages, in the order in which they run: file name and text.
pub const STAGES: [(&str, &str); 8] = [
    ("10-swap.yaml", include_str!("../stages/10-swap.yaml")),
    ("20-config.yaml", include_str!("../stages/20-config.yaml")),
    ("30-host.yaml", include_str!("../stages/30-host.yaml")),
    ("40-trust.yaml", include_str!("../stages/40-trust.yaml")),
    ("50-environment.yaml", include_str!("../stages/50-environment.yaml")),
    ("60-images.yaml", include_str!("../stages/60-images.yaml")),
    ("70-systemd.yaml", include_str!("../stages/70-systemd.yaml")),
    ("71-openrc.yaml", include_str!("../stages/71-openrc.yaml")),
];

/// The stage that `providerConfig.swap: keep` leaves out.
const SWAP: &str = "10-swap.yaml";

/// What a stage, a staged file and a directory may consist of (yip `pkg/schema/schema.go`).
const STAGE_KEYS: [&str; 5] = ["name", "if", "directories", "files", "commands"];
const ENTRY_KEYS: [&str; 7] = ["path", "permissions", "owner", "group", "content", "encoding", "ownerstring"];

/// The yip document of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What is written.
    pub text: String,
    /// The id of the plan, which stands in every file that it lays out.
    pub id: String,
}

/// The document for a plan; `program` is the absolute path of this program on the node.
///
/// The same plan and program give the same bytes. Fails if the plan is larger than the steps would read.
pub fn document(plan: &Plan, program: &str) -> Result<Document, String> {
    let (variables, id) = variables(plan, program);
    let mut stages = Vec::new();
    for (name, text) in STAGES {
        if name == SWAP && plan.cluster.keep_swap {
            continue;
        }
        stages.push(stage(text, &variables).map_err(|error| format!("stage {name}: {error}"))?);
    }
    let boot = Item::map([("boot.before", Item::List(stages))]);
    let document = Item::map([("name", Item::text(DOCUMENT_NAME)), ("stages", boot)]);
    let text = format!("#cloud-config\n{}", emit::to_yaml(&document));
    let lists = plan.user.iter().chain(&plan.provider).filter_map(|(_, value)| value.list());
    if lists.map(<[String]>::len).sum::<usize>() > OPTIONS.nodes {
        return Err(format!("cluster: its options have more than {} items; write fewer", OPTIONS.nodes));
    }
    // Room for the line that says from what event it was made.
    if text.len() + 100 > CLOUD_CONFIG.bytes {
        let most = CLOUD_CONFIG.bytes >> 20;
        return Err(format!("cluster: its plan is larger than {most} MiB; shorten config, env or ca_certs"));
    }
    Ok(Document { text, id })
}

/// A value of the program that a stage asks for by `@NAME@`.
struct Variable {
    name: &'static str,
    value: String,
}

/// What the stages ask for, and the id of the plan.
fn variables(plan: &Plan, program: &str) -> (Vec<Variable>, String) {
    let staged = [
        ("PLAN", emit::to_yaml(&node(plan))),
        ("USER_OPTIONS", drop_in::to_json(&plan.user)),
        ("PROVIDER_OPTIONS", drop_in::to_json(&plan.provider)),
    ];
    let id = id(&staged);
    let program = emit::shell_quoted(program);
    let staged = staged.into_iter().chain([("PROGRAM", program), ("ID", id.clone())]);
    (staged.map(|(name, value)| Variable { name, value: escape_templates(&value) }).collect(), id)
}

/// What the steps on the node need to know, `plan.yaml`.
fn node(plan: &Plan) -> Item {
    let cluster = &plan.cluster;
    let certificate = |it: &Certificate| match it {
        Certificate::Pem(pem) => Item::map([("pem", Item::text(pem))]),
        Certificate::Path(path) => Item::map([("path", Item::text(path))]),
    };
    let mut entries = vec![
        ("role", Item::text(cluster.role.as_str())),
        ("unit", Item::text(cluster.role.unit())),
        ("data_dir", Item::text(&cluster.data_dir)),
    ];
    // A reset without the configuration finds it by this.
    if cluster.document_path != DOCUMENT_PATH {
        entries.push(("document", Item::text(&cluster.document_path)));
    }
    if let Some(endpoint) = &cluster.endpoint {
        entries.push(("control_plane_host", Item::text(&endpoint.host())));
    }
    if !cluster.root_path.is_empty() {
        entries.push(("cluster_root_path", Item::text(&cluster.root_path)));
    }
    if cluster.keep_swap {
        entries.push(("swap", Item::text("keep")));
    }
    if !plan.append.is_empty() {
        entries.push(("append", Item::List(plan.append.iter().map(|name| Item::text(name)).collect())));
    }
    let texts = |texts: &[String]| Item::List(texts.iter().map(|text| Item::text(text)).collect());
    for (key, given) in [("cluster_cidr", &cluster.networks.cluster), ("service_cidr", &cluster.networks.service)] {
        if !given.is_empty() {
            entries.push((key, texts(given)));
        }
    }
    if !cluster.networks.domain.is_empty() {
        entries.push(("cluster_domain", Item::text(&cluster.networks.domain)));
    }
    if !cluster.settings.is_empty() {
        let settings = cluster.settings.iter().map(|(name, value)| ((*name).to_owned(), Item::text(value)));
        entries.push(("settings", Item::Map(settings.collect())));
    }
    if !cluster.env.is_empty() {
        entries.push((
            "env",
            Item::Map(cluster.env.iter().map(|(name, value)| (name.clone(), Item::text(value))).collect()),
        ));
    }
    if !cluster.ca_certs.is_empty() {
        entries.push(("ca_certs", Item::List(cluster.ca_certs.iter().map(certificate).collect())));
    }
    if let Some(path) = &cluster.images {
        entries.push(("local_images_path", Item::text(path)));
    }
    Item::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Tells one plan from another, by names and contents. It hashes the token, so it stays in 0600 files.
fn id(staged: &[(&str, String)]) -> String {
    emit::fnv(staged.iter().flat_map(|(name, text)| name.bytes().chain([0]).chain(text.bytes()).chain([0])))
}

/// Text that yip's template engine gives back as it is: only `{{` opens an action (Go `text/template`).
fn escape_templates(text: &str) -> String {
    text.replace("{{", "{{`{{`}}")
}

/// The files that a document of ours lays out, as yip writes them: path and content. `values` stands in for yip's own values.
///
/// Fails with what is wrong if the document does not parse.
pub fn staged_files(document: &str, values: &str) -> Result<Vec<(String, String)>, String> {
    let read =
        yaml::read(document, CLOUD_CONFIG).map_err(|error| format!("{} (line {})", error.problem, error.line))?;
    let stages =
        read.root.get("stages").and_then(|stages| stages.get("boot.before")).map(Node::items).unwrap_or_default();
    let files = stages.iter().filter_map(|stage| stage.get("files")).flat_map(Node::items);
    let text = |file: &Node, key: &str| Some(file.get(key)?.scalar()?.text.clone());
    let found = files.filter_map(|file| Some((text(file, "path")?, text(file, "content")?)));
    Ok(found.map(|(path, content)| (path, content.replace(VALUES, values).replace("{{`{{`}}", "{{"))).collect())
}

/// The one template that is left to yip.
const VALUES: &str = "{{ .Values | toJson }}";

fn stage(text: &str, variables: &[Variable]) -> Result<Item, String> {
    let read = yaml::read(text, OPTIONS).map_err(|error| format!("line {}: {error}", error.line))?;
    strict(&read.root, &STAGE_KEYS)?;
    for entry in ["directories", "files"].iter().filter_map(|key| read.root.get(key)) {
        match &entry.kind {
            Kind::List(entries) => entries.iter().try_for_each(|entry| strict(entry, &ENTRY_KEYS))?,
            _ => return Err(format!("line {}: expected a list", entry.line)),
        }
    }
    bind(&read.root, variables)
}

fn strict(node: &Node, keys: &[&str]) -> Result<(), String> {
    let unknown = node.entries().iter().find(|(key, _)| !keys.contains(&key.scalar.text.as_str()));
    match (&node.kind, unknown) {
        (Kind::Map(_), None) => Ok(()),
        (Kind::Map(_), Some((key, _))) => Err(format!("line {}: unknown key {}", key.line, key.scalar.text)),
        _ => Err(format!("line {}: expected a mapping", node.line)),
    }
}

fn bind(node: &Node, variables: &[Variable]) -> Result<Item, String> {
    Ok(match &node.kind {
        Kind::List(items) => Item::List(items.iter().map(|item| bind(item, variables)).collect::<Result<_, _>>()?),
        Kind::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.scalar.text.clone(), bind(value, variables)?)));
            Item::Map(entries.collect::<Result<_, String>>()?)
        }
        Kind::Scalar(scalar) => match scalar.yaml11() {
            Yaml11::Int(it) => Item::Int(it),
            _ => Item::Text(
                fill(&scalar.text, variables).map_err(|name| format!("line {}: unknown @{name}@", node.line))?,
            ),
        },
    })
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

    #[test]
    fn every_file_of_stages_is_embedded() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/stages");
        let names =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
        names.sort();
        assert_eq!(names, STAGES.map(|(name, _)| name));
    }

    #[test]
    fn stages_and_program_know_the_same_variables() {
        let mut asked: Vec<&str> = Vec::new();
        for (_, text) in STAGES {
            let mut rest = text;
            while let Some((_, name, after)) = placeholder(rest) {
                asked.push(name);
                rest = after;
            }
        }
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked, ["ID", "PLAN", "PROGRAM", "PROVIDER_OPTIONS", "USER_OPTIONS"]);
    }

    #[test]
    fn a_stage_that_does_not_fit_is_named() {
        let known = [Variable { name: "ID", value: "x".into() }];
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
