//! From the drop-ins of config.d to the one file that RKE2 reads.

use std::collections::HashMap;

use super::drop_in::{DropIn, Read, Value};
use super::options::{self, Class};
use crate::findings::code::Code;
use crate::findings::path::Path;
use crate::findings::{Findings, Instead};

/// Where drop-ins are, as the Go provider has them; RKE2 itself does not read them.
pub(crate) const DROP_INS: &str = "/etc/rancher/rke2/config.d";

/// The file that RKE2 reads.
pub(crate) const CONFIG: &str = "/etc/rancher/rke2/config.yaml";

/// The drop-in that holds `token` and `server`: whatever sorts later, they come from here.
pub const OWNER: &str = "99_userdata.yaml";

/// The drop-in of the user's options.
pub(crate) const USER: &str = "90_userdata.yaml";

/// Whether a file of a drop-in directory is read, by its ending (k3s `pkg/configfilearg/parser.go`).
pub(crate) fn is_drop_in(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with(".yaml") || lower.ends_with(".yml")
}

/// Whether a file of [`DROP_INS`] is a drop-in of another author, by its name.
pub(crate) fn is_of_others(name: &str) -> bool {
    !name.starts_with('.') && is_drop_in(name) && name != USER && name != OWNER
}

/// A drop-in that was read.
#[derive(Debug)]
pub struct Source {
    /// Its name in config.d.
    pub name: String,
    /// Its path, for messages.
    pub path: String,
    /// What it holds.
    pub read: Read,
}

/// An option while drop-ins are merged.
struct Merged {
    name: String,
    value: Value,
    /// The file that gave it last.
    file: String,
}

/// Merges drop-ins, which come in the order of their names. Options keep the order of first appearance.
///
/// `token` and `server` come from [`OWNER`] alone. Of a single value the last counts. The lists of some options are replaced, those of all
/// others, unknown ones too, are concatenated; of equal items the last stays. An empty list discards what was given before. A list
/// against a single value, for an unknown option, is refused, naming both files.
pub fn merge(sources: Vec<Source>, findings: &mut Findings) -> DropIn {
    let mut merged: Vec<Merged> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for Source { name: file, path, read } in sources {
        let Read { options, appended, owned, .. } = read;
        let owned = owned.into_iter().filter(|_| file == OWNER);
        let given = owned.map(|it| (it.name.to_owned(), Value::Text(it.text))).chain(options);
        for (name, value) in given {
            let Some(earlier) = index.get(&name).and_then(|at| merged.get_mut(*at)) else {
                index.insert(name.clone(), merged.len());
                merged.push(Merged { name, value, file: path.clone() });
                continue;
            };
            let class = options::find(&name).map(|spec| spec.class);
            let adds = match class {
                Some(Class::Replace) => appended.contains(&name),
                Some(Class::Append | Class::Dropped) | None => true,
                Some(_) => false,
            };
            match (&mut earlier.value, value) {
                (Value::List(list), Value::List(more)) if adds && !more.is_empty() => list.extend(more),
                (before, value) if is_clash(class, before, &value) => {
                    let rest = format!(
                        "is a list in one of {} and {path} and a single value in the other; make them alike",
                        earlier.file
                    );
                    findings.refuse_fresh(Code::OptionList, Path::of(&name).at(1), &rest, Instead::Kept);
                    *before = value;
                }
                (before, value) => *before = value,
            }
            earlier.file.clone_from(&path);
        }
    }
    merged.retain(|it| !matches!(&it.value, Value::List(list) if list.is_empty()));
    // Once, however many files have added to a list.
    for it in &mut merged {
        it.value.without_duplicates();
    }
    merged.into_iter().map(|it| (it.name, it.value)).collect()
}

fn is_clash(class: Option<Class>, before: &Value, after: &Value) -> bool {
    let known = class.is_some_and(|class| class != Class::Dropped);
    let list = |value: &Value| matches!(value, Value::List(_));
    let empty = |value: &Value| matches!(value, Value::List(list) if list.is_empty());
    !known && list(before) != list(after) && !empty(before) && !empty(after)
}
