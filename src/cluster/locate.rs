//! Where in a file a finding stands, to the column, and the line of it that a person is shown.
//!
//! The file is read once more, so that a boot, which tells lines only, pays nothing for columns.

use super::excerpt::{Drawer, Meant, Part, Spoken};
use crate::findings::code::Code;
use crate::findings::{Finding, Findings, Span};
use crate::text::yaml::marks::{self, Marked, Spot, What};
use crate::text::yaml::{self, CLOUD_CONFIG, OPTIONS};

/// From here on Kairos reads a file no more, so that nobody has to look for a column in it.
const TOO_LARGE: usize = 2 << 20;

/// How many findings get a column at least.
const MOST: usize = 1000;

/// Gives the findings of a file, all of which are about its `text`, their columns, and a line to be shown.
///
/// Where the text does not parse, nothing of it is shown.
pub fn locate(findings: &mut Findings, text: &str) {
    if text.len() >= TOO_LARGE || findings.list.is_empty() {
        return;
    }
    let lines = marks::lines(text);
    let broken = yaml::read(text, CLOUD_CONFIG).err();
    let root = if broken.is_none() { marks::read(text, CLOUD_CONFIG) } else { None };
    let Some(root) = root else {
        for finding in &mut findings.list {
            let column = broken.as_ref().filter(|it| finding.code == Code::Unreadable && finding.line == Some(it.line));
            finding.span = column.and_then(|error| point(error.column));
        }
        return;
    };
    let source = Source { inner: Inner::of(&root, &lines), lines, root };
    let places = |start, end| source.inner.as_ref()?.places(start, end);
    let inner = source.inner.as_ref();
    let part = inner.map(|it| Part { outer: it.outer, root: it.root.as_ref(), places: &places });
    let drawer = Drawer::new(&source.lines, &source.root, part.as_ref());
    // Those that are printed, and as many as anybody reads.
    let printed = findings.printed();
    let sought = |(index, _): &(usize, &mut Finding)| *index < MOST || printed.contains(index);
    for (_, finding) in findings.list.iter_mut().enumerate().filter(sought) {
        if let Some(meant) = source.meant(finding) {
            finding.line = Some(meant.start.line + 1);
            let excerpt = drawer.draw(&meant, &finding.message);
            let column = meant.start.column + 1;
            // How long a value is that nobody may see, nobody may know.
            let is_drawn = excerpt.as_ref().is_some_and(|it| it.line.chars().nth(it.before) != Some('…'));
            let end = if is_drawn { meant.end.column.max(column) + 1 } else { column + 1 };
            finding.span = Some(Box::new(Span { column, end, excerpt }));
        }
    }
    findings.sort();
}

fn point(column: usize) -> Option<Box<Span>> {
    (column > 0).then(|| Box::new(Span { column, end: column + 1, excerpt: None }))
}

/// A file that parses, and its places.
struct Source<'t> {
    lines: Vec<&'t str>,
    root: Marked,
    /// What `cluster.config` holds, where it is a text of its own.
    inner: Option<Inner>,
}

/// A text of its own inside a value.
struct Inner {
    /// What it holds; nothing where it does not parse.
    root: Option<Marked>,
    /// Why it does not.
    broken: Option<yaml::Error>,
    /// Where each of its characters stands in the file.
    origins: Vec<Spot>,
    /// At which character each of its lines begins.
    starts: Vec<usize>,
    /// Where the value begins and ends.
    outer: (Spot, Spot),
}

impl Inner {
    fn of(root: &Marked, lines: &[&str]) -> Option<Inner> {
        let cluster = &entry(root, root, "cluster", 0, 0)?.1;
        let node = resolved(root, &entry(root, cluster, "config", 0, 0)?.1);
        let What::Scalar(text, _) = &node.kind else { return None };
        let origins = marks::origins(lines, node)?;
        let mut starts = vec![0];
        let mut at = 0;
        for line in marks::lines(text) {
            // A line break is one character but for the two of Windows, which the scanner has made one of.
            at += line.chars().count() + 1;
            starts.push(at);
        }
        let broken = yaml::read(text, OPTIONS).err();
        let inner = if broken.is_none() { marks::read(text, OPTIONS) } else { None };
        Some(Inner { root: inner, broken, origins, starts, outer: (node.start, node.end) })
    }

    /// Where the reader of the text inside stops in a line of it; nothing is known of what stands there.
    fn stopped(&self, line: usize) -> Option<Meant> {
        let error = self.broken.as_ref().filter(|it| it.line == line)?;
        let line = line - 1;
        let start = self.place(Spot { line, column: error.column.saturating_sub(1) });
        let start = start.or_else(|| self.place(Spot { line, column: 0 }))?;
        Some(Meant { start, end: start, key: None, value: None, is_drawn: false })
    }

    /// Where a place of the text inside stands in the file.
    fn place(&self, spot: Spot) -> Option<Spot> {
        self.origins.get(self.starts.get(spot.line)? + spot.column).copied()
    }

    /// The same for what begins and ends there: the end is that of its last character.
    fn places(&self, start: Spot, end: Spot) -> Option<(Spot, Spot)> {
        let last = self.starts.get(end.line)? + end.column;
        let last = *self.origins.get(last.checked_sub(1)?)?;
        Some((self.place(start)?, Spot { column: last.column + 1, ..last }))
    }
}

/// What an alias stands for.
fn resolved<'m>(root: &'m Marked, node: &'m Marked) -> &'m Marked {
    match &node.kind {
        What::Alias(name) => root.anchored(name).filter(|it| !matches!(it.kind, What::Alias(_))).unwrap_or(node),
        _ => node,
    }
}

/// The last entry of a key, or the one in a line; also one that is merged in, by so many merges.
fn entry<'m>(
    root: &'m Marked,
    node: &'m Marked,
    name: &str,
    line: usize,
    merges: usize,
) -> Option<&'m (Marked, Marked)> {
    let What::Map(entries) = &resolved(root, node).kind else { return None };
    let is = |(key, _): &&(Marked, Marked), name: &str| matches!(&key.kind, What::Scalar(text, _) if text == name);
    let own = entries.iter().rev().find(|it| is(it, name) && it.0.start.line + 1 == line);
    let own = own.or_else(|| entries.iter().rev().find(|it| is(it, name)));
    own.or_else(|| {
        let (_, from) = entries.iter().find(|it| is(it, "<<") && merges < CLOUD_CONFIG.depth)?;
        match &from.kind {
            What::List(maps) => maps.iter().find_map(|map| entry(root, map, name, line, merges + 1)),
            _ => entry(root, from, name, line, merges + 1),
        }
    })
}

/// Codes that are about the name of a key, whatever its value.
const OF_KEYS: [Code; 12] = [
    Code::UnknownKey,
    Code::OptionUnknown,
    Code::OptionDropped,
    Code::OptionOfOtherRole,
    Code::OptionName,
    Code::OptionTwice,
    Code::OptionAppend,
    Code::OptionReset,
    Code::EnvName,
    Code::EnvReserved,
    Code::ProviderOptionUnknown,
    Code::ProviderOptionsMisnamed,
];

impl Source<'_> {
    /// What of which line a finding is about; nothing if there is no such line.
    fn meant(&self, finding: &Finding) -> Option<Meant> {
        let steps: Vec<_> = finding.path.steps().collect();
        let (mut root, mut steps, mut line, mut text) = (&self.root, steps.as_slice(), finding.line?, None);
        if let (Some(inside), Some(inner), [Ok("cluster"), Ok("config"), rest @ ..]) =
            (finding.inner, &self.inner, steps)
        {
            match &inner.root {
                Some(found) => (root, steps, line, text) = (found, rest, inside, Some(inner)),
                None => return inner.stopped(inside),
            }
        }
        let place = |node: &Marked| match text {
            Some(inner) => inner.places(node.start, node.end),
            None => Some((node.start, node.end)),
        };
        let begin = || {
            let line = match text {
                Some(inner) => inner.place(Spot { line: line - 1, column: 0 })?.line,
                None => line - 1,
            };
            self.begin_of(line)
        };
        let (mut key, mut value) = (None, root);
        let mut left = steps.iter();
        for step in left.by_ref() {
            let next = match step {
                Ok(name) => entry(root, value, name, line, 0).map(|(key, value)| (Some(key), value)),
                Err(index) => match &resolved(root, value).kind {
                    What::List(items) => items.get(*index).map(|item| (None, item)),
                    _ => None,
                },
            };
            let Some(next) = next else { break };
            (key, value) = next;
        }
        let stands = key.unwrap_or(value);
        if steps.is_empty() || stands.start.line + 1 != line {
            return begin();
        }
        let spoken = |node: &Marked| {
            let What::Scalar(text, _) = &node.kind else { return None };
            let (start, end) = place(node)?;
            Some(Spoken { start, end, text: text.clone() })
        };
        let is_of_key = OF_KEYS.contains(&finding.code) || left.next().is_some();
        let key_span = key.and_then(place);
        let in_one_line = |(start, end): &(Spot, Spot)| {
            start.line == end.line && start < end && key_span.is_none_or(|(key, _)| key.line == start.line)
        };
        let value_span = Some(value).filter(|_| key.is_none() || !is_of_key).and_then(place).filter(in_one_line);
        let Some((start, end)) = value_span.or(key_span).or_else(|| place(value)) else { return begin() };
        let end = if end.line == start.line { end } else { start };
        Some(Meant { start, end, key: key.and_then(spoken), value: spoken(value), is_drawn: true })
    }

    /// The first character of a line.
    fn begin_of(&self, line: usize) -> Option<Meant> {
        let column = self.lines.get(line)?.chars().position(|c| !c.is_whitespace())?;
        let start = Spot { line, column };
        Some(Meant { start, end: start, key: None, value: None, is_drawn: true })
    }
}
