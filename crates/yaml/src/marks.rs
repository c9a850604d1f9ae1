//! A text with the place of each of its values, for messages: the text is read once more, so that who needs no columns pays nothing for them.

use std::borrow::Cow;

use crate::events::{Event, Events};
use crate::scalars;
use crate::scanner::{Mark, Written};
use crate::{Error, Limits};

/// A place in a text: line and column in characters, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A value and where it stands.
#[derive(Debug)]
pub struct Marked {
    /// Where it begins, with its anchor and its tag.
    pub start: Spot,
    /// Where it ends: the place of the first character behind it.
    pub end: Spot,
    /// The name of its anchor.
    pub anchor: Option<String>,
    /// What it is.
    pub kind: What,
}

/// What a [`Marked`] is.
#[derive(Debug)]
pub enum What {
    /// A single value: its text, and whether it is a block after `|` or `>`.
    Scalar(String, bool),
    /// A list.
    List(Vec<Marked>),
    /// A mapping as written: `<<` is a key like others.
    Map(Vec<(Marked, Marked)>),
    /// `*` and the name of an anchor.
    Alias(String),
}

/// The first document of a text with the place of each value; nothing if it is empty or does not parse.
pub fn read(text: &str, limits: Limits) -> Option<Marked> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > limits.bytes {
        return None;
    }
    let mut reader = Reader { text, events: Events::new(text, limits.ahead), limits };
    loop {
        match reader.events.next().ok()? {
            (Event::StreamEnd | Event::DocumentEnd, _) => return None,
            (Event::DocumentStart, _) => {}
            (event, mark) => return reader.marked(event, mark, 0).ok(),
        }
    }
}

fn spot(mark: Mark) -> Spot {
    Spot { line: mark.line, column: mark.column }
}

struct Reader<'t> {
    text: &'t str,
    events: Events<'t>,
    limits: Limits,
}

impl<'t> Reader<'t> {
    fn marked(&mut self, event: Event<'t>, mark: Mark, depth: usize) -> Result<Marked, Error> {
        let start = spot(mark);
        if depth > self.limits.depth {
            return Err(mark.error("it is nested too deep"));
        }
        let (anchor, kind, end) = match event {
            Event::Alias { anchor } => (None, What::Alias(anchor.to_owned()), spot(self.events.end())),
            Event::Scalar { properties, text, written } => {
                // Null that is not written has no end.
                let is_written = !matches!(&text, Cow::Borrowed("")) || written != Written::Plain;
                let end = if is_written { spot(self.events.end()) } else { start };
                let is_block = matches!(written, Written::Literal | Written::Folded);
                (properties.anchor, What::Scalar(text.into_owned(), is_block), end)
            }
            Event::SequenceStart { anchor } => {
                let mut items = Vec::new();
                loop {
                    let (event, mark) = self.events.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        let end = self.behind(start, items.last());
                        break (anchor, What::List(items), end);
                    }
                    items.push(self.marked(event, mark, depth + 1)?);
                }
            }
            Event::MappingStart { anchor } => {
                let mut entries = Vec::new();
                loop {
                    let (event, mark) = self.events.next()?;
                    if matches!(event, Event::MappingEnd) {
                        let end = self.behind(start, entries.last().map(|(_, value)| value));
                        break (anchor, What::Map(entries), end);
                    }
                    let key = self.marked(event, mark, depth + 1)?;
                    let (event, mark) = self.events.next()?;
                    entries.push((key, self.marked(event, mark, depth + 1)?));
                }
            }
            _ => return Err(mark.error("it ends too early")),
        };
        Ok(Marked { start, end, anchor: anchor.map(ToOwned::to_owned), kind })
    }

    /// Where a list or mapping ends: at its bracket, and without one where its last value does, not where the next begins.
    fn behind(&self, start: Spot, last: Option<&Marked>) -> Spot {
        let end = self.events.end();
        let before = end.at.checked_sub(1).and_then(|at| self.text.as_bytes().get(at));
        match last {
            _ if matches!(before, Some(b']' | b'}')) => spot(end),
            Some(last) => last.end,
            None => start,
        }
    }
}

impl Marked {
    /// The node of an anchor below this one.
    pub fn anchored(&self, name: &str) -> Option<&Marked> {
        if self.anchor.as_deref() == Some(name) {
            return Some(self);
        }
        match &self.kind {
            What::List(items) => items.iter().find_map(|it| it.anchored(name)),
            What::Map(entries) => entries.iter().find_map(|(_, value)| value.anchored(name)),
            What::Scalar(..) | What::Alias(_) => None,
        }
    }
}

/// The lines of a text as the scanner counts them, which takes more characters for line breaks than others do.
pub fn lines(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            lines.extend(text.get(start..at));
            start = at + c.len_utf8();
            if c == '\r' && characters.next_if(|(_, next)| *next == '\n').is_some() {
                start += 1;
            }
        }
    }
    lines.extend(text.get(start..));
    lines
}

/// Where each character of a value stands in the text around it, and at the end where the value ends.
///
/// `lines` are those of the text around it. Blanks and line breaks are folded and indented in many ways, so of them the place is only near;
/// nothing if any other character is not found, as behind an escape that stands for several.
pub fn origins(lines: &[&str], node: &Marked) -> Option<Vec<Spot>> {
    let What::Scalar(value, is_block) = &node.kind else { return None };
    let source: Vec<(Spot, char)> = lines
        .iter()
        .enumerate()
        .take(node.end.line + 1)
        .skip(node.start.line)
        .flat_map(|(line, text)| {
            let characters = text.chars().chain(['\n']).enumerate();
            characters.map(move |(column, c)| (Spot { line, column }, c))
        })
        .filter(|(spot, _)| *spot >= node.start && *spot < node.end)
        .collect();
    let mut at = 0;
    // The anchor and the tag, and the line of the indicator.
    if *is_block {
        at = source.iter().position(|(_, c)| *c == '\n')? + 1;
    } else {
        while matches!(source.get(at)?.1, '&' | '!') {
            at += source.get(at..)?.iter().position(|(_, c)| c.is_whitespace())?;
            at += source.get(at..)?.iter().position(|(_, c)| !c.is_whitespace())?;
        }
    }
    let quote = source.get(at).map(|(_, c)| *c).filter(|c| !is_block && matches!(c, '"' | '\''));
    at += usize::from(quote.is_some());
    let mut origins = Vec::with_capacity(value.len() + 1);
    for c in value.chars() {
        if c.is_whitespace() && c != '\u{a0}' {
            let spot = source.get(at).map_or(node.end, |(spot, _)| *spot);
            origins.push(spot);
            match (quote, source.get(at).map(|(_, c)| *c)) {
                (Some('"'), Some('\\')) => at += escaped(&source, at)?.1,
                (_, Some(found)) if found == c => at += 1,
                _ => {}
            }
            continue;
        }
        // Indentation and folded line breaks.
        loop {
            match (quote, source.get(at)?.1) {
                (Some('"'), '\\') if source.get(at + 1)?.1 == '\n' => at += 2,
                (_, found) if found.is_whitespace() && found != c => at += 1,
                _ => break,
            }
        }
        let (spot, found) = *source.get(at)?;
        let length = match (quote, found) {
            (Some('"'), '\\') => {
                let (meant, length) = escaped(&source, at)?;
                if meant != c {
                    return None;
                }
                length
            }
            (Some('\''), '\'') if c == '\'' => 2,
            _ if found == c => 1,
            _ => return None,
        };
        origins.push(spot);
        at += length;
    }
    origins.push(source.get(at).map_or(node.end, |(spot, _)| *spot));
    Some(origins)
}

/// What an escape in double quotes stands for, and how long it is.
fn escaped(source: &[(Spot, char)], at: usize) -> Option<(char, usize)> {
    let digits = |count: usize| {
        let digits: String = source.get(at + 2..at + 2 + count)?.iter().map(|(_, c)| *c).collect();
        Some((char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?, count + 2))
    };
    let c = source.get(at + 1)?.1;
    match c {
        'x' => digits(2),
        'u' => digits(4),
        'U' => digits(8),
        _ => Some((scalars::escaped(u8::try_from(c).ok()?)?, 2)),
    }
}
