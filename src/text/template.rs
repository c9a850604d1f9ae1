//! The templates that an option may hold: the part of yip's (Go `text/template` with sprig) that names a value of the node.
//!
//! `{{ .Values.NAME(.NAME)* }}`, and the same piped through `lower`, `upper`, `trim`, `trunc N` and ``replace `OLD` `NEW` ``. No text of a
//! user is ever run through yip's own engine, which would log the whole file of a template that fails.

use serde_json::Value;

/// What is left of a text that holds `{{`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Evaluated {
    /// It holds no template, or one that is not evaluated, and stays as it is.
    Kept,
    /// The text with every template evaluated.
    Text(String),
    /// The path of a value that the node does not have.
    Missing(String),
}

/// Evaluates the templates of `text` over yip's values, which `values` gives when they are first needed.
pub(crate) fn evaluate(text: &str, values: impl FnOnce() -> Value) -> Evaluated {
    let Some(pieces) = parse(text) else { return Evaluated::Kept };
    if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
        return Evaluated::Kept;
    }
    let values = values();
    let mut evaluated = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => evaluated += literal,
            Piece::Action { path, calls } => {
                let found = path.iter().try_fold(&values, |value, name| value.get(*name));
                let Some(value) = found.and_then(scalar) else {
                    return Evaluated::Missing(format!(".Values.{}", path.join(".")));
                };
                evaluated += &calls.iter().fold(value, |text, call| call.apply(&text));
            }
        }
    }
    Evaluated::Text(evaluated)
}

/// Whether `text` holds `{{` that is not evaluated.
pub(crate) fn is_foreign(text: &str) -> bool {
    parse(text).is_none()
}

enum Piece<'t> {
    Literal(&'t str),
    Action { path: Vec<&'t str>, calls: Vec<Call<'t>> },
}

enum Call<'t> {
    Lower,
    Upper,
    Trim,
    Trunc(i64),
    Replace(&'t str, &'t str),
}

impl Call<'_> {
    fn apply(&self, text: &str) -> String {
        match self {
            Call::Lower => text.to_lowercase(),
            Call::Upper => text.to_uppercase(),
            Call::Trim => text.trim().to_owned(),
            Call::Replace(old, new) => text.replace(old, new),
            // A negative number keeps the end (sprig `strings.go`).
            Call::Trunc(length) => {
                let count = text.chars().count();
                let kept = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX).min(count);
                let skipped = if *length < 0 { count - kept } else { 0 };
                text.chars().skip(skipped).take(kept).collect()
            }
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(it) => Some(it.clone()),
        Value::Number(it) => Some(it.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The pieces of a text; nothing if some `{{` in it is not of the grammar.
fn parse(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, tail)) = rest.split_once("{{") {
        let (action, tail) = tail.split_once("}}")?;
        pieces.push(Piece::Literal(literal));
        pieces.push(parse_action(action)?);
        rest = tail;
    }
    pieces.push(Piece::Literal(rest));
    Some(pieces)
}

fn parse_action(action: &str) -> Option<Piece<'_>> {
    let mut parts = split_pipes(action).into_iter();
    let path: Vec<&str> = parts.next()?.trim().strip_prefix(".Values.")?.split('.').collect();
    let is_name = |name: &&str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let calls = parts.map(|part| parse_call(part.trim())).collect::<Option<Vec<_>>>()?;
    path.iter().all(is_name).then_some(Piece::Action { path, calls })
}

/// The parts between `|`, of which those in back quotes are none.
fn split_pipes(action: &str) -> Vec<&str> {
    let mut quoted = false;
    action
        .split(|c| {
            quoted ^= c == '`';
            c == '|' && !quoted
        })
        .collect()
}

fn parse_call(call: &str) -> Option<Call<'_>> {
    match call {
        "lower" => return Some(Call::Lower),
        "upper" => return Some(Call::Upper),
        "trim" => return Some(Call::Trim),
        _ => {}
    }
    let (name, arguments) = call.split_once(char::is_whitespace)?;
    let arguments = arguments.trim();
    match name {
        "trunc" => arguments.parse().ok().map(Call::Trunc),
        "replace" => {
            let (old, rest) = arguments.strip_prefix('`')?.split_once('`')?;
            let new = rest.trim().strip_prefix('`')?.strip_suffix('`').filter(|new| !new.contains('`'))?;
            Some(Call::Replace(old, new))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_of_the_grammar_are_evaluated() {
        let values = json!({"node": {"hostname": "Edge-01.Example.COM", "cpu": {"cores": 4}}, "empty": "", "on": true});
        for (text, evaluated) in [
            ("edge-{{ .Values.node.hostname }}", Some("edge-Edge-01.Example.COM")),
            ("{{.Values.node.hostname|lower}}", Some("edge-01.example.com")),
            ("{{ .Values.node.hostname | upper | trunc 4 }}-x", Some("EDGE-x")),
            ("{{ .Values.node.hostname | trunc -3 }}", Some("COM")),
            ("{{ .Values.node.hostname | replace `.` `-` | lower }}", Some("edge-01-example-com")),
            ("{{ .Values.node.hostname | replace `|` `` }}", Some("Edge-01.Example.COM")),
            ("{{ .Values.node.cpu.cores }}{{ .Values.on }}{{ .Values.empty }}", Some("4true")),
            ("no template }}", None),
        ] {
            let expected = evaluated.map_or(Evaluated::Kept, |text| Evaluated::Text(text.to_owned()));
            assert_eq!(evaluate(text, || values.clone()), expected, "{text}");
            assert!(!is_foreign(text), "{text}");
        }
    }

    #[test]
    fn a_value_that_is_not_there_is_named() {
        let values = json!({"node": {"hostname": null, "list": []}});
        for (text, path) in [
            ("{{ .Values.node.name }}", ".Values.node.name"),
            ("{{ .Values.node.hostname }}", ".Values.node.hostname"),
            ("{{ .Values.node }}", ".Values.node"),
            ("{{ .Values.node.list }}", ".Values.node.list"),
        ] {
            assert_eq!(evaluate(text, || values.clone()), Evaluated::Missing(path.into()), "{text}");
        }
    }

    #[test]
    fn other_braces_stay_as_they_are() {
        for text in [
            "{{", "{{ }}", "{{ .Node }}", "{{ .Values }}", "{{ .Values. }}", "{{ .Values.a-b }}",
            "{{ .Values.a | env }}", "{{ .Values.a | trunc x }}", "{{ .Values.a | replace \"a\" \"b\" }}",
            "{{- .Values.a -}}", "{{ `{{` }}", "{{ .Values.a }} and {{ other }}",
        ] {
            assert_eq!(evaluate(text, || json!({"a": "b"})), Evaluated::Kept, "{text}");
            assert!(is_foreign(text), "{text}");
        }
    }
}
