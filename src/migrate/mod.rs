//! What other programs read, as a cluster section of this one: a section of the Go provider or of another provider of Kairos, k3s, kubeadm, and
//! RKE2's own config.yaml.
//!
//! Text in, text out. The text is changed by whole lines: what is not about the cluster stays as it is, and so do comments.

mod facts;
mod files;
mod kubeadm;
mod options;
mod section;
mod sheet;
mod written_out;

use crate::cluster::cloud_config::LeftOut;
use crate::findings::path::Path;
use crate::rke2::options::of_key;
use crate::text::yaml::{self, CLOUD_CONFIG, Document, OPTIONS};
pub(crate) use facts::Asked;
use facts::Facts;
use sheet::{Sheet, indented};

/// What became of a file.
#[derive(Debug)]
pub(crate) struct Migrated {
    /// The cloud-config.
    pub(crate) text: String,
    /// What was changed, and why: sentences without a secret.
    pub(crate) said: Vec<String>,
}

/// The first line of a cloud-config; Kairos leaves out a file that has none.
const HEADER: &str = "#cloud-config";

/// Signs of k3s in a value or a key; a comment is none.
const SIGNS: [&str; 7] = ["/rancher/k3s", "get.k3s.io", "k3s ctr", "k3s kubectl", "k3s server", "k3s agent", "K3S_"];

/// Makes a cloud-config with a cluster section of a file. Fails with the sentence why it cannot.
pub(crate) fn migrate(source: &str, asked: &Asked) -> Result<Migrated, String> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut facts = Facts {
        asked,
        is_k3s: false,
        role: asked.role,
        token: None,
        server: None,
        host: None,
        other_token: None,
        other_host: None,
        is_kubeadm: false,
        path: None,
        said: Vec::new(),
    };
    let text = if kubeadm::is_of(source) {
        let converted = options::convert(source, &mut facts).unwrap_or_default();
        section::fresh(&converted, &[], &mut facts)
    } else {
        let document = read(source)?;
        if document.second.is_some() {
            yaml::all(source, CLOUD_CONFIG).map_err(|error| said(&error))?;
        }
        facts.is_k3s = is_k3s(&document.root);
        let is_cloud_config = LeftOut::of(source.as_bytes()) != Some(LeftOut::NoHeader);
        let is_options = || document.root.entries().iter().any(|(key, _)| of_key(&key.scalar.text).is_some());
        let has_section = document.root.get("cluster").is_some_and(|node| !node.is_null());
        let is_cloud_config = has_section || is_cloud_config || !is_options();
        if is_cloud_config {
            once(&document)?;
        }
        let written_out = written_out::of(source, CLOUD_CONFIG)?;
        let plain = written_out.as_ref().map_or(source, |it| it.text.as_str());
        let sheet = Sheet::new(plain, CLOUD_CONFIG).ok_or(NOTHING)?;
        let text = if has_section {
            of_section(sheet, &mut facts)?
        } else if is_cloud_config {
            files::convert(sheet, &mut facts)?.ok_or(NOTHING)?
        } else {
            facts.role = facts.role.or_else(|| options::role(&sheet));
            let converted = options::convert(plain, &mut facts).ok_or(NOTHING)?;
            section::fresh(&converted, &[], &mut facts)
        };
        if has_section {
            kept(&document, &read(&text).map_err(|problem| unreadable(&problem))?)?;
        }
        match written_out {
            Some(it) if text == it.text => source.to_owned(),
            Some(it) => {
                facts.path = None;
                if it.had_aliases || has_section {
                    facts.say("", if it.had_aliases { written_out::VALUES } else { written_out::LINES });
                }
                text
            }
            None => text,
        }
    };
    let text = match LeftOut::of(text.as_bytes()) {
        Some(LeftOut::NoHeader) => {
            facts.path = None;
            facts.say("", "begins with #cloud-config now, because Kairos leaves out one that has no such line");
            format!("{HEADER}\n{text}")
        }
        _ => text,
    };
    read(&text).map_err(|problem| unreadable(&problem))?;
    Ok(Migrated { text, said: facts.said })
}

const NOTHING: &str =
    "the file has neither a cluster section nor a configuration of RKE2, k3s or kubeadm; name a file with one of them";

/// Reads a file, as RKE2 and Kairos do.
fn read(text: &str) -> Result<Document, String> {
    yaml::read(text, CLOUD_CONFIG).map_err(|error| said(&error))
}

fn said(error: &yaml::Error) -> String {
    format!("line {}: {}", error.line, error.problem)
}

fn unreadable(problem: &str) -> String {
    format!("what comes of it cannot be read: {problem}; write the section by hand")
}

/// What is not about the cluster must still be there.
fn kept(before: &Document, after: &Document) -> Result<(), String> {
    match before.root.entries().iter().find(|(key, _)| after.root.get(&key.scalar.text).is_none()) {
        None => Ok(()),
        Some((key, _)) => Err(format!(
            "{}: would be lost as the file is written; write each key of the file in a line of its own",
            Path::of(&key.scalar.text)
        )),
    }
}

/// Kairos leaves out a file in which a key stands twice.
fn once(document: &Document) -> Result<(), String> {
    match document.duplicates.first() {
        None => Ok(()),
        Some(it) => Err(format!(
            "lines {} and {}: a key stands twice, so Kairos leaves the file out; write one file for each node, or remove one of the two",
            it.first, it.second
        )),
    }
}

fn is_k3s(node: &yaml::Node) -> bool {
    let is_sign = |line: &str| !line.trim_start().starts_with('#') && SIGNS.iter().any(|sign| line.contains(sign));
    let has = |text: &str| text.lines().any(is_sign);
    node.scalar().is_some_and(|it| has(&it.text))
        || node.items().iter().any(is_k3s)
        || node.entries().iter().any(|(key, value)| has(&key.scalar.text) || is_k3s(value))
        || ["k3s", "k3s-agent"].iter().any(|key| node.get(key).is_some())
}

/// A file with a cluster section.
fn of_section(mut sheet: Sheet, facts: &mut Facts) -> Result<String, String> {
    let refused =
        || "cluster: cannot be changed as it is written; write its keys below it, and a mapping in config".to_owned();
    let entry = sheet.entry("cluster").ok_or_else(refused)?;
    let options = sheet::get(entry.value, "config").and_then(sheet::text).unwrap_or_default();
    if let Err(error) = yaml::read(options, OPTIONS) {
        return Err(format!("cluster.config: line {} of it {}", error.line, error.problem));
    }
    written_out::of(options, OPTIONS).map_err(|problem| format!("cluster.config: {problem}"))?;
    let lines = entry.lines.clone();
    let body = sheet.inner(&lines, entry.value).ok_or_else(refused)?;
    let converted = section::convert(&body.text, facts).ok_or_else(refused)?;
    if converted != body.text {
        let head =
            if body.margin.is_some() { sheet.written(lines.start..lines.start + 1) } else { "cluster:\n".into() };
        let text = format!("{head}{}", indented(&converted, body.margin.unwrap_or(2)));
        sheet.replace(lines, &text);
    }
    facts.path = None;
    files::beside(&mut sheet, facts);
    Ok(sheet.text())
}
