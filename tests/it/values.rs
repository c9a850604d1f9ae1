//! `testdata/values/<code>/cases.yaml`: options, one bad thing in each case, and near misses (`fine`), with what `check` says of each beside
//! them. And what the real RKE2 said of single values, which `check` must know too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use provider_rke2::findings::code::Code;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support;

/// The options of a node.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Whether it is a near miss, of which nothing is said.
    #[serde(default)]
    fine: bool,
    role: Option<String>,
    /// The version to judge for.
    rke2: Option<String>,
    host: Option<String>,
    /// Files of the image, which are empty.
    #[serde(default)]
    image: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    config: serde_yaml::Value,
}

impl Case {
    fn cloud_config(&self) -> String {
        let role = self.role.as_deref().unwrap_or("init");
        let host = self.host.as_deref().or((role != "init").then_some("cp.example"));
        // A joining node is told when its token does not name the cluster.
        let token = match role {
            "init" => "a-token-that-is-long-enough".to_owned(),
            _ => format!("K10{}::server:a-password-that-is-long", "0f".repeat(32)),
        };
        let mut section = json!({ "role": role, "cluster_token": token });
        for (key, value) in
            [("control_plane_host", json!(host)), ("env", json!(self.env)), ("config", json!(self.config))]
        {
            if !value.is_null() && value != json!({}) {
                section[key] = value;
            }
        }
        format!("#cloud-config\n{}", serde_yaml::to_string(&json!({ "cluster": section })).unwrap())
    }
}

/// What `check` says of a text: its exit status and its findings.
fn check(text: &str, rke2: Option<&str>) -> (i32, Vec<Value>) {
    check_in(text, rke2, &[])
}

/// The same beside an image with some files.
fn check_in(text: &str, rke2: Option<&str>, image: &[String]) -> (i32, Vec<Value>) {
    let node = tempfile::tempdir().unwrap();
    for path in image {
        let path = node.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let file = node.path().join("cloud-config.yaml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(support::BINARY);
    command.arg("--root").arg(node.path()).args(["check", "--format", "json"]);
    if let Some(version) = rke2 {
        command.args(["--rke2", version]);
    }
    let ran = support::run(command.arg(&file), b"");
    (
        ran.code.unwrap(),
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{text}\n{}{}", ran.stdout, ran.stderr)),
    )
}

fn codes() -> Vec<(String, Vec<Case>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/values");
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    folders.sort();
    let read = |path: &Path| {
        let text = fs::read_to_string(path.join("cases.yaml")).unwrap();
        let cases = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap().to_str().unwrap().to_owned(), cases)
    };
    folders.iter().map(|path| read(path)).collect()
}

#[test]
fn each_code_is_raised_by_its_cases_and_not_by_their_near_misses() {
    let mut wrong = Vec::new();
    // What is said of the section and of files beside it has cases of its own.
    let own: BTreeSet<String> = codes().into_iter().map(|(code, _)| code).collect();
    for (code, cases) in codes() {
        assert!(Code::ALL.iter().any(|it| it.as_str() == code), "{code} is no code");
        assert!(
            cases.iter().any(|it| it.fine) && cases.iter().any(|it| !it.fine),
            "{code} lacks a case or a near miss"
        );
        let mut said = String::new();
        for case in cases {
            let (exit, mut found) = check_in(&case.cloud_config(), case.rke2.as_deref(), &case.image);
            found.retain(|it| own.contains(it["code"].as_str().unwrap()));
            let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
            let others: Vec<_> = found.iter().filter(|it| case.fine || it["code"] != code.as_str()).collect();
            if !others.is_empty() || (!case.fine && found.is_empty()) {
                wrong.push(format!("{code}: {}: {found:?}", case.name));
            }
            let version = case.rke2.map(|it| format!(" ({it})")).unwrap_or_default();
            writeln!(said, "{}{version}: exit {exit}", case.name).unwrap();
            for finding in &found {
                writeln!(said, "  {}: {}", text(finding, "severity"), text(finding, "message")).unwrap();
            }
        }
        support::assert_expected(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/values").join(&code), &said);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What RKE2 refuses and never sees, because this program writes something else.
const NEVER_SEEN: [(&str, &str); 2] =
    [("cni\t''", "an empty value is left out"), ("server\t10.99.0.9:9345", "the URL is written by this program")];

/// What RKE2 goes on with and something else refuses.
const REFUSED_BY_OTHERS: [(&str, &str); 12] = [
    ("advertise-address\ta.example", "the kube-apiserver takes an address"),
    ("cluster-domain\ta b", "the kube-apiserver takes a URL with the domain"),
    ("kubelet-arg\t[max-pods 200]", "the kubelet does not know the flag"),
    ("node-label\t['-x=y']", "the kubelet takes no such key"),
    ("node-label\t['a=b c']", "the kubelet takes no such value"),
    ("node-name\t'-a'", "the API server takes no such name"),
    ("node-name\t'a b'", "the API server takes no such name"),
    ("node-name\tNode_A", "the API server takes no such name"),
    ("node-taint\t['a=b']", "the kubelet takes no taint without an effect"),
    ("node-taint\t['a=b:NoExec']", "the kubelet does not know the effect"),
    ("node-external-ip\thost.example", "RKE2 itself, as soon as it has a server"),
    ("kube-apiserver-arg\t[anonymous-auth=maybe]", "the API server"),
];

#[test]
fn what_rke2_refuses_is_an_error_and_what_all_take_is_none() {
    let table = include_str!("../../testdata/recorded/rke2-verdicts.tsv");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 182);
    let (mut wrong, mut used) = (Vec::new(), Vec::new());
    for row in rows {
        let [role, option, value, verdict] = row[..] else { panic!("{row:?}") };
        let (role, host) = if role == "agent" { ("worker", "control_plane_host: 10.99.0.9") } else { ("init", "") };
        let text = format!(
            "#cloud-config\ncluster:\n  role: {role}\n  cluster_token: a-token-that-is-long-enough\n  {host}\n  config:\n    {option}: {value}\n"
        );
        let (_, found) = check(&text, Some("v1.35.0+rke2r1"));
        let errors: Vec<_> =
            found.iter().filter(|it| it["severity"] == "error" || it["severity"] == "refused").collect();
        let key = format!("{option}\t{value}");
        let listed = |list: &[(&'static str, &str)]| list.iter().map(|(it, _)| *it).find(|it| *it == key);
        match (verdict, listed(&NEVER_SEEN), listed(&REFUSED_BY_OTHERS)) {
            ("refuses", None, None) if errors.is_empty() => wrong.push(format!("{key}: RKE2 refuses it: {found:?}")),
            ("runs", None, None) if !errors.is_empty() => wrong.push(format!("{key}: RKE2 takes it: {errors:?}")),
            (_, None, None) => {}
            // Each exception must be one.
            ("refuses", Some(it), None) if errors.is_empty() => used.push(it),
            ("runs" | "waits", None, Some(it)) if !errors.is_empty() => used.push(it),
            other => wrong.push(format!("{key}: is no exception: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = NEVER_SEEN.iter().chain(&REFUSED_BY_OTHERS).map(|(key, _)| *key);
    assert_eq!(
        all.filter(|key| !used.contains(key)).collect::<Vec<_>>(),
        Vec::<&str>::new(),
        "nothing of that is in the table"
    );
}

#[test]
fn the_newest_version_counts_where_none_is_named() {
    let text = "#cloud-config\ncluster:\n  role: init\n  cluster_token: a-token-that-is-long-enough\n  config:\n    ingress-controller: ingress-nginx\n";
    assert_eq!((check(text, None).0, check(text, Some("v1.37.1+rke2r1")).0, check(text, Some("1.36.5")).0), (1, 1, 0));
}
