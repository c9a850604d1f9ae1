//! A text whose aliases and merge keys are written out, where lines that define or use them may change.

use super::sheet::{Change, Sheet, get, text};
use crate::text::emit::scalar;
use crate::text::yaml::marks::{Marked, Spot, What};
use crate::text::yaml::{self, Kind, Limits, Node};

/// The keys below which a cloud-config is changed, if it has a section, and if it has none.
const SECTION: [&str; 1] = ["cluster"];
const OTHERS: [&str; 6] = ["k3s", "k3s-agent", "write_files", "stages", "runcmd", "bootcmd"];

/// A text without what makes one place of it depend on another.
pub(super) struct WrittenOut {
    /// The text.
    pub(super) text: String,
    /// Whether it had aliases or merge keys, and not only brackets.
    pub(super) had_aliases: bool,
}

/// Why the lines are others, for a person.
pub(super) const VALUES: &str =
    "has values now where it had `*` or `<<`, because something that they stand for was changed";
pub(super) const LINES: &str = "has its keys in lines now where it had brackets, because some of them were changed";

/// The text with the values of aliases and merge keys in their place, and with a mapping at its top in block style; nothing if there is
/// nothing to do. Fails with the sentence why that cannot be.
pub(super) fn of(source: &str, limits: Limits) -> Result<Option<WrittenOut>, String> {
    let (Ok(document), Some(sheet)) = (yaml::read(source, limits), Sheet::new(source, limits)) else { return Ok(None) };
    let mut out = Out { sheet: &sheet, due: due(&sheet), changes: Vec::new() };
    out.find(&sheet.root);
    if out.changes.is_empty() && !sheet.is_flow(&sheet.root) {
        return Ok(None);
    }
    if let Some((_, line)) = document.anchor_twice {
        return Err(format!("line {line}: an anchor is defined twice; give one of the two another name"));
    }
    let had_aliases = !out.changes.is_empty();
    let mut changed = sheet.with(out.changes);
    if let Some(sheet) = Sheet::new(&changed, limits).filter(|it| it.is_flow(&it.root)) {
        changed = sheet.with(vec![Change::all(&sheet.root, sheet.blocks(&sheet.root))]);
    }
    match yaml::read(&changed, limits) {
        Ok(again) if is_same(&document.root, &again.root) => Ok(Some(WrittenOut { text: changed, had_aliases })),
        _ if had_aliases => Err("the file has an alias (`*`) or a merge key (`<<`) that cannot be replaced by what it stands for; write the keys and values themselves".into()),
        _ => Err("the file has a mapping in brackets that cannot be changed as it is written; write it in block style, each key in a line of its own".into()),
    }
}

/// Whether two trees hold the same. What a merge brings has no order.
fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar(a), Kind::Scalar(b)) => a.yaml11() == b.yaml11() && a.core() == b.core(),
        (Kind::List(a), Kind::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Kind::Map(entries), Kind::Map(others)) => {
            let is_there =
                |(key, value): &(yaml::Key, Node)| b.get(&key.scalar.text).is_some_and(|it| is_same(value, it));
            entries.len() == others.len() && entries.iter().all(is_there)
        }
        _ => false,
    }
}

/// The lines that may change; nothing if these are all.
fn due(sheet: &Sheet) -> Option<Vec<std::ops::Range<usize>>> {
    let of = |keys: &[&str]| {
        let entries = sheet.entries();
        entries.iter().filter(|it| keys.contains(&it.key)).map(|it| it.lines.clone()).collect::<Vec<_>>()
    };
    let lines = Some(of(&SECTION)).filter(|it| !it.is_empty()).unwrap_or_else(|| of(&OTHERS));
    (!lines.is_empty() && get(&sheet.root, "<<").is_none() && !sheet.is_flow(&sheet.root)).then_some(lines)
}

struct Out<'s> {
    sheet: &'s Sheet,
    due: Option<Vec<std::ops::Range<usize>>>,
    changes: Vec<Change>,
}

impl Out<'_> {
    fn is_due(&self, spot: Spot) -> bool {
        self.due.as_ref().is_none_or(|all| all.iter().any(|lines| lines.contains(&spot.line)))
    }

    /// Whether an alias, or one of those below, stands in lines that may change, or names what does.
    fn names(&self, node: &Marked) -> bool {
        match &node.kind {
            What::Alias(name) => {
                self.is_due(node.start) || self.sheet.root.anchored(name).is_some_and(|it| self.is_due(it.start))
            }
            What::List(items) => items.iter().any(|it| self.names(it)),
            What::Map(entries) => entries.iter().any(|(_, value)| self.names(value)),
            What::Scalar(..) => false,
        }
    }

    fn find(&mut self, node: &Marked) {
        let root = &self.sheet.root;
        match &node.kind {
            What::Alias(_) if self.names(node) => {
                let value = self.sheet.one_line(node, Some(root));
                self.changes.push(Change::all(node, value));
            }
            What::List(items) => items.iter().for_each(|it| self.find(it)),
            What::Map(entries) => {
                for (key, value) in entries {
                    if !self.sheet.is_merge(key) {
                        self.find(key);
                        self.find(value);
                    } else if self.names(value) || self.is_due(key.start) {
                        let with = self.brought(node, entries, value, key.start.column);
                        self.changes.push(Change { start: key.start, end: value.end, with });
                    }
                }
            }
            What::Scalar(..) | What::Alias(_) => {}
        }
    }

    /// What a merge brings into a mapping, each key in a line of its own unless the mapping is in brackets.
    fn brought(&self, node: &Marked, entries: &[(Marked, Marked)], value: &Marked, column: usize) -> String {
        let root = &self.sheet.root;
        let is_flow = self.sheet.is_flow(node);
        let is_own = |key: &str| entries.iter().any(|(it, _)| text(it) == Some(key));
        let mut all = Vec::new();
        for (key, value) in self.sheet.merged(value, root) {
            if text(key).is_some_and(is_own) {
                continue;
            }
            let mut entry = self.sheet.one_line(key, Some(root)) + ":";
            match text(value).filter(|it| !is_flow && it.contains('\n')) {
                Some(text) => scalar(&mut entry, text, column + 2),
                None => entry = entry + " " + &self.sheet.one_line(value, Some(root)),
            }
            all.push(entry);
        }
        all.join(&if is_flow { ", ".to_owned() } else { format!("\n{:column$}", "") })
    }
}
