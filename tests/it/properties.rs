//! What holds for every input: no panic, bounded time, one outcome; the same input gives the same bytes; a reader of
//! another make gets back from the document what the plan holds; a secret is never shown.
//!
//! Texts are those of `testdata/recorded/nasty-strings.json` and generated ones, which proptest shrinks to the smallest
//! that fails.

use crate::support;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path as File;
use std::time::{Duration, Instant};

use proptest::collection::{SizeRange, btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use provider_rke2::apply::STEPS;
use provider_rke2::bus::{self, Deadline};
use provider_rke2::cluster::{self, cloud_config, locate, mask};
use provider_rke2::findings::Findings;
use provider_rke2::findings::code::{Code, Severity};
use provider_rke2::findings::path::Path;
use provider_rke2::findings::render::Paint;
use provider_rke2::host::Host;
use provider_rke2::identity::home::Home;
use provider_rke2::plan::document::document;
use provider_rke2::plan::plan::Plan;
use provider_rke2::rke2::DATA_DIR;
use provider_rke2::rke2::Unit;
use provider_rke2::rke2::drop_in::{self, Braces, DropIn, For, Place, Value};
use provider_rke2::rke2::options::{self, Class};
use provider_rke2::text::yaml::{self, CLOUD_CONFIG, Kind, Node, OPTIONS, Yaml11};
use serde_json::{Map, Value as Json, json};

/// Far above what an event takes, well below what the bus allows it.
const LONG: Duration = Duration::from_secs(8);

// ---- texts ----

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => vec(select(&support::ATOMS[..]), 0..8).prop_map(|atoms| atoms.concat()),
        1 => any::<String>(),
        1 => vec(prop_oneof![select(&support::ATOMS[..]).prop_map(str::to_owned), "[ -~]{0,9}"], 0..6)
            .prop_map(|it| it.concat()),
    ]
}

/// Pieces of cloud-configs, so that most texts are almost one.
const PIECES: [&str; 64] = [
    "cluster:", "cluster: ", "cluster:\n", "  role: init\n", "  role: worker\n", "  role:", "  cluster_token: abc\n",
    "  config: |\n", "  config:\n", "  config: ", "    cni: canal\n", "    tls-san:\n", "      - a\n",
    "    node-label+: x\n", "    token: x\n", "    server: y\n", "  control_plane_host: 10.0.0.1\n",
    "  control_plane_host: ", "  env:\n", "    A: b\n", "  providerConfig:\n", "    swap: keep\n", "  ca_certs:\n",
    "  ca_certs: ", "  import_local_images: yes\n", "  local_images_path: ", "config_url: x\n", "#cloud-config\n",
    "# Sources:\n", "# - /oem/90.yaml\n", "# - cmdline\n", "\n", "\n\n", " ", "  ", "    ", "\t", "- ", "-", ":", ": ",
    ", ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "<<: *a\n", "|\n", ">-\n", "\"", "'", "#", "---\n", "...\n",
    "!!int ", "!x ", "? ", "%", "null", "0x1F", "é\u{85}",
];

fn yamlish() -> impl Strategy<Value = String> {
    let pieces = vec(select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat());
    let after = |head: &'static str| {
        vec(select(&PIECES[..]), 0..12).prop_map(move |pieces| format!("{head}{}", pieces.concat()))
    };
    let head = "cluster:\n  role: init\n  cluster_token: 0123456789abcdef0\n";
    prop_oneof![pieces, after(head), after("#cloud-config\ncluster: {role: init}\n"), any::<String>(), text()]
}

/// A YAML string in ASCII, whatever is in it.
fn quoted(text: &str) -> String {
    let mut yaml = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => yaml.extend(['\\', c]),
            ' '..='~' => yaml.push(c),
            c => write!(yaml, "\\U{:08x}", u32::from(c)).unwrap(),
        }
    }
    yaml + "\""
}

// ---- what the bus and boot do with anything ----

const GOOD: &str = "cluster:\n  role: init\n  cluster_token: 0123456789abcdef0\n  config: {cni: canal}\n";
const DOCUMENT: &str = "usr/local/cloud-config/cluster.kairos.yaml";

fn read(root: &File, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// A node that has a plan gets another cloud-config: one outcome, all of whose traces say the same.
fn boots_to_one_outcome(config: &str) {
    // As the collector writes it, so that a missing section can be believed.
    let config = &format!("#cloud-config\n\n# Sources:\n# - cmdline\n\n{config}");
    let node = tempfile::tempdir().unwrap();
    let root = node.path();
    assert_eq!(support::boot(root, GOOD).error, "");
    let before = read(root, DOCUMENT);
    assert!(!before.is_empty());

    let start = Instant::now();
    let response = support::boot(root, config);
    assert!(start.elapsed() < LONG, "took {:?}", start.elapsed());

    let status: serde_yaml::Value = serde_yaml::from_str(&read(root, "run/provider-rke2/status.yaml")).unwrap();
    let (after, retired) = (read(root, DOCUMENT), read(root, &format!("{DOCUMENT}.retired")));
    let (refused, issue) = (read(root, "run/provider-rke2/refused"), read(root, "etc/issue.d/50-provider-rke2.issue"));
    let gate = root.join("run/systemd/system/rke2-server.service.d/50-provider-rke2.conf").exists();
    let traces = (!response.error.is_empty(), !refused.is_empty(), !issue.is_empty(), gate, !retired.is_empty());
    let outcome = status["plan"].as_str().unwrap();
    // What is an error is told, and stops nothing.
    let is_told = status["reasons"].as_sequence().is_some_and(|it| !it.is_empty());
    match outcome {
        "planned" => assert_eq!(traces, (false, false, is_told, true, false), "{response:?}"),
        "refused" => assert_eq!(traces, (true, true, true, true, false), "{response:?}"),
        "unreadable" => assert_eq!(traces, (false, false, true, true, false), "{response:?}"),
        "absent" => assert_eq!(traces, (false, false, is_told, false, true), "{response:?}"),
        other => panic!("{other}"),
    }
    match outcome {
        "planned" => drop(staged(&after)),
        "absent" => assert_eq!((after.as_str(), retired), ("", before)),
        _ => assert_eq!(after, before, "the last plan is kept"),
    }
    // check and boot agree on the section.
    let (section, mut findings) = cloud_config::of_file(config);
    let readable = findings.list.iter().all(|it| it.code != Code::Unreadable);
    let cluster =
        section.filter(|_| readable).map(|it| cluster::understand(&it, &Home::fresh(DATA_DIR), &mut findings));
    match cluster {
        Some(cluster) => assert_eq!(outcome == "planned", cluster.is_some(), "{:?}", findings.list),
        None => assert!(matches!(outcome, "unreadable" | "absent"), "{outcome}"),
    }
    for finding in &findings.list {
        assert!(finding.message.len() <= 1024 && !finding.message.chars().any(char::is_control), "{finding:?}");
    }
}

fn answers(name: &str, stdin: &[u8]) {
    let node = tempfile::tempdir().unwrap();
    let host = Host::new(node.path()).unwrap();
    let start = Instant::now();
    let response = bus::handle(name, support::stdin(stdin), &support::context(&host), &Deadline::after(bus::BOUND));
    assert!(start.elapsed() < LONG, "took {:?}", start.elapsed());
    let line = serde_json::to_string(&response).unwrap();
    assert!(!line.contains('\n') && response.error.len() <= 1024, "{line}");
    if name != "agent.boot" {
        assert_eq!(fs::read_dir(node.path()).unwrap().count(), 0, "{name} has written something");
    }
}

/// Files that never end, or that nobody may read whole.
const DEVICES: [&str; 3] = ["/dev/zero", "/proc/self/mem", "/dev/tty"];

const EVENTS: [&str; 6] =
    ["agent.boot", "agent.boot", "agent.install", "cluster.reset", "init.provider.info", "init.provider.install"];

fn event_name() -> impl Strategy<Value = String> {
    prop_oneof![3 => select(&EVENTS[..]).prop_map(str::to_owned), 1 => any::<String>(), 1 => "[a-z]{1,9}\\.[a-z.]{0,9}"]
}

proptest! {
    #![proptest_config(support::generated(120))]

    #[test]
    fn any_bytes_on_the_bus_get_an_answer(name in event_name(), bytes in vec(any::<u8>(), 0..600)) {
        answers(&name, &bytes);
    }

    #[test]
    fn any_event_on_the_bus_gets_an_answer(
        name in event_name(),
        data in prop_oneof![text(), yamlish().prop_map(|config| json!({ "config": config }).to_string())],
        file in prop_oneof![3 => Just(String::new()), 1 => text(), 1 => select(&DEVICES[..]).prop_map(str::to_owned)],
        cut in 0..2000_usize,
    ) {
        let event = json!({ "name": name, "data": data, "file": file }).to_string();
        answers(&name, event.as_bytes());
        answers(&name, &event.as_bytes()[..cut.min(event.len())]);
    }

    #[test]
    fn any_cloud_config_comes_to_one_outcome(config in yamlish()) {
        boots_to_one_outcome(&config);
    }

    #[test]
    fn any_options_come_to_one_outcome(options in yamlish()) {
        boots_to_one_outcome(&format!("{HEAD}  config: {}\n", quoted(&options)));
    }
}

proptest! {
    #![proptest_config(support::generated(16))]

    /// A reader that takes time in the square of the length shows at this size.
    #[test]
    fn no_repetition_takes_long(pieces in vec(select(&PIECES[..]), 1..4), size in select(vec![4 << 10, 64 << 10])) {
        let pieces = pieces.concat();
        let text = pieces.repeat(size / pieces.len());
        let start = Instant::now();
        boots_to_one_outcome(&text);
        boots_to_one_outcome(&format!("{HEAD}  config: {}\n", quoted(&text)));
        boots_to_one_outcome(&format!("{HEAD}  config:\n{text}"));
        prop_assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    }
}

/// At most 20 findings of a code are printed, here as by `check`: nobody reads the millionth at the console.
#[test]
fn many_mistakes_are_counted_not_listed() {
    let names: Vec<String> = (0..500).map(|number| format!("    A{number}: \"a\\tb\"\n")).collect();
    let options: Vec<String> = (0..500).map(|number| format!("    x{number}: b\n")).collect();
    let node = tempfile::tempdir().unwrap();
    let config = format!("{HEAD}  config:\n{}  env:\n{}", options.concat(), names.concat());
    assert_ne!(support::boot(node.path(), &config).error, "");
    let files = ["var/log/provider-rke2.log", "run/provider-rke2/status.yaml", "etc/issue.d/50-provider-rke2.issue"];
    let files = files.into_iter().chain(["run/provider-rke2/refused"]);
    let lengths: Vec<_> = files.map(|path| (path, read(node.path(), path).lines().count())).collect();
    assert!(lengths.iter().all(|(_, lines)| (1..100).contains(lines)), "{lengths:?}"); // reported
}

const HEAD: &str =
    "#cloud-config\ncluster:\n  role: init\n  cluster_token: 0123456789abcdef0\n  control_plane_host: vip.test\n";

// ---- what is written is what was meant ----

/// What a cloud-config comes to. Fails with the codes of what is refused.
fn planned(config: &str) -> Result<(Plan, String), Vec<Code>> {
    let (section, mut findings) = cloud_config::of_file(config);
    let understood = section.and_then(|it| cluster::understand(&it, &Home::fresh(DATA_DIR), &mut findings));
    let refused: Vec<Code> =
        findings.list.iter().filter(|it| it.severity == Severity::Refused).map(|it| it.code).collect();
    match (understood, refused.is_empty()) {
        (Some(cluster), true) => {
            let plan = Plan::of(cluster).unwrap();
            let document = document(&plan, support::PROGRAM).unwrap();
            Ok((plan, document))
        }
        _ => Err(refused),
    }
}

/// The staged files of a document, as another reader gets them.
#[derive(Debug)]
struct Staged {
    plan: Json,
    user: Json,
    provider: Json,
    /// The texts that yip evaluates.
    values: Vec<String>,
}

/// Reads a document as Kairos and yip would, and holds it against the rules of every document.
fn staged(document: &str) -> Staged {
    assert!(!document.contains(|c| ('\u{7f}'..='\u{9f}').contains(&c)), "yip refuses the file");
    assert!(document.starts_with("#cloud-config\n"));
    let whole: Json = serde_yaml::from_str(document).unwrap();
    let stages = whole["stages"]["boot.before"].as_array().unwrap();
    let commands: Vec<&Json> =
        stages.iter().flat_map(|it| it["commands"].as_array().into_iter().flatten().chain(it.get("if"))).collect();
    let steps = STEPS.map(|step| format!("{} apply {}", support::PROGRAM, step.name));
    let conditions = ["[ -d /run/systemd/system ]", "[ -d /run/openrc ] && [ ! -d /run/systemd/system ]"];
    let constant: Vec<&str> = steps.iter().map(String::as_str).chain(conditions).collect();
    assert!(commands.len() >= 9 && commands.iter().all(|it| constant.contains(&it.as_str().unwrap())), "{commands:?}");

    let ours = yaml::read(document, CLOUD_CONFIG).unwrap();
    assert_eq!(yaml11(&ours.root), whole, "YAML 1.1 reads another document");
    plain_decimal(&ours.root);

    let files: Vec<&Json> = stages.iter().flat_map(|it| it["files"].as_array().into_iter().flatten()).collect();
    let mut ids = HashSet::new();
    let mut file = |path: &str| {
        let file = files.iter().find(|it| it["path"] == path).unwrap();
        let content = file["content"].as_str().unwrap();
        // It comes out of the engine as it was.
        let content = without_templates(content);
        let body = content.strip_suffix('\n').unwrap();
        let (body, last) = body.rsplit_once('\n').unwrap();
        let id = last.strip_prefix("# plan ").unwrap();
        assert!(id.len() == 16 && id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')), "{last}");
        ids.insert(id.to_owned());
        body.to_owned() + "\n"
    };
    let json = |text: &str| {
        let value: Json = serde_json::from_str(text).unwrap();
        assert_eq!(serde_yaml::from_str::<Json>(text).unwrap(), value, "YAML reads another value than JSON: {text}");
        assert_eq!(yaml11(&yaml::read(text, OPTIONS).unwrap().root), value, "YAML 1.1 reads another value: {text}");
        value
    };
    let user = json(&file("/run/provider-rke2/config.d/90_userdata.yaml"));
    let provider = json(&file("/run/provider-rke2/config.d/99_userdata.yaml"));
    let text = file("/run/provider-rke2/plan.yaml");
    let plan: Json = serde_yaml::from_str(&text).unwrap();
    assert_eq!(yaml11(&yaml::read(&text, OPTIONS).unwrap().root), plan, "YAML 1.1 reads another plan: {text}");
    assert_eq!(ids.len(), 1, "{ids:?}");
    let mut values = Vec::new();
    for (number, file) in files[3..].iter().enumerate() {
        assert_eq!(file["path"], format!("/run/provider-rke2/values/{number}"));
        let (text, id) = file["content"].as_str().unwrap().rsplit_once("{{\"\\n\"}}# values ").unwrap();
        assert!(id.len() == 16 && id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        assert!(!ids.contains(id), "the id of the plan is a hash of the token");
        values.push(text.to_owned());
    }
    Staged { plan, user, provider, values }
}

/// What a reader of YAML 1.1 takes a text for.
fn yaml11(node: &Node) -> Json {
    match &node.kind {
        Kind::Scalar(scalar) => match scalar.yaml11() {
            Yaml11::Text(it) => it.into(),
            Yaml11::Int(it) => json!(i64::try_from(it).unwrap()),
            Yaml11::Bool(it) => it.into(),
            other => panic!("{other:?} is nothing that we write: {scalar:?}"),
        },
        Kind::List(items) => items.iter().map(yaml11).collect(),
        Kind::Map(entries) => {
            let key = |scalar: &yaml::Scalar| match scalar.yaml11() {
                Yaml11::Text(it) => it,
                other => panic!("the key {other:?} is no text"),
            };
            Json::Object(entries.iter().map(|(it, value)| (key(&it.scalar), yaml11(value))).collect())
        }
    }
}

/// Go's yaml.v2 and yaml.v3 differ about octal numbers.
fn plain_decimal(node: &Node) {
    for (key, value) in node.entries() {
        if key.scalar.text == "permissions" {
            assert!(["384", "448"].contains(&value.scalar().unwrap().text.as_str()), "{value:?}");
        }
        plain_decimal(value);
    }
    if let Kind::List(items) = &node.kind {
        items.iter().for_each(plain_decimal);
    }
}

/// What Go's text/template makes of a text whose only actions are ``{{`{{`}}``.
fn without_templates(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("{{") {
        plain.push_str(&rest[..at]);
        plain.push_str("{{");
        rest = rest[at..].strip_prefix("{{`{{`}}").unwrap_or_else(|| panic!("a template: {}", &rest[at..]));
    }
    plain + rest
}

/// A path as it is to be written; nothing where it is to be refused.
fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty() && *it != ".").collect();
    (!path.contains(char::is_control) && !parts.contains(&"..")).then(|| format!("/{}", parts.join("/")))
}

/// Of which the text around it is dropped.
const CERTIFICATE: &str = include_str!("../../testdata/trust/ca-one.pem");

/// A value of `env` as it is kept: no blanks and line breaks around it, nor one pair of quotes.
fn cleaned(text: &str) -> &str {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let first = text.chars().next().filter(|it| matches!(it, '"' | '\''));
    match first {
        Some(quote) if text.len() > 1 && text.ends_with(quote) => &text[1..text.len() - 1],
        _ => text,
    }
}

/// Puts one text into every field that takes text, and reads it back from the document.
fn comes_back(text: &str, role: &str, as_mapping: bool) {
    let (trimmed, q) = (text.trim(), quoted);
    let role = if trimmed.is_empty() { "init" } else { role };
    let is_no_text = |c: char| c.is_control() || cluster::env::is_noncharacter(c);
    let (env, path) = (!cleaned(text).contains(is_no_text), normal(&format!("/{text}")));
    let pem = format!("{text}\n{CERTIFICATE}{text}");
    let labels = format!("a{text}");
    let options = format!(
        "node-name: {}\nx-unknown: {}\nkubelet-arg: [{}, a]\nnode-label: [{}]\n",
        q(text),
        q(text),
        q(text),
        q(&labels)
    );
    let options = match as_mapping {
        true => options.lines().fold("\n".to_owned(), |all, line| all + "    " + line + "\n"),
        false => format!(" {}\n", q(&options)),
    };
    let mut config = format!(
        "#cloud-config\ncluster:\n  role: {role}\n  cluster_token: {}\n  control_plane_host: vip.test\n  \
         config:{options}  ca_certs: [{}]\n  \
         import_local_images: true\n  providerConfig:\n    system-default-registry: {}\n",
        q(text),
        q(&pem),
        q(text),
    );
    if path.is_some() {
        let path = q(&format!("/{text}"));
        writeln!(config, "    cluster_root_path: {path}\n  local_images_path: {path}").unwrap();
    }
    if env {
        writeln!(config, "  env: {{A: {}, B: b}}", q(text)).unwrap();
    }
    let (plan, document) = planned(&config).unwrap_or_else(|codes| panic!("{codes:?}\n{config}"));
    let read = staged(&document);
    assert_eq!(serde_json::from_str::<Json>(&plan.user).unwrap(), read.user, "the plan of\n{config}");
    assert_eq!(serde_json::from_str::<Json>(&plan.provider).unwrap(), read.provider, "the plan of\n{config}");

    let mut user = Map::new();
    let mut list = vec![trimmed, "a"];
    list.retain(|it| !it.is_empty());
    list.dedup();
    user.insert("kubelet-arg".into(), json!(list));
    user.insert("node-label".into(), json!([labels.trim()]));
    let mut provider = Map::new();
    if !trimmed.is_empty() {
        user.extend(["node-name", "x-unknown"].map(|key| (key.to_owned(), trimmed.into())));
        provider.extend(["token", "system-default-registry"].map(|key| (key.to_owned(), trimmed.into())));
    }
    if role != "init" {
        provider.insert("server".into(), "https://vip.test:9345".into());
    }
    if role != "worker" {
        provider.insert("tls-san".into(), json!(["vip.test"]));
    }
    assert_eq!(read.user, Json::Object(user), "{config}");
    assert_eq!(read.provider, Json::Object(provider), "{config}");

    let mut node = json!({
        "role": role,
        "unit": if role == "worker" { "rke2-agent" } else { "rke2-server" },
        "data_dir": "/var/lib/rancher/rke2",
        "control_plane_host": "vip.test",
        "ca_certs": [{ "pem": CERTIFICATE }],
        "local_images_path": path.as_deref().unwrap_or("/opt/content/images"),
    });
    if let Some(path) = path.as_deref().filter(|it| *it != "/") {
        node["cluster_root_path"] = path.into();
    }
    if env {
        node["env"] = json!({ "A": cleaned(text), "B": "b" });
    }
    // What reads like the user information of a URL is a secret.
    let mut templates = vec![trimmed, labels.trim()];
    templates.retain(|it| it.contains("{{"));
    assert!(text.contains('@') || read.values == templates, "{:?}\n{config}", read.values);
    if !read.values.is_empty() {
        node["templates"] = json!(read.values);
    }
    assert_eq!(read.plan, node, "{config}");

    // What these keys do not take is refused, and nothing else is.
    let alone = |line: String| planned(&format!("{HEAD}{line}\n")).map(drop);
    if !env {
        assert_eq!(alone(format!("  env: {{A: {}}}", q(text))), Err(vec![Code::EnvControl]));
    }
    if path.is_none() {
        let path = q(&format!("/{text}"));
        let images = format!("  import_local_images: true\n  local_images_path: {path}");
        assert_eq!(alone(images), Err(vec![Code::PathInvalid]));
        assert_eq!(alone(format!("  providerConfig: {{cluster_root_path: {path}}}")), Err(vec![Code::PathInvalid]));
    }
}

fn json(options: &[(String, Value)]) -> Json {
    let value = |value: &Value| match value {
        Value::Bool(it) => json!(it),
        Value::Int(it) => json!(i64::try_from(*it).unwrap()),
        Value::Text(it) => json!(it),
        Value::List(it) => json!(it),
    };
    Json::Object(options.iter().map(|(name, it)| (name.clone(), value(it))).collect())
}

const ROLES: [&str; 3] = ["init", "controlplane", "worker"];

#[test]
fn every_nasty_string_comes_back_from_every_field() {
    for (number, text) in BTreeSet::from_iter(support::nasty_strings()).iter().enumerate() {
        comes_back(text, ROLES[number % 3], number % 2 == 0);
    }
}

proptest! {
    #![proptest_config(support::generated(300))]

    #[test]
    fn every_text_comes_back_from_every_field(text in text(), role in select(&ROLES[..]), as_mapping: bool) {
        comes_back(&text, role, as_mapping);
    }

    #[test]
    fn rendering_is_deterministic_and_takes_env_in_any_order(
        env in btree_map("[A-Z_][A-Z0-9_]{0,5}", "[ -~]{0,12}", 2..6),
        labels in vec(text(), 0..3),
        turn in 0..6_usize,
    ) {
        let labels: Vec<String> = labels.iter().map(|it| quoted(it)).collect();
        let config = |env: &[(String, String)]| {
            let env: Vec<String> = env.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
            format!("{HEAD}  config: {{node-label: [{}]}}\n  env: {{{}}}\n", labels.join(", "), env.join(", "))
        };
        let mut env: Vec<(String, String)> = env.into_iter().collect();
        let (plan, first) = planned(&config(&env)).unwrap();
        let again = document(&plan, support::PROGRAM).unwrap();
        prop_assert_eq!(&first, &again);
        let length = env.len();
        env.rotate_left(turn % length);
        env.swap(0, length - 1);
        let (_, turned) = planned(&config(&env)).unwrap();
        prop_assert_eq!(first, turned);
    }
}

// ---- drop-ins ----

fn item(comma_split: bool) -> impl Strategy<Value = String> {
    let kept = move |it: String| if comma_split { it.replace(',', ";") } else { it };
    text().prop_map(move |it| kept(it).trim().to_owned()).prop_filter("empty is left out", |it| !it.is_empty())
}

const DURATIONS: [&str; 6] = ["0", "10m", "1h30m", "-1.5h", "300ms", "+5s"];

fn value(spec: &'static options::Spec) -> BoxedStrategy<Value> {
    let once = |items: Vec<String>| Value::List(items.into_iter().collect::<BTreeSet<_>>().into_iter().collect());
    match spec.class {
        Class::Replace | Class::Append => vec(item(spec.comma_split), 0..4).prop_map(once).boxed(),
        Class::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        Class::Integer => any::<i64>().prop_map(|it| Value::Int(it.into())).boxed(),
        Class::Duration => select(&DURATIONS[..]).prop_map(|it| Value::Text(it.into())).boxed(),
        Class::Mode => (0..=0o7777_u32).prop_map(|it| Value::Text(format!("{it:04o}"))).boxed(),
        // An older profile becomes `cis`, and any other is an error.
        _ if spec.name == "profile" => select(&["cis", "etcd"][..]).prop_map(|it| Value::Text(it.into())).boxed(),
        _ => item(false).prop_map(Value::Text).boxed(),
    }
}

fn known(unit: Unit) -> Vec<&'static options::Spec> {
    let apart =
        |it: &options::Spec| matches!(it.class, Class::Owned | Class::Dropped) || it.name.starts_with("cluster-reset");
    options::all().iter().filter(|it| it.takes(unit) && !apart(it)).collect()
}

fn drop_in(unit: Unit, size: impl Into<SizeRange>) -> impl Strategy<Value = DropIn> {
    subsequence(known(unit), size).prop_shuffle().prop_flat_map(|specs| {
        let entries = specs.into_iter().map(|it| value(it).prop_map(|value| (it.name.to_owned(), value)));
        entries.collect::<Vec<_>>()
    })
}

fn read_options(text: &str, unit: Unit) -> (DropIn, Findings) {
    let mut findings = Findings::default();
    let read = yaml::read(text, OPTIONS).unwrap();
    let path = Path::of("config");
    let read = drop_in::read(
        read.root.entries(),
        &path,
        Place::Here,
        Braces::Text,
        For { unit, version: None },
        &mut findings,
    );
    (read.options, findings)
}

#[test]
fn options_of_every_class_are_generated() {
    let classes = |unit| known(unit).iter().map(|it| format!("{:?}", it.class)).collect::<BTreeSet<_>>();
    let all = ["Append", "Boolean", "Duration", "Integer", "Mode", "Replace", "Text"].map(str::to_owned);
    assert_eq!(classes(Unit::Server), BTreeSet::from(all));
}

proptest! {
    #![proptest_config(support::generated(60))]

    #[test]
    fn options_read_back_as_they_were_written(
        (unit, options) in select(&Unit::ALL[..])
            .prop_flat_map(|unit| (Just(unit), drop_in(unit, 0..=known(unit).len()))),
    ) {
        let text = drop_in::to_json(&options);
        prop_assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), json(&options));
        prop_assert_eq!(serde_yaml::from_str::<Json>(&text).unwrap(), json(&options));
        let (read, findings) = read_options(&text, unit);
        prop_assert!(findings.worst() <= Some(Severity::Warning), "{:?}", findings.list);
        prop_assert_eq!(read, options);
    }
}

proptest! {
    #![proptest_config(support::generated(400))]

    #[test]
    fn reading_what_was_read_changes_nothing(
        entries in vec((option_name(), option_value()), 0..8),
        unit in select(&Unit::ALL[..]),
    ) {
        let text = entries.iter().fold(String::new(), |all, (name, value)| format!("{all}{name}: {value}\n"));
        prop_assume!(yaml::read(&text, OPTIONS).is_ok());
        let (once, _) = read_options(&text, unit);
        let (twice, mut findings) = read_options(&drop_in::to_json(&once), unit);
        // RKE2 refuses it, and is given it all the same.
        findings.list.retain(|it| it.code != Code::ProfileUnknown);
        prop_assert!(findings.worst() <= Some(Severity::Warning), "{text}{:?}", findings.list);
        prop_assert_eq!(once, twice, "{}", text);
    }
}

fn option_name() -> impl Strategy<Value = String> {
    let names: Vec<&str> = options::all().iter().map(|it| it.name).collect();
    let unknown = select(&["x", "y", "1", "0x1F", "1e10", "yes", "~", "\"a b\"", "é", "t", "d", "c"][..]);
    prop_oneof![4 => select(names), 1 => unknown]
        .prop_flat_map(|name| prop_oneof![4 => Just(name.to_owned()), 1 => Just(format!("{name}+"))])
}

/// A value as people write them: plain words of every YAML type, quoted text, lists.
fn option_value() -> impl Strategy<Value = String> {
    let words = [
        "yes", "off", "true", "1", "0", "420", "0644", "0o644", "\"0644\"", "1e10", "1.10", ".5", "~", "null", "\"\"",
        "10m", "600", "cis-1.23", "a,b, a", "18446744073709551615", "-9223372036854775808", "2024-01-01", "12:30:45",
        "{a: b}", "[[a]]", "{}", "[]", "[\"\"]", "[~]", "[1, 1.0, \"1\", a]", "!!str 1", "!!int \"1\"", ".inf", "0x_1",
        "'a '",
    ];
    let word = select(words.to_vec()).prop_map(str::to_owned);
    prop_oneof![4 => word, 2 => text().prop_map(|it| quoted(&it)), 1 => vec(text(), 0..4).prop_map(|items| {
        format!("[{}]", items.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", "))
    })]
}

// ---- secrets ----

/// Where a secret may stand: a cloud-config with SECRET in its place, whole or as the password of a URL. Some are
/// accepted, some refused, some warned about.
fn secret_places() -> Vec<String> {
    let mut places: Vec<String> = [
        "  cluster_token: SECRET", "  cluster_token: [SECRET]", "  cluster_token: {a: SECRET}",
        "  cluster_token: {SECRET: a}",
    ]
    .map(|it| format!("  role: init\n{it}\n"))
    .into();
    for name in support::SECRET_OPTIONS {
        for value in ["SECRET", "[SECRET]", "[a, SECRET]", "{a: SECRET}", "[[SECRET]]", "x\n    NAME: SECRET"] {
            places.push(format!("  role: init\n  config:\n    {}: {}\n", name, value.replace("NAME", name)));
        }
        places.push(format!("  role: worker\n  config:\n    {name}+: SECRET\n"));
        places.push(format!("  role: init\n  config: {{\"{name}\": SECRET\n"));
        places.push(format!("  role: init\n  config: |\n    {name}: SECRET\n     bad: [\n"));
        places.push(format!("  role: init\n  providerConfig:\n    {name}: SECRET\n"));
        places.push(format!("  role: init\n  provider_options:\n    {name}: [SECRET]\n"));
    }
    for component in [
        "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "cloud-controller-manager", "etcd",
    ] {
        for value in ["A=SECRET", "[A=SECRET]", "[A=SECRET, B=c=SECRET]", "SECRET", "{A: SECRET}", "\"A=x SECRET\""] {
            places.push(format!("  role: init\n  config:\n    {component}-extra-env: {value}\n"));
        }
        places.push(format!("  role: init\n  providerConfig:\n    {component}-extra-env: A=SECRET\n"));
    }
    for value in [
        "{A: SECRET}", "{A: \"x SECRET\"}", "{A: [SECRET]}", "{A: {b: SECRET}}", "{1A: SECRET}",
        "{RKE2_TOKEN: SECRET}", "{A: \"SECRET\\n\"}", "[SECRET]", "A=SECRET",
    ] {
        places.push(format!("  role: init\n  env: {value}\n"));
    }
    for url in [
        "https://user:SECRET@host.test/x", "https://SECRET@host.test", "https://SECRET:x@host.test",
        "http://a:SECRET@b,https://c:SECRET@d",
    ] {
        for (name, wrong) in
            [("node-name", ""), ("x-unknown", ""), ("kubelet-arg", "--proxy="), ("node-label", "a="), ("debug", "")]
        {
            places.push(format!("  role: init\n  config:\n    {name}: \"{wrong}{url}\"\n"));
            places.push(format!("  role: init\n  config:\n    {name}: [\"{wrong}{url}\"]\n"));
        }
        for name in [
            "system-default-registry", "swap", "cluster_root_path", "etcd-snapshot-retention", "write-kubeconfig-mode",
            "tls-san",
        ] {
            places.push(format!("  role: init\n  providerConfig:\n    {name}: \"{url}\"\n"));
        }
        for name in
            ["role", "control_plane_host", "import_local_images", "cluster_config_path", "ca_certs", "config", "env"]
        {
            places.push(format!("  role: init\n  {name}: \"{url}\"\n").replace("  role: init\n  role", "  role"));
        }
        places.push(format!("  role: worker\n  cluster_token: a\n  config: {{server: \"{url}\"}}\n"));
        places.push(format!("  role: init\n  ca_certs: [\"{url}\", \"/{url}\"]\n"));
    }
    places.into_iter().map(|it| format!("#cloud-config\ncluster:\n{it}")).collect()
}

/// Everything that a person, a log or the agent gets to see of a cloud-config.
fn shown(config: &str) -> String {
    let (section, mut findings) = cloud_config::of_file(config);
    let understood = section.and_then(|it| cluster::understand(&it, &Home::fresh(DATA_DIR), &mut findings));
    locate::locate(&mut findings, config);
    let mut shown = findings.to_text("f", Paint::Colored) + &findings.to_github("f");
    shown += &serde_json::to_string(&findings.to_json("f")).unwrap();
    if let Some(cluster) = understood {
        // A plan is also printed while debugging, but never its secrets.
        write!(shown, "{:?} {:?}", cluster.token, Plan::of(cluster.clone()).unwrap()).unwrap();
        shown += &document(&Plan::of(mask::masked(cluster)).unwrap(), support::PROGRAM).unwrap();
    }
    let node = tempfile::tempdir().unwrap();
    let response = support::boot(node.path(), config);
    shown += &serde_json::to_string(&response).unwrap();
    for path in ["var/log/provider-rke2.log", "run/provider-rke2/status.yaml", "run/provider-rke2/refused"] {
        shown += &read(node.path(), path);
    }
    shown + &read(node.path(), "etc/issue.d/50-provider-rke2.issue")
}

/// Where `secret` or a half of it is shown, if it stands in `place`.
fn leak(place: &str, secret: &str) -> Option<String> {
    let config = place.replace("SECRET", secret);
    let shown = shown(&config);
    let half = secret.len() / 2;
    let parts = [secret, &secret[..half], &secret[half..]];
    let line = shown.lines().find(|line| parts.iter().any(|part| line.contains(part)))?;
    Some(format!("{}\nby\n{config}", line.trim()))
}

#[test]
fn a_secret_in_every_place_stays_secret() {
    let places = secret_places();
    assert!(places.len() > 200, "{}", places.len());
    let accepted = places.iter().filter(|it| planned(&it.replace("SECRET", "x")).is_ok()).count();
    assert!(accepted > 60, "only {accepted} of {} are rendered", places.len());
    let leaks: Vec<String> = places.iter().filter_map(|it| leak(it, "Tr0ub4dorAndAnotherOneAtLength")).collect();
    assert!(leaks.is_empty(), "{} of {} places:\n{}", leaks.len(), places.len(), leaks.join("\n"));
}

/// A comma is a legal part of user information (RFC 3986, sub-delims), besides being what separates URLs.
#[test]
fn a_password_with_a_comma_stays_secret() {
    let place = "#cloud-config\ncluster:\n  role: init\n  config: {system-default-registry: \"https://user:pass,SECRET@host.test\"}\n";
    assert_eq!(leak(place, "Tr0ub4dorAndAnotherOneAtLength"), None); // reported
}

/// At which options are split: into labels, keys and values, taints, items.
#[test]
fn a_password_with_a_separator_stays_secret() {
    let is_split = |it: &String| it.contains("SECRET@") && (it.contains("node-label") || it.contains("tls-san"));
    let places = secret_places().into_iter().filter(is_split);
    let more = [
        "#cloud-config\ncluster:\n  role: init\n  config:\n    node-taint: [\"a=https://u:SECRET@h\"]\n".to_owned(),
        "#cloud-config\ncluster:\n  role: init\n  config:\n    tls-san: \"a,https://u:SECRET@h\"\n".to_owned(),
    ];
    let mut leaks = Vec::new();
    for place in places.chain(more) {
        for separator in [",", "=", "=,"] {
            let secret = format!("Tr0ub4dor4ndAnother{separator}OneAtLength");
            leaks.extend(leak(&place, &secret));
            leaks.extend(leak(&place, &format!("Tr0ub4dor{separator}4ndAnotherOneAtLength")));
        }
    }
    assert!(leaks.is_empty(), "{}:\n{}", leaks.len(), leaks.join("\n"));
}

proptest! {
    #![proptest_config(support::generated(200))]

    #[test]
    fn a_generated_secret_stays_secret(
        place in select(secret_places())
            .prop_filter("with a = in it, it is NAME=value", |it| !it.contains("-env: SECRET")),
        secret in "[A-Za-z0-9][A-Za-z0-9_.~/=+!$-]{22,40}[A-Za-z0-9]",
    ) {
        prop_assert_eq!(leak(&place, &secret), None);
    }
}
