//! A text of YAML that is changed by whole lines: what is not touched stays as it is written, comments included.

use std::fmt::Write as _;
use std::ops::Range;

use crate::rke2::options::{Spec, find};
use crate::text::emit::{push_plain_or_quoted, scalar};
use crate::text::yaml::marks::{self, Marked, Spot, What};
use crate::text::yaml::{CLOUD_CONFIG, Limits, is_text};

/// A text and what becomes of its lines.
#[derive(Debug)]
pub(super) struct Sheet {
    /// The lines, each with its line break.
    lines: Vec<String>,
    /// What they become, where that is something else.
    changed: Vec<Option<String>>,
    /// What is added at the beginning.
    pub(super) first: String,
    /// What is added at the end.
    pub(super) added: String,
    /// What the text holds.
    pub(super) root: Marked,
}

/// A mapping or list that stands in a text.
pub(super) struct Inner {
    /// As a text of its own.
    pub(super) text: String,
    /// How far it was indented; nothing if it was in brackets.
    pub(super) margin: Option<usize>,
}

/// An entry of a mapping.
#[derive(Debug)]
pub(super) struct Entry<'s> {
    /// Its key.
    pub(super) key: &'s str,
    /// Its value.
    pub(super) value: &'s Marked,
    /// Its lines.
    pub(super) lines: Range<usize>,
}

impl Entry<'_> {
    /// Its value, if that is a single one.
    pub(super) fn text(&self) -> Option<&str> {
        text(self.value)
    }
}

/// A single value.
pub(super) fn text(node: &Marked) -> Option<&str> {
    match &node.kind {
        What::Scalar(text, _) => Some(text),
        _ => None,
    }
}

/// The value of a key.
pub(super) fn get<'m>(node: &'m Marked, key: &str) -> Option<&'m Marked> {
    let What::Map(entries) = &node.kind else { return None };
    entries.iter().rev().find(|(it, _)| text(it) == Some(key)).map(|(_, value)| value)
}

/// The items of a list.
pub(super) fn items(node: &Marked) -> &[Marked] {
    if let What::List(items) = &node.kind { items } else { &[] }
}

/// A single value, or those of a list: what RKE2 takes for a list.
pub(super) fn texts(node: &Marked) -> Vec<&str> {
    text(node).into_iter().chain(items(node).iter().filter_map(text)).collect()
}

impl Sheet {
    /// Reads a text; nothing if it does not parse, or is empty.
    pub(super) fn new(source: &str, limits: Limits) -> Option<Sheet> {
        let root = marks::read(source, limits)?;
        let (mut lines, mut start) = (Vec::new(), 0);
        // With the line breaks that the scanner knows.
        for line in marks::lines(source) {
            let end = line.as_ptr().addr() - source.as_ptr().addr() + line.len();
            lines.extend(source.get(start..end).map(ToOwned::to_owned));
            start = end;
        }
        // Each break to the line before it.
        for index in 1..lines.len() {
            let line = lines.get(index).map(|it| it.trim_start_matches(is_break).len()).unwrap_or_default();
            let breaks = lines.get_mut(index).map(|it| it.drain(..it.len() - line).collect::<String>());
            if let (Some(breaks), Some(before)) = (breaks, lines.get_mut(index - 1)) {
                before.push_str(&breaks);
            }
        }
        let changed = lines.iter().map(|_| None).collect();
        Some(Sheet { lines, changed, first: String::new(), added: String::new(), root })
    }

    /// The text, with what was changed.
    pub(super) fn text(&self) -> String {
        let mut text = self.first.clone();
        for (line, changed) in self.lines.iter().zip(&self.changed) {
            text += changed.as_ref().unwrap_or(line);
        }
        if !self.added.is_empty() && !text.is_empty() && !text.ends_with(is_break) {
            text.push('\n');
        }
        text + &self.added
    }

    /// The entries of the mapping at the top.
    pub(super) fn entries(&self) -> Vec<Entry<'_>> {
        let What::Map(entries) = &self.root.kind else { return Vec::new() };
        let ends = entries.iter().skip(1).map(|(key, _)| key.start.line).chain([self.lines.len()]);
        let all = entries.iter().zip(ends).filter_map(|((key, value), next)| {
            let lines = self.range(key.start, value.end.max(key.end));
            let end = lines.end.min(next.max(lines.start + 1));
            Some(Entry { key: text(key)?, value, lines: lines.start..end })
        });
        all.collect()
    }

    /// How far the mapping at the top is indented.
    pub(super) fn margin(&self) -> usize {
        let What::Map(entries) = &self.root.kind else { return 0 };
        entries.first().map_or(0, |(key, _)| key.start.column)
    }

    /// An entry of the mapping at the top.
    pub(super) fn entry(&self, key: &str) -> Option<Entry<'_>> {
        self.entries().into_iter().rev().find(|it| it.key == key)
    }

    /// The lines of what stands between two places.
    pub(super) fn range(&self, start: Spot, end: Spot) -> Range<usize> {
        let last = if end.column == 0 && end.line > start.line { end.line } else { end.line + 1 };
        let is_blank = |line: usize| self.lines.get(line).is_none_or(|it| it.trim().is_empty());
        let mut last = last.min(self.lines.len());
        while last > start.line + 1 && is_blank(last - 1) {
            last -= 1;
        }
        start.line..last
    }

    /// The lines of an item of a list, its dash included.
    pub(super) fn item(&self, item: &Marked) -> Range<usize> {
        let lines = self.range(item.start, item.end);
        let before: String = self.written(lines.start..lines.start + 1).chars().take(item.start.column).collect();
        lines.start - usize::from(!before.contains('-') && lines.start > 0)..lines.end
    }

    /// Lines as they are written.
    pub(super) fn written(&self, lines: Range<usize>) -> String {
        self.lines.get(lines).unwrap_or_default().concat()
    }

    /// Writes other lines in place of some; nothing takes them away.
    pub(super) fn replace(&mut self, lines: Range<usize>, with: &str) {
        let first = lines.start;
        for line in lines {
            let new = if line == first { with.to_owned() } else { String::new() };
            self.changed.iter_mut().skip(line).take(1).for_each(|it| *it = Some(new.clone()));
        }
    }

    /// Makes comments of lines.
    pub(super) fn comment(&mut self, lines: Range<usize>) {
        let text = commented(&self.written(lines.clone()));
        self.replace(lines, &text);
    }

    /// The comment behind a value in its line, with the blanks before it.
    pub(super) fn remark(&self, value: &Marked) -> String {
        let is_block = matches!(value.kind, What::Scalar(_, true));
        let Some(line) = self.lines.get(if is_block { value.start.line } else { value.end.line }) else {
            return String::new();
        };
        let column = if is_block { value.start.column } else { value.end.column };
        let behind: String = line.chars().skip(column).collect();
        let behind = behind.trim_end().trim_start_matches(['|', '>', '-', '+', ',', ']', '}']);
        if behind.trim_start().starts_with('#') { behind.to_owned() } else { String::new() }
    }

    /// A mapping or list below, as a text of its own: without its indentation, and in block style if it was in brackets.
    pub(super) fn inner(&self, lines: &Range<usize>, node: &Marked) -> Option<Inner> {
        let first = match &node.kind {
            What::Map(entries) => &entries.first()?.0,
            What::List(items) => items.first()?,
            What::Scalar(..) | What::Alias(_) => return None,
        };
        let margin = match &node.kind {
            What::Map(_) if self.is_flow(node) => return Some(Inner { text: self.blocks(node), margin: None }),
            What::List(_) => node.start.column,
            _ => first.start.column,
        };
        let start = lines.start + usize::from(first.start.line > lines.start);
        let text = dedented(&self.written(start..lines.end), margin);
        Some(Inner { text, margin: Some(margin) })
    }

    /// Whether a mapping or list is written in brackets.
    pub(super) fn is_flow(&self, node: &Marked) -> bool {
        matches!(node.kind, What::Map(_) | What::List(_)) && self.properties(node).2.starts_with(['{', '['])
    }

    /// The same with the mapping at the top in block style.
    pub(super) fn in_blocks(self) -> Option<Sheet> {
        if !self.is_flow(&self.root) {
            return Some(self);
        }
        let inner = self.inner(&(0..self.lines.len()), &self.root)?;
        Sheet::new(&inner.text, CLOUD_CONFIG)
    }

    /// The entries of a mapping in brackets as lines, each behind the comments that stood before it.
    pub(super) fn blocks(&self, node: &Marked) -> String {
        let What::Map(entries) = &node.kind else { return String::new() };
        let mut text = String::new();
        let mut before = node.start;
        for (key, value) in entries {
            let mut leaves = Vec::new();
            leaf_places(key, &mut leaves);
            leaf_places(value, &mut leaves);
            for (start, end) in leaves {
                text += &self.comments(before, start);
                before = end;
            }
            let _ = writeln!(text, "{}: {}", self.one_line(key, None), self.one_line(value, None));
        }
        text + &self.comments(before, node.end)
    }

    /// The comments between two values, where `#` can be nothing else.
    fn comments(&self, from: Spot, to: Spot) -> String {
        let comment = |part: String| Some(format!("#{}\n", part.split_once('#')?.1.trim_end()));
        self.between(from, to).filter_map(comment).collect()
    }

    /// A value in one line, as it is written if it is so already. With a root aliases are replaced by what they name there, and merged.
    pub(super) fn one_line(&self, node: &Marked, root: Option<&Marked>) -> String {
        let list = |open: &str, items: Vec<String>, close: &str| format!("{open}{}{close}", items.join(", "));
        let is_written_so = node.start.line == node.end.line && !matches!(node.kind, What::Scalar(_, true));
        match &node.kind {
            What::Alias(name) => match root.and_then(|root| root.anchored(name)) {
                Some(named) => self.one_line(named, root),
                None => format!("*{name}"),
            },
            _ if is_written_so && root.is_none() => self.slice(node),
            What::Scalar(value, is_block) => {
                let (anchor, tag, rest) = self.properties(node);
                let anchor = if root.is_none() { anchor } else { String::new() };
                let is_quoted = *is_block || rest.starts_with(['"', '\'']);
                let is_plain = !is_quoted && !rest.contains('\n') && !is_text(value);
                let written = match value.as_str() {
                    "" if !is_quoted => "null".to_owned(),
                    _ if is_plain => value.clone(),
                    _ => {
                        let mut text = String::new();
                        push_plain_or_quoted(&mut text, value);
                        text
                    }
                };
                format!("{anchor}{tag}{written}")
            }
            What::List(items) => list("[", items.iter().map(|it| self.one_line(it, root)).collect(), "]"),
            What::Map(entries) => {
                let all = match root {
                    Some(root) => self.merged(node, root),
                    None => entries.iter().map(|(key, value)| (key, value)).collect(),
                };
                let entry = |(key, value)| format!("{}: {}", self.one_line(key, root), self.one_line(value, root));
                list("{", all.into_iter().map(entry).collect(), "}")
            }
        }
    }

    /// The anchor and the tag of a single value, each with a blank, and the rest.
    fn properties(&self, node: &Marked) -> (String, String, String) {
        let written: String = self.between(node.start, node.end).collect();
        let (mut anchor, mut tag, mut rest) = (String::new(), String::new(), written.as_str());
        while rest.starts_with(['&', '!']) {
            let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            *(if word.starts_with('&') { &mut anchor } else { &mut tag }) = format!("{word} ");
            rest = behind.trim_start();
        }
        (anchor, tag, rest.to_owned())
    }

    /// Whether a key is `<<` and brings the keys of another mapping.
    pub(super) fn is_merge(&self, key: &Marked) -> bool {
        text(key) == Some("<<") && self.properties(key).2 == "<<"
    }

    /// The entries of a mapping, or of what it names, with those that are merged into it, or of several such.
    pub(super) fn merged<'m>(&self, node: &'m Marked, root: &'m Marked) -> Vec<(&'m Marked, &'m Marked)> {
        let entries = match &node.kind {
            What::Alias(name) => return root.anchored(name).map(|it| self.merged(it, root)).unwrap_or_default(),
            What::List(items) => return first_of(items.iter().flat_map(|it| self.merged(it, root)).collect()),
            What::Scalar(..) => return Vec::new(),
            What::Map(entries) => entries,
        };
        let (merges, own): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| self.is_merge(key));
        let brought = merges.into_iter().flat_map(|(_, value)| self.merged(value, root));
        first_of(own.into_iter().map(|(key, value)| (key, value)).chain(brought).collect())
    }

    /// The text with other words in place of what stands between places that do not overlap.
    pub(super) fn with(&self, mut changes: Vec<Change>) -> String {
        let mut lines = self.lines.clone();
        changes.sort_by_key(|it| it.start);
        for Change { start, end, with } in changes.into_iter().rev() {
            let head: String =
                lines.iter().skip(start.line).take(1).flat_map(|it| it.chars().take(start.column)).collect();
            let tail: String = lines.iter().skip(end.line).take(1).flat_map(|it| it.chars().skip(end.column)).collect();
            lines.iter_mut().take(end.line + 1).skip(start.line).for_each(String::clear);
            lines.iter_mut().skip(start.line).take(1).for_each(|it| *it = format!("{head}{with}{tail}"));
        }
        lines.concat()
    }

    /// A value as it is written, in one line.
    pub(super) fn slice(&self, node: &Marked) -> String {
        let mut text = String::new();
        for part in self.between(node.start, node.end) {
            if !text.is_empty() {
                text.push(' ');
            }
            text += part.trim();
        }
        text
    }

    /// What stands between two places, line by line.
    fn between(&self, from: Spot, to: Spot) -> impl Iterator<Item = String> {
        let lines = self.lines.iter().enumerate().take(to.line + 1).skip(from.line);
        lines.map(move |(index, line)| {
            let first = if index == from.line { from.column } else { 0 };
            let last = if index == to.line { to.column } else { usize::MAX };
            line.chars().take(last).skip(first).collect()
        })
    }
}

/// Other words in place of what stands between two places.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) start: Spot,
    pub(super) end: Spot,
    pub(super) with: String,
}

impl Change {
    /// In place of a whole value.
    pub(super) fn all(node: &Marked, with: String) -> Change {
        Change { start: node.start, end: node.end, with }
    }
}

/// Of each key the first entry.
fn first_of<'m>(entries: Vec<(&'m Marked, &'m Marked)>) -> Vec<(&'m Marked, &'m Marked)> {
    let mut first: Vec<(&Marked, &Marked)> = Vec::new();
    for (key, value) in entries {
        if !first.iter().any(|(it, _)| text(it) == text(key)) {
            first.push((key, value));
        }
    }
    first
}

/// Where single values and aliases stand, in the order of the text.
fn leaf_places(node: &Marked, places: &mut Vec<(Spot, Spot)>) {
    match &node.kind {
        What::Scalar(..) | What::Alias(_) => places.push((node.start, node.end)),
        What::List(items) => items.iter().for_each(|it| leaf_places(it, places)),
        What::Map(entries) => entries.iter().for_each(|(key, value)| {
            leaf_places(key, places);
            leaf_places(value, places);
        }),
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Lines without so many blanks at their beginning.
pub(super) fn dedented(text: &str, by: usize) -> String {
    let line = |line: &str| {
        let blanks = line.chars().take(by).take_while(|it| *it == ' ').count();
        line.chars().skip(blanks).collect::<String>()
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Lines with so many blanks more.
pub(super) fn indented(text: &str, by: usize) -> String {
    let margin = " ".repeat(by);
    let line = |line: &str| if line.trim().is_empty() { line.to_owned() } else { format!("{margin}{line}") };
    text.split_inclusive('\n').map(line).collect()
}

/// Lines as comments, each where it begins.
pub(super) fn commented(text: &str) -> String {
    let line = |line: &str| {
        let rest = line.trim_start_matches(' ');
        let margin = line.len() - rest.len();
        if rest.trim().is_empty() { line.to_owned() } else { format!("{}# {rest}", " ".repeat(margin)) }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// A text that ends in a line break.
pub(super) fn line(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// An option as a line of YAML, or as several.
pub(super) fn option(name: &str, values: &[String]) -> String {
    let mut text = format!("{name}:");
    match values {
        [value] if !find(name).is_some_and(Spec::is_list) => scalar(&mut text, value, 2),
        values => {
            for value in values {
                text += "\n  -";
                scalar(&mut text, value, 4);
            }
        }
    }
    text + "\n"
}

/// Lines that say what was not carried over.
pub(super) fn left(path: &str, written: &str) -> String {
    commented(&format!("{path}: {}\n", written.trim()))
}
