//! Writing YAML and JSON text that every reader takes the same way.

use std::fmt::Write as _;

use crate::text::yaml;

/// What is written: a mapping keeps its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Item>),
    /// A mapping.
    Map(Vec<(String, Item)>),
}

impl Item {
    /// A mapping from its keys and values.
    pub(crate) fn map<const N: usize>(entries: [(&str, Item); N]) -> Item {
        Item::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// Text.
    pub(crate) fn text(text: &str) -> Item {
        Item::Text(text.to_owned())
    }
}

/// What tells one content from another: FNV-1a, 16 hex digits. No secret is safe behind it.
pub(crate) fn fnv(bytes: impl Iterator<Item = u8>) -> String {
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Block YAML, read alike by YAML 1.1 and 1.2: text is plain only where it can be nothing else, several lines become a `|`
/// block where no character of them could be lost, all other text is a quoted JSON string.
pub(crate) fn to_yaml(item: &Item) -> String {
    let mut yaml = String::new();
    block(&mut yaml, item, 0);
    yaml.trim_start_matches('\n').to_owned()
}

fn block(yaml: &mut String, item: &Item, indent: usize) {
    match item {
        Item::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                yaml.push('\n');
                push_blanks(yaml, indent);
                push_plain_or_quoted(yaml, key);
                yaml.push(':');
                block(yaml, value, indent + 2);
            }
        }
        Item::List(items) if !items.is_empty() => {
            for item in items {
                let mut entry = String::new();
                block(&mut entry, item, indent + 2);
                // A mapping begins in the line of its dash.
                yaml.push('\n');
                push_blanks(yaml, indent);
                yaml.push_str("- ");
                yaml.push_str(entry.trim_start_matches(['\n', ' ']));
            }
        }
        Item::Text(text) => scalar(yaml, text, indent),
        Item::Map(_) => yaml.push_str(" {}"),
        Item::List(_) => yaml.push_str(" []"),
    }
    if indent == 0 {
        yaml.push('\n');
    }
}

/// Adds blanks, which a format with a width adds one at a time.
fn push_blanks(yaml: &mut String, mut count: usize) {
    const BLANKS: &str = "                ";
    while let Some(blanks) = BLANKS.get(..count.min(BLANKS.len())).filter(|it| !it.is_empty()) {
        yaml.push_str(blanks);
        count -= blanks.len();
    }
}

/// Text after its key or dash, without the line break at its end; the lines of a block are indented by so much.
pub(crate) fn scalar(yaml: &mut String, text: &str, indent: usize) {
    if is_literal(text) {
        yaml.push_str(" |");
        for line in text.lines() {
            yaml.push('\n');
            push_blanks(yaml, indent);
            yaml.push_str(line);
        }
    } else {
        yaml.push(' ');
        push_plain_or_quoted(yaml, text);
    }
}

/// Adds text in one line, without quotes where it can be nothing else.
pub(crate) fn push_plain_or_quoted(yaml: &mut String, text: &str) {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'.' | b' ');
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(is_word)
        && !text.ends_with(' ')
        && yaml::is_text(text);
    if plain { yaml.push_str(text) } else { push_json_string(yaml, text) }
}

/// Whether a `|` block gives exactly this text back: it ends in one line break, and holds no blank at the start of its first or the
/// end of any line, no empty line, no tab, and no character that some reader takes for a line break or refuses.
fn is_literal(text: &str) -> bool {
    let Some(body) = text.strip_suffix('\n') else { return false };
    let line = |line: &str| !line.is_empty() && !line.ends_with(' ');
    let is_shown = || body.bytes().all(|byte| byte == b'\n' || is_ascii_text(byte));
    !body.starts_with(' ')
        && body.split('\n').all(line)
        && (is_shown() || body.chars().all(|c| c == '\n' || !is_escaped(c)))
}

/// Characters that stand in a file as they are only in escaped form.
fn is_escaped(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a byte is a character that stands as it is, which is found out faster than of a character.
fn is_ascii_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Adds a JSON string that YAML 1.1 readers take too: U+007F to U+009F, line separators and the byte order mark escaped, `/` not.
pub(crate) fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some((before, c, after)) = first_escaped(rest) {
        json.push_str(before);
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
        }
        rest = after;
    }
    json.push_str(rest);
    json.push('"');
}

/// The first character that a JSON string escapes, with what stands before and after it.
fn first_escaped(text: &str) -> Option<(&str, char, &str)> {
    let is = |c: char| matches!(c, '"' | '\\') || is_escaped(c);
    let suspect = text.bytes().position(|byte| !is_ascii_text(byte) || matches!(byte, b'"' | b'\\'))?;
    let (at, c) = text.get(suspect..)?.char_indices().find(|(_, c)| is(*c))?;
    let at = suspect + at;
    Some((text.get(..at)?, c, text.get(at + c.len_utf8()..)?))
}

/// A word for `sh`: as it is where it is harmless, else in single quotes.
pub(crate) fn shell_quoted(text: &str) -> String {
    let harmless =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '+' | ':' | '@' | '%' | ',' | '=');
    if !text.is_empty() && text.chars().all(harmless) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
