//! The cluster section: what the Go provider made of it, said so that this program makes the same of it.

use std::fmt::Write as _;

use super::facts::Facts;
use super::options;
use super::sheet::{Entry, Sheet, indented, line, text};
use crate::cluster::host::Endpoint;
use crate::cluster::role::Role;
use crate::cluster::{KEYS, provider};
use crate::findings::path::Path;
use crate::rke2::options::find;
use crate::text::emit::scalar;
use crate::text::escape::quoted;
use crate::text::paths::normalized;
use crate::text::yaml::CLOUD_CONFIG;
use crate::text::yaml::marks::{Marked, What};

/// The variables that the Go provider gave to RKE2.
const VARIABLES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// Keys that hold a path.
const PATHS: [&str; 2] = ["local_images_path", "cluster_config_path"];

/// A section, without its key and indentation. Nothing if it cannot be read.
pub(super) fn convert(body: &str, facts: &mut Facts) -> Option<String> {
    let mut sheet = Sheet::new(body, CLOUD_CONFIG)?.in_blocks()?;
    let given = |sheet: &Sheet, key: &str| {
        sheet.entry(key).and_then(|it| it.text().map(|it| it.trim().to_owned())).filter(|it| !it.is_empty())
    };
    let (role, token, host) =
        (given(&sheet, "role"), given(&sheet, "cluster_token"), given(&sheet, "control_plane_host"));
    facts.role = role.as_deref().and_then(Role::of).or(facts.asked.role);
    facts.host = host.as_deref().and_then(|it| Some(Endpoint::parse(it).ok()?.0.host()));
    let cluster = Path::of("cluster");

    facts.path = Some(cluster.key("config"));
    if let Some(converted) = config(&sheet, facts) {
        let (lines, text) = converted?;
        sheet.replace(lines, &text);
    }
    facts.path = Some(cluster);
    entries(&mut sheet, facts, role.as_deref());

    // What was among the options, and has a key of its own.
    let server = facts.server.take().and_then(|it| facts.host_of(&it));
    let mut becomes = facts.role.filter(|_| facts.is_kubeadm || facts.asked.role.is_some());
    if becomes.is_none() && !role.as_deref().is_some_and(|it| it.contains("{{")) {
        becomes = match role.as_deref().map(Role::of) {
            Some(Some(Role::Init)) if server.is_some() && !facts.is_kubeadm => {
                facts.say("role", "is now controlplane, because RKE2 joined the server that config named");
                Some(Role::ControlPlane)
            }
            Some(Some(role)) => Some(role),
            word => {
                let given = word
                    .and(role.as_deref())
                    .map_or("missing".to_owned(), |it| format!("{}, which is no role", quoted(it)));
                let why = "the Go provider joined such a node as a server; write worker for an agent";
                facts.say("role", &format!("is now controlplane, because it was {given}, and {why}"));
                Some(Role::ControlPlane)
            }
        };
    }
    let new_host = match (&host, server) {
        (None, Some(server)) => Some(server),
        (None, None) => facts.other_host.take(),
        (Some(_), _) => facts.host.take().filter(|it| Some(it) != host.as_ref()),
    };
    if host.is_some() && new_host.is_some() {
        facts.say("control_plane_host", "is now the host alone; the port is always 9345 and the scheme https");
    }
    let new_token = new_token(token.as_deref(), facts);
    let role_now = becomes.map(Role::as_str).filter(|it| Some(*it) != role.as_deref());
    for (key, value) in
        [("control_plane_host", new_host.as_deref()), ("cluster_token", new_token.as_deref()), ("role", role_now)]
    {
        let Some(value) = value else { continue };
        let mut written = String::new();
        scalar(&mut written, value, 2);
        match sheet.entry(key).map(|it| (it.lines.clone(), sheet.remark(it.value))) {
            Some((lines, remark)) => sheet.replace(lines, &format!("{key}:{written}{remark}\n")),
            None => sheet.first.insert_str(0, &format!("{key}:{written}\n")),
        }
    }
    Some(sheet.text())
}

/// The token that counts, where it is another than that of the section.
fn new_token(given: Option<&str>, facts: &mut Facts) -> Option<String> {
    let written = given.or(facts.token.as_deref());
    let asked = facts.asked.token.as_deref().filter(|it| written.is_some_and(|written| written != *it));
    if let Some(asked) = asked {
        facts.say("cluster_token", "is now what the file of --token-file holds, because a person said so");
        return Some(asked.to_owned());
    }
    let mut token = match (given, facts.token.take()) {
        (Some(given), Some(first)) if !facts.is_kubeadm && !facts.is_k3s && first != given => {
            let rest = "is now the text of config.token and its own in one, as the Go provider joined them when it founded the cluster";
            facts.say("cluster_token", rest);
            format!("{first}{given}")
        }
        (Some(given), first) => {
            if first.is_some_and(|it| it != given) {
                facts.say(
                    "cluster_token",
                    "stays as it is, and not the token in config; look which of the two the cluster has",
                );
            }
            given.to_owned()
        }
        (None, Some(token)) => token,
        (None, None) => facts.asked.token.clone().or(facts.other_token.take())?,
    };
    if facts.is_k3s
        && let Some(password) = token.strip_prefix("K10").and_then(|it| Some(it.split_once("::")?.1.split_once(':')?.1))
    {
        facts.say("cluster_token", "is now its password alone, because its hash is that of the CA of k3s");
        token = token.split_off(token.len() - password.len());
    }
    let is_bootstrap = token.split_once('.').is_some_and(|(id, secret)| {
        let is = |text: &str, length| {
            text.len() == length && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        };
        is(id, 6) && is(secret, 16)
    });
    if facts.is_kubeadm && is_bootstrap {
        let rest = "has a hyphen now where it had its dot, on every node alike; servers of RKE2 refuse the form of kubeadm's tokens";
        facts.say("cluster_token", rest);
        token = token.replace('.', "-");
    }
    Some(token).filter(|it| Some(it.as_str()) != given)
}

/// RKE2's options: the lines of the key and their new text, if it is another. Nothing inside if they cannot be read.
#[expect(clippy::option_option, reason = "nothing to do, or nothing that can be done")]
fn config(sheet: &Sheet, facts: &mut Facts) -> Option<Option<(std::ops::Range<usize>, String)>> {
    let entry = sheet.entry("config")?;
    let lines = entry.lines.clone();
    let source = match &entry.value.kind {
        What::Scalar(text, _) if !text.trim().is_empty() => text.clone(),
        What::Map(entries) if !entries.is_empty() => sheet.inner(&lines, entry.value)?.text,
        _ => return None,
    };
    let Some(converted) = options::convert(&source, facts) else { return Some(None) };
    if converted == source {
        return None;
    }
    let remark = sheet.remark(entry.value);
    let is_block = text(entry.value).is_some();
    Some(Some((lines, block("config", &converted, is_block, &remark))))
}

/// A key with a text, or with a mapping.
fn block(key: &str, text: &str, is_text: bool, remark: &str) -> String {
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let mark = match (is_text, is_empty) {
        (true, _) => " |",
        (false, true) => " {}",
        (false, false) => "",
    };
    format!("{key}:{mark}{remark}\n{}", indented(&line(text), 2))
}

/// All other keys.
fn entries(sheet: &mut Sheet, facts: &mut Facts, role: Option<&str>) {
    let mut edits = Vec::new();
    for entry in sheet.entries() {
        match entry.key {
            "env" => edits.extend(below(sheet, &entry, facts, &|key| {
                let why = "is a comment now, because the Go provider left it out; take the mark away if RKE2 is to have it";
                (!VARIABLES.contains(&key)).then_some(why)
            })),
            "providerConfig" | "provider_options" => edits.extend(below(sheet, &entry, facts, &|key| {
                let why = "is a comment now, because the Go provider left it out there; take the mark away if RKE2 is to have it";
                (key != provider::ROOT_PATH && find(key).is_some()).then_some(why)
            })),
            key if PATHS.contains(&key) => {
                let path = entry.text().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('/') && !it.contains("{{"));
                if let Some(path) = path {
                    facts.say(key, "is absolute now, as the Go provider took it");
                    let remark = sheet.remark(entry.value);
                    let mut written = String::new();
                    scalar(&mut written, &normalized(path), 2);
                    edits.push((entry.lines.clone(), format!("{key}:{written}{remark}\n")));
                }
            }
            key if facts.is_kubeadm && !KEYS.contains(&key) && role.is_some() => {
                facts.say(key, "is left out; RKE2's provider has no such key");
                edits.push((entry.lines.clone(), String::new()));
            }
            _ => {}
        }
    }
    for (lines, text) in edits {
        sheet.replace(lines, &text);
    }
}

/// A mapping with comments in place of some of its entries; nothing if there are none.
fn below(
    sheet: &Sheet,
    entry: &Entry,
    facts: &mut Facts,
    why: &dyn Fn(&str) -> Option<&'static str>,
) -> Option<(std::ops::Range<usize>, String)> {
    let node: &Marked = entry.value;
    let mut inner = Sheet::new(&sheet.inner(&entry.lines, node)?.text, CLOUD_CONFIG)?;
    let outside = facts.path.clone();
    facts.path = outside.as_ref().map(|it| it.key(entry.key));
    let mut found = Vec::new();
    for it in inner.entries() {
        if let Some(why) = why(it.key) {
            facts.say(it.key, why);
            found.push(it.lines.clone());
        }
    }
    facts.path = outside;
    let is_any = !found.is_empty();
    for lines in found {
        inner.comment(lines);
    }
    is_any.then(|| (entry.lines.clone(), block(entry.key, &inner.text(), false, "")))
}

/// A section of its own, of options that were converted.
pub(super) fn fresh(options: &str, env: &[(String, String)], facts: &mut Facts) -> String {
    facts.path = Some(Path::of("cluster"));
    let role = facts.role.unwrap_or_else(|| {
        let why = "nothing says whether the node is a server or an agent; give --role controlplane for a server";
        facts.say("role", &format!("is worker, because {why}"));
        Role::Worker
    });
    let token = new_token(None, facts);
    let server = facts.server.take().and_then(|it| facts.host_of(&it));
    let host = server.or(facts.other_host.take());
    let mut text = String::new();
    for (key, value) in
        [("role", Some(role.as_str())), ("cluster_token", token.as_deref()), ("control_plane_host", host.as_deref())]
    {
        if let Some(value) = value {
            text += key;
            text.push(':');
            scalar(&mut text, value, 2);
            text.push('\n');
        }
    }
    if !env.is_empty() {
        text += "env:\n";
        for (name, value) in env {
            let _ = write!(text, "  {name}:");
            scalar(&mut text, value, 4);
            text.push('\n');
        }
    }
    if !options.trim().is_empty() {
        text += &block("config", options, true, "");
    }
    format!("cluster:\n{}", indented(&text, 2))
}
