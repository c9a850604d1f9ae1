//! Documents of ours on the node: where they are, what they stage, and from what they were made.

use std::collections::BTreeMap;

use super::document;
use super::plan::{Places, Plan};
use super::staged::{PLAN_PATH, PROVIDER_PATH, USER_PATH};
use crate::cluster::cloud_config;
use crate::cluster::document_path::{DEFAULT, SCANNED};
use crate::host::{Error, Host};
use crate::text::paths::normalized;
use crate::text::{collected, lossy};

/// How much of a document is read.
const LIMIT: u64 = 16 << 20;

/// What is appended to the name of a document that is not in force any more.
const RETIRED: &str = ".retired";

/// Where a document goes that is not in force any more: yip passes it over.
pub(crate) fn retired(path: &str) -> String {
    format!("{path}{RETIRED}")
}

/// yip walks through all that is below (yip `pkg/executor`); a tree that is deeper is not one of documents.
const DEPTH: usize = 4;

/// How the line begins that says from what event a document was made.
const PAYLOAD: &str = "# payload ";

/// A document of ours, whichever version wrote it. The Go provider's carries the same name.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it is.
    pub path: String,
    /// What it holds; nothing if the system does not let us read it.
    pub text: String,
}

impl Found {
    /// The files that a document of the Go provider lays out, path and content; none of one of this program.
    pub(crate) fn files_of_go_provider(&self) -> Vec<(String, String)> {
        if self.stages_plan() { Vec::new() } else { document::staged_files(&self.text).unwrap_or_default() }
    }

    /// The files that it lays out, by path.
    fn files(&self) -> BTreeMap<String, String> {
        collected(document::staged_files(&self.text).unwrap_or_default())
    }

    /// The plan that it lays out.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let files = self.files();
        let file = |path: &str| {
            let (text, id) = files.get(path)?.trim_end().rsplit_once("# plan ")?;
            Some((text.to_owned(), id.to_owned()))
        };
        let (text, id) = file(PLAN_PATH)?;
        Plan::from_yaml(&text, file(USER_PATH)?.0, file(PROVIDER_PATH)?.0, id).ok()
    }

    /// The places that its plan names, as far as it is whole.
    pub(crate) fn places(&self) -> Places {
        self.files().get(PLAN_PATH).map(|text| Places::of_yaml(text)).unwrap_or_default()
    }

    /// Whether it lays out a plan that the steps of this program carry out. The Go provider's does not. Of a torn one, only ours ever had
    /// that path in it.
    pub(crate) fn stages_plan(&self) -> bool {
        self.plan().is_some() || self.text.contains(PLAN_PATH)
    }

    /// Whether it was made from an event with this hash.
    pub(crate) fn is_made_from(&self, payload: &str) -> bool {
        let comments = self.text.lines().take_while(|line| line.starts_with('#'));
        comments.filter_map(|line| line.strip_prefix(PAYLOAD)).any(|hash| hash == payload)
    }
}

/// The text of a document, with the hash of the event that it was made from; a hash of a token, so only for files that root alone reads.
pub(crate) fn made_from(document: &str, payload: &str) -> String {
    let (first, rest) = document.split_once('\n').unwrap_or((document, ""));
    format!("{first}\n{PAYLOAD}{payload}\n{rest}")
}

/// The document at a path, if it is ours. One that the system does not let us read may be, and yip may still run it.
pub(crate) fn at(host: &Host, path: &str) -> Option<Found> {
    let found = |text: String| Found { path: path.to_owned(), text };
    match host.read(path, LIMIT) {
        Ok(bytes) => {
            let text = lossy(bytes);
            cloud_config::is_ours(&text).then(|| found(text))
        }
        Err(error) => (matches!(error, Error::Os { .. }) && !error.is_absent()).then(|| found(String::new())),
    }
}

/// Whether there is something that somebody else wrote.
pub(crate) fn is_of_others(host: &Host, path: &str) -> bool {
    let text = host.read(path, LIMIT);
    text.is_ok_and(|bytes| !bytes.is_empty() && !cloud_config::is_ours(&String::from_utf8_lossy(&bytes)))
}

/// The document in force: at the default path, else the first wherever Kairos looks for boot stages.
pub(crate) fn in_force(host: &Host) -> Option<Found> {
    at(host, DEFAULT).or_else(|| scanned(host).iter().find_map(|path| in_place(host, path)))
}

/// Documents of ours wherever Kairos looks for boot stages, at those of the paths that are asked for.
pub(crate) fn anywhere(host: &Host, is_asked: impl Fn(&str) -> bool) -> Vec<Found> {
    scanned(host).iter().filter(|path| is_asked(path)).filter_map(|path| in_place(host, path)).collect()
}

/// All documents of ours, retired ones too: where one is by default, where it is `told` to be, and wherever Kairos looks for boot stages. The one
/// at the default path is the last.
pub(crate) fn all(host: &Host, told: &[String]) -> Vec<Found> {
    let with_retired = |path: String| [retired(&path), path];
    let told = told.iter().map(|path| normalized(path)).chain([DEFAULT.to_owned()]).flat_map(with_retired);
    let mut paths: Vec<String> = Vec::new();
    for path in told.chain(scanned(host)) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let (last, first): (Vec<String>, Vec<String>) = paths.into_iter().partition(|path| path == DEFAULT);
    first.into_iter().chain(last).filter_map(|path| at(host, &path)).filter(|found| !found.text.is_empty()).collect()
}

fn in_place(host: &Host, path: &str) -> Option<Found> {
    if path.ends_with(RETIRED) { None } else { at(host, path) }
}

/// The paths that may be a document, in force or retired, in the order in which yip reads them.
fn scanned(host: &Host) -> Vec<String> {
    let mut found = Vec::new();
    for directory in SCANNED {
        scan(host, directory, DEPTH, &mut found);
    }
    found
}

fn scan(host: &Host, directory: &str, depth: usize, found: &mut Vec<String>) {
    for name in host.list(directory).unwrap_or_default() {
        let path = format!("{directory}/{name}");
        let plain = name.strip_suffix(RETIRED).unwrap_or(&name);
        if plain.ends_with(".yaml") || plain.ends_with(".yml") {
            found.push(path);
        } else if depth > 0 && !host.is_symlink(&path) && host.is_dir(&path) {
            scan(host, &path, depth - 1, found);
        }
    }
}
