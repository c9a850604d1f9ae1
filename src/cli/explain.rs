//! `explain`: what a code, a key, a setting or an option of RKE2 means.

use std::fmt::Write as _;

use super::verb::fail;
use crate::cluster::keys;
use crate::cluster::settings::{ROOT_PATH, ROWS};
use crate::findings::code::Code;
use crate::report::stdio;
use crate::rke2::facts;
use crate::rke2::options::{self, Class, Spec, nearest_of};
use crate::text::escape::quoted;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The code of a finding, a key of the cluster section, a setting of providerConfig or an option of RKE2; without it all are listed
    word: Option<String>,
}

impl Explain {
    /// Prints what is known; gives the exit status.
    pub(super) fn run(self) -> u8 {
        let Some(word) = &self.word else {
            stdio::to_stdout(&list());
            return 0;
        };
        let text = explained(word);
        if !text.is_empty() {
            stdio::to_stdout(&text);
            return 0;
        }
        let codes = Code::ALL.iter().map(|code| code.as_str());
        let names: Vec<&str> =
            keys::ROWS.iter().map(|row| row.name).chain(settings().map(|it| it.0)).chain(codes).collect();
        let near = nearest_of(last(word), &names).or_else(|| options::nearest(last(word)));
        let rest = near
            .map_or_else(|| "`agent-provider-rke2 explain` lists them".into(), |near| format!("did you mean {near}?"));
        fail(&format!("{}: is no code, key, setting or option; {rest}", quoted(word)))
    }
}

/// The last key of a path such as `cluster.config.tls-san[1]`, as findings name it.
fn last(word: &str) -> &str {
    let word = word.split('[').next().unwrap_or(word);
    word.rsplit('.').next().unwrap_or(word).trim_end_matches('+')
}

/// Name, what it takes, what holds without it, and what it means.
fn settings() -> impl Iterator<Item = (&'static str, &'static str, String, &'static str)> {
    [&ROOT_PATH].into_iter().chain(ROWS).map(|row| (row.name, row.accepted, (row.default)(), row.meaning))
}

/// Everything of this name; empty if there is nothing.
fn explained(word: &str) -> String {
    let mut text = String::new();
    if let Some(code) = Code::of(word) {
        let _ = writeln!(text, "{word}: code of a finding\n\n  {}", code.explain());
    }
    let name = last(word);
    let own = keys::ROWS
        .iter()
        .map(|row| ("key of the cluster section", row.name, row.accepted, row.default.to_owned(), row.meaning));
    let settings = settings().map(|(name, accepted, default, meaning)| {
        ("setting of cluster.providerConfig", name, accepted, default, meaning)
    });
    for (what, name, accepted, default, meaning) in own.chain(settings).filter(|it| it.1 == name) {
        begin(&mut text, name, what, meaning);
        line(&mut text, "takes", accepted);
        line(&mut text, "without it", &default);
    }
    if let Some(spec) = options::find(name) {
        option(&mut text, spec);
    }
    text
}

fn begin(text: &mut String, name: &str, what: &str, meaning: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{name}: {what}\n\n  {meaning}\n");
}

fn line(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(text, "  {name:<12} {value}");
    }
}

fn option(text: &mut String, spec: &Spec) {
    if spec.class == Class::Dropped {
        return begin(text, spec.name, "option of k3s that has no effect in RKE2", spec.meaning);
    }
    begin(text, spec.name, "option of RKE2, in cluster.config", spec.meaning);
    for (name, value) in facts::of(spec) {
        line(text, name, &value);
    }
}

/// Every word with the first sentence of what is said of it.
fn list() -> String {
    let mut text = String::new();
    let mut part = |head: &str, rows: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
        let _ = writeln!(text, "{}{head}", if text.is_empty() { "" } else { "\n" });
        for (name, meaning) in rows {
            let _ = writeln!(text, "  {name:<32} {}", meaning.split("; ").next().unwrap_or(meaning));
        }
    };
    part("Keys of the cluster section", &mut keys::ROWS.iter().map(|row| (row.name, row.meaning)));
    part("Settings of cluster.providerConfig", &mut settings().map(|(name, _, _, meaning)| (name, meaning)));
    part("Options of RKE2", &mut options::all().iter().map(|spec| (spec.name, spec.meaning)));
    part("Codes of findings", &mut Code::ALL.iter().map(|code| (code.as_str(), code.explain())));
    text
}
