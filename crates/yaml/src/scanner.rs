//! From a text to tokens, by the rules of go-yaml's scanner (`scannerc.go` of gopkg.in/yaml.v2 and v3), a port of libyaml's.
//!
//! Where the three differ, it does what both versions of go-yaml do, because Kairos and RKE2 read with them. It borrows from the
//! text what it can, reads each byte once, and cannot panic: each look at the text is bounded.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::Error;

/// How far behind a simple key its colon may be, in bytes.
const FAR: usize = 1024;

/// A place in the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Bytes before it.
    pub(crate) at: usize,
    /// Lines before it.
    pub(crate) line: usize,
    /// Characters before it in its line.
    pub(crate) column: usize,
}

impl Mark {
    /// What is wrong here.
    pub(crate) fn error(self, problem: impl Into<String>) -> Error {
        let problem = format!("is not valid YAML: {}", problem.into());
        Error { column: self.column + 1, ..Error::new(self.line + 1, problem) }
    }
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind<'t> {
    Version {
        major: u32,
        minor: u32,
    },
    TagDirective(Box<(&'t str, String)>),
    DocumentStart,
    DocumentEnd,
    StreamEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'t str),
    Anchor(&'t str),
    /// Its handle and its suffix; in a box, because tags are rare and tokens are moved.
    Tag(Box<(&'t str, String)>),
    Scalar {
        text: Cow<'t, str>,
        written: Written,
    },
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind<'t>,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

/// A place where a key may have begun that is only known as one when its colon comes.
#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    /// It stands where a block mapping goes on, so it must be a key.
    required: bool,
    /// The number of its first token.
    token: usize,
    mark: Mark,
}

impl SimpleKey {
    /// Whether it may still be a key: its colon must be in the same line, and near.
    fn is_valid(&mut self, line: usize, at: usize) -> Result<bool, Error> {
        if self.possible && (self.mark.line < line || self.mark.at + FAR < at) {
            if self.required {
                return Err(no_colon(self.mark));
            }
            self.possible = false;
        }
        Ok(self.possible)
    }
}

/// Reads tokens from a text, as many as are asked for.
#[derive(Debug)]
pub(crate) struct Scanner<'t> {
    pub(crate) text: &'t str,
    ahead: usize,
    pub(crate) at: usize,
    line: usize,
    line_start: usize,
    /// Bytes of this line before `at` that are not the first of their character.
    continued: usize,
    pub(crate) tokens: VecDeque<Token<'t>>,
    /// Where the token ends that was taken last.
    pub(crate) passed: Mark,
    /// How many tokens were taken.
    taken: usize,
    /// Whether the next token is known to be the next one.
    is_known: bool,
    ended: bool,
    /// The column of the innermost block collection, -1 outside of all.
    pub(crate) indent: isize,
    indents: Vec<isize>,
    pub(crate) flow_level: usize,
    pub(crate) simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
}

impl<'t> Scanner<'t> {
    /// `ahead`: how many tokens are read behind the one that is asked for.
    pub(crate) fn new(text: &'t str, ahead: usize) -> Self {
        Self {
            text,
            ahead,
            at: 0,
            line: 0,
            line_start: 0,
            continued: 0,
            tokens: VecDeque::with_capacity(16),
            taken: 0,
            is_known: false,
            passed: Mark::default(),
            ended: false,
            indent: -1,
            indents: Vec::with_capacity(16),
            flow_level: 0,
            simple_key_allowed: true,
            simple_keys: vec![SimpleKey::default()],
        }
    }

    /// The next token, which stays the next one. After the end of the text it is always [`Kind::StreamEnd`].
    pub(crate) fn peek(&mut self) -> Result<&mut Token<'t>, Error> {
        // It is looked at several times before it is taken.
        if !self.is_known {
            while self.needs_more()? {
                self.fetch()?;
            }
            self.is_known = true;
            if self.tokens.is_empty() {
                let mark = self.mark();
                self.tokens.push_back(Token { kind: Kind::StreamEnd, start: mark, end: mark });
            }
        }
        let mark = self.mark();
        self.tokens.front_mut().ok_or_else(|| mark.error("it ends too early; complete it"))
    }

    /// Takes the token that was peeked at.
    pub(crate) fn skip(&mut self) {
        if let Some(token) = self.tokens.pop_front() {
            self.passed = token.end;
        }
        self.taken += 1;
        self.is_known = false;
    }

    /// Whether the next token is not known yet, or may turn out to be a key.
    fn needs_more(&mut self) -> Result<bool, Error> {
        if self.tokens.len() <= self.ahead && !self.ended {
            return Ok(true);
        }
        let (taken, line, at) = (self.taken, self.line, self.at);
        match self.simple_keys.iter_mut().find(|key| key.possible && key.token == taken) {
            Some(key) => key.is_valid(line, at),
            None => Ok(false),
        }
    }

    // The text.

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: self.at, line: self.line, column: self.column() }
    }

    fn column(&self) -> usize {
        self.at - self.line_start - self.continued
    }

    pub(crate) fn indentation(&self) -> isize {
        isize::try_from(self.column()).unwrap_or(isize::MAX)
    }

    /// The byte `offset` bytes further on; 0 after the end, which no text contains.
    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.text.as_bytes().get(self.at + offset).copied().unwrap_or(0)
    }

    pub(crate) fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The length of the line break that begins `offset` bytes further on; 0 if none does.
    pub(crate) fn line_break(&self, offset: usize) -> usize {
        match self.byte(offset) {
            b'\r' if self.byte(offset + 1) == b'\n' => 2,
            b'\n' | b'\r' => 1,
            0xc2 if self.byte(offset + 1) == 0x85 => 2,
            0xe2 if self.byte(offset + 1) == 0x80 && matches!(self.byte(offset + 2), 0xa8 | 0xa9) => 3,
            _ => 0,
        }
    }

    pub(crate) fn is_blank(&self, offset: usize) -> bool {
        matches!(self.byte(offset), b' ' | b'\t')
    }

    /// Whether a blank, a line break or the end is `offset` bytes further on.
    pub(crate) fn is_space(&self, offset: usize) -> bool {
        self.at + offset >= self.text.len() || self.is_blank(offset) || self.line_break(offset) > 0
    }

    /// Skips bytes of ASCII.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Skips one character, which is no line break.
    pub(crate) fn advance_character(&mut self) {
        let bytes = width(self.byte(0));
        self.at += bytes;
        self.continued += bytes - 1;
    }

    /// Skips a line break, if one is here.
    pub(crate) fn advance_line(&mut self) {
        let bytes = self.line_break(0);
        if bytes > 0 {
            self.at += bytes;
            self.line += 1;
            self.line_start = self.at;
            self.continued = 0;
        }
    }

    /// Skips a line break, if one is here, and gives what it means: LS and PS stay, every other one is a line feed.
    pub(crate) fn take_line(&mut self) -> &'static str {
        let meant = match (self.line_break(0), self.byte(2)) {
            (0, _) => "",
            (3, 0xa8) => "\u{2028}",
            (3, _) => "\u{2029}",
            _ => "\n",
        };
        self.advance_line();
        meant
    }

    pub(crate) fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(crate) fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.advance(1);
        }
    }

    pub(crate) fn skip_comment(&mut self) {
        if self.byte(0) == b'#' {
            self.skip_to_line_end();
        }
    }

    pub(crate) fn skip_to_line_end(&mut self) {
        loop {
            self.skip_while(|class| !matches!(class, Class::Break | Class::Wide));
            if self.is_end() || self.line_break(0) > 0 {
                break;
            }
            self.advance_character();
        }
    }

    /// Skips bytes of ASCII as long as their class is one of these.
    pub(crate) fn skip_while(&mut self, is_skipped: impl Fn(Class) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is_skipped(class(*byte))).unwrap_or(rest.len());
    }

    /// Whether a line of `---` or `...` is here.
    pub(crate) fn is_document_indicator(&self) -> bool {
        self.at == self.line_start
            && matches!(self.text.as_bytes().get(self.at..self.at + 3), Some(b"---" | b"..."))
            && self.is_space(3)
    }

    // Keys and indentation.

    fn save_simple_key(&mut self) -> Result<(), Error> {
        if self.simple_key_allowed {
            let required = self.flow_level == 0 && self.indent == self.indentation();
            let token = self.taken + self.tokens.len();
            let mark = self.mark();
            self.remove_simple_key()?;
            if let Some(last) = self.simple_keys.last_mut() {
                *last = SimpleKey { possible: true, required, token, mark };
            }
        }
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<(), Error> {
        if let Some(key) = self.simple_keys.last_mut() {
            if key.possible && key.required {
                return Err(no_colon(key.mark));
            }
            key.possible = false;
        }
        Ok(())
    }

    /// Opens a block collection at `mark`, before token `number` if that is known, if it is deeper than the one around it.
    fn roll_indent(&mut self, mark: Mark, number: Option<usize>, kind: Kind<'t>) {
        let column = isize::try_from(mark.column).unwrap_or(isize::MAX);
        if self.flow_level != 0 || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        let token = Token { kind, start: mark, end: mark };
        match number.map(|it| it.saturating_sub(self.taken)) {
            Some(at) if at <= self.tokens.len() => self.tokens.insert(at, token),
            _ => self.tokens.push_back(token),
        }
    }

    /// Closes the block collections that are deeper than `column`.
    fn unroll_indent(&mut self, column: isize) {
        if self.flow_level != 0 {
            return;
        }
        while self.indent > column {
            let mark = self.mark();
            self.tokens.push_back(Token { kind: Kind::BlockEnd, start: mark, end: mark });
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    // Tokens.

    /// Reads at least one token, or the rest of a key.
    fn fetch(&mut self) -> Result<(), Error> {
        self.scan_to_next_token();
        self.unroll_indent(self.indentation());
        if self.is_end() {
            return self.fetch_stream_end();
        }
        let (byte, is_spaced) = (self.byte(0), self.is_space(1));
        let is_flow = self.flow_level != 0;
        if self.at == self.line_start {
            if byte == b'%' {
                return self.fetch_directive();
            }
            if self.is_document_indicator() {
                let kind = if byte == b'-' { Kind::DocumentStart } else { Kind::DocumentEnd };
                self.leave_document()?;
                self.push(kind, 3);
                return Ok(());
            }
        }
        match byte {
            b'[' => self.fetch_flow_start(Kind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(Kind::FlowMappingStart),
            b']' => self.fetch_flow_end(Kind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(Kind::FlowMappingEnd),
            b',' => {
                self.remove_simple_key()?;
                self.simple_key_allowed = true;
                self.push(Kind::FlowEntry, 1);
                Ok(())
            }
            b'-' if is_spaced => self.fetch_block_entry(),
            b'?' if is_flow || is_spaced => self.fetch_key(),
            b':' if is_flow || is_spaced => self.fetch_value(),
            b'*' | b'&' => self.fetch_anchor(),
            b'!' => {
                self.begin_node()?;
                self.scan_tag()
            }
            b'|' | b'>' if !is_flow => {
                self.remove_simple_key()?;
                self.simple_key_allowed = true;
                self.scan_block_scalar()
            }
            b'\'' | b'"' => {
                self.begin_node()?;
                self.scan_quoted()
            }
            b'-' if !self.is_blank(1) => self.fetch_plain(),
            b'?' | b':' if !is_flow && !is_spaced => self.fetch_plain(),
            b'\t' => Err(self.mark().error("a tab indents the line; indent with spaces")),
            b'-' | b'?' | b':' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => {
                let what = if byte == b'`' { "a backquote".into() } else { format!("`{}`", char::from(byte)) };
                Err(self.mark().error(format!("a value cannot begin with {what}; write it in quotes")))
            }
            _ => self.fetch_plain(),
        }
    }

    /// Adds a token of `bytes` bytes.
    fn push(&mut self, kind: Kind<'t>, bytes: usize) {
        let start = self.mark();
        self.advance(bytes);
        self.tokens.push_back(Token { kind, start, end: self.mark() });
    }

    /// Adds a token that began at `start` and ends here.
    pub(crate) fn push_from(&mut self, start: Mark, kind: Kind<'t>) {
        self.tokens.push_back(Token { kind, start, end: self.mark() });
    }

    /// Ends all block collections, because a document does.
    fn leave_document(&mut self) -> Result<(), Error> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        Ok(())
    }

    /// A node begins here that may be a key, and no other one may begin right behind it.
    fn begin_node(&mut self) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        Ok(())
    }

    fn fetch_stream_end(&mut self) -> Result<(), Error> {
        if self.column() != 0 {
            self.line += 1;
            self.line_start = self.at;
            self.continued = 0;
        }
        self.leave_document()?;
        self.ended = true;
        self.push(Kind::StreamEnd, 0);
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), Error> {
        self.leave_document()?;
        let start = self.mark();
        self.advance(1);
        let name = self.scan_word();
        if !self.is_space(0) {
            return Err(start.error("`%` begins a directive; write the value in quotes"));
        }
        let kind = match name {
            "YAML" => self.scan_version(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return Err(start.error("`%` begins a directive, %YAML or %TAG; write the value in quotes")),
        };
        let end = self.mark();
        self.skip_blanks();
        self.skip_comment();
        if !self.is_end() && self.line_break(0) == 0 {
            return Err(start.error("the directive does not end with its line; leave it out"));
        }
        self.advance_line();
        self.tokens.push_back(Token { kind, start, end });
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: Kind<'t>) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_keys.push(SimpleKey::default());
        self.flow_level += 1;
        self.simple_key_allowed = true;
        self.push(kind, 1);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: Kind<'t>) -> Result<(), Error> {
        self.remove_simple_key()?;
        if self.flow_level != 0 {
            self.flow_level -= 1;
            self.simple_keys.pop();
        }
        self.simple_key_allowed = false;
        self.push(kind, 1);
        Ok(())
    }

    /// Outside brackets, begins a list or a mapping if the indentation says so. Fails with `problem` where an item cannot stand.
    fn begin_block(&mut self, kind: Kind<'t>, problem: &str) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.mark().error(problem));
            }
            self.roll_indent(self.mark(), None, kind);
        }
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        let problem = "a list item cannot begin here; begin it on a line of its own";
        self.begin_block(Kind::BlockSequenceStart, problem)?;
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.push(Kind::BlockEntry, 1);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        self.begin_block(Kind::BlockMappingStart, "a key cannot begin here; begin it on a line of its own")?;
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.push(Kind::Key, 1);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let (line, at) = (self.line, self.at);
        let mut found = None;
        if let Some(key) = self.simple_keys.last_mut()
            && key.is_valid(line, at)?
        {
            key.possible = false;
            found = Some((key.mark, key.token));
        }
        if let Some((mark, number)) = found {
            let at = number.saturating_sub(self.taken).min(self.tokens.len());
            self.tokens.insert(at, Token { kind: Kind::Key, start: mark, end: mark });
            self.roll_indent(mark, Some(number), Kind::BlockMappingStart);
            self.simple_key_allowed = false;
        } else {
            let problem = "`: ` is not expected here; write the value that holds it in quotes, or check the indentation \
                           and the colon of the line before";
            self.begin_block(Kind::BlockMappingStart, problem)?;
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.push(Kind::Value, 1);
        Ok(())
    }

    fn fetch_anchor(&mut self) -> Result<(), Error> {
        self.begin_node()?;
        let (start, sign) = (self.mark(), self.byte(0));
        self.advance(1);
        let name = self.scan_word();
        let ends = self.is_space(0) || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            let what = if sign == b'*' { "`*` begins an alias" } else { "`&` begins an anchor" };
            return Err(start.error(format!("{what}; write the value in quotes")));
        }
        let kind = if sign == b'*' { Kind::Alias(name) } else { Kind::Anchor(name) };
        self.push_from(start, kind);
        Ok(())
    }

    fn fetch_plain(&mut self) -> Result<(), Error> {
        self.begin_node()?;
        self.scan_plain()
    }

    // Between tokens.

    fn scan_to_next_token(&mut self) {
        loop {
            while self.byte(0) == b' ' || (self.byte(0) == b'\t' && (self.flow_level != 0 || !self.simple_key_allowed))
            {
                self.advance(1);
            }
            self.skip_comment();
            if self.line_break(0) == 0 {
                break;
            }
            self.advance_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    /// Letters, digits, `_` and `-`.
    fn scan_word(&mut self) -> &'t str {
        let start = self.at;
        while is_word(self.byte(0)) {
            self.advance(1);
        }
        self.since(start)
    }

    fn scan_version(&mut self, start: Mark) -> Result<Kind<'t>, Error> {
        self.skip_blanks();
        let begin = self.at;
        while self.byte(0).is_ascii_digit() || self.byte(0) == b'.' {
            self.advance(1);
        }
        let number = |it: &str| if it.len() > 9 { None } else { it.parse().ok() };
        let parts = self.since(begin).split_once('.');
        match parts.and_then(|(major, minor)| Some((number(major)?, number(minor)?))) {
            Some((major, minor)) => Ok(Kind::Version { major, minor }),
            None => Err(start.error("%YAML needs a version, such as 1.2")),
        }
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Result<Kind<'t>, Error> {
        let problem = "%TAG needs a handle and a prefix, such as `!e! tag:example.com,2000:`";
        self.skip_blanks();
        let handle = self.scan_tag_handle(start)?;
        if (handle != "!" && (handle.len() < 2 || !handle.ends_with('!'))) || !self.is_blank(0) {
            return Err(start.error(problem));
        }
        self.skip_blanks();
        let prefix = self.scan_tag_uri("", start)?;
        if !self.is_space(0) {
            return Err(start.error(problem));
        }
        Ok(Kind::TagDirective(Box::new((handle, prefix))))
    }

    fn scan_tag(&mut self) -> Result<(), Error> {
        let start = self.mark();
        let tag = if self.byte(1) == b'<' {
            self.advance(2);
            let suffix = self.scan_tag_uri("", start)?;
            if self.byte(0) != b'>' {
                return Err(start.error("`!<` begins a tag, which does not end in `>`; write the value in quotes"));
            }
            self.advance(1);
            ("", suffix)
        } else {
            let handle = self.scan_tag_handle(start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri("", start)?;
                (handle, suffix)
            } else {
                let suffix = self.scan_tag_uri(handle, start)?;
                match suffix.is_empty() {
                    true => ("", "!".into()),
                    false => ("!", suffix),
                }
            }
        };
        if !self.is_space(0) {
            return Err(start.error("`!` begins a tag; write the value in quotes"));
        }
        self.push_from(start, Kind::Tag(Box::new(tag)));
        Ok(())
    }

    /// `!`, `!!` or `!word!`; of a tag also `!word`.
    fn scan_tag_handle(&mut self, start: Mark) -> Result<&'t str, Error> {
        let begin = self.at;
        if self.byte(0) != b'!' {
            return Err(start.error("%TAG needs a handle and a prefix; leave it out"));
        }
        self.advance(1);
        self.scan_word();
        if self.byte(0) == b'!' {
            self.advance(1);
        }
        Ok(self.since(begin))
    }

    /// The characters of a URI, percent escapes undone. `head` is a handle that turned out to be the tag's beginning.
    fn scan_tag_uri(&mut self, head: &str, start: Mark) -> Result<String, Error> {
        let mut uri = String::from(head.get(1..).unwrap_or_default());
        let (begin, mut copied) = (self.at, self.at);
        loop {
            match self.byte(0) {
                b'%' => {
                    uri.push_str(self.since(copied));
                    self.scan_uri_escape(&mut uri, start)?;
                    copied = self.at;
                }
                byte if is_word(byte) || b";/?:@&=+$.!~*'(),[]".contains(&byte) => self.advance(1),
                _ => break,
            }
        }
        uri.push_str(self.since(copied));
        if head.is_empty() && self.at == begin {
            return Err(start.error("`!` begins a tag, which has no name; write the value in quotes"));
        }
        Ok(uri)
    }

    /// One character, which may be several escaped octets.
    fn scan_uri_escape(&mut self, uri: &mut String, start: Mark) -> Result<(), Error> {
        let mut octets = Vec::new();
        loop {
            let digits = self.text.get(self.at + 1..self.at + 3).filter(|_| self.byte(0) == b'%');
            let octet = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let octet = octet.and_then(|it| u8::from_str_radix(it, 16).ok());
            let Some(octet) = octet else {
                return Err(start.error("`!` begins a tag, which has a wrong `%` escape; write the value in quotes"));
            };
            octets.push(octet);
            self.advance(3);
            let first = octets.first().copied().unwrap_or_default();
            if octets.len() >= width(first) {
                break;
            }
        }
        match std::str::from_utf8(&octets) {
            Ok(text) => {
                uri.push_str(text);
                Ok(())
            }
            Err(_) => Err(start.error("`!` begins a tag, which has a wrong `%` escape; write the value in quotes")),
        }
    }
}

/// What a byte is to a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Plain,
    Blank,
    /// Perhaps the beginning of a line break.
    Break,
    /// The beginning of a character of several bytes.
    Wide,
    Colon,
    /// What ends a plain scalar inside brackets.
    Flow,
}

pub(crate) fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Plain)
}

/// Of each byte; a look-up is faster than the comparisons.
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "the compiler fills it, and sees both")]
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
};

const fn class_of(byte: u8) -> Class {
    match byte {
        b' ' | b'\t' => Class::Blank,
        b'\n' | b'\r' | 0xc2 | 0xe2 => Class::Break,
        0x80.. => Class::Wide,
        b':' => Class::Colon,
        b',' | b'?' | b'[' | b']' | b'{' | b'}' => Class::Flow,
        _ => Class::Plain,
    }
}

/// How many bytes a character has, by its first one.
fn width(first: u8) -> usize {
    match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn no_colon(mark: Mark) -> Error {
    mark.error("a key without a colon; write `key: value`, with a blank after the colon")
}
