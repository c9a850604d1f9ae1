//! Reading YAML: a tree of what was written, with lines, and what a scalar means to RKE2.
//!
//! The scanner and the grammar are go-yaml's (`scanner`, `events`), so the same texts are accepted and refused.
//! A scalar keeps its text as written; [`Scalar::yaml11`] resolves it as gopkg.in/yaml.v2 does for RKE2
//! (`resolve.go`), [`Scalar::core`] as gopkg.in/yaml.v3 does for the Kairos collector.
//! Every reading is bounded by [`Limits`]; the depth is checked while scanning, before nesting costs quadratic time.

mod events;
pub mod marks;
mod scalars;
mod scanner;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use events::{Event, Events};
use scanner::{Mark, Written};

/// How much of a text is read before it is given up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of text.
    pub bytes: usize,
    /// Lists and mappings inside each other.
    pub depth: usize,
    /// Scalars, lists and mappings in all.
    pub nodes: usize,
    /// Nodes made by aliases.
    pub alias_nodes: usize,
    /// Tokens that the reader looks ahead: an error there, behind the end of the first document, is one of the text. RKE2's reader
    /// (gopkg.in/yaml.v2) looks no further than it must, Kairos' (v3) two tokens.
    pub ahead: usize,
}

/// The bounds for RKE2's options and for the files of config.d.
pub const OPTIONS: Limits = Limits { bytes: 1 << 20, depth: 64, nodes: 100_000, alias_nodes: 10_000, ahead: 0 };

/// The bounds for a whole cloud-config, which carries the files of other programs too.
pub const CLOUD_CONFIG: Limits = Limits { bytes: 16 << 20, depth: 64, nodes: 1_000_000, alias_nodes: 10_000, ahead: 2 };

/// How many lines of a text may begin like a directive.
const DIRECTIVES: usize = 1_000;

/// How many keys of a mapping are compared one by one.
const FEW: usize = 16;

/// Why a text is not read. The sentence never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1; 0 where only the line is known.
    pub column: usize,
    /// What is wrong, in lower case.
    pub problem: String,
}

impl Error {
    /// What is wrong in a line.
    pub fn new(line: usize, problem: impl Into<String>) -> Error {
        Error { line, column: 0, problem: problem.into() }
    }
}

/// The first document of a text.
#[derive(Debug)]
pub struct Document {
    /// What it holds; an empty text holds a plain empty scalar, which means null.
    pub root: Node,
    /// Keys that a mapping has more than once, in the order of the text.
    pub duplicates: Vec<Duplicate>,
    /// An anchor that is defined more than once, with the line of the second definition.
    pub anchor_twice: Option<(String, usize)>,
    /// The line where a second document begins.
    pub second: Option<usize>,
}

/// A key that stands twice in one mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The key as written.
    pub key: String,
    /// The line of its first appearance.
    pub first: usize,
    /// The line of its second appearance.
    pub second: usize,
}

/// A value with the line (from 1) where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    /// The line, counted from 1.
    pub line: usize,
    /// What stands there.
    pub kind: Kind,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the text, `<<` expanded, a key that stands twice twice.
    Map(Entries),
}

/// Keys and values of a mapping.
pub type Entries = Vec<(Key, Node)>;

/// A key of a mapping and its line.
#[derive(Debug, Clone)]
pub struct Key {
    /// The line, counted from 1.
    pub line: usize,
    /// The key.
    pub scalar: Scalar,
}

/// A scalar as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, quotes and escapes undone.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// An explicit tag, such as `tag:yaml.org,2002:int`.
    tag: Option<Box<str>>,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: its text decides what it is.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A block after `|`: its lines follow the line of the indicator.
    Literal,
    /// A block after `>`: its lines are folded.
    Folded,
}

/// What a scalar is to a YAML 1.1 reader.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml11 {
    /// `~`, `null` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number between `i64::MIN` and `u64::MAX`.
    Int(i128),
    /// A number with a fraction, or one too large for [`Yaml11::Int`].
    Float(f64),
    /// Text.
    Text(String),
}

/// What a scalar is to gopkg.in/yaml.v3, which the Kairos collector reads and writes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// `~`, `null` or nothing.
    Null,
    /// A boolean, number or date: what the collector prints again may differ from what was written.
    Retyped,
    /// Text, kept as it is.
    Text,
}

/// Reads the first document of `text` within `limits`.
///
/// A byte order mark is skipped. Fails with the line and a sentence where go-yaml would fail, where a limit is passed, at an
/// alias without its anchor, at a `<<` that is not a mapping, and at a key that is not a scalar.
pub fn read(text: &str, limits: Limits) -> Result<Document, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > limits.bytes {
        return Err(Error::new(1, format!("is longer than {} bytes; shorten it", limits.bytes)));
    }
    // The scanner looks through all of them at each one.
    if text.matches('%').nth(DIRECTIVES).is_some()
        && let Some((line, _)) = text.lines().enumerate().filter(|(_, line)| line.starts_with('%')).nth(DIRECTIVES)
    {
        return Err(Error::new(line + 1, format!("has more than {DIRECTIVES} directives; leave them out")));
    }
    if let Some((at, found)) = forbidden(text) {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let problem =
            format!("is not valid YAML: the control character U+{:04X} is not allowed; remove it", u32::from(found));
        let before = text.get(..at).unwrap_or_default().rsplit('\n').next().unwrap_or_default();
        return Err(Error { column: before.chars().count() + 1, ..Error::new(line, problem) });
    }
    Composer::new(text, limits).document().map_err(|error| within(text, error))
}

/// What is missing at the end is missing in the last line.
fn within(text: &str, error: Error) -> Error {
    let last = text.lines().count().max(1);
    if error.line <= last {
        return error;
    }
    let column = text.lines().last().unwrap_or_default().chars().count() + 1;
    Error { line: last, column, ..error }
}

/// Reads the documents of a text to its end. Fails with the line and a sentence where one does not parse.
pub fn all(text: &str, limits: Limits) -> Result<(), Error> {
    let mut events = Events::new(text.strip_prefix('\u{feff}').unwrap_or(text), limits.ahead);
    while events.next().map_err(|error| within(text, error))?.0 != Event::StreamEnd {}
    Ok(())
}

/// Eight bytes of value 1.
const BYTES: u64 = 0x0101_0101_0101_0101;

/// The first character that YAML does not allow anywhere.
fn forbidden(text: &str) -> Option<(usize, char)> {
    let may_be = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || matches!(byte, 0x7f | 0xc2 | 0xef);
    let is_forbidden = |it: char| {
        it.is_control() && !matches!(it, '\t' | '\n' | '\r' | '\u{85}') || matches!(it, '\u{fffe}' | '\u{ffff}')
    };
    // Most texts have no byte that such a character may begin with, and most runs of eight bytes none below 0x20 or from 0x7f on, which shows in
    // their highest bits.
    let is_plain = |run: &[u8]| {
        let it = <[u8; 8]>::try_from(run).map(u64::from_le_bytes);
        it.is_ok_and(|it| (it | it.wrapping_add(BYTES) | it.wrapping_sub(0x20 * BYTES)) & (0x80 * BYTES) == 0)
    };
    let is_suspect = text.as_bytes().chunks(8).any(|run| !is_plain(run) && run.iter().any(|byte| may_be(*byte)));
    is_suspect.then(|| text.char_indices().find(|(_, it)| is_forbidden(*it))).flatten()
}

struct Composer<'t> {
    events: Events<'t>,
    limits: Limits,
    nodes: usize,
    alias_nodes: usize,
    anchors: HashMap<&'t str, Anchor>,
    duplicates: Vec<Duplicate>,
    anchor_twice: Option<(String, usize)>,
    hasher: RandomState,
}

enum Anchor {
    /// The node is not complete: an alias to it would contain itself.
    Open,
    /// The node alone has more values than aliases may make.
    TooLarge,
    Done {
        node: Node,
        size: usize,
        height: usize,
    },
}

impl<'t> Composer<'t> {
    fn new(text: &'t str, limits: Limits) -> Self {
        Self {
            events: Events::new(text, limits.ahead),
            limits,
            nodes: 0,
            alias_nodes: 0,
            anchors: HashMap::new(),
            duplicates: Vec::new(),
            anchor_twice: None,
            hasher: RandomState::new(),
        }
    }

    fn document(mut self) -> Result<Document, Error> {
        let mut root = None;
        loop {
            let (event, mark) = self.events.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart => {}
                Event::DocumentEnd => {
                    // What follows is not ours to judge: go-yaml does not read it either.
                    let second = match self.events.next() {
                        Ok((Event::StreamEnd, _)) => None,
                        Ok((_, mark)) => Some(mark.line + 1),
                        Err(error) => Some(error.line),
                    };
                    let root = root.unwrap_or_else(|| empty(mark.line + 1));
                    let Self { duplicates, anchor_twice, .. } = self;
                    return Ok(Document { root, duplicates, anchor_twice, second });
                }
                event => root = Some(self.node(event, mark, 0)?.0),
            }
        }
        Ok(Document { root: empty(1), duplicates: self.duplicates, anchor_twice: self.anchor_twice, second: None })
    }

    /// The node that begins with `event`, its size in nodes and how many lists and mappings it nests.
    fn node(&mut self, event: Event<'t>, mark: Mark, depth: usize) -> Result<(Node, usize, usize), Error> {
        let line = mark.line + 1;
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(Error::new(line, format!("has more than {} values; shorten it", self.limits.nodes)));
        }
        let (anchor, kind, size, height) = match event {
            Event::Alias { anchor } => return self.alias(anchor, line, depth),
            Event::Scalar { properties, text, written } => {
                let style = match written {
                    Written::Plain => Style::Plain,
                    Written::SingleQuoted | Written::DoubleQuoted => Style::Quoted,
                    Written::Literal => Style::Literal,
                    Written::Folded => Style::Folded,
                };
                let tag = properties.tag.map(String::into_boxed_str);
                (properties.anchor, Kind::Scalar(Scalar { text: text.into_owned(), style, tag }), 1, 0)
            }
            Event::SequenceStart { .. } | Event::MappingStart { .. } if depth >= self.limits.depth => {
                return Err(too_deep(line, self.limits));
            }
            Event::SequenceStart { anchor } => {
                self.open(anchor, line);
                let mut items = Vec::new();
                let (mut size, mut height) = (1, 1);
                loop {
                    let (event, mark) = self.events.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    let (item, item_size, item_height) = self.node(event, mark, depth + 1)?;
                    size += item_size;
                    height = height.max(item_height + 1);
                    items.push(item);
                }
                (anchor, Kind::List(items), size, height)
            }
            Event::MappingStart { anchor } => {
                self.open(anchor, line);
                let (entries, size, height) = self.mapping(depth)?;
                (anchor, Kind::Map(entries), size, height)
            }
            _ => return Err(mark.error("it ends too early")),
        };
        let node = Node { line, kind };
        if let Some(name) = anchor {
            if matches!(node.kind, Kind::Scalar(_)) {
                self.open(Some(name), line);
            }
            // A copy of its own: anchors inside each other count at each level. What no alias may name is not kept.
            let anchor = if size > self.limits.alias_nodes {
                Anchor::TooLarge
            } else {
                self.nodes += size;
                Anchor::Done { node: node.clone(), size, height }
            };
            self.anchors.insert(name, anchor);
        }
        Ok((node, size, height))
    }

    fn open(&mut self, anchor: Option<&'t str>, line: usize) {
        if let Some(name) = anchor
            && self.anchors.insert(name, Anchor::Open).is_some()
            && self.anchor_twice.is_none()
        {
            self.anchor_twice = Some((name.to_owned(), line));
        }
    }

    fn alias(&mut self, name: &str, line: usize, depth: usize) -> Result<(Node, usize, usize), Error> {
        match self.anchors.get(name) {
            None => {
                Err(Error::new(line, "has an alias without its anchor; write a value that begins with `*` in quotes"))
            }
            Some(Anchor::Open) => Err(Error::new(line, "has an alias inside its own anchor; write the value out")),
            Some(Anchor::TooLarge) => Err(too_many_by_aliases(line, self.limits)),
            Some(Anchor::Done { node, size, height }) => {
                self.alias_nodes += size;
                if self.alias_nodes > self.limits.alias_nodes {
                    return Err(too_many_by_aliases(line, self.limits));
                }
                self.nodes += size;
                if depth + height > self.limits.depth {
                    return Err(too_deep(line, self.limits));
                }
                // The line of the alias is where the reader of a message looks first.
                Ok((Node { line, kind: node.kind.clone() }, *size, *height))
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Entries, usize, usize), Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        // Where a key stands first, by its hash: half a million keys are held once. A few are compared one by one.
        let mut first: HashMap<u64, usize> = HashMap::new();
        let (mut size, mut height, mut merges) = (1, 1, false);
        loop {
            let (event, mark) = self.events.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let (key, key_size, _) = self.node(event, mark, depth + 1)?;
            let Kind::Scalar(scalar) = key.kind else {
                return Err(Error::new(
                    key.line,
                    "has a key that is a list or a mapping; write a value that begins with `{` or `[` in quotes",
                ));
            };
            let (event, mark) = self.events.next()?;
            let (value, value_size, value_height) = self.node(event, mark, depth + 1)?;
            size += key_size + value_size;
            height = height.max(value_height + 1);
            let same = |(key, _): &&(Key, Node)| key.scalar.text == scalar.text;
            let earlier = if entries.len() < FEW {
                entries.iter().find(same)
            } else {
                if first.is_empty() {
                    for (at, (key, _)) in entries.iter().enumerate() {
                        first.entry(self.hasher.hash_one(&key.scalar.text)).or_insert(at);
                    }
                }
                let at = *first.entry(self.hasher.hash_one(&scalar.text)).or_insert(entries.len());
                entries.get(at).filter(same)
            };
            let earlier = earlier.map(|(key, _)| key);
            if let Some(earlier) = earlier {
                self.duplicates.push(Duplicate { key: scalar.text.clone(), first: earlier.line, second: key.line });
            }
            merges |= scalar.is_merge();
            entries.push((Key { line: key.line, scalar }, value));
        }
        if merges {
            entries = merge(entries)?;
        }
        Ok((entries, size, height))
    }
}

/// Expands `<<`: a key of the mapping itself wins, then the first merged mapping that has it.
fn merge(entries: Entries) -> Result<Entries, Error> {
    let own = entries.iter().filter(|(key, _)| !key.scalar.is_merge()).map(|(key, _)| key.scalar.text.clone());
    let mut known: HashSet<String> = own.collect();
    let mut merged = Vec::new();
    for (key, value) in entries {
        if !key.scalar.is_merge() {
            merged.push((key, value));
            continue;
        }
        let line = value.line;
        let maps = match value.kind {
            Kind::List(items) => items,
            _ => vec![value],
        };
        for map in maps {
            let Kind::Map(inherited) = map.kind else {
                return Err(Error::new(line, "has a `<<` that is not a mapping; write `<<: *anchor`"));
            };
            for (key, value) in inherited {
                if known.insert(key.scalar.text.clone()) {
                    merged.push((key, value));
                }
            }
        }
    }
    Ok(merged)
}

fn empty(line: usize) -> Node {
    Node { line, kind: Kind::Scalar(Scalar { text: String::new(), style: Style::Plain, tag: None }) }
}

fn too_many_by_aliases(line: usize, limits: Limits) -> Error {
    Error::new(line, format!("has more than {} values made by aliases; write fewer of them", limits.alias_nodes))
}

fn too_deep(line: usize, limits: Limits) -> Error {
    Error::new(line, format!("is nested deeper than {} levels; make it flatter", limits.depth))
}

impl Node {
    /// How many scalars, lists and mappings it consists of.
    pub fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Node::count).sum(),
            Kind::Map(entries) => entries.iter().map(|(_, value)| 1 + value.count()).sum(),
        }
    }

    /// The value of `key` in a mapping, the last one where it stands twice.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key and value of `key` in a mapping, the last one where it stands twice.
    pub fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.entries().iter().rev().find(|(it, _)| it.scalar.text == key).map(|(key, value)| (key, value))
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether it is null to gopkg.in/yaml.v3.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.core() == Core::Null)
    }

    /// What it is, for a message: `a list`, `a mapping`, `text`, `a number or boolean`, `null`.
    pub fn described(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
            Kind::Scalar(scalar) => match scalar.core() {
                Core::Null => "null",
                Core::Retyped => "a number or boolean",
                Core::Text => "text",
            },
        }
    }
}

const CORE_TAG: &str = "tag:yaml.org,2002:";

impl Scalar {
    /// A scalar in quotes: text, whatever it looks like.
    pub fn quoted(text: &str) -> Scalar {
        Scalar { text: text.to_owned(), style: Style::Quoted, tag: None }
    }

    fn is_merge(&self) -> bool {
        self.text == "<<"
            && self.style == Style::Plain
            && self.tag.as_deref().is_none_or(|tag| tag == "tag:yaml.org,2002:merge")
    }

    /// Whether the text decides what the scalar is: a plain one, or one with a tag that says so.
    fn is_resolved(&self) -> bool {
        match self.tag.as_deref() {
            None | Some("") => self.style == Style::Plain,
            Some("!") => false,
            Some(tag) => matches!(tag.strip_prefix(CORE_TAG), Some("int" | "float" | "bool" | "null" | "timestamp")),
        }
    }

    /// What it is to RKE2's reader, gopkg.in/yaml.v2 v2.4.0 (`resolve.go`): YAML 1.1 without sexagesimal numbers and dates.
    pub fn yaml11(&self) -> Yaml11 {
        if !self.is_resolved() {
            return Yaml11::Text(self.text.clone());
        }
        match (resolve11(&self.text), self.tag.as_deref().and_then(|tag| tag.strip_prefix(CORE_TAG))) {
            #[allow(clippy::cast_precision_loss)] // As Go converts it.
            (Yaml11::Int(it), Some("float")) => Yaml11::Float(it as f64),
            (it, _) => it,
        }
    }

    /// What it is to gopkg.in/yaml.v3 (`resolve.go`), as far as it matters to us: is the text kept?
    pub fn core(&self) -> Core {
        if !self.is_resolved() {
            return Core::Text;
        }
        let text = self.text.as_str();
        match resolve11(text) {
            Yaml11::Null => Core::Null,
            Yaml11::Bool(_) if !matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE") => Core::Text,
            Yaml11::Text(_) if !is_date(text) && !is_infinite(text) => Core::Text,
            _ => Core::Retyped,
        }
    }
}

/// The resolution table of gopkg.in/yaml.v2 for a plain scalar.
fn resolve11(plain: &str) -> Yaml11 {
    let text = || Yaml11::Text(plain.to_owned());
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => Yaml11::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Yaml11::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Yaml11::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Yaml11::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Yaml11::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Yaml11::Float(f64::NAN),
        _ => match plain.as_bytes().first() {
            Some(b'.') => float(plain).map_or_else(text, Yaml11::Float),
            Some(b'0'..=b'9' | b'+' | b'-') => {
                let digits = plain.replace('_', "");
                int(&digits).map(Yaml11::Int).or_else(|| float(&digits).map(Yaml11::Float)).unwrap_or_else(text)
            }
            _ => text(),
        },
    }
}

/// Whether a plain scalar of this text is text to readers of YAML 1.1 and 1.2 alike.
pub fn is_text(plain: &str) -> bool {
    matches!(resolve11(plain), Yaml11::Text(_)) && !is_date(plain) && !plain.starts_with('.')
}

/// A whole number as RKE2's flags take it: decimal, or octal, hexadecimal or binary by its prefix, `_` between digits.
pub fn parse_int(text: &str) -> Option<i128> {
    int(&text.replace('_', ""))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`.
fn int(text: &str) -> Option<i128> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (radix, digits) = match body.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, body.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, body.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, body.get(2..)?),
        [b'0', _, ..] => (8, body.get(1..)?),
        _ => (10, body),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    match negative {
        true => i64::try_from(-magnitude).ok().map(i128::from),
        // ParseUint takes no sign: a `+` leaves only what fits an i64.
        false if text.starts_with('+') => i64::try_from(magnitude).ok().map(i128::from),
        false => Some(magnitude),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and finite.
fn float(text: &str) -> Option<f64> {
    let digits = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (body, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    if !mantissa_fits || !exponent.is_none_or(|it| !it.is_empty() && digits(it)) {
        return None;
    }
    text.parse().ok().filter(|it: &f64| it.is_finite())
}

/// Text that gopkg.in/yaml.v3 takes for a date (`2024-01-31`, also followed by a time).
fn is_date(text: &str) -> bool {
    let digits = |it: Option<&str>| {
        it.is_some_and(|it| !it.is_empty() && it.len() <= 4 && it.bytes().all(|b| b.is_ascii_digit()))
    };
    let date = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let mut parts = date.split('-');
    date.as_bytes().get(4) == Some(&b'-')
        && digits(parts.next())
        && digits(parts.next())
        && digits(parts.next())
        && parts.next().is_none()
}

fn is_infinite(text: &str) -> bool {
    // yaml.v3 hands a number too large for a float on as text, like v2: nothing is left to do for it here.
    matches!(text, "+.nan" | "-.nan")
}

impl Yaml11 {
    /// The text that RKE2's reader makes of it: Go's `fmt.Sprint`, white space trimmed (k3s `pkg/configfilearg/parser.go`).
    pub fn printed(&self) -> String {
        match self {
            Yaml11::Null => String::new(),
            Yaml11::Bool(it) => it.to_string(),
            Yaml11::Int(it) => it.to_string(),
            Yaml11::Float(it) => print_float(*it),
            Yaml11::Text(it) => it.trim().to_owned(),
        }
    }
}

/// Go's `strconv.FormatFloat(it, 'g', -1, 64)`: the shortest text, with an exponent below 1e-4 and from 1e6 on.
fn print_float(it: f64) -> String {
    if it.is_nan() {
        return "NaN".into();
    }
    if it.is_infinite() {
        return if it > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{it:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if it != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{it}")
}
