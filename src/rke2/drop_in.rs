//! RKE2's options as a drop-in holds them: what RKE2 would read, in the type that the option takes.
//!
//! RKE2 turns each `key: value` into a flag `--key=value` (k3s `pkg/configfilearg/parser.go`) and types it by urfave/cli; a value
//! is normalised here once, so that what is written can be read one way only.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Unit;
use super::options::{self, Class, Spec};
use super::version::{Version, takes_cis};
use crate::findings::code::Code;
use crate::findings::path::{At, Path};
use crate::findings::{Findings, Instead};
use crate::text::emit::push_json_string;
use crate::text::escape::{has_userinfo, mask_userinfo, quoted};
use crate::text::yaml::{self, Key, Kind, Node, Scalar, Yaml11};

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
    /// The value as JSON, which YAML 1.1 and 1.2 read alike.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        self.push_json(&mut json);
        json
    }

    /// Adds it.
    fn push_json(&self, json: &mut String) {
        match self {
            Value::Bool(it) => json.push_str(if *it { "true" } else { "false" }),
            Value::Int(it) => json.push_str(&it.to_string()),
            Value::Text(it) => push_json_string(json, it),
            Value::List(items) => {
                json.push('[');
                for (number, item) in items.iter().enumerate() {
                    json.push_str(if number == 0 { "" } else { ", " });
                    push_json_string(json, item);
                }
                json.push(']');
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Option<&[String]> {
        if let Value::List(list) = self { Some(list) } else { None }
    }

    /// Its texts, one or many.
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Value::Text(text) => std::slice::from_ref(text),
            Value::List(items) => items,
            Value::Bool(_) | Value::Int(_) => &[],
        }
    }

    /// The same, to be replaced.
    pub(crate) fn texts_mut(&mut self) -> &mut [String] {
        match self {
            Value::Text(text) => std::slice::from_mut(text),
            Value::List(items) => items,
            Value::Bool(_) | Value::Int(_) => &mut [],
        }
    }

    /// Of the exact duplicates in a list the last stays.
    pub(crate) fn without_duplicates(&mut self) {
        let Value::List(list) = self else { return };
        let mut seen = HashSet::new();
        let is_last: Vec<bool> = list.iter().rev().map(|item| seen.insert(item.clone())).collect();
        let mut is_last = is_last.into_iter().rev();
        list.retain(|_| is_last.next().unwrap_or(true));
    }
}

/// Options by their long name, in the order of first appearance.
pub type DropIn = Vec<(String, Value)>;

/// `token` or `server`: read apart, because they belong to the cluster section.
#[derive(Debug)]
pub struct Owned {
    /// `token` or `server`.
    pub name: &'static str,
    /// The value as RKE2 would read it.
    pub text: String,
    /// Where it stands.
    pub at: At,
}

/// Where a text of its own (the YAML inside `cluster.config`) stands in the text around it.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// It is no text of its own: lines are those of the text around it.
    Here,
    /// The same for `providerConfig`, in which the Go provider looked for no option: a node with state leaves out what is refused.
    Provider,
    /// A block after `|` in this line: its lines follow.
    Block(usize),
    /// Quoted, plain or folded text that begins in this line: its own lines are lost.
    Inline(usize),
}

impl Place {
    /// Where a key stands whose line in this text is `line`.
    pub(crate) fn at(self, path: &Path, line: usize) -> At {
        match self {
            Place::Here | Place::Provider => path.at(line),
            Place::Block(header) => At { inner: Some(line), ..path.at(header + line) },
            Place::Inline(start) => At { inner: Some(line), ..path.at(start) },
        }
    }
}

/// What `{{` in a text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Braces {
    /// A template that yip evaluates on the node; what comes of it is judged there.
    Template,
    /// Text, because yip has been here, or never is.
    Text,
}

/// The program that options are for.
#[derive(Debug, Clone, Copy)]
pub struct For<'a> {
    /// Its unit.
    pub unit: Unit,
    /// Which RKE2 it is, where that is known.
    pub version: Option<&'a Version>,
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

/// Reads a mapping of options for the program that `reads` them.
///
/// `path` is the key that holds the mapping and `place` where its text stands. Every mistake is a finding; a refused option is left
/// out, on a node with state ([`Findings::lenient`]) it keeps the text that RKE2 would have made of it.
pub fn read(
    entries: &[(Key, Node)],
    path: &Path,
    place: Place,
    braces: Braces,
    reads: For,
    findings: &mut Findings,
) -> Read {
    let For { unit, version } = reads;
    let mut reader =
        Reader { path, place, braces, unit, version, findings, read: Read::default(), index: HashMap::new() };
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
    braces: Braces,
    unit: Unit,
    version: Option<&'a Version>,
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
    is_secret: bool,
    /// The key.
    written: &'a str,
    line: usize,
}

impl Current<'_> {
    /// The value for a message; nothing of a secret.
    fn found(&self, text: &str) -> String {
        if self.is_secret { "the value".into() } else { quoted(text).to_string() }
    }
}

impl Reader<'_> {
    fn at(&self, option: &Current) -> At {
        self.place.at(&self.path.key(option.written), option.line)
    }

    /// Where an item with an index and a line stands; without one, the option.
    fn at_item(&self, option: &Current, item: Option<(usize, usize)>) -> At {
        item.map_or_else(
            || self.at(option),
            |(index, line)| self.place.at(&self.path.key(option.written).item(index), line),
        )
    }

    /// Refuses a value that RKE2 does not take; a node with state keeps the text that RKE2 has taken it for until now, if it has. Whether nothing
    /// of the value is to be kept.
    fn refuse(&mut self, code: Code, option: &Current, rest: &str) -> bool {
        let instead = if matches!(self.place, Place::Provider) { Instead::LeftOut } else { Instead::Kept };
        self.findings.refuse_fresh(code, self.at(option), rest, instead) || instead == Instead::LeftOut
    }

    fn option(&mut self, key: &Key, value: &Node) {
        let written = match key.scalar.yaml11() {
            Yaml11::Null => String::new(),
            key => key.printed(),
        };
        let (name, append) = match written.strip_suffix('+') {
            // What is written by this is read again, and then a blank at the end of a name is taken off.
            Some(name) => (name.trim_end(), true),
            None => (written.as_str(), false),
        };
        // RKE2 takes what stands after a `=` for the value, of whatever option the rest names.
        let no_name = if written.is_empty() || written.chars().any(|c| c.is_control() || c == '=') {
            Some("is a name that is empty or holds a `=`, tab or control character; write the name of an option")
        } else if name.is_empty() || name.ends_with('+') {
            Some("has a `+` too many; write the name of an option, and at most one `+` after it")
        } else {
            None
        };
        if no_name.is_some() && name.trim_end_matches('+').starts_with("cluster-reset") {
            let option = Current { name, spec: None, is_secret: false, written: &written, line: key.line };
            return self.reset(&option, value);
        }
        if let Some(rest) = no_name {
            let at = self.place.at(&self.path.key(&written), key.line);
            self.findings.refuse_fresh(Code::OptionName, at, rest, Instead::LeftOut);
            return;
        }
        let known = options::find(name);
        let spec = known.filter(|spec| spec.class != Class::Dropped);
        let (name, is_secret) = (known.map_or(name, |spec| spec.name), options::is_secret(name));
        let option = Current { name, spec, is_secret, written: &written, line: key.line };
        if name.len() > LONGEST_NAME {
            return self.unknown(&option);
        }
        match (known, spec) {
            (_, Some(spec)) if spec.name.starts_with("cluster-reset") => return self.reset(&option, value),
            (_, Some(_)) => {}
            (Some(_), None) => {
                let rest = "is a k3s option that has no effect in RKE2; remove it";
                self.findings.warn(Code::OptionDropped, self.at(&option), rest);
            }
            // Said once, where it is left out.
            (None, None) if matches!(value.kind, Kind::Map(_)) => {}
            (None, None) => self.unknown(&option),
        }
        if is_empty(value) {
            let rest = "is empty, which RKE2 does not take for unset, so it is left out; write a value, or remove it";
            return self.findings.note(Code::OptionEmpty, self.at(&option), rest);
        }
        if spec.is_some_and(|spec| !spec.takes(self.unit)) {
            let (other, own) = (self.unit.other().nodes(), self.unit.nodes());
            let rest = format!("is an option of {other}, so it is left out on {own}; remove it");
            return self.findings.note(Code::OptionOfOtherRole, self.at(&option), &rest);
        }
        let Some(value) = self.value(&option, append, value) else { return };
        if append && matches!(&value, Value::List(items) if items.is_empty()) {
            // Nothing is added; only a list that is written empty without a `+` discards.
            return;
        }
        match (spec.filter(|spec| spec.class == Class::Owned), value) {
            (Some(spec), Value::Text(text)) => {
                let at = self.at(&option);
                self.read.owned.push(Owned { name: spec.name, text, at });
            }
            (Some(_), _) => {}
            (None, value) => self.set(&option, append, value),
        }
    }

    /// Each boot would reset the cluster: refused, unless it is set to off.
    fn reset(&mut self, option: &Current, value: &Node) {
        let is_off = value.scalar().is_some_and(|scalar| boolean(&scalar.yaml11()) == Some(false));
        if is_off || is_empty(value) {
            let rest = "is left out, because a cluster is reset by hand, never by its configuration; remove it";
            self.findings.note(Code::OptionEmpty, self.at(option), rest);
        } else {
            let rest =
                "would reset the cluster at every boot; remove it and run `rke2 server --cluster-reset` once by hand";
            self.findings.refuse(Code::OptionReset, self.at(option), rest);
        }
    }

    fn unknown(&mut self, option: &Current) {
        let near = if self.findings.prints(Code::OptionUnknown) { options::nearest(option.name) } else { None };
        let near = near.map_or_else(|| "remove it".to_owned(), |near| format!("did you mean {near}?"));
        let rest = format!("is not an option of RKE2, which ignores it; {near}");
        self.findings.warn(Code::OptionUnknown, self.at(option), &rest);
    }

    fn value(&mut self, option: &Current, append: bool, node: &Node) -> Option<Value> {
        let is_list = option.spec.map(Spec::is_list);
        match (&node.kind, is_list) {
            // An anchor for others, or an option of another program: RKE2 skips it too.
            (Kind::Map(_), None) => {
                let rest = "is a mapping, which is left out, as RKE2 does with it; remove it";
                self.findings.warn(Code::OptionNested, self.at(option), rest);
                None
            }
            (Kind::Map(_), _) => {
                let rest = "is a mapping; write a single value or a flat list";
                let is_refused = self.refuse(Code::OptionNested, option, rest);
                let kept = (!is_refused).then(|| printed(node))?;
                Some(if is_list == Some(true) { Value::List(vec![kept]) } else { Value::Text(kept) })
            }
            (Kind::List(items), Some(false)) if !items.is_empty() => {
                let rest = format!("is a list of {}; write the one value that is meant", items.len());
                let is_refused = self.refuse(Code::OptionList, option, &rest);
                items.last().filter(|_| !is_refused).map(|item| Value::Text(printed(item)))
            }
            (Kind::List(items), _) => {
                let list = self.items(option, items);
                // Only a list that was written empty discards what earlier drop-ins gave.
                (items.is_empty() || !list.is_empty()).then_some(Value::List(list))
            }
            (Kind::Scalar(scalar), Some(true)) => {
                let text = self.text(option, None, scalar);
                let list = self.split(option, text);
                if list.is_empty() {
                    let rest = "has no item between its commas, so it is left out; write one, or remove it";
                    self.findings.note(Code::OptionEmpty, self.at(option), rest);
                }
                (!list.is_empty()).then_some(Value::List(list))
            }
            (Kind::Scalar(scalar), _) => {
                if append {
                    let rest =
                        "has a `+` after its name, which appends to lists only, so the value is set; remove the `+`";
                    self.findings.warn(Code::OptionAppend, self.at(option), rest);
                }
                self.single(option, scalar)
            }
        }
    }

    fn items(&mut self, option: &Current, items: &[Node]) -> Vec<String> {
        let mut list = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = (index, item.line);
            match &item.kind {
                Kind::Scalar(scalar) => {
                    let text = self.text(option, Some(place), scalar);
                    if text.is_empty() {
                        let rest = "is an empty item, so it is left out; remove it";
                        self.findings.note(Code::OptionEmpty, self.at_item(option, Some(place)), rest);
                    } else {
                        list.extend(self.split(option, text));
                    }
                }
                Kind::List(_) | Kind::Map(_) if option.spec.is_none() => {
                    let rest = format!("is {} inside a list, which is left out; remove it", item.described());
                    self.findings.warn(Code::OptionNested, self.at_item(option, Some(place)), &rest);
                }
                Kind::List(_) | Kind::Map(_) => {
                    let rest = format!("is {} inside a list; write a flat list", item.described());
                    let at = self.at_item(option, Some(place));
                    if !self.findings.refuse_fresh(Code::OptionNested, at, &rest, Instead::Kept) {
                        list.push(printed(item));
                    }
                }
            }
        }
        list
    }

    /// The text that RKE2 makes of a scalar, of the item with an index and a line where it is one; a warning where that is not what was written.
    fn text(&mut self, option: &Current, item: Option<(usize, usize)>, scalar: &Scalar) -> String {
        let read = scalar.yaml11();
        let text = read.printed();
        if !matches!(read, Yaml11::Text(_)) && text != scalar.text && !text.is_empty() {
            let rest = match option.is_secret {
                true => "is a number or boolean without quotes, which RKE2 reads differently; quote it".into(),
                false => format!("is {}, which RKE2 reads as {}; quote it", quoted(&scalar.text), quoted(&text)),
            };
            self.findings.warn(Code::OptionNumberAsText, self.at_item(option, item), &rest);
        }
        if self.braces == Braces::Template && text.contains("{{") && !is_template(option.name, &text) {
            let rest = "holds a template, which is not evaluated in a secret; write the value itself";
            self.findings.error(Code::OptionTemplate, self.at_item(option, item), rest);
        }
        text
    }

    /// Whether the text is yet to be evaluated, so that nothing can be said about it.
    fn is_template(&self, option: &Current, text: &str) -> bool {
        self.braces == Braces::Template && is_template(option.name, text)
    }

    /// The items of a text where RKE2 splits it at commas (k3s `pkg/util/client.go`), trimmed, which RKE2 does not do. A comma inside a template
    /// is none of them. One in the password of a URL may be either, so RKE2 gets that text as it is.
    fn split(&self, option: &Current, text: String) -> Vec<String> {
        if option.spec.is_some_and(|spec| spec.comma_split) && !self.is_template(option, &text) && !has_userinfo(&text)
        {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        } else {
            vec![text]
        }
    }

    fn single(&mut self, option: &Current, scalar: &Scalar) -> Option<Value> {
        let read = scalar.yaml11();
        let text = read.printed();
        let Some(spec) = option.spec else {
            return Some(match read {
                Yaml11::Bool(it) => Value::Bool(it),
                Yaml11::Int(it) => Value::Int(it),
                _ => Value::Text(text),
            });
        };
        let is_judged = matches!(spec.class, Class::Boolean | Class::Integer | Class::Duration | Class::Mode);
        if is_judged && self.is_template(option, &text) {
            return Some(Value::Text(text));
        }
        let (value, code, what) = match spec.class {
            Class::Boolean => {
                (boolean(&read).map(Value::Bool), Code::OptionBoolean, "is neither true nor false; write one of them")
            }
            Class::Integer => {
                let number = yaml::parse_int(&text).and_then(|it| i64::try_from(it).ok());
                let what = "is not a whole number of at most 64 bits; write one";
                (number.map(|it| Value::Int(it.into())), Code::OptionInteger, what)
            }
            Class::Duration => {
                let value = is_duration(&text).then(|| Value::Text(text.clone()));
                (value, Code::OptionDuration, "is not a duration; write a number with its unit, such as 10m")
            }
            Class::Mode => return Some(Value::Text(self.mode(option, scalar, &read))),
            _ => {
                let text = self.text(option, None, scalar);
                return Some(Value::Text(self.profile(option, text)));
            }
        };
        value.or_else(|| {
            let is_refused = self.refuse(code, option, &format!("{} {what}", option.found(&scalar.text)));
            (!is_refused).then_some(Value::Text(text))
        })
    }

    /// A file mode as the octal text that RKE2 parses (k3s `pkg/server/server.go`).
    fn mode(&mut self, option: &Current, scalar: &Scalar, read: &Yaml11) -> String {
        let octal = |text: &str| {
            u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(|mode| format!("{mode:04o}"))
        };
        let text = read.printed();
        let written =
            Some(&scalar.text).filter(|it| it.starts_with('0')).and_then(|it| octal(it.trim_start_matches("0o")));
        let meant = match read {
            // Written as an octal number, here or in the file that a YAML reader has printed anew as a decimal one.
            Yaml11::Int(_) if written.is_some() => written,
            Yaml11::Int(it @ (420 | 416 | 384 | 288 | 256)) => Some(format!("{it:04o}")),
            _ => None,
        };
        if let Some(mode) = meant {
            let rest = format!(
                "is {} without quotes, of which RKE2 takes the digits {text} for the mode, so it is written as \"{mode}\"; write that, in quotes",
                scalar.text
            );
            self.findings.warn(Code::OptionMode, self.at(option), &rest);
            return mode;
        }
        octal(&text).unwrap_or_else(|| {
            let rest =
                format!("{} is not an octal mode, so RKE2 ignores it; write one such as \"0640\"", quoted(&text));
            self.findings.warn(Code::OptionMode, self.at(option), &rest);
            text
        })
    }

    /// `cis-1.23` and older stop RKE2 1.30 and later, where they are called `cis`, which older versions do not know (rke2
    /// `pkg/cli/cmds/profile_linux.go`). Where the version is not known, a node with state keeps what it runs with.
    fn profile(&mut self, option: &Current, text: String) -> String {
        if option.name != "profile" || matches!(text.as_str(), "cis" | "etcd" | "") || self.is_template(option, &text) {
            return text;
        }
        if !text.starts_with("cis-1.") {
            let rest = format!("{} is not a profile, so RKE2 does not start; write cis or etcd", quoted(&text));
            self.findings.error(Code::ProfileUnknown, self.at(option), &rest);
            return text;
        }
        let (at, written) = (self.at(option), quoted(&text));
        match self.version {
            Some(version) if !takes_cis(version) => {
                let rest = format!(
                    "{written} stays, because {version} does not know cis; write cis once RKE2 is 1.28 or later"
                );
                self.findings.note(Code::OptionProfile, at, &rest);
                text
            }
            None if self.findings.lenient => {
                let rest = format!(
                    "{written} stays, because nobody knows which RKE2 is installed, and 1.30 and later stop at it; write cis for 1.28 or later"
                );
                self.findings.warn(Code::OptionProfile, at, &rest);
                text
            }
            _ => {
                let rest = format!("{written} stops RKE2 1.30 and later, so it is written as \"cis\"; write cis");
                self.findings.warn(Code::OptionProfile, at, &rest);
                "cis".into()
            }
        }
    }

    fn set(&mut self, option: &Current, append: bool, value: Value) {
        let options = &mut self.read.options;
        let Some((at, last)) = self.index.get_mut(option.name) else {
            self.index.insert(option.name.into(), (options.len(), option.line));
            if append && matches!(value, Value::List(_)) {
                self.read.appended.insert(option.name.into());
            }
            return options.push((option.name.into(), value));
        };
        let first = std::mem::replace(last, option.line);
        let Some((_, earlier)) = options.get_mut(*at) else { return };
        if let (true, Value::List(list), Value::List(more)) = (append, &mut *earlier, &value) {
            list.extend(more.iter().cloned());
            return;
        }
        *earlier = value;
        self.read.appended.remove(option.name);
        let rest = format!("stands in lines {first} and {}, of which the last counts; remove the other", option.line);
        self.findings.warn(Code::OptionTwice, self.at(option), &rest);
    }
}

/// Whether a text of an option is a template for yip. yip logs the whole file of one that fails for everybody to read, so no secret is one: neither
/// the value of a secret option nor the user information of a URL, masked or not.
pub(crate) fn is_template(name: &str, text: &str) -> bool {
    text.contains("{{") && !options::is_secret(name) && !mask_userinfo(text).contains("***@")
}

/// The option that names the data directory.
pub(crate) const DATA_DIR: &str = "data-dir";

/// The data directory that options name, however they spell it; nothing of what is empty.
pub(crate) fn data_dir(root: &Node) -> Option<String> {
    let is_it = |key: &Key| {
        let written = key.scalar.text.as_str();
        options::find(written.strip_suffix('+').unwrap_or(written)).is_some_and(|spec| spec.name == DATA_DIR)
    };
    // Of a list RKE2 takes the last.
    let one = |value: &Node| printed(value.items().last().unwrap_or(value));
    let texts = root.entries().iter().filter(|(key, _)| is_it(key)).map(|(_, value)| one(value));
    texts.rev().find(|text| !text.is_empty())
}

/// Whether options name a profile that only some versions of RKE2 take.
pub(crate) fn has_versioned_profile<'a>(entries: impl IntoIterator<Item = &'a (Key, Node)>) -> bool {
    let is_versioned = |node: &Node| node.scalar().is_some_and(|it| it.text.trim().starts_with("cis-1."));
    entries.into_iter().any(|(key, value)| key.scalar.text.trim_end_matches('+') == "profile" && is_versioned(value))
}

fn is_empty(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| scalar.yaml11().printed().is_empty())
}

/// A boolean as people write it; RKE2 itself takes only Go's spellings.
pub(crate) fn boolean(read: &Yaml11) -> Option<bool> {
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
pub(crate) fn is_duration(text: &str) -> bool {
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
pub(crate) fn entry(name: &str, text: &str, line: usize) -> (Key, Node) {
    let scalar = |text: &str| Scalar::quoted(text);
    (Key { line, scalar: scalar(name) }, Node { line, kind: Kind::Scalar(scalar(text)) })
}

/// The value of an option in drop-ins of which the last counts.
pub(crate) fn option<'a>(drop_ins: &[&'a DropIn], name: &str) -> Option<&'a Value> {
    let mut all = drop_ins.iter().rev().flat_map(|options| options.iter().rev());
    all.find(|(it, _)| it == name).map(|(_, value)| value)
}

/// The options of a file that [`to_json`] has written; nothing if it is not one.
pub(crate) fn of_json(text: &str) -> Option<DropIn> {
    let document = yaml::read(text, yaml::CLOUD_CONFIG).ok()?;
    let single = |node: &Node| {
        Some(match node.scalar()?.yaml11() {
            Yaml11::Bool(it) => Value::Bool(it),
            Yaml11::Int(it) => Value::Int(it),
            read => Value::Text(read.printed()),
        })
    };
    let item = |node: &Node| Some(node.scalar()?.yaml11().printed());
    let value = |node: &Node| match &node.kind {
        Kind::List(items) => items.iter().map(item).collect::<Option<_>>().map(Value::List),
        _ => single(node),
    };
    let Kind::Map(entries) = &document.root.kind else { return None };
    entries.iter().map(|(key, node)| Some((key.scalar.text.clone(), value(node)?))).collect()
}

/// In bytes. A key of YAML has at most 1024 characters as it is written (yaml.v3 `scannerc.go`), and JSON writes a byte with up
/// to six. A name that is longer is left out: no RKE2 has such an option, and one key too long would keep it from reading the file.
const LONGEST_NAME: usize = 170;

/// The file of a drop-in: a JSON object, an option in each line, which is YAML 1.1 and 1.2 with one meaning.
pub fn to_json(options: &[(String, Value)]) -> String {
    let mut text = String::from("{");
    for (number, (name, value)) in options.iter().enumerate() {
        text.push_str(if number == 0 { "\n  " } else { ",\n  " });
        push_json_string(&mut text, name);
        text.push_str(": ");
        value.push_json(&mut text);
    }
    text + if options.is_empty() { "}\n" } else { "\n}\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::Style;

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
