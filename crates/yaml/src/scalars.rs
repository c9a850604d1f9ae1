//! Scalars: plain, quoted, and blocks; a part of the scanner.

use std::borrow::Cow;

use crate::Error;
use crate::scanner::{Class, Kind, Mark, Scanner, Token, Written, class};

impl Scanner<'_> {
    pub(crate) fn scan_block_scalar(&mut self) -> Result<(), Error> {
        let start = self.mark();
        let written = if self.byte(0) == b'|' { Written::Literal } else { Written::Folded };
        self.advance(1);
        let (mut chomping, mut increment) = (0, 0);
        // The indicators of chomping and of indentation, in either order, each once.
        for _ in 0..2 {
            match self.byte(0) {
                sign @ (b'+' | b'-') if chomping == 0 => chomping = sign,
                b'0' if increment == 0 => {
                    return Err(start.error("the indentation of a block cannot be 0; leave the digit out"));
                }
                digit @ b'1'..=b'9' if increment == 0 => increment = isize::from(digit - b'0'),
                _ => break,
            }
            self.advance(1);
        }
        self.skip_blanks();
        self.skip_comment();
        if !self.is_end() && self.line_break(0) == 0 {
            let sign = if written == Written::Literal { '|' } else { '>' };
            let problem =
                format!("`{sign}` begins a block, whose text begins on the next line; write the value in quotes");
            return Err(start.error(problem));
        }
        self.advance_line();
        let mut indent = if increment > 0 { self.indent.max(0) + increment } else { 0 };
        let (mut text, mut leading, mut trailing) = (String::new(), "", String::new());
        let mut was_blank = false;
        let mut end = self.scan_block_breaks(&mut indent, &mut trailing)?;
        while self.indentation() == indent && !self.is_end() {
            let is_blank = self.is_blank(0);
            if written == Written::Folded && leading == "\n" && !was_blank && !is_blank {
                if trailing.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(leading);
            }
            text.push_str(&trailing);
            trailing.clear();
            was_blank = is_blank;
            let begin = self.at;
            self.skip_to_line_end();
            text.push_str(self.since(begin));
            leading = self.take_line();
            end = self.scan_block_breaks(&mut indent, &mut trailing)?;
        }
        if chomping != b'-' {
            text.push_str(leading);
        }
        if chomping == b'+' {
            text.push_str(&trailing);
        }
        let kind = Kind::Scalar { text: Cow::Owned(text), written };
        self.tokens.push_back(Token { kind, start, end });
        Ok(())
    }

    /// Skips indentation and empty lines, finds out the indentation of the block if it is not known, and gives where the block may end.
    fn scan_block_breaks(&mut self, indent: &mut isize, breaks: &mut String) -> Result<Mark, Error> {
        let (mut deepest, mut end) = (0, self.mark());
        loop {
            while (*indent == 0 || self.indentation() < *indent) && self.byte(0) == b' ' {
                self.advance(1);
            }
            deepest = deepest.max(self.indentation());
            if (*indent == 0 || self.indentation() < *indent) && self.byte(0) == b'\t' {
                return Err(self.mark().error("a tab indents the line; indent with spaces"));
            }
            if self.line_break(0) == 0 {
                break;
            }
            breaks.push_str(self.take_line());
            end = self.mark();
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(end)
    }

    pub(crate) fn scan_quoted(&mut self) -> Result<(), Error> {
        let (start, quote) = (self.mark(), self.byte(0));
        let written = if quote == b'\'' { Written::SingleQuoted } else { Written::DoubleQuoted };
        self.advance(1);
        let mut text = Pieces::new(self.text, self.at);
        loop {
            if self.is_document_indicator() || self.is_end() {
                return Err(
                    start.error(format!("the quote {} that opens here is not closed; close it", char::from(quote)))
                );
            }
            let mut is_joined = false;
            let mut begin = self.at;
            while !self.is_space(0) {
                match self.byte(0) {
                    b'\'' if quote == b'\'' && self.byte(1) == b'\'' => {
                        self.advance(1);
                        text.push(begin, self.at);
                        self.advance(1);
                        begin = self.at;
                    }
                    byte if byte == quote => break,
                    b'\\' if quote == b'"' => {
                        text.push(begin, self.at);
                        is_joined = self.line_break(1) > 0;
                        if is_joined {
                            self.advance(1);
                            self.advance_line();
                        } else {
                            text.push_char(self.scan_escape()?);
                        }
                        begin = self.at;
                        if is_joined {
                            break;
                        }
                    }
                    byte if byte.is_ascii() => self.advance(1),
                    _ => self.advance_character(),
                }
            }
            text.push(begin, self.at);
            if self.byte(0) == quote {
                break;
            }
            self.scan_spaces(is_joined, None)?.join(&mut text);
        }
        self.advance(1);
        self.push_from(start, Kind::Scalar { text: text.finish(), written });
        Ok(())
    }

    /// The character that a backslash in double quotes and what follows it mean.
    fn scan_escape(&mut self) -> Result<char, Error> {
        let digits = match self.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            byte => {
                let unknown =
                    "a backslash in double quotes begins an unknown escape; write it twice, or use single quotes";
                let meant = escaped(byte).ok_or_else(|| self.mark().error(unknown))?;
                self.advance(2);
                return Ok(meant);
            }
        };
        let code = self.text.get(self.at + 2..self.at + 2 + digits);
        let code = code.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let meant = code.and_then(|it| u32::from_str_radix(it, 16).ok()).and_then(char::from_u32);
        let wrong = || {
            format!(
                "an escape in double quotes is not followed by {digits} hexadecimal digits of a character; write the backslash twice"
            )
        };
        let meant = meant.ok_or_else(|| self.mark().error(wrong()))?;
        self.advance(2 + digits);
        Ok(meant)
    }

    /// Blanks and line breaks inside a scalar. `is_joined`: an escaped line break stands before them. `indent`: where a tab before that
    /// column is an error.
    fn scan_spaces(&mut self, is_joined: bool, indent: Option<isize>) -> Result<Spaces, Error> {
        let begin = self.at;
        let mut spaces = Spaces { blanks: (begin, begin), leading: is_joined.then_some(""), trailing: String::new() };
        loop {
            if self.is_blank(0) {
                let is_indentation = spaces.leading.is_some() && indent.is_some_and(|it| self.indentation() < it);
                if is_indentation && self.byte(0) == b'\t' {
                    return Err(self.mark().error("a tab indents the line; indent with spaces"));
                }
                self.advance(1);
            } else if self.line_break(0) > 0 {
                let taken = self.take_line();
                match spaces.leading {
                    Some(_) => spaces.trailing.push_str(taken),
                    None => spaces.leading = Some(taken),
                }
            } else {
                break;
            }
        }
        spaces.blanks.1 = self.at;
        Ok(spaces)
    }

    pub(crate) fn scan_plain(&mut self) -> Result<(), Error> {
        let start = self.mark();
        let mut end = start;
        let mut text = Pieces::new(self.text, self.at);
        let mut spaces: Option<Spaces> = None;
        let indent = self.indent + 1;
        while !self.is_document_indicator() && self.byte(0) != b'#' {
            let begin = self.at;
            self.skip_plain();
            if self.at > begin {
                if let Some(spaces) = spaces.take() {
                    spaces.join(&mut text);
                }
                text.push(begin, self.at);
                end = self.mark();
            }
            if self.is_end() || !self.is_space(0) {
                break;
            }
            spaces = Some(self.scan_spaces(false, Some(indent))?);
            if self.flow_level == 0 && self.indentation() < indent {
                break;
            }
        }
        if spaces.is_some_and(|it| it.leading.is_some()) {
            self.simple_key_allowed = true;
        }
        self.tokens.push_back(Token {
            kind: Kind::Scalar { text: text.finish(), written: Written::Plain },
            start,
            end,
        });
        Ok(())
    }

    /// Skips what a plain scalar may hold, up to a blank or a line break.
    fn skip_plain(&mut self) {
        let is_flow = self.flow_level != 0;
        loop {
            self.skip_while(|class| class == Class::Plain || (class == Class::Flow && !is_flow));
            if self.is_end() {
                break;
            }
            match class(self.byte(0)) {
                Class::Wide | Class::Break if self.line_break(0) == 0 => self.advance_character(),
                Class::Colon if !self.is_space(1) => self.advance(1),
                _ => break,
            }
        }
    }
}

/// Blanks and line breaks between two words of a scalar.
#[derive(Debug)]
struct Spaces {
    /// Where they stand, if no line break is among them.
    blanks: (usize, usize),
    /// The first line break; empty where it was escaped.
    leading: Option<&'static str>,
    /// The other ones.
    trailing: String,
}

impl Spaces {
    /// Folds them: blanks stay, one line break becomes a blank, more of them lose one.
    fn join(&self, to: &mut Pieces<'_>) {
        match self.leading {
            None => to.push(self.blanks.0, self.blanks.1),
            Some("\n") if self.trailing.is_empty() => to.push_char(' '),
            Some("\n") => to.push_str(&self.trailing),
            Some(leading) => {
                to.push_str(leading);
                to.push_str(&self.trailing);
            }
        }
    }
}

/// The text of a scalar, borrowed as long as it stands in one piece.
#[derive(Debug)]
struct Pieces<'t> {
    source: &'t str,
    /// What comes before the piece.
    owned: String,
    from: usize,
    to: usize,
}

impl<'t> Pieces<'t> {
    fn new(source: &'t str, at: usize) -> Self {
        Self { source, owned: String::new(), from: at, to: at }
    }

    fn piece(&self) -> &'t str {
        self.source.get(self.from..self.to).unwrap_or_default()
    }

    fn push(&mut self, from: usize, to: usize) {
        if from != self.to {
            self.owned.push_str(self.piece());
            self.from = from;
        }
        self.to = to;
    }

    fn push_str(&mut self, text: &str) {
        self.owned.push_str(self.piece());
        self.from = self.to;
        self.owned.push_str(text);
    }

    fn push_char(&mut self, it: char) {
        self.push_str(it.encode_utf8(&mut [0; 4]));
    }

    fn finish(mut self) -> Cow<'t, str> {
        if self.owned.is_empty() {
            return Cow::Borrowed(self.piece());
        }
        self.owned.push_str(self.piece());
        Cow::Owned(self.owned)
    }
}

/// What a backslash and this byte mean in double quotes.
pub(crate) fn escaped(byte: u8) -> Option<char> {
    Some(match byte {
        b'0' => '\0',
        b'a' => '\x07',
        b'b' => '\x08',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\x0b',
        b'f' => '\x0c',
        b'r' => '\r',
        b'e' => '\x1b',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
