//! A line of a cloud-config for a person: what is provably no secret, and `…` for all else.
//!
//! Drawn are keys that the tables of this program have, a value that is a boolean, a small number, a time, an address or a word of a table where
//! a key of a table takes one, what the sentence itself shows, and the marks of YAML between them. Comments, anchors, tags and everything
//! outside the cluster section are not.

use super::KEYS;
use super::role::Role;
use super::settings::ROWS;
use crate::findings::Excerpt;
use crate::rke2::options::{self, Kind, Spec};
use crate::text::duration;
use crate::text::escape::push_escaped;
use crate::text::yaml::marks::{Marked, Spot, What};

/// How many characters of a line are drawn at most, and how many of them before what is meant.
const WIDEST: usize = 120;
const BEFORE: usize = 60;

/// What of a line a finding is about.
#[derive(Debug)]
pub(super) struct Meant {
    /// Where it begins.
    pub(super) start: Spot,
    /// Where it ends, in the same line.
    pub(super) end: Spot,
    /// Its key, which the sentence may show.
    pub(super) key: Option<Spoken>,
    /// Its value, which the sentence may show.
    pub(super) value: Option<Spoken>,
    /// Whether its line may be drawn.
    pub(super) is_drawn: bool,
}

/// A text that the sentence of a finding may show.
#[derive(Debug)]
pub(super) struct Spoken {
    /// Where it begins.
    pub(super) start: Spot,
    /// Where it ends.
    pub(super) end: Spot,
    /// What it says.
    pub(super) text: String,
}

/// A key or value of the file, or a whole part of it that is not looked into.
struct Token {
    start: Spot,
    end: Spot,
    is_drawn: bool,
}

/// What a key may hold.
#[derive(Clone, Copy)]
enum Holds {
    /// The file: only `cluster` is known.
    File,
    /// The cluster section.
    Section,
    /// RKE2's options.
    Options,
    /// Settings and RKE2's options.
    Provider,
    /// Variables.
    Variables,
    /// A value of an option.
    Option(&'static Spec),
    /// A role.
    Role,
    /// A boolean, an address, a time or a word of the program.
    Plain,
    /// Anything.
    Unknown,
}

/// Where a text of its own stands, what it holds, and how its places are found.
pub(super) struct Part<'s> {
    /// Where the value begins that is the text, and where it ends.
    pub(super) outer: (Spot, Spot),
    /// What it holds; nothing where it does not parse.
    pub(super) root: Option<&'s Marked>,
    /// Where a piece of it stands in the file.
    pub(super) places: &'s dyn Fn(Spot, Spot) -> Option<(Spot, Spot)>,
}

/// Draws lines of one file.
pub(super) struct Drawer<'s> {
    lines: &'s [&'s str],
    /// In the order of the file.
    tokens: Vec<Token>,
    /// Which of them stand in a line.
    of_line: Vec<Vec<usize>>,
}

impl<'s> Drawer<'s> {
    /// Looks at every value of a file; `inner` is the text of `cluster.config`.
    pub(super) fn new(lines: &'s [&'s str], root: &Marked, inner: Option<&Part>) -> Drawer<'s> {
        let mut tokens = Vec::new();
        Walk { lines, inner, tokens: &mut tokens }.node(root, Holds::File, None);
        tokens.sort_by_key(|it| (it.start, it.end));
        let mut of_line = vec![Vec::new(); lines.len()];
        for (index, it) in tokens.iter().enumerate() {
            of_line.iter_mut().take(it.end.line + 1).skip(it.start.line).for_each(|here| here.push(index));
        }
        Drawer { lines, tokens, of_line }
    }

    /// The line of what is meant, where anything of it can be drawn.
    pub(super) fn draw(&self, meant: &Meant, sentence: &str) -> Option<Excerpt> {
        let line = Some(meant.start.line).filter(|_| meant.is_drawn)?;
        let text: Vec<char> = self.lines.get(line)?.chars().collect();
        let says = |spoken: &Option<Spoken>, token: &Token, is_said: &dyn Fn(&str) -> bool| {
            spoken.as_ref().is_some_and(|it| {
                (it.start, it.end) == (token.start, token.end)
                    && is_written(self.lines, token.start, token.end, &it.text)
                    && is_said(&it.text)
            })
        };
        let mut drawn = Drawn { line: String::new(), width: 0, before: vec![0; text.len() + 1], has_words: false };
        let mut at = 0;
        for token in self.of_line.get(line)?.iter().filter_map(|index| self.tokens.get(*index)) {
            let start = if token.start.line < line { 0 } else { token.start.column.min(text.len()) };
            let end = if token.end.line > line { text.len() } else { token.end.column.min(text.len()) };
            if end <= start.max(at) {
                continue;
            }
            if start < at {
                drawn.hide(at, end);
                at = end;
                continue;
            }
            drawn.between(&text, at, start);
            let is_drawn = token.is_drawn
                || says(&meant.key, token, &|key| is_typo(key) && sentence.contains(key))
                || says(&meant.value, token, &|value| sentence.contains(&format!("\"{value}\"")));
            drawn.piece(&text, start, end, is_drawn);
            at = end;
        }
        drawn.between(&text, at, text.len());
        drawn.excerpt(meant)
    }
}

struct Walk<'s, 't> {
    lines: &'s [&'s str],
    inner: Option<&'s Part<'s>>,
    tokens: &'t mut Vec<Token>,
}

impl Walk<'_, '_> {
    /// `within` finds the places of a text inside a value.
    fn node(&mut self, node: &Marked, holds: Holds, within: Option<&Part>) {
        match (&node.kind, holds) {
            (
                What::Map(entries),
                Holds::File | Holds::Section | Holds::Options | Holds::Provider | Holds::Variables,
            ) => {
                for (key, value) in entries {
                    let name = if let What::Scalar(name, _) = &key.kind { name } else { "" };
                    let (is_known, value_holds) = below(holds, name);
                    self.token(key, is_known.then_some(name), within);
                    self.node(value, value_holds, within);
                }
            }
            (What::List(items), Holds::Option(_)) => items.iter().for_each(|item| match &item.kind {
                What::Scalar(..) => self.node(item, holds, within),
                _ => self.token(item, None, within),
            }),
            (What::Scalar(..), Holds::Options)
                if within.is_none() && self.inner.is_some_and(|it| it.outer.0 == node.start) =>
            {
                match self.inner.and_then(|part| Some((part, part.root?))) {
                    Some((part, root)) => self.node(root, Holds::Options, Some(part)),
                    None => self.token(node, None, None),
                }
            }
            (What::Scalar(text, false), _) => self.token(node, is_plain(holds, text).then_some(text), within),
            _ => self.token(node, None, within),
        }
    }

    /// A piece of the file, which is drawn if it is written as `text` says, with or without quotes.
    fn token(&mut self, node: &Marked, text: Option<&str>, within: Option<&Part>) {
        let places = match within {
            // Where the place of a piece is not known, nothing of the whole is drawn.
            Some(part) if node.start < node.end => (part.places)(node.start, node.end).unwrap_or(part.outer),
            Some(_) => return,
            None => (node.start, node.end),
        };
        let (start, end) = places;
        let is_drawn = text.is_some_and(|text| is_written(self.lines, start, end, text));
        self.tokens.push(Token { start, end, is_drawn });
    }
}

/// Whether a piece of the file is nothing but a text, with or without quotes: an anchor or a tag before it may say anything.
fn is_written(lines: &[&str], start: Spot, end: Spot, text: &str) -> bool {
    let line = lines.get(start.line).filter(|_| start.line == end.line);
    let written: String = line.into_iter().flat_map(|it| it.chars()).take(end.column).skip(start.column).collect();
    let bare = written.strip_prefix(['"', '\'']).and_then(|it| it.strip_suffix(['"', '\''])).unwrap_or(&written);
    bare == text
}

/// Whether a key is one of the program's, and what it may hold.
fn below(holds: Holds, name: &str) -> (bool, Holds) {
    let option = |name: &str| match options::find(name.strip_suffix('+').unwrap_or(name)) {
        Some(spec) if spec.secret => (true, Holds::Unknown),
        Some(spec) => (true, Holds::Option(spec)),
        None => (false, Holds::Unknown),
    };
    match holds {
        Holds::File => (name == "cluster", if name == "cluster" { Holds::Section } else { Holds::Unknown }),
        Holds::Section => {
            let value = match name {
                "role" => Holds::Role,
                "config" => Holds::Options,
                "providerConfig" | "provider_options" => Holds::Provider,
                "env" => Holds::Variables,
                "control_plane_host" | "import_local_images" => Holds::Plain,
                _ => Holds::Unknown,
            };
            (KEYS.contains(&name) || name == "provider_options", value)
        }
        Holds::Provider if ROWS.iter().any(|row| row.name == name) => (true, Holds::Plain),
        Holds::Provider | Holds::Options => option(name),
        Holds::Variables => {
            let is_known = matches!(
                name.to_ascii_uppercase().trim_start_matches("CONTAINERD_"),
                "HTTP_PROXY" | "HTTPS_PROXY" | "NO_PROXY" | "ALL_PROXY"
            ) || options::all().iter().any(|spec| spec.env.contains(&name));
            (is_known, Holds::Unknown)
        }
        Holds::Option(_) | Holds::Role | Holds::Plain | Holds::Unknown => (false, Holds::Unknown),
    }
}

/// Whether a value cannot be a secret where it stands.
fn is_plain(holds: Holds, text: &str) -> bool {
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "" | "~" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "keep" | "none"
    );
    let is_number = text.len() <= 5 && text.bytes().all(|it| it.is_ascii_digit());
    let is_time = text.len() <= 8 && duration::parse(text).is_some();
    let is_address = text.parse::<std::net::IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok();
    match holds {
        Holds::Role => Role::of(text).is_some() || text.is_empty(),
        Holds::Option(spec) => {
            let is_choice = |word: &str| spec.words(None).any(|it| it == word.trim());
            is_word
                || text.split(',').all(is_choice)
                || match spec.kind {
                    Kind::Number | Kind::Mode => is_number,
                    Kind::Duration => is_time,
                    Kind::Address | Kind::Range | Kind::San | Kind::Host => is_address,
                    _ => false,
                }
        }
        Holds::Plain => is_word || is_number || is_time || is_address,
        _ => false,
    }
}

/// Whether a key is nearly one of the program's, which no secret is.
fn is_typo(key: &str) -> bool {
    let names: Vec<&str> = ROWS.iter().map(|row| row.name).chain(KEYS).collect();
    options::nearest(key).or_else(|| options::nearest_of(key, &names)).is_some()
}

/// A line while it is drawn.
struct Drawn {
    line: String,
    /// How many characters it has.
    width: usize,
    /// How many characters stand before each of the file's line.
    before: Vec<usize>,
    /// Whether anything but marks is drawn.
    has_words: bool,
}

impl Drawn {
    fn push(&mut self, text: &str) {
        self.line += text;
        self.width += text.chars().count();
    }

    /// What stands between two pieces: blanks and the marks of YAML, or a comment, an anchor, a tag.
    fn between(&mut self, text: &[char], from: usize, to: usize) {
        let piece = text.get(from..to).unwrap_or_default();
        let is_marks = piece
            .iter()
            .all(|c| matches!(c, ' ' | '\t' | '-' | ':' | '?' | '[' | ']' | '{' | '}' | ',' | '|' | '>' | '"' | '\''));
        let blanks = piece.iter().take_while(|c| matches!(c, ' ' | '\t')).count();
        let drawn = if is_marks { piece.len() } else { blanks };
        let mut bytes = [0; 4];
        for (at, c) in piece.iter().enumerate().take(drawn) {
            self.mark(from + at);
            self.push(if *c == '\t' { " " } else { c.encode_utf8(&mut bytes) });
        }
        self.hide(from + drawn, to);
    }

    fn piece(&mut self, text: &[char], from: usize, to: usize, is_drawn: bool) {
        if !is_drawn {
            return self.hide(from, to);
        }
        self.has_words = true;
        for (at, c) in text.iter().enumerate().take(to).skip(from) {
            self.mark(at);
            let mut escaped = String::new();
            push_escaped(&mut escaped, *c);
            self.push(&escaped);
        }
    }

    fn hide(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let is_new = !self.line.ends_with('…');
        let width = self.width - usize::from(!is_new);
        self.before.iter_mut().take(to).skip(from).for_each(|it| *it = width);
        if is_new {
            self.push("…");
        }
    }

    fn mark(&mut self, at: usize) {
        let width = self.width;
        self.before.iter_mut().skip(at).take(1).for_each(|it| *it = width);
    }

    fn excerpt(mut self, meant: &Meant) -> Option<Excerpt> {
        self.mark(self.before.len() - 1);
        if !self.has_words {
            return None;
        }
        let of = |column: usize| self.before.get(column).copied().unwrap_or(self.width);
        let before = of(meant.start.column);
        let width = of(meant.end.column.max(meant.start.column + 1)).saturating_sub(before).max(1);
        let cut = if self.width > WIDEST { before.saturating_sub(BEFORE) } else { 0 };
        let mut line: String = self.line.trim_end().chars().skip(cut).take(WIDEST).collect();
        if cut > 0 {
            line = line.chars().skip(1).collect();
            line.insert(0, '…');
        }
        Some(Excerpt { line, before: before - cut, width: width.min(WIDEST - (before - cut).min(WIDEST - 1)) })
    }
}
