//! RKE2's options as a drop-in holds them: what RKE2 would read, in the type that the option takes.
//!
//! RKE2 turns each `key: value` into a flag `--key=value` (k3s `pkg/configfilearg/parser.go`) and types it by urfave/cli; a value
//! is normalised here once, so that what is written can be read one way only.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use crate::check::{Code, Findings, Instead, MOST_PRINTED, Path, Severity, quoted};
use crate::cloud_config::Place;
use crate::emit::json_string;
use crate::options::{self, Class, Spec};
use crate::template;
use crate::yaml::{Key, Kind, Node, Scalar, Yaml11};

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Text, always quoted when written.
    Text(String),
    /// A list of text. Empty, it discards what earlier drop-ins gave.
    List(Vec<String>),
}

impl Value {
    /// The items of a list.
    pub fn list(&self) -> Option<&[String]> {
        if let Value::List(list) = self { Some(list) } else { None }
    }

    /// Of the exact duplicates in a list the last stays.
    pub fn without_duplicates(&mut self) {
        let Value::List(list) = self else { return };
        let mut seen = HashSet::new();
        let is_last: Vec<bool> = list.iter().rev().map(|item| seen.insert(item.clone())).collect();
        let mut is_last = is_last.into_iter().rev();
        list.retain(|_| is_last.next().unwrap_or(true));
    }
}

/// Options by their long name, in the order of first appearance.
pub type DropIn = Vec<(String, Value)>;

/// `token` and `server`: they are read apart, for they belong to the cluster section.
#[derive(Debug)]
pub struct Owned {
    /// `token` or `server`.
    pub name: &'static str,
    /// The value as RKE2 would read it.
    pub text: String,
    /// Its path.
    pub path: Path,
    /// Its line in the outer text.
    pub line: usize,
    /// Its line in a text of its own.
    pub inner: Option<usize>,
}

/// What a mapping of options holds for one role.
#[derive(Debug, Default)]
pub struct Read {
    /// The options of the role.
    pub options: DropIn,
    /// Those of them that were given with a `+` only, so that their items add to what earlier drop-ins gave.
    pub appended: BTreeSet<String>,
    /// `token` and `server`.
    pub owned: Vec<Owned>,
}

/// Reads a mapping of options for a server or an agent.
///
/// `path` is the key that holds the mapping and `place` where its text stands. Every mistake is a finding; a refused option is left
/// out, on a node with state ([`Findings::lenient`]) it keeps the text that RKE2 would have made of it.
pub fn read(entries: &[(Key, Node)], path: &Path, place: Place, server: bool, findings: &mut Findings) -> Read {
    let mut reader = Reader { path, place, server, findings, read: Read::default(), index: HashMap::new() };
    for (key, value) in entries {
        reader.option(key, value);
    }
    let mut read = reader.read;
    // Once, however often items were added.
    for (_, value) in &mut read.options {
        value.without_duplicates();
    }
    read
}

struct Reader<'a> {
    path: &'a Path,
    place: Place,
    server: bool,
    findings: &'a mut Findings,
    read: Read,
    /// Where an option stands in `read`, and in what line it was last set, by name.
    index: HashMap<String, (usize, usize)>,
}

/// An option while it is read.
struct Current<'a> {
    name: &'a str,
    /// What RKE2 takes it for; nothing for one that it does not know or leaves out.
    spec: Option<&'static Spec>,
    secret: bool,
    path: Path,
}

impl Current<'_> {
    /// The value for a message; nothing of a secret.
    fn found(&self, text: &str) -> String {
        if self.secret { "a value".into() } else { quoted(text) }
    }
}

impl Reader<'_> {
    /// Adds a finding at a line of the text that is read.
    fn push(&mut self, severity: Severity, code: Code, path: &Path, line: usize, rest: &str) {
        self.findings.push(severity, code, path, self.place.outer(line), rest);
        self.mark_inner(line);
    }

    fn refuse(&mut self, code: Code, path: &Path, line: usize, rest: &str, instead: Instead) {
        self.findings.refuse(code, path, self.place.outer(line), rest, instead);
        self.mark_inner(line);
    }

    fn mark_inner(&mut self, line: usize) {
        self.findings.mark_inner(self.place.inner(line));
    }

    fn option(&mut self, key: &Key, value: &Node) {
        let written = match key.scalar.yaml11() {
            Yaml11::Null => String::new(),
            key => key.printed(),
        };
        let path = self.path.key(&written);
        if written.is_empty() || written.chars().any(char::is_control) {
            let rest = "found a name that is empty or holds a tab or control character, accepted are RKE2's options, correct it";
            return self.refuse(Code::OptionName, &path, key.line, rest, Instead::LeftOut);
        }
        let (name, append) = match written.strip_suffix('+') {
            Some(name) => (name, true),
            None => (written.as_str(), false),
        };
        if name.is_empty() || name.ends_with('+') {
            let rest = "found a name that is no more than a `+`, or still ends in one; write the option's name, and at most one `+` after it";
            return self.refuse(Code::OptionName, &path, key.line, rest, Instead::LeftOut);
        }
        let known = options::find(name);
        let spec = known.filter(|spec| spec.class != Class::Dropped);
        let option =
            Current { name: known.map_or(name, |spec| spec.name), spec, secret: options::is_secret(name), path };
        match (known, spec) {
            (_, Some(spec)) if spec.name.starts_with("cluster-reset") => return self.reset(&option, key.line, value),
            (_, Some(_)) => {}
            (Some(_), None) => {
                let rest = "is a k3s option, no effect in RKE2, remove it";
                self.push(Severity::Warning, Code::OptionDropped, &option.path, key.line, rest);
            }
            (None, None) => self.unknown(&option, key.line),
        }
        if is_empty(value) {
            let rest = "found an empty value, which RKE2 does not take as unset, it is left out";
            return self.push(Severity::Note, Code::OptionEmpty, &option.path, key.line, rest);
        }
        if spec.is_some_and(|spec| !spec.takes(self.server)) {
            let (other, own) = if self.server { ("agents", "servers") } else { ("servers", "agents") };
            let rest = format!("is an option of {other}, it is left out on {own}");
            return self.push(Severity::Note, Code::OptionOfOtherRole, &option.path, key.line, &rest);
        }
        let Some(value) = self.value(&option, append, key.line, value) else { return };
        if append && matches!(&value, Value::List(items) if items.is_empty()) {
            // Nothing is added; only a list that is written empty without a `+` discards.
            return;
        }
        if spec.is_some_and(|spec| spec.class == Class::Owned) {
            if let (Value::Text(text), Some(spec)) = (value, spec) {
                let (line, inner) = (self.place.outer(key.line), self.place.inner(key.line));
                self.read.owned.push(Owned { name: spec.name, text, path: option.path, line, inner });
            }
            return;
        }
        self.set(&option, append, key.line, value);
    }

    /// Each boot would reset the cluster: refused, unless it is set to off.
    fn reset(&mut self, option: &Current, line: usize, value: &Node) {
        let off = value.scalar().is_some_and(|scalar| boolean(&scalar.yaml11()) == Some(false));
        if off || is_empty(value) {
            let rest = "is left out, a cluster is reset by hand, never by its configuration";
            return self.push(Severity::Note, Code::OptionEmpty, &option.path, line, rest);
        }
        let rest =
            "would reset the cluster at every boot, remove it and run `rke2 server --cluster-reset` once by hand";
        self.findings.push(Severity::Refused, Code::OptionReset, &option.path, self.place.outer(line), rest);
        self.mark_inner(line);
    }

    fn unknown(&mut self, option: &Current, line: usize) {
        // The nearest name is looked up only for those that are printed.
        let is_printed = self.findings.count(Code::OptionUnknown) < MOST_PRINTED;
        let near = if is_printed { options::nearest(option.name) } else { None };
        let near = near.map_or_else(|| ", remove it".to_owned(), |near| format!(", did you mean {near}?"));
        let rest = format!("is no option of RKE2, which ignores it{near}");
        self.push(Severity::Warning, Code::OptionUnknown, &option.path, line, &rest);
    }

    fn value(&mut self, option: &Current, append: bool, line: usize, node: &Node) -> Option<Value> {
        let is_list = option.spec.map(Spec::is_list);
        match (&node.kind, is_list) {
            (Kind::Map(_), _) => {
                let rest = "found a mapping, accepted is a single value or a flat list, write it flat";
                self.refuse(Code::OptionNested, &option.path, line, rest, Instead::Kept);
                let kept = self.findings.lenient.then(|| printed(node))?;
                Some(if is_list == Some(true) { Value::List(vec![kept]) } else { Value::Text(kept) })
            }
            (Kind::List(items), Some(false)) if !items.is_empty() => {
                let rest =
                    format!("found a list of {}, accepted is one value, write the one that is meant", items.len());
                self.refuse(Code::OptionList, &option.path, line, &rest, Instead::Kept);
                self.findings.lenient.then(|| items.last().map(|item| Value::Text(printed(item))))?
            }
            (Kind::List(items), _) => {
                let list = self.items(option, items);
                // Only a list that was written empty discards what earlier drop-ins gave.
                (items.is_empty() || !list.is_empty()).then_some(Value::List(list))
            }
            (Kind::Scalar(scalar), Some(true)) => {
                let list = split(option, self.text(option, &option.path, line, scalar));
                if list.is_empty() {
                    let rest = "found no item between its commas, it is left out";
                    self.push(Severity::Note, Code::OptionEmpty, &option.path, line, rest);
                }
                (!list.is_empty()).then_some(Value::List(list))
            }
            (Kind::Scalar(scalar), _) => {
                if append {
                    let rest =
                        "found a `+` after the name, which appends to lists only, the value is set, remove the `+`";
                    self.push(Severity::Warning, Code::OptionAppend, &option.path, line, rest);
                }
                self.single(option, line, scalar)
            }
        }
    }

    fn items(&mut self, option: &Current, items: &[Node]) -> Vec<String> {
        let mut list = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = option.path.item(index);
            match &item.kind {
                Kind::Scalar(scalar) => {
                    let text = self.text(option, &path, item.line, scalar);
                    if text.is_empty() {
                        self.push(
                            Severity::Note,
                            Code::OptionEmpty,
                            &path,
                            item.line,
                            "found an empty item, it is left out",
                        );
                    } else {
                        list.extend(split(option, text));
                    }
                }
                Kind::List(_) | Kind::Map(_) => {
                    let rest =
                        format!("found {} inside a list, accepted is a flat list, write it flat", item.described());
                    self.refuse(Code::OptionNested, &path, item.line, &rest, Instead::Kept);
                    list.extend(self.findings.lenient.then(|| printed(item)));
                }
            }
        }
        list
    }

    /// The text that RKE2 makes of a scalar; a warning where that is not what was written.
    fn text(&mut self, option: &Current, path: &Path, line: usize, scalar: &Scalar) -> String {
        let read = scalar.yaml11();
        let text = read.printed();
        if !matches!(read, Yaml11::Text(_)) && text != scalar.text && !text.is_empty() {
            let rest = match option.secret {
                true => "found a number or boolean without quotes, which RKE2 reads differently, quote it".into(),
                false => format!("found {}, which RKE2 reads as {}, quote it", quoted(&scalar.text), quoted(&text)),
            };
            self.push(Severity::Warning, Code::OptionNumberAsText, path, line, &rest);
        }
        if text.contains("{{") && (option.secret || template::is_foreign(&text)) {
            let rest = match option.secret {
                true => "holds a template, which is not evaluated in a secret, it is kept as text",
                false => "holds `{{`, but none of the templates that are evaluated, it is kept as text",
            };
            self.push(Severity::Warning, Code::OptionTemplate, path, line, rest);
        }
        text
    }

    fn single(&mut self, option: &Current, line: usize, scalar: &Scalar) -> Option<Value> {
        let read = scalar.yaml11();
        let Some(spec) = option.spec else {
            return Some(match read {
                Yaml11::Bool(it) => Value::Bool(it),
                Yaml11::Int(it) => Value::Int(it),
                it => Value::Text(it.printed()),
            });
        };
        let text = read.printed();
        let kept = |reader: &Self| reader.findings.lenient.then(|| Value::Text(text.clone()));
        match spec.class {
            Class::Boolean => boolean(&read).map(Value::Bool).or_else(|| {
                let rest =
                    format!("found {}, accepted is true or false, write one of them", option.found(&scalar.text));
                self.refuse(Code::OptionBoolean, &option.path, line, &rest, Instead::Kept);
                kept(self)
            }),
            Class::Integer => crate::yaml::parse_int(&text).and_then(|it| i64::try_from(it).ok()).map_or_else(
                || {
                    let rest = format!(
                        "found {}, accepted is a whole number of at most 64 bits, write one",
                        option.found(&scalar.text)
                    );
                    self.refuse(Code::OptionInteger, &option.path, line, &rest, Instead::Kept);
                    kept(self)
                },
                |it| Some(Value::Int(it.into())),
            ),
            Class::Duration if !is_duration(&text) => {
                let rest = format!(
                    "found {}, accepted is a number with a unit, write 10m for ten minutes",
                    option.found(&scalar.text)
                );
                self.refuse(Code::OptionDuration, &option.path, line, &rest, Instead::Kept);
                kept(self)
            }
            Class::Mode => Some(Value::Text(self.mode(option, line, scalar, &read))),
            _ => {
                let text = self.text(option, &option.path, line, scalar);
                Some(Value::Text(self.profile(option, line, text)))
            }
        }
    }

    /// A file mode as the octal text that RKE2 parses (k3s `pkg/server/server.go`).
    fn mode(&mut self, option: &Current, line: usize, scalar: &Scalar, read: &Yaml11) -> String {
        let octal = |text: &str| {
            u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(|mode| format!("{mode:04o}"))
        };
        let text = read.printed();
        let meant = match read {
            // Written as an octal number, here or in the file that a YAML reader has printed anew as a decimal one.
            Yaml11::Int(_) if scalar.text.starts_with('0') => octal(scalar.text.trim_start_matches("0o")),
            Yaml11::Int(it @ (420 | 416 | 384 | 288 | 256)) => Some(format!("{it:04o}")),
            _ => None,
        };
        if let Some(mode) = meant {
            let rest = format!(
                "found {} without quotes, a number, of which RKE2 takes the digits {text} for the mode, written as \"{mode}\", quote it",
                scalar.text
            );
            self.push(Severity::Warning, Code::OptionMode, &option.path, line, &rest);
            return mode;
        }
        octal(&text).unwrap_or_else(|| {
            let rest = format!(
                "found {}, accepted is an octal mode such as \"0640\", RKE2 ignores anything else",
                quoted(&text)
            );
            self.push(Severity::Warning, Code::OptionMode, &option.path, line, &rest);
            text
        })
    }

    /// `cis-1.23` and older stop RKE2 1.30.14 and later, where they are called `cis` (rke2 `pkg/cli/cmds/profile_linux.go`).
    fn profile(&mut self, option: &Current, line: usize, text: String) -> String {
        if option.name != "profile" || matches!(text.as_str(), "cis" | "etcd" | "") || text.contains("{{") {
            return text;
        }
        if !text.starts_with("cis-1.") {
            let rest = format!("found {}, which RKE2 refuses, accepted are cis and etcd, write one", quoted(&text));
            self.push(Severity::Error, Code::ProfileUnknown, &option.path, line, &rest);
            return text;
        }
        let rest = format!("found {}, which RKE2 1.30 and later refuse, written as \"cis\", write cis", quoted(&text));
        self.push(Severity::Warning, Code::OptionProfile, &option.path, line, &rest);
        "cis".into()
    }

    fn set(&mut self, option: &Current, append: bool, line: usize, value: Value) {
        let options = &mut self.read.options;
        let Some((at, last)) = self.index.get_mut(option.name) else {
            self.index.insert(option.name.into(), (options.len(), line));
            if append && matches!(value, Value::List(_)) {
                self.read.appended.insert(option.name.into());
            }
            return options.push((option.name.into(), value));
        };
        let first = std::mem::replace(last, line);
        let Some((_, earlier)) = options.get_mut(*at) else { return };
        if let (true, Value::List(list), Value::List(more)) = (append, &mut *earlier, &value) {
            list.extend(more.iter().cloned());
            return;
        }
        *earlier = value;
        self.read.appended.remove(option.name);
        let rest = format!("stands in lines {first} and {line}, the last one counts, remove the other");
        self.push(Severity::Warning, Code::OptionTwice, &option.path, line, &rest);
    }
}

/// The items of a text where RKE2 splits it at commas (k3s `pkg/util/client.go`), trimmed, which RKE2 does not do.
fn split(option: &Current, text: String) -> Vec<String> {
    if option.spec.is_some_and(|spec| spec.comma_split) {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    } else {
        vec![text]
    }
}

fn is_empty(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| scalar.yaml11().printed().is_empty())
}

/// A boolean as people write it; RKE2 itself takes only Go's spellings.
pub fn boolean(read: &Yaml11) -> Option<bool> {
    match read {
        Yaml11::Bool(it) => Some(*it),
        Yaml11::Null => None,
        it => match it.printed().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        },
    }
}

/// Whether Go's `time.ParseDuration` takes it.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        if !digits.bytes().any(|byte| byte.is_ascii_digit()) || digits.matches('.').count() > 1 {
            return false;
        }
        let Some(unit) = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].into_iter().find(|unit| {
            let end = tail.strip_prefix(unit);
            end.is_some_and(|end| end.chars().next().is_none_or(|c| c.is_ascii_digit() || c == '.'))
        }) else {
            return false;
        };
        rest = tail.get(unit.len()..).unwrap_or_default();
        parts += 1;
    }
    parts > 0
}

/// The text that RKE2 makes of anything: Go's `fmt.Sprint` of what gopkg.in/yaml.v2 reads.
fn printed(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.yaml11().printed(),
        Kind::List(items) => items.first().map(printed).unwrap_or_default(),
        Kind::Map(entries) => {
            let pairs: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{{{} {}}}", key.scalar.yaml11().printed(), printed(value)))
                .collect();
            format!("[{}]", pairs.join(" "))
        }
    }
}

/// An entry for [`read`] from a text that is no YAML, such as a value of `providerConfig`.
pub fn entry(name: &str, text: &str, line: usize) -> (Key, Node) {
    let scalar = |text: &str| Scalar::quoted(text);
    (Key { line, scalar: scalar(name) }, Node { line, kind: Kind::Scalar(scalar(text)) })
}

/// The file of a drop-in: a JSON object, an option in each line, which is YAML 1.1 and 1.2 with one meaning.
pub fn to_json(options: &[(String, Value)]) -> String {
    let mut text = String::from("{");
    for (number, (name, value)) in options.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\n  {}: ", json_string(name));
        match value {
            Value::Bool(it) => text += if *it { "true" } else { "false" },
            Value::Int(it) => text += &it.to_string(),
            Value::Text(it) => text += &json_string(it),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(|item| json_string(item)).collect();
                let _ = write!(text, "[{}]", items.join(", "));
            }
        }
    }
    text + if options.is_empty() { "}\n" } else { "\n}\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Style;

    #[test]
    fn durations_are_those_of_go() {
        for good in ["0", "10m", "1h30m", "-1.5h", "300ms", "1us", "1µs", ".5s", "+5s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "600", "m", "10 m", "10x", "1.2.3s", "1h30", "5mm", "."] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn a_quoted_scalar_is_text() {
        let (_, node) = entry("x", "yes", 1);
        assert_eq!(node.scalar().map(|it| (it.style, it.yaml11())), Some((Style::Quoted, Yaml11::Text("yes".into()))));
    }
}
