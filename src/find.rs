//! Documents of ours on the node: where they are, what they stage, and from what they were made.

use crate::cloud_config;
use crate::cluster::{DOCUMENT_PATH, Role, SCANNED};
use crate::document;
use crate::host::{Error, Host};
use crate::staged::PLAN_PATH;
use crate::yaml;

/// How much of a document is read.
const LIMIT: u64 = 16 << 20;

/// How the line begins that says from what event a document was made.
const PAYLOAD: &str = "# payload ";

/// A document of ours, whichever version wrote it. The Go provider's carries the same name.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: String,
    /// What it holds; nothing if the system does not let us read it.
    pub text: String,
}

impl Found {
    /// The plan that it lays out, as text.
    fn plan(&self) -> Option<String> {
        let files = document::staged_files(&self.text, "{}").ok()?;
        files.into_iter().find(|(path, _)| path == PLAN_PATH).map(|(_, plan)| plan)
    }

    fn fact(&self, key: &str) -> Option<String> {
        let plan = yaml::read(&self.plan()?, yaml::CLOUD_CONFIG).ok()?;
        Some(plan.root.get(key)?.scalar()?.text.clone())
    }

    /// Whether it lays out a plan that the steps of this program carry out. The Go provider's does not. Of a torn one, only ours ever had
    /// that path in it.
    pub fn stages_plan(&self) -> bool {
        self.plan().is_some() || self.text.contains(PLAN_PATH)
    }

    /// The id of the plan that it lays out.
    pub fn plan_id(&self) -> Option<String> {
        Some(self.plan()?.lines().last()?.strip_prefix("# plan ")?.to_owned())
    }

    /// The role of the plan that it lays out.
    pub fn role(&self) -> Option<Role> {
        Role::of(&self.fact("role")?)
    }

    /// The data directory of the plan that it lays out.
    pub fn data_dir(&self) -> Option<String> {
        self.fact("data_dir")
    }

    /// Whether it was made from an event with this hash.
    pub fn is_made_from(&self, payload: &str) -> bool {
        let comments = self.text.lines().take_while(|line| line.starts_with('#'));
        comments.filter_map(|line| line.strip_prefix(PAYLOAD)).any(|hash| hash == payload)
    }
}

/// The text of a document, with the hash of the event that it was made from; a hash of a token, so only for files that root alone reads.
pub fn made_from(document: &str, payload: &str) -> String {
    let (first, rest) = document.split_once('\n').unwrap_or((document, ""));
    format!("{first}\n{PAYLOAD}{payload}\n{rest}")
}

/// The document at a path, if it is ours. One that the system does not let us read may be, and yip may still run it.
pub fn at(host: &Host, path: &str) -> Option<Found> {
    let found = |text: String| Found { path: path.to_owned(), text };
    match host.read(path, LIMIT) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            cloud_config::is_ours(&text).then(|| found(text))
        }
        Err(error) => (matches!(error, Error::Os { .. }) && !error.is_absent()).then(|| found(String::new())),
    }
}

/// Whether there is something that somebody else wrote.
pub fn is_of_others(host: &Host, path: &str) -> bool {
    let text = host.read(path, LIMIT);
    text.is_ok_and(|bytes| !bytes.is_empty() && !cloud_config::is_ours(&String::from_utf8_lossy(&bytes)))
}

/// The document in force: at the default path, else the first wherever Kairos looks for boot stages.
pub fn in_force(host: &Host) -> Option<Found> {
    let below = |directory: &'static str| {
        let names = host.list(directory).unwrap_or_default().into_iter();
        let names = names.filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
        names.map(move |name| format!("{directory}/{name}"))
    };
    let elsewhere = SCANNED.into_iter().flat_map(below);
    std::iter::once(DOCUMENT_PATH.to_owned()).chain(elsewhere).find_map(|path| at(host, &path))
}
