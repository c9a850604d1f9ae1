//! What `apply config` merges, for all texts and for generated drop-ins: readers of other makes get back what was
//! meant, a second run changes nothing, and where the jq merge of the Go provider gives a sensible result, ours is the
//! same.

use crate::support::{self, DROP_INS};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use provider_rke2::text::yaml::{self, Kind, Node, OPTIONS, Yaml11};
use serde_json::{Map, Value as Json, json};

const USER: &str = "90_userdata.yaml";
const OWNER: &str = "99_userdata.yaml";

/// A server that joins.
const CLUSTER: &str = "#cloud-config\ncluster:\n  role: controlplane\n  cluster_token: a-token-that-is-long-enough\n  \
                       control_plane_host: 10.10.0.5\n";

// ---- a node ----

/// An option as it is written in a file: name, with `+` or without, and YAML of one line.
type Written = (String, String);

/// The drop-ins of one node by name; `90_userdata.yaml` is the user's `config`.
type Files = BTreeMap<String, Vec<Written>>;

fn lines(options: &[Written]) -> String {
    options.iter().fold(String::new(), |lines, (name, value)| lines + name + ": " + value + "\n")
}

/// A server that joins, with these drop-ins, and its configuration installed.
fn node(files: &Files) -> support::Node {
    let node = support::Node::new();
    let directory = node.path(DROP_INS);
    fs::create_dir_all(&directory).unwrap();
    let mut config = format!("{CLUSTER}  config: |\n    # the user's\n");
    for (name, options) in files {
        if name == USER {
            lines(options).lines().for_each(|line| writeln!(config, "    {line}").unwrap());
        } else {
            fs::write(directory.join(name), lines(options)).unwrap();
        }
    }
    let answer = support::boot(node.root(), &config);
    assert_eq!(answer.error, "", "{config}");
    evaluate(&node);
    let failed = support::apply(node.root(), None).1;
    assert!(failed.is_empty(), "{failed:?}: {files:#?}");
    keep(node.root());
    node
}

/// Lays out what looks like a template as if yip had made the text itself of it.
fn evaluate(node: &support::Node) {
    for (path, content) in node.asked() {
        if let Some((text, id)) = content.rsplit_once("{{\"\\n\"}}# values ") {
            node.write(&path, format!("{text}\n# values {id}"), 0o600);
        }
    }
}

/// Keeps what RKE2 would read of a node for its real reader (`tests/lab/reader`), in the directory that the environment names.
fn keep(root: &Path) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let Some(directory) = env::var_os("PROVIDER_RKE2_KEEP_NODES") else { return };
    let kept = Path::new(&directory).join(format!("merge-property-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    for file in ["run/provider-rke2/plan.yaml", "etc/rancher/rke2/config.yaml"] {
        fs::create_dir_all(kept.join(file).parent().unwrap()).unwrap();
        fs::copy(root.join(file), kept.join(file)).unwrap();
    }
}

// ---- what is read back ----

/// A file as readers of three makes take it, which must be the same. That one reads JSON says that all text is quoted.
fn read(text: &str) -> Map<String, Json> {
    let json: Json = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let other: Json = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(other, json, "{text}");
    let own = yaml::read(text, yaml::Limits { nodes: usize::MAX, ..OPTIONS })
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(yaml11(&own.root), json, "{text}");
    match json {
        Json::Object(options) => options,
        other => panic!("not an object: {other}"),
    }
}

/// What RKE2's reader makes of a node, without the white space that it trims.
fn yaml11(node: &Node) -> Json {
    match &node.kind {
        Kind::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.scalar.text.clone(), yaml11(value))).collect())
        }
        Kind::List(items) => items.iter().map(yaml11).collect(),
        Kind::Scalar(scalar) => match scalar.yaml11() {
            Yaml11::Null => Json::Null,
            Yaml11::Bool(it) => it.into(),
            Yaml11::Int(it) => i64::try_from(it).unwrap().into(),
            Yaml11::Float(it) => it.into(),
            Yaml11::Text(it) => it.into(),
        },
    }
}

fn merged(node: &support::Node) -> Map<String, Json> {
    read(&fs::read_to_string(node.path("etc/rancher/rke2/config.yaml")).unwrap())
}

/// The names of the options in the order in which they are written, each at the start of a line.
fn order(json: &str) -> Vec<&str> {
    let names = json.lines().filter_map(|line| line.strip_prefix("  \"")?.split_once("\": "));
    names.map(|(name, _)| name).collect()
}

/// Everything that a second run could rewrite: its path, when it was written, and what it is.
fn state(root: &Path) -> (Vec<(PathBuf, SystemTime)>, String) {
    fs::remove_dir_all(root.join("var/log")).unwrap();
    let mut directories = vec![root.join("etc"), root.join("run"), root.join("usr")];
    let mut times = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            times.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
            directories.extend(entry.file_type().unwrap().is_dir().then(|| entry.path()));
        }
    }
    times.sort();
    (times, support::tree(root))
}

/// A text as JSON and every YAML reader take it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' | '\u{10000}'.. => quoted.push(c),
            _ => write!(quoted, "\\u{:04x}", u32::from(c)).unwrap(),
        }
    }
    quoted + "\""
}

fn quoted_list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

// ---- texts ----

#[test]
fn every_nasty_string_is_read_back_as_it_is() {
    let strings = support::nasty_strings();
    let list = quoted_list(&strings);
    let files = Files::from([
        (USER.to_owned(), vec![("kubelet-arg".to_owned(), list.clone()), ("new-list".to_owned(), list.clone())]),
        ("zz.yaml".to_owned(), vec![("node-label".to_owned(), list.clone()), ("other-list".to_owned(), list)]),
    ]);
    let merged = merged(&node(&files));
    // RKE2 trims white space; of equal items the last stays, empty ones are left out.
    let mut seen = BTreeSet::new();
    let from_last = strings.iter().rev().map(|it| it.trim()).filter(|it| !it.is_empty() && seen.insert(*it));
    let mut meant: Vec<&str> = from_last.collect();
    meant.reverse();
    for name in ["kubelet-arg", "new-list", "node-label", "other-list"] {
        assert_eq!(merged[name], json!(meant), "{name}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => vec(select(&support::ATOMS[..]), 0..6).prop_map(|atoms| atoms.concat()),
        1 => any::<String>(),
        1 => "[ -~]{0,9}",
    ]
    // RKE2 trims white space, and what is empty is left out: tested above, and in the way here.
    .prop_map(|text| format!("x{}", text.trim()).trim().to_owned())
}

// ---- what is meant ----

/// What a file says of an option.
#[derive(Debug, Clone)]
enum Meant {
    /// A single value: the last counts.
    Single(Json),
    /// Items that take the place of those of earlier files.
    Replace(Vec<String>),
    /// Items that add to them.
    Append(Vec<String>),
    /// `[]`: what earlier files gave is discarded.
    Discard,
    /// No opinion.
    Nothing,
}

fn single(
    names: &'static [&'static str],
    value: impl Strategy<Value = (String, Json)> + 'static,
) -> BoxedStrategy<(Written, Meant)> {
    let nothing = prop_oneof![8 => Just(None), 1 => select(vec!["null", "~", "\"\"", ""]).prop_map(Some)];
    (select(names), value, nothing)
        .prop_map(|(name, (written, meant), nothing)| match nothing {
            Some(nothing) => ((name.to_owned(), nothing.to_owned()), Meant::Nothing),
            None => ((name.to_owned(), written), Meant::Single(meant)),
        })
        .boxed()
}

/// Some items, half of them of a few, so that some are equal.
fn items(splits: bool) -> impl Strategy<Value = Vec<String>> {
    let item = if splits { "[0-9a-f:.]{1,6}".boxed() } else { text().boxed() };
    vec(prop_oneof![item, select(vec!["a=1", "b=1", "c=1"]).prop_map(str::to_owned)], 1..5)
}

/// A list, written as one, as a single value, or, where RKE2 splits, with commas.
fn list(names: &'static [&'static str], replaces: bool, splits: bool) -> BoxedStrategy<(Written, Meant)> {
    (select(names), items(splits), 0..10, any::<bool>())
        .prop_map(move |(name, items, form, plus)| {
            let name = if plus { format!("{name}+") } else { name.to_owned() };
            match form {
                0 if plus => ((name, "[]".to_owned()), Meant::Append(Vec::new())),
                0 => ((name, "[]".to_owned()), Meant::Discard),
                1 => ((name, "null".to_owned()), Meant::Nothing),
                _ => {
                    let written = match form {
                        2..4 if splits => quoted(&items.join(" , ")),
                        2..6 if items.len() == 1 => quoted(&items[0]),
                        _ => quoted_list(&items),
                    };
                    let meant = if replaces && !plus { Meant::Replace(items) } else { Meant::Append(items) };
                    ((name, written), meant)
                }
            }
        })
        .boxed()
}

/// An option of any class, in any way to write it that has one meaning.
fn option() -> impl Strategy<Value = (Written, Meant)> {
    let boolean =
        (select(vec!["true", "yes", "on", "y", "t", "1", "false", "no", "off", "n", "f", "0"]), 0..3, any::<bool>())
            .prop_map(|(word, letters, quotes)| {
                let spelled = match letters {
                    0 => word.to_owned(),
                    1 => word.to_uppercase(),
                    _ => word[..1].to_uppercase() + &word[1..],
                };
                let meant = ["true", "yes", "on", "y", "t", "1"].contains(&word);
                (if quotes { format!("\"{spelled}\"") } else { spelled }, json!(meant))
            });
    let integer = (0..1_000_000_i64, 0..5).prop_map(|(it, form)| {
        let written = match form {
            0 => format!("{it:#x}"),
            1 => format!("0{it:o}"),
            2 => format!("\"{it}\""),
            3 => format!("{it:#b}"),
            _ => it.to_string(),
        };
        (written, json!(it))
    });
    let duration = (1..500_u32, select(vec!["ns", "us", "ms", "s", "m", "h"]))
        .prop_map(|(it, unit)| (format!("{it}{unit}"), json!(format!("{it}{unit}"))));
    let mode = (select(vec![0o644, 0o640, 0o600, 0o440, 0o400]), 0..4).prop_map(|(it, form)| {
        let written = match form {
            0 => format!("0{it:o}"),
            1 => format!("{it:o}"),
            2 => format!("\"{it:04o}\""),
            _ => it.to_string(),
        };
        (written, json!(format!("{it:04o}")))
    });
    let any_text = || text().prop_map(|it| (quoted(&it), json!(it)));
    prop_oneof![
        single(&["debug", "selinux", "etcd-s3"], boolean),
        single(&["v", "lb-server-port", "etcd-snapshot-retention"], integer),
        single(&["etcd-s3-timeout", "etcd-snapshot-reconcile-interval"], duration),
        single(&["write-kubeconfig-mode"], mode),
        single(&["node-name", "resolv-conf", "etcd-s3-folder"], any_text()),
        single(&["new-a", "new-b"], any_text()),
        list(&["cluster-cidr", "node-ip", "cni"], true, true),
        list(&["tls-san", "disable"], false, true),
        list(&["kubelet-arg", "node-label", "kube-apiserver-arg"], false, false),
    ]
}

/// Drop-ins with their options; none is named twice in a file.
fn files() -> impl Strategy<Value = BTreeMap<String, Vec<(Written, Meant)>>> {
    const NAMES: [&str; 8] = ["10-a.yaml", "50.YML", "9.yml", USER, "95-b.yaml", "99_z.yaml", "A.yaml", "zz.yaml"];
    btree_map(select(&NAMES[..]).prop_map(str::to_owned), vec(option(), 0..8), 1..5).prop_map(|mut files| {
        for options in files.values_mut() {
            let mut seen = BTreeSet::new();
            options.retain(|((name, _), _)| seen.insert(name.trim_end_matches('+').to_owned()));
        }
        files
    })
}

/// What the drop-ins mean together, by the contract's table; the provider's own file takes its place among them.
fn meaning(files: &BTreeMap<String, Vec<(Written, Meant)>>) -> Map<String, Json> {
    let own = |name: &str, meant| ((name.to_owned(), String::new()), meant);
    let mut files = files.clone();
    files.insert(
        OWNER.to_owned(),
        vec![
            own("token", Meant::Single(json!("a-token-that-is-long-enough"))),
            own("server", Meant::Single(json!("https://10.10.0.5:9345"))),
            own("tls-san", Meant::Append(vec!["10.10.0.5".to_owned()])),
        ],
    );
    let mut merged = Map::new();
    for ((name, _), meant) in files.into_values().flatten() {
        let name = name.trim_end_matches('+').to_owned();
        let before = match &meant {
            Meant::Append(_) => merged.get(&name).and_then(Json::as_array).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        match meant {
            Meant::Nothing => {}
            Meant::Discard => drop(merged.remove(&name)),
            Meant::Single(value) => drop(merged.insert(name, value)),
            Meant::Replace(items) | Meant::Append(items) => {
                let all: Vec<Json> = before.into_iter().chain(items.into_iter().map(Json::from)).collect();
                let last = all.iter().enumerate().filter(|(at, item)| !all[at + 1..].contains(item));
                merged.insert(name, last.map(|(_, item)| item.clone()).collect());
                merged.retain(|_, value| value != &json!([]));
            }
        }
    }
    merged
}

proptest! {
    #![proptest_config(support::generated(120))]

    #[test]
    fn drop_ins_of_many_authors_mean_what_the_table_says(files in files()) {
        let written = |options: &[(Written, Meant)]| options.iter().map(|(written, _)| written.clone()).collect();
        let node = node(&files.iter().map(|(name, options)| (name.clone(), written(options))).collect());
        prop_assert_eq!(merged(&node), meaning(&files));

        let before = state(node.root());
        let (done, failed) = support::apply(node.root(), None);
        prop_assert_eq!(failed, Vec::<String>::new());
        prop_assert!(done.iter().any(|it| it.contains("config.yaml unchanged")), "{:?}", done);
        prop_assert_eq!(state(node.root()), before);
    }
}

// ---- jq ----

/// How the Go provider merges the files of config.d.
const MERGE: &str = r#"
def flatten: reduce .[] as $i([]; if $i | type == "array" then . + ($i | flatten) else . + [$i] end);
[.[] | to_entries] | flatten | reduce .[] as $dot ({}; .[$dot.key] += $dot.value)"#;

/// What jq makes of all files of config.d, in the order of their names.
fn jq(node: &support::Node) -> String {
    let directory = node.path(DROP_INS);
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let output = Command::new("jq").args(["-s", MERGE]).args(&paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Drop-ins that jq merges sensibly: a single value and a list that is replaced stand in one file, lists that are
/// appended have no equal items, all are JSON.
fn sensible() -> impl Strategy<Value = Vec<(String, Map<String, Json>)>> {
    const SINGLE: [&str; 12] = [
        "debug", "selinux", "v", "etcd-snapshot-retention", "etcd-s3-timeout", "write-kubeconfig-mode", "node-name",
        "resolv-conf", "new-single", "cluster-cidr", "cni", "ingress-controller",
    ];
    const APPEND: [&str; 6] = ["tls-san", "disable", "kubelet-arg", "node-label", "kube-apiserver-arg", "new-list"];
    const NAMES: [&str; 7] = ["10-a.yaml", "50.yaml", "9.yaml", USER, "95-b.yaml", "A.yaml", "zz.yaml"];
    let value = |name: &str| match name {
        "debug" | "selinux" => any::<bool>().prop_map(Json::from).boxed(),
        "v" | "etcd-snapshot-retention" => (0..100_000).prop_map(Json::from).boxed(),
        "etcd-s3-timeout" => (1..100).prop_map(|it| json!(format!("{it}s"))).boxed(),
        "write-kubeconfig-mode" => Just(json!("0640")).boxed(),
        "cluster-cidr" | "cni" | "ingress-controller" => {
            btree_set("[a-z0-9./]{1,9}", 1..3).prop_map(|items| items.into_iter().collect()).boxed()
        }
        _ => text().prop_map(Json::from).boxed(),
    };
    let singles = SINGLE.map(|name| (Just(name), value(name), 0..NAMES.len()));
    let lists = vec((select(&APPEND[..]), btree_set("[a-z0-9=.]{1,9}", 1..4), 0..NAMES.len()), 0..12);
    let files = subsequence(&NAMES[..], 1..=NAMES.len());
    (files, subsequence((0..SINGLE.len()).collect::<Vec<_>>(), 0..=SINGLE.len()), singles.to_vec(), lists).prop_map(
        |(names, chosen, singles, lists)| {
            let mut files: Vec<(String, Map<String, Json>)> =
                names.iter().map(|name| ((*name).to_owned(), Map::new())).collect();
            let count = files.len();
            for (name, value, file) in chosen.into_iter().map(|at| singles[at].clone()) {
                files[file % count].1.insert(name.to_owned(), value);
            }
            let mut seen = BTreeSet::new();
            for (name, items, file) in lists {
                let new: Vec<Json> =
                    items.into_iter().filter(|item| seen.insert((name, item.clone()))).map(Json::from).collect();
                let list = files[file % count].1.entry(name).or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().extend(new);
            }
            for (_, options) in &mut files {
                options.retain(|_, value| value != &json!([]));
            }
            files
        },
    )
}

/// JSON that YAML readers take too.
fn json_of(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(json_of).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[test]
fn where_jq_is_sensible_we_merge_as_it_does() {
    if Command::new("jq").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "CI has to have jq");
        // Not println!, which is only shown if a test fails.
        writeln!(io::stderr(), "not compared with jq, which is not installed").unwrap();
        return;
    }
    proptest!(support::generated(80), |(files in sensible())| {
        let node = support::Node::new();
        let directory = node.path(DROP_INS);
        fs::create_dir_all(&directory).unwrap();
        let mut config = CLUSTER.to_owned();
        for (name, options) in &files {
            let entry = |(name, value): (&String, &Json)| format!("{}: {}", quoted(name), json_of(value));
            let object = format!("{{{}}}", options.iter().map(entry).collect::<Vec<_>>().join(", "));
            match name.as_str() {
                USER => writeln!(config, "  config: {object}").unwrap(),
                _ => fs::write(directory.join(name), format!("{object}\n")).unwrap(),
            }
        }
        let answer = support::boot(node.root(), &config);
        prop_assert_eq!(answer.error, "");
        evaluate(&node);
        let (_, failed) = support::apply(node.root(), None);
        prop_assert_eq!(failed, Vec::<String>::new());

        let theirs = jq(&node);
        let ours = fs::read_to_string(node.path("etc/rancher/rke2/config.yaml")).unwrap();
        prop_assert_eq!(read(&ours), serde_json::from_str::<Map<String, Json>>(&theirs).unwrap());
        prop_assert_eq!(order(&ours), order(&theirs));
        prop_assert!(order(&ours).len() >= 3, "token, server and tls-san are always there");
    });
}
