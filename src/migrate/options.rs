//! The options of RKE2 and k3s: what has a key of its own in the cluster section, what is called otherwise, what has no effect.

use std::fmt::Write as _;
use std::ops::Range;

use super::facts::Facts;
use super::kubeadm;
use super::sheet::{Entry, Sheet, dedented, get, items, text, texts};
use super::written_out;
use crate::cluster::role::Role;
use crate::rke2::Unit;
use crate::rke2::options::{Class, Roles, find, of_key};
use crate::text::yaml::OPTIONS;

/// Where k3s has its files, and where RKE2 has those of the same name.
pub(super) const DIRECTORIES: [(&str, &str); 2] =
    [("/etc/rancher/k3s", "/etc/rancher/rke2"), ("/var/lib/rancher/k3s", "/var/lib/rancher/rke2")];

/// Options of k3s that RKE2 has under another name.
const RENAMED: [(&str, &str); 2] = [
    ("kube-controller-arg", "kube-controller-manager-arg"),
    ("kube-cloud-controller-arg", "kube-cloud-controller-manager-arg"),
];

/// What `disable` names in k3s (k3s `pkg/cli/cmds/const_linux.go`), and what it names in RKE2; nothing where RKE2 has no such chart.
const COMPONENTS: [(&str, Option<&str>, &str); 5] = [
    ("traefik", None, "RKE2 says it with ingress-controller: none"),
    ("servicelb", None, "RKE2 starts it only with enable-servicelb"),
    ("local-storage", None, "RKE2 brings no local storage class"),
    ("coredns", Some("rke2-coredns"), "RKE2's chart has that name"),
    ("metrics-server", Some("rke2-metrics-server"), "RKE2's chart has that name"),
];

/// What becomes of lines.
enum Edit {
    Comment,
    Replace(String),
}

/// Takes out what has a key of its own in the section, and says everything else as RKE2 does. Nothing if the text cannot be read.
pub(super) fn convert(source: &str, facts: &mut Facts) -> Option<String> {
    if let Some(converted) = kubeadm::convert(source, facts) {
        return convert(&converted, facts);
    }
    if source.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Some(source.to_owned());
    }
    if let Some(it) = written_out::of(source, OPTIONS).ok()? {
        let converted = convert(&it.text, facts)?;
        if converted == it.text {
            return Some(source.to_owned());
        }
        if it.had_aliases {
            facts.say("", written_out::VALUES);
        }
        return Some(converted);
    }
    let mut sheet = Sheet::new(source, OPTIONS)?;
    // New lines begin where all begin.
    let text = dedented(source, sheet.margin());
    if text != source {
        let converted = convert(&text, facts)?;
        return Some(if converted == text { source.to_owned() } else { converted });
    }
    facts.is_k3s = facts.asked.is_k3s.unwrap_or(facts.is_k3s || facts.path.is_none() && is_k3s(&sheet));
    if sheet.entries().is_empty() {
        return None;
    }
    let mut edits: Vec<(Range<usize>, Edit)> = Vec::new();
    let mut disabled = Vec::new();
    for entry in sheet.entries() {
        let name = entry.key.trim_end_matches('+');
        let spec = find(name);
        let name = spec.map_or(name, |spec| spec.name);
        let value = entry.text().map(str::trim).filter(|it| !it.is_empty());
        let lines = entry.lines.clone();
        match (name, value) {
            ("token", Some(token)) => {
                facts.token = Some(token.to_owned());
                facts.say(entry.key, "is taken out; cluster_token is the key for it");
                edits.push((lines, Edit::Replace(String::new())));
            }
            ("server", Some(server)) => {
                facts.server = Some(server.to_owned());
                facts.say(entry.key, "is taken out; control_plane_host is the key for it");
                edits.push((lines, Edit::Replace(String::new())));
            }
            ("token-file", Some(_)) if facts.asked.token.is_some() => {
                facts.token.clone_from(&facts.asked.token);
                facts.say(entry.key, "is now cluster_token, with what the file holds; RKE2 would take one of the two");
                edits.push((lines, Edit::Replace(String::new())));
            }
            ("token-file", Some(_)) => facts.say(
                entry.key,
                "stays, so the file must be on the node; or give the file to --token-file, to have the token in cluster_token",
            ),
            ("profile", Some(profile)) if profile.starts_with("cis-") => {
                facts.say(entry.key, "is now cis; RKE2 has no other profile for it any more");
                let remark = sheet.remark(entry.value);
                edits.push((lines, Edit::Replace(format!("{}: cis{remark}\n", entry.key))));
            }
            ("write-kubeconfig-mode", Some(mode)) if mode.starts_with('0') && sheet.slice(entry.value) == mode => {
                facts.say(entry.key, "is in quotes now, because without them it is a number and no mode");
                let remark = sheet.remark(entry.value);
                // In quotes RKE2 reads the digits alone.
                edits.push((lines, Edit::Replace(format!("{}: \"{}\"{remark}\n", entry.key, mode.replacen("0o", "0", 1)))));
            }
            // On a node that runs RKE2 this has no effect, and must have none.
            ("disable", _) if !facts.is_k3s && names_of_k3s(&entry) > 0 => facts.say(
                entry.key,
                "stays as it is, though RKE2 has not all of these; give --from k3s if the file is for k3s",
            ),
            ("disable", _) if facts.is_k3s => components(&sheet, &entry, facts, &mut edits, &mut disabled),
            ("flannel-backend", Some("none")) if facts.is_k3s && sheet.entry("cni").is_none() => {
                facts.say(entry.key, "is now cni: none; in RKE2 cni says which network plugin there is");
                let remark = sheet.remark(entry.value);
                edits.push((lines, Edit::Replace(format!("cni: none{remark}\n"))));
            }
            _ if name.starts_with("cluster-reset") => {
                facts.say(entry.key, "is a comment now, because each boot would reset the cluster; reset it by hand, once");
                edits.push((lines, Edit::Comment));
            }
            _ => {
                let Some(spec) = spec.filter(|spec| spec.class == Class::Dropped) else { continue };
                if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
                    facts.say(entry.key, &format!("is now {new}; RKE2 calls it so"));
                    let written = sheet.written(lines.clone());
                    edits.push((lines, Edit::Replace(written.replacen(entry.key, new, 1))));
                } else {
                    let rest = format!("is a comment now, because RKE2 does not have it; {}", spec.meaning);
                    facts.say(entry.key, &rest);
                    edits.push((lines, Edit::Comment));
                }
            }
        }
    }
    add_defaults(&mut sheet, facts, &disabled);
    for (lines, edit) in edits {
        match edit {
            Edit::Comment => sheet.comment(lines),
            Edit::Replace(with) => sheet.replace(lines, &with),
        }
    }
    Some(at_home(&sheet.text(), facts))
}

/// Whether these are options of k3s: RKE2 has nothing of what they name.
fn is_k3s(sheet: &Sheet) -> bool {
    let of = |entry: &Entry| match find(entry.key) {
        Some(spec) if spec.class == Class::Dropped => 1,
        Some(spec) if spec.name == "disable" => names_of_k3s(entry),
        Some(spec) if spec.name == "server" => usize::from(entry.text().is_some_and(|it| it.contains(":6443"))) * SURE,
        _ => 0,
    };
    sheet.entries().iter().map(of).sum::<usize>() >= SURE
}

/// How many items only k3s has.
fn names_of_k3s(entry: &Entry) -> usize {
    let names = texts(entry.value).into_iter().flat_map(|it| it.split(','));
    names.filter(|it| COMPONENTS.iter().any(|(name, ..)| *name == it.trim())).count()
}

/// How many such names make it certain.
const SURE: usize = 2;

/// The components in `disable`.
fn components(
    sheet: &Sheet,
    entry: &Entry,
    facts: &mut Facts,
    edits: &mut Vec<(Range<usize>, Edit)>,
    disabled: &mut Vec<&'static str>,
) {
    let mut kept: Vec<String> = Vec::new();
    let mut of_items = Vec::new();
    let nodes = if text(entry.value).is_some() { std::slice::from_ref(entry.value) } else { items(entry.value) };
    let before = disabled.len();
    for node in nodes {
        let mut names = Vec::new();
        for name in text(node).into_iter().flat_map(|it| it.split(',')).map(str::trim) {
            let Some((old, new, why)) = COMPONENTS.iter().find(|(old, ..)| *old == name) else {
                names.push(name.to_owned());
                continue;
            };
            disabled.push(old);
            match new {
                Some(new) => facts.say(entry.key, &format!("{old} is now {new}; {why}")),
                None => facts.say(entry.key, &format!("{old} is left out; {why}")),
            }
            names.extend(new.map(ToOwned::to_owned));
        }
        of_items.push((sheet.item(node), names.join(","), sheet.remark(node)));
        kept.extend(names);
    }
    if disabled.len() == before {
        return;
    }
    let is_in_lines = text(entry.value).is_none() && of_items.iter().all(|(lines, ..)| lines.start > entry.lines.start);
    if kept.is_empty() {
        edits.push((entry.lines.clone(), Edit::Replace(String::new())));
    } else if is_in_lines {
        for (lines, name, remark) in of_items {
            let dash: String = sheet.written(lines.clone()).chars().take_while(|it| matches!(it, ' ' | '-')).collect();
            let line = if name.is_empty() { String::new() } else { format!("{dash}{name}{remark}\n") };
            edits.push((lines, Edit::Replace(line)));
        }
    } else {
        let remark = sheet.remark(entry.value);
        edits.push((entry.lines.clone(), Edit::Replace(format!("disable: [{}]{remark}\n", kept.join(", ")))));
    }
}

/// What k3s starts by itself and RKE2 does not.
fn add_defaults(sheet: &mut Sheet, facts: &mut Facts, disabled: &[&str]) {
    let is_server = facts.role.or_else(|| role(sheet)).is_none_or(|role| role.unit() == Unit::Server);
    for (component, option, off, on) in
        [("traefik", "ingress-controller", "none", "traefik"), ("servicelb", "enable-servicelb", "", "true")]
    {
        let is_off = disabled.contains(&component);
        let value = if is_off { off } else { on };
        let is_meant = is_off || facts.is_k3s && is_server;
        if !is_meant || value.is_empty() || sheet.entry(option).is_some() {
            continue;
        }
        if !is_off {
            let why = format!("because k3s starts {component} by itself; remove it if nothing needs it");
            facts.say(option, &format!("is added as {on}, {why}"));
        }
        let _ = writeln!(sheet.added, "{option}: {value}");
    }
    if facts.is_k3s && is_server && !sheet.added.is_empty() && !disabled.contains(&"local-storage") {
        facts.say(
            "",
            "brings no storage class in RKE2, as k3s does with local-path; install one if workloads have volumes",
        );
    }
}

/// What the options alone say of the node.
pub(super) fn role(sheet: &Sheet) -> Option<Role> {
    let entries = sheet.entries();
    let is_of_server =
        |it: &Entry| of_key(it.key).is_some_and(|spec| spec.roles == Roles::Server && spec.name != "server");
    let joins = get(&sheet.root, "server").or_else(|| get(&sheet.root, "s")).is_some_and(|it| !texts(it).is_empty());
    match (joins, entries.iter().any(is_of_server)) {
        (false, _) => Some(Role::Init),
        (true, true) => Some(Role::ControlPlane),
        (true, false) => None,
    }
}

/// Paths of k3s, where RKE2 has the files.
fn at_home(text: &str, facts: &mut Facts) -> String {
    let mut moved = String::new();
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        if !line.trim_start().starts_with('#') {
            for (from, to) in DIRECTORIES {
                if line.contains(from) {
                    line = line.replace(from, to);
                    facts.say("", &format!("has {to} now where it had {from}; RKE2 has its files there"));
                }
            }
        }
        moved += &line;
    }
    moved
}
