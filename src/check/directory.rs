//! A directory of cloud-configs as the Kairos collector merges it (kairos `sdk/collector/collector.go`): in the order of the names, deeper
//! files in the place of their directory; mappings key by key, the later value wins, lists are joined.

use std::collections::HashSet;

use super::written::{self, Written};
use crate::cluster::cloud_config::{LeftOut, Source, names_cluster, parse};
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::findings::path::{At, Path};
use crate::text::escape::quoted;
use crate::text::yaml::{Entries, Kind, Node, Yaml11};

/// What Kairos makes of a directory.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// All that was read, merged.
    pub root: Option<Node>,
    /// The texts of the files that count, in the order in which they were merged.
    pub sources: Vec<Source>,
    /// The files that they write, each with the cloud-config in which it stands.
    pub files: Vec<(String, Written)>,
    /// Two files cannot be merged, so there is nothing.
    pub is_broken: bool,
}

impl Merged {
    /// Adds the next file of the walk; if Kairos leaves it out, the finding says why.
    pub(super) fn add(&mut self, path: &str, bytes: &[u8], found: &mut Findings) {
        let Some(root) = root(bytes, found) else { return };
        if let Some((key, _)) =
            root.entry("config_url").filter(|(_, url)| url.scalar().is_some_and(|it| !it.text.is_empty()))
        {
            let rest = "is fetched at boot and merged over this file; what it holds is not looked at here";
            found.note(Code::ConfigUrl, Path::of("config_url").at(key.line), rest);
        }
        self.files.extend(written::files(&root).into_iter().map(|file| (path.to_owned(), file)));
        match &mut self.root {
            None => self.root = Some(root),
            Some(before) => {
                if let Err(clash) = both(before, root, &Path::default()) {
                    let rest = format!(
                        "is {} here and {} in an earlier file, which Kairos cannot merge, so the node gets no cloud-config at \
                         all; write one of them",
                        clash.later, clash.earlier
                    );
                    found.refuse(Code::SourcesClash, clash.at, &rest);
                    self.is_broken = true;
                }
            }
        }
        self.sources.push(Source { path: path.to_owned(), text: Ok(String::from_utf8_lossy(bytes).into_owned()) });
    }
}

/// What a file holds; nothing if Kairos leaves it out, or if there is nothing in it.
fn root(bytes: &[u8], found: &mut Findings) -> Option<Node> {
    if let Some(left_out) = LeftOut::of(bytes) {
        // A file that is no cloud-config may lie there too.
        let severity = if names_cluster(bytes) { Severity::Refused } else { Severity::Warning };
        found.push(severity, left_out.code(), At::line(1), &format!("the file {}", left_out.sentence()));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let rest = format!(
                "the file is not UTF-8 from byte {} on, so Kairos leaves it out; save it as UTF-8",
                error.valid_up_to()
            );
            found.refuse(Code::Unreadable, At::line(1), &rest);
            return None;
        }
    };
    let (document, unreadable) = parse(text);
    let is_read = unreadable.list.is_empty();
    for it in unreadable.list {
        found.add(it, Severity::Refused);
    }
    let document = document.filter(|_| is_read)?;
    if let Some(line) = document.second {
        let sentence = "the cloud-config goes on with a second document, which has no effect; remove it";
        found.warn(Code::SecondDocument, At::line(line), sentence);
    }
    Some(document.root).filter(|root| matches!(root.kind, Kind::Map(_)))
}

/// Whether Kairos looks at a file of this name.
pub(super) fn is_looked_at(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// A value that Kairos cannot merge with an earlier one.
struct Clash {
    at: At,
    earlier: &'static str,
    later: &'static str,
}

/// Puts the later value over the earlier one.
fn both(earlier: &mut Node, later: Node, path: &Path) -> Result<(), Clash> {
    let (first, second) = (type_of(earlier), type_of(&later));
    if first == NULL {
        *earlier = later;
        return Ok(());
    }
    if second == NULL {
        // It empties what was there, and its type stays.
        match &mut earlier.kind {
            Kind::Map(entries) => entries.clear(),
            Kind::List(items) => items.clear(),
            Kind::Scalar(_) => *earlier = later,
        }
        return Ok(());
    }
    if first != second {
        return Err(Clash { at: path.at(later.line), earlier: first, later: second });
    }
    let line = later.line;
    match (&mut earlier.kind, later.kind) {
        (Kind::Map(entries), Kind::Map(more)) => maps(entries, more, path)?,
        (Kind::List(items), Kind::List(more)) => lists(items, more),
        (_, kind) => *earlier = Node { line, kind },
    }
    Ok(())
}

fn maps(entries: &mut Entries, more: Entries, path: &Path) -> Result<(), Clash> {
    for (key, value) in more {
        let line = key.line;
        match entries.iter_mut().find(|(it, _)| it.scalar.text == key.scalar.text) {
            Some((_, current)) => both(current, value, &path.key(&key.scalar.text)).map_err(|mut clash| {
                clash.at.line = if clash.at.path == path.key(&key.scalar.text) { line } else { clash.at.line };
                clash
            })?,
            None => entries.push((key, value)),
        }
    }
    Ok(())
}

/// Lists of mappings are joined; of others each item stays once.
fn lists(items: &mut Vec<Node>, more: Vec<Node>) {
    let has_maps = items.first().is_some_and(|first| matches!(first.kind, Kind::Map(_)));
    if has_maps || items.is_empty() {
        items.extend(more);
        return;
    }
    let mut seen: HashSet<String> = items.iter().filter_map(value).collect();
    items.extend(more.into_iter().filter(|item| value(item).is_none_or(|it| seen.insert(it))));
}

/// What tells one single value from another.
fn value(node: &Node) -> Option<String> {
    node.scalar().map(|it| format!("{}:{}", type_of(node), it.text))
}

const NULL: &str = "null";

/// The type that a value has to Kairos (gopkg.in/yaml.v3), for a message.
fn type_of(node: &Node) -> &'static str {
    let Kind::Scalar(scalar) = &node.kind else { return node.described() };
    match node.described() {
        "a number or boolean" => match scalar.yaml11() {
            Yaml11::Bool(_) => "a boolean",
            Yaml11::Int(_) => "a whole number",
            Yaml11::Float(_) => "a fraction",
            _ => "a date",
        },
        other => other,
    }
}

/// What a person is told of a directory in which there is nothing for Kairos.
pub(super) fn nothing_in(directory: &str) -> String {
    format!(
        "{} holds no file that ends in .yaml or .yml, so Kairos reads nothing of it; name a directory with cloud-configs",
        quoted(directory)
    )
}
