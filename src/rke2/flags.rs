//! The flags of the programs of Kubernetes that RKE2 runs, for its options `…-arg`: a program that gets a flag which it does not have, or a
//! value which is none, does not start.
//!
//! The table, `flags.tsv`, is what the programs themselves list (kubernetes `cmd/*/app/options`, printed through pflag), a minor version each.

use super::drop_in::is_duration;
use super::options::nearest_of;

// `ROWS`: the table, `flags.tsv`, whose first lines explain its columns; sorted by name.
include!(concat!(env!("OUT_DIR"), "/flags.rs"));

/// The minor versions of Kubernetes 1 that the table knows.
const KNOWN: std::ops::RangeInclusive<u8> = 31..=37;

/// The programs, as RKE2's options call them, in the order of the table.
const PROGRAMS: [&str; 5] = ["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"];

/// What a program takes for a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has the flag, and takes this for its value.
    Flag(Form),
    /// Only later versions have it: from this minor version on.
    NotYet(u8),
    /// Only earlier versions have it: up to this minor version.
    NoMore(u8),
    /// No version has it.
    Unknown,
}

/// What the value of a flag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Boolean,
    Integer,
    Duration,
    /// Features, each with whether it is on: `NAME=true`, separated by commas.
    Gates,
    /// Anything, or what is not judged.
    Text,
}

/// What Go makes of the text of a boolean (`strconv.ParseBool`).
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl Form {
    /// Whether a program of Kubernetes takes this value (spf13/pflag, by Go's strconv and time).
    pub(crate) fn takes(self, value: &str) -> bool {
        match self {
            Form::Boolean => boolean(value).is_some(),
            Form::Integer => is_integer(value),
            Form::Duration => is_duration(value),
            // component-base `cli/flag/map_string_bool.go`
            Form::Gates => value
                .split(',')
                .filter(|it| !it.is_empty())
                .all(|pair| pair.split_once('=').is_some_and(|(_, it)| Form::Boolean.takes(it.trim()))),
            Form::Text => true,
        }
    }

    /// What to write, for a message.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Form::Boolean => "true or false",
            Form::Integer => "an integer",
            Form::Duration => "a duration such as 10s",
            Form::Gates => "a list such as NAME=true,OTHER=false",
            Form::Text => "a text",
        }
    }
}

/// Looks a flag up, for Kubernetes of this minor version if it is known. Nothing for a program, or a version, that is not in the table.
///
/// The programs take `_` for `-` in a name (k8s.io/component-base `cli/flag/flags.go`).
pub(crate) fn find(program: &str, name: &str, minor: Option<u32>) -> Option<Found> {
    let program = PROGRAMS.iter().position(|it| *it == program)?;
    let minor = match minor {
        None => None,
        Some(minor) => Some(u8::try_from(minor).ok().filter(|minor| KNOWN.contains(minor))?),
    };
    let name = name.replace('_', "-");
    let Some(row) = rows_of(&name).find(|row| row.is_of(program)) else {
        return Some(Found::Unknown);
    };
    Some(match minor {
        Some(minor) if minor < row.first => Found::NotYet(row.first),
        Some(minor) if minor > row.last => Found::NoMore(row.last),
        _ => Found::Flag(row.form),
    })
}

/// The flag of a program that a name may be a typo of. It is compared with all of them, so this is for names that are told.
pub(crate) fn nearest(program: &str, name: &str) -> Option<&'static str> {
    let program = PROGRAMS.iter().position(|it| *it == program)?;
    let names: Vec<&'static str> = ROWS.iter().filter(|row| row.is_of(program)).map(|row| row.name).collect();
    nearest_of(&name.replace('_', "-"), &names)
}

/// The rows of a flag, one for each of its forms.
fn rows_of(name: &str) -> impl Iterator<Item = &'static Row> {
    let first = ROWS.partition_point(|row| row.name < name);
    ROWS.iter().skip(first).take_while(move |row| row.name == name)
}

/// An integer as Go's `strconv.ParseInt` reads it with base 0.
fn is_integer(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let based = |prefix: [&str; 2]| prefix.into_iter().find_map(|it| text.strip_prefix(it));
    let (digits, base) = match (based(["0x", "0X"]), based(["0o", "0O"]), based(["0b", "0B"])) {
        (Some(digits), _, _) => (digits, 16),
        (_, Some(digits), _) => (digits, 8),
        (_, _, Some(digits)) => (digits, 2),
        _ => (text, 10),
    };
    !digits.is_empty() && i64::from_str_radix(&digits.replace('_', ""), base).is_ok_and(|it| it >= 0)
}

/// A line of the table.
struct Row {
    name: &'static str,
    form: Form,
    /// Whether it is one of each of [`PROGRAMS`].
    of: [bool; 5],
    /// The first and the last minor version that have it; 0 and [`u8::MAX`] for all that the table knows.
    first: u8,
    last: u8,
}

impl Row {
    fn is_of(&self, program: usize) -> bool {
        self.of.get(program) == Some(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_whole() {
        assert!(ROWS.len() > 430, "{}", ROWS.len());
        assert!(ROWS.is_sorted_by_key(|row| row.name));
        for row in ROWS {
            let name = row.name;
            assert!(row.of.contains(&true), "{name}");
            assert!(row.first == 0 || KNOWN.contains(&row.first) && row.first > *KNOWN.start(), "{name}");
            assert!(row.last == u8::MAX || KNOWN.contains(&row.last) && row.last < *KNOWN.end(), "{name}");
            for (_, program) in PROGRAMS.into_iter().enumerate().filter(|(at, _)| row.is_of(*at)) {
                assert_eq!(find(program, name, None), Some(Found::Flag(row.form)), "{name}");
                let at = |it: u8| find(program, name, Some(u32::from(it)));
                let inner = [row.first.max(*KNOWN.start()), row.last.min(*KNOWN.end())];
                assert_eq!(inner.map(at), [Some(Found::Flag(row.form)); 2], "{name}");
                if row.first != 0 {
                    assert_eq!(at(row.first - 1), Some(Found::NotYet(row.first)), "{name}");
                }
                if row.last != u8::MAX {
                    assert_eq!(at(row.last + 1), Some(Found::NoMore(row.last)), "{name}");
                }
            }
        }
    }

    #[test]
    fn integers_are_those_of_go() {
        for text in ["0", "110", "-1", "+5", "0x1F", "0b101", "0o17", "017", "1_000"] {
            assert!(is_integer(text), "{text}");
        }
        for text in ["", "-", "1.5", "10m", "true", "0x", "1 0", "--1", "+-1", "99999999999999999999"] {
            assert!(!is_integer(text), "{text}");
        }
    }
}
