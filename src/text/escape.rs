//! Text that is shown: nothing in it moves a cursor or hides.

use std::fmt;

/// Makes a text safe for one line of a log or a terminal: control characters, what reorders text and what has no
/// width become `\u{..}`; all else stays.
///
/// The set: Unicode's Cc, the marks, embeddings and isolates of UAX 9, the line separators, zero-width characters and
/// tags.
pub fn escape(text: &str) -> String {
    // Nearly every text is made of these, and a finding has three texts.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    text.chars().for_each(|character| push_escaped(&mut safe, character));
    safe
}

/// Appends one character as [`escape`] does.
pub(crate) fn push_escaped(safe: &mut String, character: char) {
    let hidden = matches!(character, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    if hidden || character.is_control() {
        safe.extend(character.escape_unicode());
    } else {
        safe.push(character);
    }
}

pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    let text = escape(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A value for a message: in quotes, shortened, without control characters and without the user information of a URL.
pub(crate) fn quoted(value: &str) -> Quoted<'_> {
    Quoted(value)
}

/// What [`quoted`] gives: it is made when a message is, because most values are right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", shortened(&mask_userinfo(self.0)))
    }
}

/// A part of `whole` for a message. Where that has the user information of a URL, the part may be a piece of it, so the whole is quoted.
pub(crate) fn quoted_part<'a>(part: &'a str, whole: &'a str) -> Quoted<'a> {
    quoted(if has_userinfo(whole) { whole } else { part })
}

/// Whether [`mask_userinfo`] finds something to mask.
pub(crate) fn has_userinfo(text: &str) -> bool {
    text.contains('@') && mask_userinfo(text) != text
}

/// `text` with `***` for the user and password of each URL: all between `://` and the last `@` before the next URL, because a password may hold
/// anything. Without a scheme, what reads like `user:password@` counts too.
pub(crate) fn mask_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let first = parts.next().unwrap_or_default();
    let mut masked = match first.rsplit_once('@') {
        Some((user, host))
            if user.trim_start_matches('/').contains(':') && !user.trim_start_matches('/').contains('/') =>
        {
            format!("***@{host}")
        }
        _ => first.to_owned(),
    };
    for part in parts {
        masked += "://";
        match part.rsplit_once('@') {
            Some((_, host)) => {
                masked += "***@";
                masked += host;
            }
            None => masked += part,
        }
    }
    masked
}

const LONGEST_MESSAGE: usize = 1024;

/// At most 1 KiB of `text`, cut at a character.
pub(crate) fn limit(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    let end = (0..=LONGEST_MESSAGE - '…'.len_utf8()).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// `text` with `***` for what stands before its last `@`: a host given with a user may carry a password.
pub(crate) fn mask_user(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, host)| format!("***@{host}"))
}
