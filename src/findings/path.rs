//! Where a finding stands.

use std::fmt;
use std::sync::Arc;

use crate::text::escape::shortened;

/// A key for a message: cut where a secret may follow that was meant to be its value (`NAME=…`, `user:…`, `user@…`).
fn shown(key: &str) -> String {
    match key.split_once(['=', ':', '@']) {
        Some((name, _)) => format!("{}…", shortened(name)),
        None => shortened(key),
    }
}

/// The path of a key from the top of the cloud-config: `cluster.config.tls-san[1]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Shared, because a path is copied for each key below it.
    Key(Arc<str>),
    Item(usize),
}

impl Path {
    /// The path of a key at the top.
    pub fn of(key: &str) -> Path {
        Path(vec![Step::Key(key.into())])
    }

    /// The path of a key below this one.
    #[must_use]
    pub(crate) fn key(&self, key: &str) -> Path {
        self.with(Step::Key(key.into()))
    }

    /// The path of an item, counted from 0, of the list at this path.
    #[must_use]
    pub(crate) fn item(&self, index: usize) -> Path {
        self.with(Step::Item(index))
    }

    /// Whether it is that of the whole text.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key in a line, counted from 1.
    pub(crate) fn at(&self, line: usize) -> At {
        At { path: self.clone(), file: None, line, inner: None }
    }

    fn with(&self, step: Step) -> Path {
        Path(self.0.iter().cloned().chain([step]).collect())
    }

    /// Its steps: a key, or the index of an item.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Result<&str, usize>> {
        self.0.iter().map(|step| match step {
            Step::Key(key) => Ok(&**key),
            Step::Item(index) => Err(*index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps().enumerate() {
            match step {
                Ok(key) if number == 0 => write!(f, "{}", shown(key))?,
                Ok(key) => write!(f, ".{}", shown(key))?,
                Err(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Where a finding stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    /// The key it is about; empty where it is about the whole text.
    pub path: Path,
    /// The file, where it is not the one that everybody knows of.
    pub file: Option<String>,
    /// The line in it, counted from 1.
    pub line: usize,
    /// The line inside the text of the key, where that text is YAML of its own.
    pub inner: Option<usize>,
}

impl At {
    /// The whole text, or a line of it.
    pub(crate) fn line(line: usize) -> At {
        Path::default().at(line)
    }

    /// The same in a file.
    #[must_use]
    pub(crate) fn in_file(self, file: &str) -> At {
        At { file: Some(file.to_owned()), ..self }
    }
}
