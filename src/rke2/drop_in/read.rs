//! Reading the options of a mapping: each value in the type that its option takes, each mistake a finding.

use std::collections::{BTreeSet, HashMap};

use super::{DropIn, Value, boolean, is_duration, is_template, printed};
use crate::findings::code::Code;
use crate::findings::path::{At, Path};
use crate::findings::{Findings, Instead};
use crate::rke2::Unit;
use crate::rke2::options::{self, Class, Spec};
use crate::rke2::version::{Version, takes_cis};
use crate::text::escape::{has_userinfo, quoted};
use crate::text::yaml::{Key, Kind, Node, Scalar, Yaml11};

/// In bytes. A key of YAML has at most 1024 characters as it is written (yaml.v3 `scannerc.go`), and JSON writes a byte with up
/// to six. A name that is longer is left out: no RKE2 has such an option, and one key too long would keep it from reading the file.
const LONGEST_NAME: usize = 170;

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
    /// The options that are written without a value. RKE2 takes that for an empty one, which replaces what it has read before.
    pub emptied: Vec<String>,
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
            if !append {
                self.read.emptied.push(option.name.into());
            }
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

fn is_empty(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| scalar.yaml11().printed().is_empty())
}
