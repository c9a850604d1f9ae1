//! A cloud-config without a cluster section that brings RKE2 or k3s in another way: Kairos' section for k3s, or files and commands.

use std::ops::Range;

use super::facts::Facts;
use super::options;
use super::section::fresh;
use super::sheet::{Entry, Sheet, get, items, line, option, text, texts};
use crate::check;
use crate::cluster::role::Role;
use crate::findings::path::Path;
use crate::rke2::Unit;
use crate::rke2::options::{all, find};
use crate::text::escape::quoted;
use crate::text::yaml::CLOUD_CONFIG;
use crate::text::yaml::marks::{Marked, What};

/// The files whose content is options.
const FILES: [&str; 2] = ["/etc/rancher/rke2/config.yaml", "/etc/rancher/k3s/config.yaml"];

/// What a command has in it that installs or starts a cluster.
const INSTALLERS: [&str; 2] = ["get.rke2.io", "get.k3s.io"];
const AGENTS: [&str; 5] = ["rke2-agent", "k3s-agent", "k3s agent", "_TYPE=agent", "_TYPE=\"agent\""];
const SERVERS: [&str; 3] = ["rke2-server", "k3s.service", "k3s server"];

/// What becomes of such a cloud-config; nothing if there is nothing of RKE2 or k3s in it.
pub(super) fn convert(mut sheet: Sheet, facts: &mut Facts) -> Result<Option<String>, String> {
    let mut source = String::new();
    let mut env = Vec::new();
    let mut place = None;
    let mut gone = Vec::new();
    for entry in sheet.entries().iter().filter(|it| matches!(it.key, "k3s" | "k3s-agent")) {
        let is_off = get(entry.value, "enabled").and_then(text).is_none_or(|it| it != "true");
        if is_off || place.is_some() {
            facts.say(entry.key, "stays as it is, because it is not switched on, or another one is");
            continue;
        }
        facts.is_k3s = true;
        if entry.key == "k3s-agent" {
            facts.role = facts.role.or(Some(Role::Worker));
        }
        facts.say(entry.key, "is now the section cluster; Kairos starts k3s by this one and RKE2 by that one");
        facts.path = Some(Path::of(entry.key));
        source += &of_k3s(entry, facts, &mut env);
        place = Some(entry.lines.clone());
    }
    for (path, item) in written(&sheet.root) {
        let of = |key: &str| get(item, key).and_then(text);
        let (Some(to), Some(content)) = (of("path"), of("content")) else { continue };
        if !FILES.contains(&to.trim()) {
            continue;
        }
        let decoded = check::decoded(content, of("encoding").unwrap_or_default());
        let decoded = decoded.and_then(|it| String::from_utf8(it).map_err(|_| "is not UTF-8; write it as text"));
        source = line(&source) + &decoded.map_err(|what| format!("{path}.content: {what}"))?;
        facts.path = None;
        facts.say(
            &path.to_string(),
            &format!("is now config of the section cluster; the provider writes {} itself", quoted(FILES[0])),
        );
        facts.path = Some(path.key("content"));
        gone.push(sheet.item(item));
    }
    if place.is_none() && gone.is_empty() {
        return Ok(None);
    }
    let unit = commands(&sheet, facts, &mut gone);
    let by_options = Sheet::new(&source, CLOUD_CONFIG).map_or(Some(Role::Init), |it| options::role(&it));
    facts.role = facts.role.or(match (unit, by_options) {
        (Some(Unit::Agent), _) => Some(Role::Worker),
        (Some(Unit::Server), None) => Some(Role::ControlPlane),
        (_, role) => role,
    });
    let converted =
        options::convert(&source, facts).ok_or("the options cannot be read; write a mapping of names to values")?;
    let section = fresh(&converted, &env, facts);
    match place {
        Some(lines) => sheet.replace(lines, &section),
        None => sheet.added = format!("\n{section}"),
    }
    for lines in gone {
        sheet.replace(lines, "");
    }
    facts.path = None;
    beside(&mut sheet, facts);
    Ok(Some(sheet.text()))
}

/// The options of Kairos' section for k3s.
fn of_k3s(entry: &Entry, facts: &mut Facts, env: &mut Vec<(String, String)>) -> String {
    let mut given: Vec<(String, Vec<String>)> = Vec::new();
    let mut give = |name: &str, value: String| {
        let is_list = find(name).is_some_and(crate::rke2::options::Spec::is_list);
        match given.iter_mut().find(|(it, _)| it == name) {
            Some((_, values)) if is_list => values.push(value),
            Some((_, values)) => *values = vec![value],
            None => given.push((name.to_owned(), vec![value])),
        }
    };
    let arguments = get(entry.value, "args").map(texts).unwrap_or_default();
    let mut words = arguments.iter().flat_map(|it| words(it)).flat_map(|it| match it.split_once('=') {
        Some((name, value)) if name.starts_with('-') => vec![name.to_owned(), format!("={value}")],
        _ => vec![it],
    });
    let mut flags = Vec::new();
    let mut next = words.next();
    while let Some(word) = next {
        next = words.next();
        let Some(name) = word.strip_prefix('-').map(|it| it.trim_start_matches('-')) else {
            facts.say("args", "has words that belong to no option, which are left out; write each as --name=value");
            continue;
        };
        let name = find(name).map_or(name, |spec| spec.name);
        let value = next.take_if(|it| !it.starts_with('-'));
        if next.is_none() {
            next = words.next();
        }
        let value = value.map_or_else(|| "true".to_owned(), |it| it.strip_prefix('=').unwrap_or(&it).to_owned());
        give(name, value);
        flags.push(name.to_owned());
    }
    if get(entry.value, "embedded_registry").and_then(text) == Some("true") {
        give("embedded-registry", "true".into());
    }
    let Some(What::Map(variables)) = get(entry.value, "env").map(|it| &it.kind) else { return written_options(&given) };
    for (name, value) in variables.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))) {
        let Some(rest) = name.strip_prefix("K3S_") else {
            env.push((name.to_owned(), value.to_owned()));
            continue;
        };
        let theirs = format!("RKE2_{rest}");
        match all().iter().find(|spec| spec.env.contains(&theirs.as_str())) {
            // As k3s reads them: a flag counts before its variable.
            Some(spec) if flags.iter().any(|it| it == spec.name) => facts.say(
                &format!("env.{name}"),
                &format!(
                    "is left out, because args has {} too, which counts in k3s; look which of the two the cluster has",
                    spec.name
                ),
            ),
            Some(spec) => give(spec.name, value.to_owned()),
            None => facts.say(&format!("env.{name}"), "is left out, because RKE2 has no such variable"),
        }
    }
    written_options(&given)
}

/// The words of a text, as a shell takes it apart.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn written_options(given: &[(String, Vec<String>)]) -> String {
    given.iter().map(|(name, values)| option(name, values)).collect()
}

/// The files that a cloud-config writes, and their paths in it.
fn written(root: &Marked) -> Vec<(Path, &Marked)> {
    let own = get(root, "write_files").map(|list| (Path::of("write_files"), list));
    let of_steps = steps(root).into_iter().filter_map(|(path, step)| Some((path.key("files"), get(step, "files")?)));
    with_paths(own.into_iter().chain(of_steps))
}

/// The items of lists, each with its path.
fn with_paths<'m>(lists: impl Iterator<Item = (Path, &'m Marked)>) -> Vec<(Path, &'m Marked)> {
    let mut all = Vec::new();
    for (path, list) in lists {
        all.extend(items(list).iter().enumerate().map(|(index, it)| (path.item(index), it)));
    }
    all
}

/// The steps of all stages.
fn steps(root: &Marked) -> Vec<(Path, &Marked)> {
    let Some(What::Map(stages)) = get(root, "stages").map(|it| &it.kind) else { return Vec::new() };
    with_paths(stages.iter().map(|(stage, all)| (Path::of("stages").key(text(stage).unwrap_or_default()), all)))
}

/// The commands of a cloud-config.
fn all_commands(root: &Marked) -> Vec<(Path, &Marked)> {
    let lists = ["runcmd", "bootcmd"].into_iter().filter_map(|key| Some((Path::of(key), get(root, key)?)));
    let of_steps =
        steps(root).into_iter().filter_map(|(path, step)| Some((path.key("commands"), get(step, "commands")?)));
    with_paths(lists.chain(of_steps))
}

/// What commands say of the node; those that install or start a cluster go.
fn commands(sheet: &Sheet, facts: &mut Facts, gone: &mut Vec<Range<usize>>) -> Option<Unit> {
    facts_outside(facts, |facts| {
        let mut unit = None;
        for (path, item) in all_commands(&sheet.root) {
            let command = texts(item).join(" ");
            let has = |words: &[&str]| words.iter().any(|it| command.contains(it));
            let is_install = has(&INSTALLERS);
            if has(&AGENTS) {
                unit = Some(Unit::Agent);
            } else if is_install || has(&SERVERS) {
                unit = unit.or(Some(Unit::Server));
            }
            let is_start = command.starts_with("systemctl ") && (has(&AGENTS) || has(&SERVERS));
            if (is_install || is_start) && !command.trim().contains('\n') {
                facts.say(&path.to_string(), "is left out, because the image has RKE2 and the provider starts it");
                gone.push(sheet.item(item));
            }
        }
        unit
    })
}

fn facts_outside<T>(facts: &mut Facts, work: impl FnOnce(&mut Facts) -> T) -> T {
    let path = facts.path.take();
    let done = work(facts);
    facts.path = path;
    done
}

/// What stands beside the section: files of k3s lie elsewhere for RKE2, and what else names k3s is told.
pub(super) fn beside(sheet: &mut Sheet, facts: &mut Facts) {
    let mut moved = Vec::new();
    for (path, item) in written(&sheet.root) {
        let Some(node) = get(item, "path") else { continue };
        let to = text(node).unwrap_or_default();
        for (from, home) in options::DIRECTORIES {
            if let Some(rest) = to.strip_prefix(from) {
                let new = format!("{home}{rest}");
                facts.say(&path.key("path").to_string(), &format!("is now {}; RKE2 reads it there", quoted(&new)));
                let line = node.start.line..node.start.line + 1;
                moved.push((line.clone(), sheet.written(line).replacen(to, &new, 1)));
            }
        }
    }
    for (path, item) in all_commands(&sheet.root) {
        let command = texts(item).join(" ");
        if command.contains("k3s") {
            facts.say(&path.to_string(), "names k3s and stays as it is; write what it is to do with RKE2");
        }
    }
    for key in ["p2p", "kubevip"] {
        if get(&sheet.root, key).is_some() {
            facts.say(
                key,
                "stays as it is, but RKE2 takes nothing from it; every node needs cluster_token and control_plane_host",
            );
        }
    }
    for (lines, text) in moved {
        sheet.replace(lines, &text);
    }
}
