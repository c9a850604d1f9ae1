//! From the Go provider to this program: what the Go provider made of each cloud-config was recorded (`testdata/migrating/`), and here the
//! program makes the same node, fresh and with state. What it comes to means the same, or the difference has its class and its reason in
//! `testdata/migrating/differences.yaml`. The tables of `docs/migrating.md` are made from that file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::{env, mem};

use serde::Deserialize;
use serde_json::Value;

use crate::support::archives::tar;
use crate::support::{self, CONFIG, DOCUMENT, DROP_INS, Node};

const CASES: &str = include_str!("../../testdata/migrating/go-provider.yaml");
const FLAGS: &str = include_str!("../../testdata/recorded/rke2-flags.json");
/// A document of the Go provider.
const GO: &str = include_str!("../../testdata/situations/document-of-go.yaml");
const DATA_DIR: &str = "/var/lib/rancher/rke2";
/// Where the cloud-config lies, as Kairos tells in the event.
const SOURCE: &str = "oem/90_custom.yaml";
const VALUES: &str = "run/provider-rke2/values/";

/// What was given to the Go provider, and what came of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    cloud_config: String,
    /// What Kairos' collector makes of it, where that is something else.
    event: Option<String>,
    /// What lay on the node before, by path; `tar` stands for an archive of an image.
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    links: BTreeMap<String, String>,
    /// What yip makes of a text with a template; nothing where that fails.
    #[serde(default)]
    templates: BTreeMap<String, Option<String>>,
    /// Why the Go provider has written no document.
    no_document: Option<String>,
    #[serde(default)]
    unit: String,
    /// RKE2's effective options.
    #[serde(default)]
    options: BTreeMap<String, Value>,
    /// Why RKE2 does not start with them.
    #[serde(default)]
    #[expect(dead_code, reason = "it is for people")]
    fatal: Vec<String>,
    /// What the unit's environment file gives, as systemd reads it.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// What is in RKE2's directory of images.
    #[serde(default)]
    images: BTreeSet<String>,
}

/// The node before the first boot with this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing but what the image brings.
    Fresh,
    /// RKE2 runs by the Go provider's document and has its state; `/etc/default` and `/run` do not outlive the reboot.
    State,
}

/// What a node is by its plan.
#[derive(Debug, Default, PartialEq)]
struct Meant {
    unit: String,
    options: BTreeMap<String, Value>,
    env: BTreeMap<String, String>,
    images: BTreeSet<String>,
}

/// What a boot comes to.
#[derive(Debug, PartialEq)]
enum Came {
    Planned(Meant),
    /// With the codes of the reasons.
    Refused(BTreeSet<String>),
    Absent,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_yaml::from_str(CASES).unwrap();
    assert_eq!(cases.len(), 278);
    cases
}

impl Case {
    fn node(&self, before: Before) -> Node {
        let node = Node::new();
        for (path, text) in &self.files {
            let bytes = if text == "tar" { tar(1, 5000) } else { text.clone().into_bytes() };
            node.put(path, bytes);
        }
        for (path, to) in &self.links {
            let path = node.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(to, path).unwrap();
        }
        node.write(SOURCE, &self.cloud_config, 0o600);
        for unit in support::UNITS {
            node.put(&format!("usr/local/lib/systemd/system/{unit}.service"), "[Service]\n");
        }
        if before == Before::State {
            let data = self.data_dir();
            let is_agent = self.unit == "rke2-agent";
            let certificates: &[&str] = &["server/db/state.db", "server/tls/server-ca.crt", "agent/client-kubelet.crt"];
            for path in if is_agent { &certificates[2..] } else { certificates } {
                node.write(&format!("{}/{path}", &data[1..]), "", 0o600);
            }
            node.write(DOCUMENT, GO, 0o644);
            if self.no_document.is_none() {
                let text = |options: &BTreeMap<&String, &Value>| serde_json::to_string(options).unwrap();
                let is_its = |name: &String| ["server", "tls-san", "token"].contains(&name.as_str());
                let (provider, user) = self.options.iter().partition(|(name, _)| is_its(name));
                node.write(&format!("{DROP_INS}/90_userdata.yaml"), text(&user), 0o400);
                node.write(&format!("{DROP_INS}/99_userdata.yaml"), text(&provider), 0o400);
                node.write(CONFIG, text(&self.options.iter().collect()), 0o644);
            }
        }
        node
    }

    fn data_dir(&self) -> &str {
        self.options.get("data-dir").and_then(Value::as_str).unwrap_or(DATA_DIR)
    }

    /// The first boot with this program: the event, the files of the document as yip lays them out, the steps that decide what RKE2 reads.
    fn boots(&self, before: Before) -> Came {
        let node = self.node(before);
        let event = self.event.as_ref().unwrap_or(&self.cloud_config);
        let response =
            support::boot(node.root(), &event.replacen('\n', &format!("\n\n# Sources:\n# - /{SOURCE}\n\n"), 1));
        let status = || serde_yaml::from_str::<Value>(&node.read("run/provider-rke2/status.yaml").unwrap()).unwrap();
        let codes = |reasons: &Value| {
            reasons.as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
        };
        match status()["plan"].as_str().unwrap() {
            "absent" => return Came::Absent,
            "planned" => assert_eq!(response.error, "", "{}", self.name),
            "refused" => return Came::Refused(codes(&status()["reasons"])),
            other => panic!("{}: {other}", self.name),
        }
        node.lay_out(self.laid_out(&node));
        for step in ["config", "environment", "images"] {
            support::apply(node.root(), Some(step));
        }
        match node.open_gates()[..] {
            [] => Came::Refused(codes(&status()["steps"]["config"]["reasons"])),
            [unit] => Came::Planned(Meant {
                unit: unit.to_owned(),
                options: effective(&node),
                env: environment(&node, unit),
                images: self.imported(&node),
            }),
            ref more => panic!("{}: {more:?}", self.name),
        }
    }

    /// The files of the document as yip lays them out, which alone evaluates templates.
    fn laid_out(&self, node: &Node) -> Vec<(String, String)> {
        // A second document in the cloud-config is nobody's.
        let first = serde_yaml::Deserializer::from_str(&self.cloud_config).next().unwrap();
        let cloud_config = serde_yaml::Value::deserialize(first).unwrap();
        let elsewhere = cloud_config["cluster"]["cluster_config_path"].as_str().and_then(|it| it.strip_prefix('/'));
        let evaluated = |(path, content): (String, String)| {
            if !path.starts_with(VALUES) {
                let content = support::evaluated(&content, &Value::Null);
                return (path, content);
            }
            let (text, id) = content.rsplit_once("{{\"\\n\"}}").unwrap();
            let known = self.templates.get(text);
            let known = known.unwrap_or_else(|| panic!("{}: what does yip make of {text:?}", self.name));
            let content = known.as_ref().map_or_else(|| content.clone(), |it| format!("{it}\n{id}"));
            (path, content)
        };
        node.asked_by(elsewhere.unwrap_or(DOCUMENT)).into_iter().map(evaluated).collect()
    }

    fn imported(&self, node: &Node) -> BTreeSet<String> {
        let directory = format!("{}/agent/images/", &self.data_dir()[1..]);
        let files = node.files(&directory).into_keys().map(|path| path[directory.len()..].to_owned());
        files.filter(|name| name != ".cache.json").collect()
    }

    fn meant(&self) -> Meant {
        Meant {
            unit: self.unit.clone(),
            options: without_empty(self.options.clone()),
            env: self.env.clone(),
            images: self.images.clone(),
        }
    }
}

/// An option of RKE2 as it was recorded.
#[derive(Deserialize)]
struct Flag {
    name: String,
    r#type: String,
    aliases: Vec<String>,
    #[serde(default)]
    comma_split: bool,
    #[serde(default)]
    default: Value,
}

fn flags() -> &'static BTreeMap<String, Flag> {
    static READ: OnceLock<BTreeMap<String, Flag>> = OnceLock::new();
    READ.get_or_init(|| {
        let flags: Vec<Flag> = serde_json::from_str(FLAGS).unwrap();
        flags.into_iter().map(|it| (it.name.clone(), it)).collect()
    })
}

/// RKE2's options by config.yaml and config.yaml.d: the last file that names an option wins, and `NAME+` adds to a list.
fn effective(node: &Node) -> BTreeMap<String, Value> {
    let flags = flags();
    let mut files: Vec<String> = node.files("etc/rancher/rke2/config.yaml.d/").into_keys().collect();
    files.insert(0, CONFIG.to_owned());
    let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files {
        let read: BTreeMap<String, Value> = serde_yaml::from_str(&node.read(&path).unwrap()).unwrap();
        for (key, value) in read {
            let (name, adds) = key.strip_suffix('+').map_or((key.as_str(), false), |name| (name, true));
            let Some((name, _)) = flags
                .get_key_value(name)
                .or_else(|| flags.iter().find(|(_, it)| it.aliases.iter().any(|it| it == name)))
            else {
                continue;
            };
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let values: Vec<String> =
                value.as_array().map_or_else(|| vec![text(&value)], |items| items.iter().map(text).collect());
            let before = options.entry(name.clone()).or_default();
            if !adds {
                before.clear();
            }
            before.extend(values);
        }
    }
    let typed = |(name, values): (String, Vec<String>)| {
        let flag = &flags[&name];
        let last = || values.last().cloned().unwrap_or_default();
        let value = match flag.r#type.as_str() {
            "bool" => last().parse::<bool>().map_or(Value::Null, Value::from),
            "int" => last().parse::<i64>().map_or(Value::Null, Value::from),
            "stringslice" if flag.comma_split => values.iter().flat_map(|it| it.split(',')).collect(),
            "stringslice" => values.into(),
            _ => last().into(),
        };
        (name, value)
    };
    without_empty(options.into_iter().map(typed).collect())
}

/// To RKE2 an empty text, an empty list and a boolean with its default value are as good as nothing.
fn without_empty(mut options: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let flags = flags();
    options.retain(|name, value| match value {
        Value::String(text) => !text.is_empty() && flags[name].default.as_str() != Some(text),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(value) => flags[name].default.as_str().is_none_or(|it| it != value.to_string()),
        _ => true,
    });
    options
}

/// The environment of a unit, as systemd reads it; of files that stand in a row, the last wins.
fn environment(node: &Node, unit: &str) -> BTreeMap<String, String> {
    let files =
        [format!("etc/default/{unit}"), format!("etc/sysconfig/{unit}"), format!("run/provider-rke2/{unit}.env")];
    let mut variables = BTreeMap::new();
    for line in files
        .iter()
        .filter_map(|path| node.read(path))
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
    {
        if line.starts_with('#') {
            continue;
        }
        let (name, quoted) = line.split_once('=').unwrap();
        let quoted = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap();
        let (mut value, mut is_escaped) = (String::new(), false);
        for letter in quoted.chars() {
            if letter == '\\' && !is_escaped {
                is_escaped = true;
            } else {
                value.push(letter);
                is_escaped = false;
            }
        }
        variables.insert(name.to_owned(), value);
    }
    variables
}

/// How what the program comes to differs from what the Go provider came to, difference by difference.
fn differences(case: &Case, before: Before) -> Vec<String> {
    let ours = match (case.boots(before), &case.no_document) {
        (Came::Planned(ours), None) => ours,
        (Came::Planned(_), Some(why)) => {
            return vec![format!("planned; the Go provider made nothing: {}", first_line(why))];
        }
        (Came::Refused(codes), None) => return vec![format!("refused {}", joined(&codes))],
        (Came::Absent, None) => return vec!["no cluster section".into()],
        (Came::Refused(_) | Came::Absent, Some(_)) if before == Before::Fresh => return vec![],
        (Came::Refused(codes), Some(why)) => {
            return vec![format!(
                "refused {}; the Go provider left its last document in force: {}",
                joined(&codes),
                first_line(why)
            )];
        }
        (Came::Absent, Some(why)) => {
            return vec![format!("retired; the Go provider left its last document in force: {}", first_line(why))];
        }
    };
    let go = case.meant();
    let mut differences = Vec::new();
    if ours.unit != go.unit {
        differences.push(format!("unit {} → {}", go.unit, ours.unit));
    }
    let none = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
    for name in go.options.keys().chain(ours.options.keys()).collect::<BTreeSet<_>>() {
        let (go, ours) = (go.options.get(name), ours.options.get(name));
        if !is_same(name, go, ours) {
            differences.push(format!("option {name} {} → {}", none(go), none(ours)));
        }
    }
    let mut by_change: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in go.env.keys().chain(ours.env.keys()).collect::<BTreeSet<_>>() {
        let (go, ours) = (go.env.get(name), ours.env.get(name));
        let list = |value: Option<&String>| -> Vec<String> {
            let entries = value.map(String::as_str).unwrap_or_default().split(',').map(str::trim);
            entries.filter(|it| !it.is_empty()).map(str::to_owned).collect()
        };
        if name.ends_with("NO_PROXY") && go.is_some() {
            let (go, ours) = (list(go), list(ours));
            let less: Vec<&str> = go.iter().filter(|it| !ours.contains(it)).map(String::as_str).collect();
            let more: Vec<&str> = ours.iter().filter(|it| !go.contains(it)).map(String::as_str).collect();
            let mut change = String::new();
            for (word, entries) in [("without", less), ("with", more)] {
                if !entries.is_empty() {
                    write!(change, " {word} {}", entries.join(" ")).unwrap();
                }
            }
            if !change.is_empty() {
                by_change.entry(change).or_default().push(name);
            }
        } else if go != ours {
            let told = |value: Option<&String>| value.map_or_else(|| "none".to_owned(), |it| format!("{it:?}"));
            by_change.entry(format!(" {} → {}", told(go), told(ours))).or_default().push(name);
        }
    }
    differences.extend(by_change.into_iter().map(|(change, names)| format!("env {}{change}", names.join(","))));
    if ours.images != go.images {
        differences.push(format!("images {:?} → {:?}", go.images, ours.images));
    }
    differences
}

/// A mode is the same with and without a zero before it.
fn is_same(option: &str, go: Option<&Value>, ours: Option<&Value>) -> bool {
    let mode = |value: Option<&Value>| Some(value?.as_str()?.trim_start_matches('0').to_owned());
    go == ours || option == "write-kubeconfig-mode" && mode(go) == mode(ours)
}

fn joined(codes: &BTreeSet<String>) -> String {
    codes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Where the differences of a class show in `docs/migrating.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// A node that runs is not started any more.
    Stops,
    /// A node that runs means something else.
    Changes,
    /// A node without state is refused, or means something else; one with state does not.
    Fresh,
    /// The Go provider made nothing of it.
    Nothing,
}

/// Differences with one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    #[serde(rename = "class")]
    name: String,
    part: Part,
    given: String,
    go: String,
    #[serde(default)]
    ours: String,
    #[serde(default)]
    r#do: String,
    like: Vec<String>,
    differences: String,
}

impl Class {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.differences.lines()
    }

    /// Why a difference does not belong here.
    fn misfit(&self, line: &str) -> Option<String> {
        let (nodes, _, difference) = parts(line);
        let is_refused = ["refused", "retired"].iter().any(|word| difference.starts_with(word));
        // Where a node with state means something else, one without may be refused.
        let is_of_part = match self.part {
            Part::Stops => is_refused && nodes != "fresh",
            Part::Changes => !is_refused || nodes == "fresh",
            Part::Fresh => nodes == "fresh",
            Part::Nothing => difference.starts_with("planned"),
        };
        let is_like = self.like.iter().any(|pattern| matches(pattern, &format!("{nodes} {difference}")));
        let why = match (is_of_part, is_like) {
            (false, _) => "is nothing for this part of the page",
            (true, false) => "is not like the others",
            (true, true) => return None,
        };
        Some(format!("{}: {line}: {why}", self.name))
    }

    /// The codes with which it is refused.
    fn codes(&self) -> String {
        let lines = self.lines().filter_map(|line| parts(line).2.strip_prefix("refused "));
        let codes: BTreeSet<&str> = lines.flat_map(|it| it.split(';').next().unwrap().split(' ')).collect();
        codes.into_iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(" ")
    }
}

/// On which nodes, in which case, and what.
fn parts(line: &str) -> (&str, &str, &str) {
    let (nodes, rest) = line.split_once(' ').unwrap();
    let (case, difference) = rest.split_once(": ").unwrap();
    (nodes, case, difference)
}

/// What stays of a difference while its values change: its case, and the option or variable.
fn aspect(line: &str) -> (&str, &str) {
    let (_, case, difference) = parts(line);
    let words = if ["option ", "env "].iter().any(|it| difference.starts_with(it)) { 2 } else { 1 };
    let end = difference.match_indices([' ', ';']).nth(words - 1).map_or(difference.len(), |(at, _)| at);
    (case, &difference[..end])
}

/// Whether a text is like a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
        }),
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn classes(table: &str) -> Vec<Class> {
    serde_yaml::from_str(table).unwrap()
}

/// All differences, in the order of the cases.
fn found() -> Vec<String> {
    let cases = cases();
    let found: Vec<Mutex<Vec<String>>> = cases.iter().map(|_| Mutex::default()).collect();
    support::each(cases.len(), |at| {
        let case = &cases[at];
        let [fresh, state] = [Before::Fresh, Before::State].map(|before| differences(case, before));
        let (both, fresh): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|it| state.contains(it));
        let state: Vec<_> = state.into_iter().filter(|it| !both.contains(it)).collect();
        let lines = [("both", both), ("fresh", fresh), ("state", state)].into_iter();
        let lines =
            lines.flat_map(|(nodes, all)| all.into_iter().map(move |it| format!("{nodes} {}: {it}", case.name)));
        *found[at].lock().unwrap() = lines.collect();
    });
    found.iter().flat_map(|it| mem::take(&mut *it.lock().unwrap())).collect()
}

/// The table with the differences that were found, each in the class that had it before; a new one is in none.
fn rewritten(table: &str, found: &[String]) -> String {
    let classes = classes(table);
    let blocks: Vec<&str> = table.split("\n- class: ").collect();
    assert_eq!(blocks.len(), classes.len() + 1);
    let mut text = blocks[0].to_owned();
    for (block, class) in blocks[1..].iter().zip(&classes) {
        let known: BTreeSet<(&str, &str)> = class.lines().map(aspect).collect();
        let (head, _) = block.split_once("  differences: |\n").unwrap();
        write!(text, "\n- class: {head}  differences: |\n").unwrap();
        for line in found.iter().filter(|line| known.contains(&aspect(line))) {
            writeln!(text, "    {line}").unwrap();
        }
    }
    text
}

/// The page with its tables made anew; what stands between a pair of marks is made.
fn page(page: &str, classes: &[Class]) -> String {
    let mut text = String::new();
    let mut rest = page;
    for mark in ["count", "stops", "changes", "fresh", "nothing"] {
        let (begin, end) = (format!("<!-- made: {mark} -->\n"), "<!-- made until here -->");
        let (before, after) = rest.split_once(&begin).unwrap_or_else(|| panic!("docs/migrating.md lacks {begin}"));
        let (_, after) = after.split_once(end).unwrap();
        text += &format!("{before}{begin}{}{end}", made(mark, classes));
        rest = after;
    }
    text + rest
}

fn made(mark: &str, classes: &[Class]) -> String {
    let part = match mark {
        "stops" => Part::Stops,
        "changes" => Part::Changes,
        "fresh" => Part::Fresh,
        "nothing" => Part::Nothing,
        _ => return counted(classes),
    };
    let mut rows: Vec<[&str; 4]> = Vec::new();
    // First what a person has to do.
    let weight = |row: &[&str; 4]| if row[3].contains("**") { 0 } else { 1 + u8::from(row[3] == "nothing") };
    let codes: Vec<String> = classes.iter().map(|class| format!("refused: {}", class.codes())).collect();
    for (class, codes) in classes.iter().zip(&codes).filter(|(class, _)| class.part == part) {
        let what = if class.r#do.is_empty() { "nothing" } else { &class.r#do };
        rows.push(match part {
            Part::Stops | Part::Fresh if class.ours.is_empty() => [&class.given, &class.go, codes, what],
            _ => [&class.given, &class.go, &class.ours, what],
        });
    }
    rows.sort_by_key(weight);
    let ours = match part {
        Part::Fresh => "this program, on a new node",
        Part::Stops | Part::Changes | Part::Nothing => "this program",
    };
    let do_ = if part == Part::Fresh { "write instead" } else { "before the change" };
    let mut text =
        format!("| on the node or in its cloud-config | the Go provider | {ours} | {do_} |\n|---|---|---|---|\n");
    for [given, go, ours, what] in rows {
        writeln!(text, "| {given} | {go} | {ours} | {what} |").unwrap();
    }
    text
}

/// How many of the recorded cloud-configs come to the same node with state.
fn counted(classes: &[Class]) -> String {
    let cases = cases();
    let with_state = |part: Part| -> BTreeSet<&str> {
        let lines = classes.iter().filter(|class| class.part == part).flat_map(Class::lines).map(parts);
        lines.filter(|(nodes, ..)| *nodes != "fresh").map(|(_, case, _)| case).collect()
    };
    let planned: BTreeSet<&str> =
        cases.iter().filter(|it| it.no_document.is_none()).map(|it| it.name.as_str()).collect();
    let [stops, changes] = [Part::Stops, Part::Changes].map(|part| with_state(part).intersection(&planned).count());
    format!(
        "For this page, {} cloud-configs were recorded with the Go provider, most of them with something unusual in them; it made a document of {}. On\n\
         a node with state, this program comes to the same unit, options, environment and images for {} of these; {changes} differ as the second table\n\
         says, and {stops} are refused as the first one says.\n",
        cases.len(),
        planned.len(),
        planned.len() - stops - changes
    )
}

const UPDATE: &str = "MIGRATING_UPDATE";

/// Classes that `migrate` settles: of what it writes, a new node becomes what the Go provider made of it.
const SETTLED: [&str; 6] =
    ["cluster-reset", "role", "server-on-init", "token-glued", "options-of-provider", "variables"];

/// What `migrate` writes means on a new node what the Go provider made of the cloud-config, or differs as before for a reason of the table.
#[test]
fn what_migrate_writes_means_the_same() {
    let table = fs::read_to_string(path("testdata/migrating/differences.yaml")).unwrap();
    let classes = classes(&table);
    let known: BTreeMap<(&str, &str), &str> =
        classes.iter().flat_map(|class| class.lines().map(|line| (aspect(line), class.name.as_str()))).collect();
    let cases: Vec<Case> = cases().into_iter().filter(|it| it.no_document.is_none() && it.event.is_none()).collect();
    let found: Vec<Mutex<Vec<String>>> = cases.iter().map(|_| Mutex::default()).collect();
    support::each(cases.len(), |at| {
        let node = Node::new();
        let mut command = Command::new(support::BINARY);
        command.arg("--root").arg(node.root()).arg("migrate");
        let ran = support::run(&mut command, cases[at].cloud_config.as_bytes());
        let case = Case { cloud_config: ran.stdout.clone(), ..cases[at].clone() };
        let lines = match ran.stdout.is_empty() {
            false => differences(&case, Before::Fresh),
            // It may stop at what a new node refuses.
            true => differences(&cases[at], Before::Fresh),
        };
        let is_right = !ran.stdout.is_empty() || lines.iter().any(|line| line.starts_with("refused "));
        let lines = if is_right { lines } else { vec![format!("no output {}", ran.stderr)] };
        *found[at].lock().unwrap() = lines.into_iter().map(|it| format!("fresh {}: {it}", case.name)).collect();
    });
    let found: Vec<String> = found.iter().flat_map(|it| mem::take(&mut *it.lock().unwrap())).collect();
    let class = |line: &&String| known.get(&aspect(line)).copied();
    let wrong: Vec<&String> = found
        .iter()
        .filter(|line| class(line).is_none_or(|it| SETTLED.contains(&it)))
        .filter(|it| **it != RESET)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the Go provider had RKE2 do at each boot, and what a person must do, once.
const RESET: &str = "fresh sc-reset: option cluster-reset true → none";

fn assert_page(table: &str) {
    let path = path("docs/migrating.md");
    let written = fs::read_to_string(&path).unwrap();
    let made = page(&written, &classes(table));
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &made).unwrap();
    } else {
        assert!(
            written == made,
            "docs/migrating.md: {UPDATE}=1 cargo test --test it migrating:: makes its tables anew"
        );
    }
}

/// What is wrong with the classes, by the differences that were found.
fn wrong(classes: &[Class], found: &[String]) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for class in classes {
        if class.differences.is_empty() {
            wrong.push(format!("{}: no case has it", class.name));
        } else if class.part != Part::Fresh && class.lines().all(|line| parts(line).0 == "fresh") {
            wrong.push(format!("{}: only nodes without state have it", class.name));
        }
        for pattern in &class.like {
            if !class.lines().any(|line| matches(pattern, &format!("{} {}", parts(line).0, parts(line).2))) {
                wrong.push(format!("{}: nothing is like {pattern}", class.name));
            }
        }
        wrong.extend(class.lines().filter_map(|line| class.misfit(line)));
        class.lines().for_each(|line| *known.entry(line).or_default() += 1);
    }
    for (line, times) in &known {
        if *times > 1 {
            wrong.push(format!("in {times} classes: {line}"));
        }
        if !found.iter().any(|it| it == line) {
            wrong.push(format!("not so any more: {line}"));
        }
    }
    let is_new = |line: &&String| !known.contains_key(line.as_str());
    wrong.extend(found.iter().filter(is_new).map(|line| format!("without a class: {line}")));
    wrong
}

#[test]
fn every_difference_has_its_class() {
    let path = path("testdata/migrating/differences.yaml");
    let (found, mut table) = (found(), fs::read_to_string(&path).unwrap());
    if env::var_os(UPDATE).is_some() {
        table = rewritten(&table, &found);
        fs::write(&path, &table).unwrap();
        assert_page(&table);
    }
    let wrong = wrong(&classes(&table), &found);
    assert!(wrong.is_empty(), "testdata/migrating/differences.yaml (see CONTRIBUTING.md):\n{}", wrong.join("\n"));
}

#[test]
fn the_page_is_made_of_the_table() {
    if env::var_os(UPDATE).is_none() {
        assert_page(&fs::read_to_string(path("testdata/migrating/differences.yaml")).unwrap());
    }
}

#[test]
fn patterns_and_aspects() {
    for (pattern, text, is_so) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("a*c*e", "abcde", true),
        ("a*c", "ab", false),
        ("* → *", "x → é", true),
    ] {
        assert_eq!(matches(pattern, text), is_so, "{pattern} {text}");
    }
    assert_eq!(aspect("both a-b: option x-y 1 → 2"), ("a-b", "option x-y"));
    assert_eq!(aspect("state a: refused x y; z"), ("a", "refused"));
    assert_eq!(aspect("fresh a: planned; z"), ("a", "planned"));
}

/// What the test of the table rests on.
#[test]
fn a_table_that_does_not_fit_is_told() {
    const TABLE: &str = "
- class: a
  part: changes
  given: x
  go: y
  like: [\"both option *\"]
  differences: |
    both one: option a 1 → 2

- class: b
  part: fresh
  given: x
  go: y
  like: [\"fresh refused c\"]
  differences: |
    fresh one: refused c
";
    let lines = |table: &[&str]| table.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let found = lines(&["both one: option a 1 → 2", "fresh one: refused c"]);
    let of = |table: &str, found: &[String]| wrong(&classes(table), found);
    assert_eq!(of(TABLE, &found), lines(&[]));
    assert_eq!(of(TABLE, &found[1..]), lines(&["not so any more: both one: option a 1 → 2"]));
    let more = [&found[..], &lines(&["state two: retired"])].concat();
    assert_eq!(of(TABLE, &more), lines(&["without a class: state two: retired"]));
    let empty = TABLE.replace("    both one: option a 1 → 2\n", "");
    assert_eq!(
        of(&empty, &found),
        lines(&["a: no case has it", "a: nothing is like both option *", "without a class: both one: option a 1 → 2"])
    );
    let refused = "both one: refused c";
    let changed = of(
        &TABLE.replace("both one: option a 1 → 2", refused),
        &[lines(&[refused]), lines(&["fresh one: refused c"])].concat(),
    );
    assert_eq!(
        changed,
        lines(&["a: nothing is like both option *", "a: both one: refused c: is nothing for this part of the page"])
    );
    let twice = TABLE.replace("    fresh one: refused c\n", "    fresh one: refused c\n    both one: option a 1 → 2\n");
    assert_eq!(
        of(&twice, &found),
        lines(&[
            "b: both one: option a 1 → 2: is nothing for this part of the page",
            "in 2 classes: both one: option a 1 → 2"
        ])
    );
    let fresh = ["fresh one: option a 1 → 2".to_owned(), found[1].clone()];
    assert_eq!(
        of(&TABLE.replace("both one", "fresh one").replace("both option", "fresh option"), &fresh),
        lines(&["a: only nodes without state have it"])
    );

    // What has changed is brought up to date, and what is new has no class.
    let new = lines(&["state one: option a 1 → 3", "fresh one: refused d", "both two: option a 1 → 2"]);
    let table = TABLE.replace("both one: option a 1 → 2", &new[0]).replace("fresh one: refused c", &new[1]);
    assert_eq!(rewritten(TABLE, &new), table);
}
