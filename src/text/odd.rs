//! Text that looks right and is not: what comes along when a value is copied from a document, and what somebody was to fill in.

/// What a name or a secret has in it that nobody sees or means, for a message; the worst of it.
pub(crate) fn character(text: &str) -> Option<&'static str> {
    let has = |is: fn(char) -> bool| text.chars().any(is);
    if has(is_without_width) {
        Some("a character without width in it")
    } else if has(is_typographic_quote) {
        Some("typographic quotes in it")
    } else if has(char::is_whitespace) {
        Some("blanks in it")
    } else {
        None
    }
}

/// The text without such characters.
pub(crate) fn without(text: &str) -> String {
    text.chars().filter(|c| !is_without_width(*c) && !is_typographic_quote(*c) && !c.is_whitespace()).collect()
}

fn is_without_width(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn is_typographic_quote(c: char) -> bool {
    matches!(c, '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}' | '\u{ab}' | '\u{bb}')
}

/// Whether a text has a gap that somebody was to fill: `<name>`, `${NAME}`, `changeme`.
pub(crate) fn has_gap(text: &str) -> bool {
    let is_name = |it: &str| {
        it.len() <= 64
            && it.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || b" _.-/:".contains(&it))
    };
    let ends = |rest: &str, close: char| rest.split_once(close).is_some_and(|(name, _)| is_name(name));
    text.split('<').skip(1).any(|rest| ends(rest, '>'))
        || text.split('$').skip(1).any(|rest| rest.strip_prefix('{').is_some_and(|rest| ends(rest, '}')))
        || is_change_me(text)
}

/// Whether a secret is none, because it waits to be filled in, or stands in everybody's documentation.
pub(crate) fn is_no_secret(text: &str) -> bool {
    const EXAMPLES: [&str; 16] = [
        "choosealongrandomtext", "token", "mytoken", "clustertoken", "secret", "mysecret", "password", "string",
        "example", "placeholder", "todo", "tbd", "fixme", "randomstring", "randomtoken", "defaultsecret12345",
    ];
    if has_gap(text) || is_variable(text) {
        return true;
    }
    // A long text is none of them, and folding takes room.
    let folded: String = if text.len() <= 128 { folded(text).collect() } else { return false };
    let is_yours = ["your", "insert", "enter", "put"].iter().any(|it| folded.starts_with(it))
        && ["token", "secret", "password"].iter().any(|it| folded.contains(it));
    is_yours
        || EXAMPLES.contains(&folded.as_str())
        || (!text.is_empty() && text.bytes().all(|it| matches!(it, b'x' | b'X' | b'*' | b'.' | b'?')))
}

/// Whether a text is but a name between the marks of a template: `$NAME`, `%NAME%`, `@NAME@`, `__NAME__`.
fn is_variable(text: &str) -> bool {
    let between = |mark: &str| text.strip_prefix(mark)?.strip_suffix(mark);
    let name = text.strip_prefix('$').or_else(|| ["%", "@", "__"].into_iter().find_map(between));
    name.is_some_and(|name| {
        let is_word = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
        // A word alone with digits in it may have been drawn by lot.
        name.split('_').all(is_word) && (name.contains('_') || !name.bytes().any(|it| it.is_ascii_digit()))
    })
}

fn is_change_me(text: &str) -> bool {
    let begins_with = |word: &str| folded(text).take(word.len()).eq(word.chars());
    ["changeme", "changethis", "replaceme", "replacethis", "replacewith"].into_iter().any(begins_with)
}

/// Lower case, without separators; as much as is looked at.
fn folded(text: &str) -> impl Iterator<Item = char> {
    let kept = text.chars().take(128).filter(|c| !matches!(c, '-' | '_' | ' ' | '.'));
    kept.map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_character_is_named() {
        for (text, what) in [
            ("init", None),
            ("a b", Some("blanks in it")),
            ("a\u{a0}b", Some("blanks in it")),
            ("\u{201c}a b\u{201d}", Some("typographic quotes in it")),
            ("\u{201c}a\u{200b}", Some("a character without width in it")),
            ("m\u{fc}nchen'\"", None),
        ] {
            assert_eq!(character(text), what, "{text:?}");
        }
        assert_eq!(without("\u{201c}in\u{200b}it \u{201d}"), "init");
    }

    #[test]
    fn gaps_are_found_and_comparisons_are_none() {
        for gap in [
            "<token>", "https://<server>:9345", "${TOKEN}", "a-${site_id}", "changeme", "CHANGE-ME", "change_me_now",
            "<path/to/file>",
        ] {
            assert!(has_gap(gap), "{gap}");
        }
        for text in [
            "memory.available<5%,nodefs.available<10%",
            "a<b",
            "a > b < c",
            "$HOME",
            "${}",
            "<>",
            "{{ .Values.x }}",
            "exchange-metal",
            "<5>",
            "",
        ] {
            assert!(!has_gap(text), "{text}");
        }
    }

    #[test]
    fn what_everybody_knows_is_no_secret() {
        for known in [
            "changeme", "<token>", "your-cluster-token-here", "choose-a-long-random-text", "xxxxxxxx", "TOKEN",
            "my_secret", "$RKE2_CLUSTER_TOKEN", "$TOKEN", "__RKE2_CLUSTER_TOKEN__", "%RKE2_CLUSTER_TOKEN%", "@TOKEN@",
        ] {
            assert!(is_no_secret(known), "{known}");
        }
        for secret in [
            "a-token-that-is-long-enough", "K10my-secure-token-12345", "token-1", "yourself", "x1", "",
            "$7GK2QX9WZ4TB1M8V", "$apr1", "%a_b%", "____", "$_",
        ] {
            assert!(!is_no_secret(secret), "{secret}");
        }
    }
}
