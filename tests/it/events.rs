//! `testdata/events/<case>/`: a cloud-config, the node as it was (`root/`, if anything matters), and beside them the whole of what
//! `agent.boot` answers and leaves on the node, and what `check` says.
//!
//! A document holds much that is the same in every case, because it comes from `stages/`. That is compared with `stages/` for every case
//! here, and the case shows only what is its own: what the plan's files hold, and the stages that are left out. The cases of [`WHOLE`] show
//! everything. A case with the document of role `init` and the token `x` would show
//!
//! ```text
//! 0600 /usr/local/cloud-config/cluster.kairos.yaml
//!      | # payload 53ff7cd22e0b5bd5
//!      | left out: disable disk swap
//!      | /run/provider-rke2/plan.yaml: |
//!      |   role: init
//!      | /run/provider-rke2/config.d/99_userdata.yaml: |
//!      |   {
//!      |     "token": "x"
//!      |   }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use provider_rke2::check;
use provider_rke2::cluster::locate;
use provider_rke2::findings::render::Paint;
use provider_rke2::host::Host;
use serde_yaml::{Mapping, Value};

use crate::support::{self, DOCUMENT, GATES, Node, PROGRAM};

/// One case of each role, and one with every key; the first is the pattern of what all have in common.
const WHOLE: [&str; 4] = ["role-init", "role-controlplane", "role-worker", "everything"];

/// Files of every plan that are the same in each.
const SAME: [&str; 3] = [GATES[0], GATES[1], "run/tmpfiles.d/provider-rke2.conf"];

/// How a document of ours begins.
const OURS: &str = "#cloud-config\n# payload ";

/// Where the texts are that yip evaluates.
const VALUES: &str = "/run/provider-rke2/values/";

/// Where the lines of a staged file's content stand in a document.
const CONTENT: &str = "          content: ";
const BEHIND_CONTENT: &str = "          encoding: ";
const INSIDE_CONTENT: &str = "            ";

#[test]
fn every_case_leaves_what_is_written_beside_it() {
    let common = Common::new();
    let mut whole: BTreeSet<&str> = BTreeSet::from(WHOLE);
    for directory in support::cases("events") {
        let name = directory.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(directory.join("cloud-config.yaml")).unwrap();
        let node = Node::of(&directory.join("root"));
        let before: BTreeSet<Vec<u8>> = node.files("").into_values().map(|(_, bytes)| bytes).collect();

        let host = Host::new(node.root()).unwrap();
        let mut findings = check::of_text(Some(&host), &text).findings;
        locate::locate(&mut findings, &text);
        let response = support::boot(node.root(), &text);

        let shows_all = whole.remove(name);
        let told = |path: &str, text: &str| {
            let is_new = !before.contains(text.as_bytes());
            let own = (is_new && text.starts_with(OURS)).then(|| common.own_part(text, name, &node));
            match own {
                _ if shows_all => text.to_owned(),
                Some(own) => own,
                None if common.files.get(path).is_some_and(|it| it == text) => "(as in role-init)\n".to_owned(),
                None => text.to_owned(),
            }
        };
        let mut said = String::new();
        writeln!(said, "check:\n{}", findings.to_text("cloud-config.yaml", Paint::Plain)).unwrap();
        writeln!(said, "answer:\n{}\n", serde_json::to_string_pretty(&response).unwrap()).unwrap();
        writeln!(said, "node:\n{}", support::tree_told(node.root(), &told)).unwrap();
        support::assert_expected(&directory, &said);
    }
    assert_eq!(whole, BTreeSet::new(), "there is no such case");
}

/// What all documents have in common.
struct Common {
    /// The files of `stages/`, in the order of their names.
    stages: Vec<Value>,
    /// The document of the pattern without the contents of its files: the lines before its stages, then each stage.
    pattern: Vec<String>,
    /// The files of [`SAME`] by their paths on the node.
    files: BTreeMap<String, String>,
}

impl Common {
    fn new() -> Common {
        let stages = Path::new(env!("CARGO_MANIFEST_DIR")).join("stages");
        let mut paths: Vec<PathBuf> = fs::read_dir(stages).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|it| it == "yaml"));
        paths.sort();
        let stage = |path: PathBuf| serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();

        let node = Node::new();
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/events").join(WHOLE[0]);
        support::boot(node.root(), &fs::read_to_string(case.join("cloud-config.yaml")).unwrap());
        let file = |path: &str| (format!("/{path}"), node.read(path).unwrap());
        Common {
            stages: paths.into_iter().map(stage).collect(),
            pattern: blocks(&node.read(DOCUMENT).unwrap()).0,
            files: SAME.into_iter().map(file).collect(),
        }
    }

    /// Compares a document with what all have in common, and gives the rest: what is the case's own.
    fn own_part(&self, document: &str, case: &str, node: &Node) -> String {
        let parsed: Value = serde_yaml::from_str(document).unwrap();
        let found = parsed["stages"]["boot.before"].as_sequence().unwrap();
        let files: Vec<&Value> = found.iter().filter_map(|stage| stage["files"].as_sequence()).flatten().collect();
        let content = |path: &str| files.iter().find(|it| it["path"] == path).unwrap()["content"].as_str().unwrap();
        let plan = content("/run/provider-rke2/plan.yaml");

        // The id is one, in all files and beside them.
        let id = plan.trim_end_matches('\n').rsplit(' ').next().unwrap();
        assert!(id.len() == 16 && id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')), "{case}: {id}");
        let (values, files): (Vec<&Value>, Vec<&Value>) =
            files.into_iter().partition(|it| it["path"].as_str().unwrap().starts_with(VALUES));
        assert!(files.iter().all(|it| it["content"].as_str().unwrap().ends_with(&format!("# plan {id}\n"))), "{case}");
        let values_id = values.first().map_or("", |it| it["content"].as_str().unwrap().rsplit_once(' ').unwrap().1);
        let known = [("@PROGRAM@", PROGRAM), ("@ID@", id), ("@VALUES@", values_id)];
        assert!(node.read("run/provider-rke2/plan-id").is_none_or(|it| it.trim_end() == id), "{case}");

        // Each stage as its file says it, in their order; only that of swap may be left out, and only if the plan says so.
        let keeps_swap = serde_yaml::from_str::<Value>(plan).unwrap()["settings"]["swap"] == "keep";
        let left_out = |stage: &Value| keeps_swap && stage["name"] == "disable disk swap";
        let bound = self.stages.iter().filter(|stage| !left_out(stage)).enumerate();
        let bound = bound.map(|(at, stage)| bind(stage, found.get(at).unwrap_or(&Value::Null), &known)).collect();
        let boot = Mapping::from_iter([("boot.before".into(), Value::Sequence(bound))]);
        let name = "RKE2 Kairos Cluster Provider".into();
        let expected = Mapping::from_iter([("name".into(), name), ("stages".into(), Value::Mapping(boot))]);
        let yaml = |value: &Value| serde_yaml::to_string(value).unwrap();
        assert_eq!(yaml(&parsed), yaml(&Value::Mapping(expected)), "{case}: not the stages of stages/");

        // The same text, too: comments, quotes and indentation.
        let (blocks, contents) = blocks(document);
        let missing: Vec<&String> = self.pattern.iter().filter(|block| !blocks.contains(block)).collect();
        let rest: Vec<&String> = self.pattern.iter().filter(|block| !missing.contains(block)).collect();
        assert_eq!(blocks.iter().collect::<Vec<_>>(), rest, "{case}: not written as in {}", WHOLE[0]);
        assert_eq!(missing.len(), usize::from(keeps_swap), "{case}: {missing:?}");

        let payload = document.lines().nth(1).unwrap();
        let mut own = format!("{payload}\n");
        for stage in self.stages.iter().filter(|stage| left_out(stage)) {
            writeln!(own, "left out: {}", stage["name"].as_str().unwrap()).unwrap();
        }
        for (file, lines) in files.iter().chain(&values).zip(contents) {
            writeln!(own, "{}: {}", file["path"].as_str().unwrap(), lines[0]).unwrap();
            let last = format!("# plan {id}");
            let lines = lines[1..].strip_suffix(&[&last[..]]).unwrap_or(&lines[1..]);
            for line in lines {
                writeln!(own, "{}{line}", if line.is_empty() { "" } else { "  " }).unwrap();
            }
        }
        own
    }
}

/// A stage of `stages/` with its `@NAMES@` filled: by what is known, and by what stands in its place in the document. The entry with `@NUMBER@`, the
/// last of its list, stands there any number of times.
fn bind(stage: &Value, found: &Value, known: &[(&str, &str)]) -> Value {
    match stage {
        Value::Mapping(entries) => {
            let bound = entries.iter().map(|(key, value)| (key.clone(), bind(value, &found[key], known)));
            Value::Mapping(bound.collect())
        }
        Value::Sequence(items) => {
            let (each, fixed): (Vec<&Value>, Vec<&Value>) =
                items.iter().partition(|it| it["path"].as_str().is_some_and(|path| path.contains("@NUMBER@")));
            let bound = fixed.iter().enumerate().map(|(at, item)| bind(item, &found[at], known));
            let more = each.iter().flat_map(|item| {
                let all = found.as_sequence().map_or(&[][..], Vec::as_slice);
                let rest = all.get(fixed.len()..).unwrap_or_default().iter().enumerate();
                rest.map(|(number, found)| {
                    let number = number.to_string();
                    let known: Vec<_> = known.iter().copied().chain([("@NUMBER@", number.as_str())]).collect();
                    bind(item, found, &known)
                })
            });
            bound.chain(more).collect()
        }
        Value::String(text) => {
            let text = known.iter().fold(text.clone(), |text, (name, value)| text.replace(name, value));
            let Some((before, rest)) = text.split_once('@') else { return text.into() };
            let (_, after) = rest.split_once('@').unwrap();
            let found = found.as_str().unwrap_or_default();
            let own = found.strip_prefix(before).and_then(|it| it.strip_suffix(after)).unwrap_or("?");
            format!("{before}{own}{after}").into()
        }
        other => other.clone(),
    }
}

/// The lines before the stages of a document and each stage, all without what differs and the files of templates; and the lines of each staged file's content as they
/// are written, which differ.
fn blocks(document: &str) -> (Vec<String>, Vec<Vec<&str>>) {
    let (mut blocks, mut contents) = (vec![String::new()], Vec::<Vec<&str>>::new());
    let (mut is_content, mut is_value) = (false, false);
    for line in document.lines() {
        if line.starts_with("        - path: ") || !line.starts_with("         ") {
            is_value = line.contains(VALUES);
        }
        if line.starts_with("    - ") {
            blocks.push(String::new());
        }
        is_content &= !line.starts_with(BEHIND_CONTENT);
        if is_content {
            contents.last_mut().unwrap().push(line.strip_prefix(INSIDE_CONTENT).unwrap_or(line));
        } else if let Some(first) = line.strip_prefix(CONTENT) {
            is_content = true;
            contents.push(vec![first]);
        } else if !is_value && !line.starts_with("# payload ") {
            writeln!(blocks.last_mut().unwrap(), "{line}").unwrap();
        }
    }
    (blocks, contents)
}
