//! The option table says what was recorded from RKE2 and K3s, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use provider_rke2::rke2::options::{self, Class, Kind, Roles, Spec};
use provider_rke2::rke2::version::Version;
use serde::Deserialize;

/// An entry of `rke2-flags.json`.
#[derive(Deserialize)]
struct Flag {
    name: String,
    r#type: String,
    server: bool,
    agent: bool,
    env: String,
    aliases: Vec<String>,
    since: String,
    #[serde(default)]
    comma_split: bool,
    critical: String,
}

/// An entry of `rke2-dropped-flags.json`.
#[derive(Deserialize)]
struct DroppedFlag {
    name: String,
    dropped_for: Vec<String>,
    still_valid_via_rke2_flag: bool,
}

fn flags() -> Vec<Flag> {
    let flags: Vec<Flag> = serde_json::from_str(include_str!("../../testdata/recorded/rke2-flags.json")).unwrap();
    assert_eq!(flags.len(), 135);
    flags
}

fn dropped() -> Vec<DroppedFlag> {
    let text = include_str!("../../testdata/recorded/rke2-dropped-flags.json");
    let dropped: Vec<DroppedFlag> = serde_json::from_str(text).unwrap();
    assert_eq!(dropped.len(), 26);
    dropped
}

/// A word of `rke2-options.jsonl`, with the first versions that have it, or have it no more.
#[derive(Deserialize)]
struct Word {
    #[serde(rename = "word")]
    text: String,
    #[serde(default)]
    since: Vec<String>,
    #[serde(default)]
    until: Vec<String>,
}

impl Word {
    /// As a column of the table has it.
    fn column(&self) -> String {
        let versions = |mark, versions: &[String]| match versions {
            [] => String::new(),
            versions => format!("{mark}{}", versions.join("|")),
        };
        format!("{}{}{}", self.text, versions("@", &self.since), versions("<", &self.until))
    }
}

/// An entry of `rke2-options.jsonl`.
#[derive(Deserialize)]
struct Recorded {
    name: String,
    kind: String,
    #[serde(default)]
    allowed: Vec<Word>,
    default: Vec<Word>,
    since: Vec<String>,
    #[serde(default)]
    deprecated: Vec<String>,
    critical: String,
}

fn recorded() -> Vec<Recorded> {
    let text = include_str!("../../testdata/recorded/rke2-options.jsonl");
    let recorded: Vec<Recorded> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(recorded.len(), 135);
    recorded
}

fn spec(name: &str) -> &'static Spec {
    options::find(name).filter(|spec| spec.name == name).unwrap_or_else(|| panic!("{name} is not in options.tsv"))
}

fn roles(server: bool, agent: bool) -> Roles {
    match (server, agent) {
        (true, true) => Roles::Both,
        (true, false) => Roles::Server,
        (false, true) => Roles::Agent,
        (false, false) => panic!("an option of no role"),
    }
}

/// The names of the options that `pick` picks, in the order of the table.
fn names(pick: impl Fn(&Spec) -> bool) -> Vec<&'static str> {
    options::all().iter().filter(|spec| pick(spec)).map(|spec| spec.name).collect()
}

#[test]
fn the_table_holds_the_recorded_options_and_no_others() {
    let recorded: BTreeSet<String> =
        flags().into_iter().map(|flag| flag.name).chain(dropped().into_iter().map(|flag| flag.name)).collect();
    let table: BTreeSet<String> = options::all().iter().map(|spec| spec.name.to_owned()).collect();
    assert_eq!(table, recorded);
    assert_eq!(table.len(), options::all().len());
    assert_eq!(names(|spec| spec.class != Class::Dropped).len(), 135);
}

#[test]
fn the_table_agrees_with_each_recorded_option() {
    for flag in flags() {
        let (name, spec) = (flag.name.as_str(), spec(&flag.name));
        let of_type = match flag.r#type.as_str() {
            "bool" => vec![Class::Boolean],
            "int" => vec![Class::Integer],
            "duration" => vec![Class::Duration],
            "string" => vec![Class::Text, Class::Owned, Class::Mode],
            "stringslice" => vec![Class::Replace, Class::Append],
            other => panic!("{name} has the unknown type {other}"),
        };
        assert!(of_type.contains(&spec.class), "{name} is {:?}, recorded as {}", spec.class, flag.r#type);
        assert_eq!(spec.is_list(), flag.r#type == "stringslice", "{name}");
        assert_eq!(spec.roles, roles(flag.server, flag.agent), "{name}");
        // Split up to RKE2 1.35 and not since, so recorded as not split.
        assert_eq!(spec.comma_split, flag.comma_split || name == "ingress-controller", "{name}");
        assert_eq!(spec.critical, !flag.critical.is_empty(), "{name}");
        assert_eq!(spec.aliases, flag.aliases, "{name}");
        let env: Vec<&str> = flag.env.split(',').filter(|variable| !variable.is_empty()).collect();
        assert_eq!(spec.env, env, "{name}");
    }
}

#[test]
fn the_table_has_the_recorded_values_and_versions() {
    for it in recorded() {
        let (name, spec) = (it.name.as_str(), spec(&it.name));
        let column = |words: &[Word]| words.iter().map(Word::column).collect::<Vec<_>>().join(",");
        assert_eq!(format!("{:?}", spec.kind).to_lowercase(), it.kind, "{name}");
        if spec.kind != Kind::Number {
            assert_eq!(spec.allowed, column(&it.allowed), "{name}");
        }
        assert_eq!(spec.default, column(&it.default), "{name}");
        assert_eq!((spec.since, spec.deprecated), (&*it.since.join("|"), &*it.deprecated.join("|")), "{name}");
        // RKE2 sets it to true whatever is given, so two servers cannot differ.
        assert_eq!(spec.critical, !it.critical.is_empty() && name != "secrets-encryption", "{name}");
    }
}

#[test]
fn the_first_minors_are_those_of_both_tables() {
    let of_flags: BTreeMap<String, String> = flags().into_iter().map(|flag| (flag.name, flag.since)).collect();
    for it in recorded() {
        // "1.24 (by v1.24.17+rke2r1)": the patch is the last one of its minor version, not the first that has it.
        let minor = of_flags[&it.name].split(' ').next().unwrap();
        let minor = if minor == "unreleased" { "1.37" } else { minor };
        let first = it.since[0].split('.').take(2).collect::<Vec<_>>().join(".");
        assert_eq!(first, minor, "{}", it.name);
    }
}

#[test]
fn words_and_defaults_follow_the_version() {
    let version = |text: &str| -> Version { text.parse().unwrap() };
    let words = |name, text: Option<&str>| -> Vec<&str> {
        let version = text.map(version);
        spec(name).words(version.as_ref()).collect()
    };
    assert_eq!(words("profile", Some("v1.31.9+rke2r1")), ["cis", "cis-1.23"]);
    assert_eq!(words("profile", Some("v1.31.10+rke2r1")), ["cis", "etcd"]);
    assert_eq!(words("profile", None), ["cis", "etcd", "cis-1.23"]);
    let ingress = |text: Option<&str>| spec("ingress-controller").default_in(text.map(version).as_ref());
    assert_eq!(ingress(Some("v1.35.7+rke2r1")), "ingress-nginx");
    assert_eq!((ingress(Some("v1.36.0+rke2r1")), ingress(None)), ("traefik", "traefik"));
    assert_eq!(spec("token").default_in(None), "");
    assert_eq!(spec("v").numbers(), (Some(0), Some(10)));
    assert_eq!(spec("etcd-snapshot-retention").numbers(), (Some(0), None));
}

#[test]
fn the_table_agrees_with_each_dropped_option() {
    for flag in dropped() {
        let (name, spec) = (flag.name.as_str(), spec(&flag.name));
        assert_eq!(flag.still_valid_via_rke2_flag, name == "pause-image", "{name}");
        if flag.still_valid_via_rke2_flag {
            assert_eq!(spec.class, Class::Text, "{name}");
            continue;
        }
        let dropped_for = |role: &str| flag.dropped_for.iter().any(|dropped| dropped == role);
        assert_eq!(spec.class, Class::Dropped, "{name}");
        assert_eq!(spec.roles, roles(dropped_for("server"), dropped_for("agent")), "{name}");
        assert!(!spec.is_list() && !spec.comma_split && !spec.critical, "{name}");
        assert!(spec.aliases.is_empty() && spec.env.is_empty() && spec.since.is_empty(), "{name}");
        assert!(spec.allowed.is_empty() && spec.default.is_empty() && spec.deprecated.is_empty(), "{name}");
    }
}

#[test]
fn the_classes_of_merging_are_the_ones_decided() {
    assert_eq!(names(|spec| spec.class == Class::Owned), ["server", "token"]);
    assert_eq!(
        names(|spec| spec.class == Class::Replace),
        ["cluster-cidr", "cluster-dns", "cni", "ingress-controller", "node-external-ip", "node-ip", "service-cidr"]
    );
    assert_eq!(names(|spec| spec.class == Class::Mode), ["write-kubeconfig-mode"]);
    assert_eq!(names(|spec| spec.class == Class::Duration), ["etcd-s3-timeout", "etcd-snapshot-reconcile-interval"]);
    let counts = [
        (Class::Append, 30),
        (Class::Boolean, 29),
        (Class::Integer, 4),
        (Class::Text, 60),
        // One less than recorded: pause-image.
        (Class::Dropped, 25),
    ];
    for (class, count) in counts {
        assert_eq!(names(|spec| spec.class == class).len(), count, "{class:?}");
    }
}

#[test]
fn arguments_labels_and_taints_are_never_split() {
    let whole = names(|spec| spec.is_list() && !spec.comma_split);
    for spec in options::all() {
        let name = spec.name;
        let keeps_commas = ["-arg", "-extra-env", "-extra-mount"].iter().any(|end| name.ends_with(end))
            || ["node-label", "node-taint", "airgap-extra-registry"].contains(&name);
        let is_option = spec.class != Class::Dropped;
        assert_eq!(whole.contains(&name), keeps_commas && is_option, "{name}");
    }
}

#[test]
fn secrets_are_marked() {
    assert_eq!(
        names(|spec| spec.secret),
        [
            "agent-token", "cloud-controller-manager-extra-env", "datastore-endpoint", "etcd-extra-env",
            "etcd-s3-access-key", "etcd-s3-secret-key", "etcd-s3-session-token", "kube-apiserver-extra-env",
            "kube-controller-manager-extra-env", "kube-proxy-extra-env", "kube-scheduler-extra-env", "token",
            "vpn-auth",
        ]
    );
}

#[test]
fn only_two_critical_options_are_not_compared_by_rke2() {
    let documented: Vec<String> =
        flags().into_iter().filter(|flag| flag.critical == "documented-only").map(|flag| flag.name).collect();
    assert_eq!(documented, ["agent-token", "disable-kube-proxy"]);
    assert_eq!(flags().iter().filter(|flag| flag.critical == "checked-on-join").count(), 10);
}

#[test]
fn the_aliases_are_seven_letters() {
    let mut aliases: Vec<&str> = options::all().iter().flat_map(|spec| spec.aliases.iter().copied()).collect();
    aliases.sort_unstable();
    assert_eq!(aliases, ["c", "d", "i", "l", "o", "s", "t"]);
}

#[test]
fn every_meaning_is_one_plain_sentence() {
    for spec in options::all() {
        let meaning = spec.meaning;
        assert!((10..=120).contains(&meaning.chars().count()), "{}: {meaning}", spec.name);
        assert_eq!(meaning, meaning.trim(), "{}", spec.name);
        assert!(!meaning.ends_with('.'), "{}: {meaning}", spec.name);
    }
}

/// The help texts are upstream's words and stay out of the repository.
#[test]
fn no_help_text_was_recorded() {
    for text in [
        include_str!("../../testdata/recorded/rke2-flags.json"),
        include_str!("../../testdata/recorded/rke2-dropped-flags.json"),
    ] {
        assert!(!text.contains("\"usage"));
    }
}

#[test]
fn the_other_tables_are_whole() {
    let lines = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let documents = lines(include_str!("../../testdata/recorded/yaml11-documents.jsonl"));
    assert_eq!(documents.len(), 1200);
    assert_eq!(documents.iter().filter(|document| document.get("value").is_some()).count(), 900);
    assert_eq!(lines(include_str!("../../testdata/recorded/yaml11-scalars.jsonl")).len(), 64);
    let strings: Vec<String> =
        serde_json::from_str(include_str!("../../testdata/recorded/nasty-strings.json")).unwrap();
    assert_eq!(strings.len(), 3173);
    assert_eq!(strings.into_iter().collect::<BTreeSet<_>>().len(), 2960);
}
