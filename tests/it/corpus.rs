//! Cloud-configs and RKE2 configurations of other people: what `check` says of each
//! (`testdata/corpus-verdicts.tsv`), that `agent.boot` comes to the same, and that no answer holds a secret of theirs.
//!
//! The texts belong to others, so only their names and the verdicts are committed. `PROVIDER_RKE2_CORPUS` names the
//! folder: cloud-configs in it, files of RKE2's options in its `rke2-config/`. `UPDATE_VERDICTS=1` writes the table
//! anew: read the difference.

use crate::support;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use provider_rke2::findings::code::Code;
use serde_yaml::Value;

/// How many files the corpus has: one that is lost, or one that nobody judged, fails.
const CLOUD_CONFIGS: usize = 138;
const OPTIONS: usize = 54;

/// What `check` says of a file that Kairos leaves out, or of one that is none of our business; the event has no such file.
const FILE_CODES: [&str; 5] =
    ["header-missing", "byte-order-mark", "file-too-large", "no-cluster-section", "embedded-registry-without-mirrors"];

/// Where the files stand that a cloud-config writes; `check` alone looks at them.
const BESIDE: [&str; 2] = ["write_files", "stages"];

const TOKEN: &str = "7f3a9c51e2b84d06-token-of-this-test";

const HEADER: &str = "\
# What the program says of each file of the corpus (tests/it/corpus.rs), without a word of the file itself.
# UPDATE_VERDICTS=1 PROVIDER_RKE2_CORPUS=DIR cargo test --test it corpus:: writes it anew; a person reads each changed line.
# rke2-config/*: the file as text under cluster.config, role init; `as mapping`: the same file as a mapping.
# file\texit status of check\twhat agent.boot came to\tcodes of the findings, with how many there are
";

/// The folder of the corpus; nothing where it may be missing.
fn corpus() -> Option<PathBuf> {
    let folder = env::var_os("PROVIDER_RKE2_CORPUS").map(PathBuf::from);
    match &folder {
        Some(folder) => assert!(folder.is_dir(), "PROVIDER_RKE2_CORPUS: {} is no folder", folder.display()),
        // Past the capture of the test harness: a person must see it.
        None => io::stderr().write_all(b"PROVIDER_RKE2_CORPUS is not set, so the corpus is left out\n").unwrap(),
    }
    folder
}

/// The files of a folder that end in `.yaml`, by the number at the start of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some_and(|it| it == "yaml"));
    let number = |it: &Path| name(it).split('-').next().and_then(|it| it.parse::<u32>().ok());
    files.sort_by(|a, b| (number(a), a).cmp(&(number(b), b)));
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// A cloud-config and the name of its verdict.
struct Case {
    name: String,
    text: String,
}

fn cases(corpus: &Path) -> Vec<Case> {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let cloud_configs = files(corpus);
    assert_eq!(cloud_configs.len(), CLOUD_CONFIGS, "cloud-configs in {}", corpus.display());
    let mut cases: Vec<Case> =
        cloud_configs.iter().map(|it| Case { name: name(it).to_owned(), text: read(it) }).collect();

    let options = files(&corpus.join("rke2-config"));
    assert_eq!(options.len(), OPTIONS, "files in rke2-config of {}", corpus.display());
    for path in options {
        let (text, name) = (read(&path), format!("rke2-config/{}", name(&path)));
        cases.push(Case { text: embedded(&text, " |2"), name: name.clone() });
        // What serde_yaml does not take for a mapping (a template, a key that stands twice) can be given as text only.
        if serde_yaml::from_str::<Value>(&text).is_ok_and(|it| it.is_mapping()) {
            cases.push(Case { text: embedded(&text, ""), name: format!("{name} as mapping") });
        }
    }
    cases
}

fn embedded(options: &str, indicator: &str) -> String {
    let mut text = format!(
        "#cloud-config\ncluster:\n  role: init\n  cluster_token: {TOKEN}\n  control_plane_host: vip.corpus.test\n  \
         config:{indicator}\n"
    );
    for line in options.lines() {
        writeln!(text, "{}{line}", if line.is_empty() { "" } else { "    " }).unwrap();
    }
    text
}

/// What the program says of one cloud-config.
struct Verdict {
    exit: i32,
    boot: String,
    codes: BTreeMap<String, u64>,
    /// Everything that a person, a log or the agent gets to see.
    said: String,
}

impl Verdict {
    fn line(&self, name: &str) -> String {
        let codes: Vec<String> = self.codes.iter().map(|(code, count)| format!("{code}={count}")).collect();
        format!("{name}\t{}\t{}\t{}", self.exit, self.boot, codes.join(" ")).trim_end().to_owned()
    }
}

/// Runs the program: its exit status and what it printed.
fn run(root: &Path, arguments: &[&str]) -> (i32, String, String) {
    let ran = support::run(Command::new(support::BINARY).arg("--root").arg(root).args(arguments), b"");
    (ran.code.expect("ended by a signal"), ran.stdout, ran.stderr)
}

fn judge(case: &Case, file: &Path) -> Verdict {
    let name = &case.name;
    fs::write(file, &case.text).unwrap();
    let path = file.to_str().unwrap();
    let node = tempfile::tempdir().unwrap();

    let (exit, json, mut said) = run(node.path(), &["check", "--format", "json", path]);
    for format in ["text", "github", "sarif"] {
        let (again, out, err) = run(node.path(), &["check", "--format", format, path]);
        assert_eq!(again, exit, "{name}: check --format {format}");
        said += &(out + &err);
    }
    let found: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let mut codes = BTreeMap::new();
    for finding in &found {
        *codes.entry(finding["code"].as_str().unwrap().to_owned()).or_default() +=
            finding["more"].as_u64().unwrap_or(1);
    }
    said += &json;

    let (rendered, document, err) = run(node.path(), &["render", path]);
    said += &document;
    said += &err;

    let response = support::boot(node.path(), &case.text);
    said += &serde_json::to_string(&response).unwrap();
    let on_node = |path: &str| fs::read_to_string(node.path().join(path)).unwrap_or_default();
    let (log, status) = (on_node(support::LOG), on_node("run/provider-rke2/status.yaml"));
    let (refused, issue) = (on_node(support::REFUSED), on_node(support::ISSUE));
    let written = on_node(support::DOCUMENT);
    let status_read: Value = serde_yaml::from_str(&status).unwrap();
    let boot = status_read["plan"].as_str().unwrap().to_owned();

    // One outcome, the same by check, render and boot; but for what keeps Kairos from collecting the file at all.
    let is_beside = |path: &str| BESIDE.iter().any(|it| path.starts_with(it));
    let is_of_file = |it: &&serde_json::Value| {
        FILE_CODES.contains(&it["code"].as_str().unwrap()) || it["path"].as_str().is_some_and(is_beside)
    };
    let is_of_text = |it: &&serde_json::Value| !is_of_file(it);
    let is_unreadable = codes.contains_key("cloud-config-unreadable");
    let is_refused = found.iter().filter(is_of_text).any(|it| it["severity"] == "refused");
    let by_check = match (exit, is_refused) {
        (1, _) if is_unreadable => "unreadable",
        (1, true) => "refused",
        (0 | 1, false) if serde_yaml::from_str::<Value>(&case.text).is_ok_and(|it| it["cluster"].is_null()) => "absent",
        (0 | 1, false) => "planned",
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(boot, by_check, "{name}: boot and check differ: {said}");
    let any_refused = found.iter().any(|it| it["severity"] == "refused");
    assert_eq!(rendered, i32::from(any_refused), "{name}: render");
    assert_eq!(document.is_empty(), any_refused || boot != "planned", "{name}: rendered {document}");
    assert_eq!(written.is_empty(), boot != "planned", "{name}: {written}");
    assert_eq!(refused.is_empty(), boot != "refused", "{name}: {refused}");
    assert_eq!(response.error.is_empty(), boot != "refused", "{name}: {response:?}");
    let is_wrong = found.iter().filter(is_of_text).any(|it| it["severity"] == "error") || boot == "unreadable";
    assert_eq!(issue.is_empty(), !is_wrong && boot != "refused", "{name}: {issue}");

    for finding in found.iter().filter(|it| it.get("message").is_some()) {
        let is_said = is_of_text(&finding);
        let message = finding["message"].as_str().unwrap();
        assert!(message.len() <= 1024 && !message.ends_with('.') && !message.contains('\n'), "{name}: {message}");
        let line = finding["line"].as_u64().unwrap();
        assert!((1..=case.text.lines().count() as u64).contains(&line), "{name}: line {line}: {message}");
        // The same sentence everywhere; what keeps Kairos from reading a file is found file by file.
        if boot != "unreadable" && is_said {
            assert!(log.contains(message), "{name}: the log lacks {message}:\n{log}");
        }
    }
    said.extend([log, status, refused, issue]);
    Verdict { exit, boot, codes, said }
}

/// What is secret and what is not, in the words of another reader.
#[derive(Default)]
struct Words {
    secret: BTreeSet<String>,
    plain: BTreeSet<String>,
}

impl Words {
    fn of(case: &Case) -> Words {
        let mut words = Words::default();
        if let Ok(text) = serde_yaml::from_str::<Value>(&case.text) {
            words.value(&text["cluster"], false);
        }
        // Also where the text does not parse, or its options do not.
        for line in case.text.lines() {
            if let Some((key, value)) = line.split_once(':')
                && support::SECRET_OPTIONS.contains(&key.trim())
            {
                let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
                words.secret.insert(value.to_owned());
            }
        }
        // What the program says of itself tells nothing: `abcdef.0123456789abcdef` is an example of its own too.
        words.plain.extend(Code::ALL.iter().map(|code| code.explain().to_owned()));
        let plain = words.plain.iter().cloned().collect::<Vec<_>>().join("\n");
        words.secret.retain(|it| it.len() >= 8 && !plain.contains(it.as_str()));
        words
    }

    fn value(&mut self, value: &Value, secret: bool) {
        match value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    let key = text(key);
                    let is_secret = support::SECRET_OPTIONS.contains(&key.trim_end_matches('+'));
                    if key.ends_with("-extra-env") {
                        self.variables(value);
                    } else if let ("config", Some(options)) = (key.as_str(), value.as_str()) {
                        if let Ok(options) = serde_yaml::from_str::<Value>(options) {
                            self.value(&options, false);
                        }
                    } else {
                        self.value(value, secret || is_secret || key == "env");
                    }
                    self.plain.insert(key);
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.value(item, secret)),
            scalar => self.text(&text(scalar), secret),
        }
    }

    /// `NAME=value`, one or a list of them.
    fn variables(&mut self, value: &Value) {
        let items = value.as_sequence().cloned().unwrap_or_else(|| vec![value.clone()]);
        for item in items {
            let item = text(&item);
            let (name, value) = item.split_once('=').unwrap_or(("", &item));
            self.plain.insert(name.to_owned());
            self.secret.insert(value.to_owned());
        }
    }

    fn text(&mut self, text: &str, secret: bool) {
        let user = text.split_once("://").and_then(|(scheme, rest)| {
            let (user, host) = rest.rsplit_once('@')?;
            Some((scheme, user, host))
        });
        match user {
            Some((_, user, host)) => {
                self.secret.extend(user.split(':').chain([user]).map(str::to_owned));
                if !secret {
                    self.plain.insert(host.to_owned());
                }
            }
            None if !secret => {
                self.plain.insert(text.to_owned());
            }
            None => {}
        }
        if secret {
            self.secret.insert(text.trim().to_owned());
        }
    }
}

fn text(scalar: &Value) -> String {
    match scalar {
        Value::String(it) => it.clone(),
        Value::Number(it) => it.to_string(),
        Value::Bool(it) => it.to_string(),
        _ => String::new(),
    }
}

/// The secret and what encoders make of it.
fn forms(secret: &str) -> BTreeSet<String> {
    let percent = |kept: &[u8]| {
        let kept = |byte: u8| byte.is_ascii_alphanumeric() || kept.contains(&byte);
        secret.bytes().map(|it| if kept(it) { char::from(it).to_string() } else { format!("%{it:02X}") }).collect()
    };
    let json = serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    // Go's encoding/json; its strconv.Quote is JSON for what is printable.
    let go = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let query: String = percent(b"-_.~ ");
    let shell = secret.replace('\'', "'\\''");
    BTreeSet::from([
        secret.to_owned(),
        // Without padding it is the beginning of the one with padding.
        support::base64(secret.as_bytes(), *b"+/"),
        support::base64(secret.as_bytes(), *b"-_"),
        percent(b"-_.~"),
        percent(b"-_.~/:@!$&'()*+,;="),
        query.replace(' ', "+"),
        format!("{secret:?}").trim_matches('"').to_owned(),
        json,
        go,
        shell,
    ])
}

#[test]
fn every_file_gets_its_verdict_and_keeps_its_secrets() {
    let Some(corpus) = corpus() else { return };
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("cloud-config.yaml");
    let (mut table, mut secrets, mut leaks) = (HEADER.to_owned(), BTreeSet::new(), Vec::new());
    for case in cases(&corpus) {
        let verdict = judge(&case, &file);
        for code in verdict.codes.keys() {
            assert!(Code::ALL.iter().any(|it| it.as_str() == code), "{}: {code}", case.name);
        }
        writeln!(table, "{}", verdict.line(&case.name)).unwrap();
        for secret in Words::of(&case).secret {
            for form in forms(&secret).into_iter().filter(|form| verdict.said.contains(form)) {
                let line = verdict.said.lines().find(|line| line.contains(&form)).unwrap_or_default();
                leaks.push(format!("{}: {form}: {line}", case.name));
            }
            secrets.insert(secret);
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    // Were none found, nothing would have been looked for.
    assert!(secrets.len() > 100, "only {} secrets were found in the corpus", secrets.len());

    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus-verdicts.tsv");
    if env::var_os("UPDATE_VERDICTS").is_some() {
        fs::write(&committed, &table).unwrap();
    }
    let committed = fs::read_to_string(committed).unwrap_or_default();
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (committed.lines().collect(), table.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let come = new.difference(&old).map(|line| format!("+ {line}"));
    let changed: Vec<String> = gone.chain(come).collect();
    assert!(committed == table, "testdata/corpus-verdicts.tsv differs:\n{}", changed.join("\n"));
}

#[test]
fn forms_of_a_secret() {
    let forms = forms("pa&s w/ö'");
    for form in ["cGEmcyB3L8O2Jw", "pa%26s%20w%2F%C3%B6%27", "pa\\u0026s w/ö'", "pa%26s+w%2F%C3%B6%27"] {
        assert!(forms.contains(form), "{form} is not in {forms:?}");
    }
}
