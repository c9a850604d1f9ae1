//! What every key of the cluster section is read with.

use super::cloud_config::Section;
use crate::findings::code::Code;
use crate::findings::path::{At, Path};
use crate::findings::{Findings, Instead};
use crate::identity::home::Home;
use crate::rke2::Unit;
use crate::rke2::drop_in::For;
use crate::rke2::overrides::Needed;
use crate::text::escape::quoted;
use crate::text::paths::{is_absolute, normalized};
use crate::text::yaml::{Key, Kind, Node, Scalar};

/// The section while it is judged.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    /// What the user wrote.
    pub section: &'a Section,
    /// Where the node has its state, and what it is.
    pub home: &'a Home,
    /// What was found.
    pub findings: &'a mut Findings,
}

/// A single value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Given<'a> {
    /// The value as written.
    pub scalar: &'a Scalar,
    /// Its key.
    pub at: At,
}

impl Given<'_> {
    /// The text without blanks around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.scalar.text.trim()
    }
}

/// What comes of a value of another type than the key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherType {
    /// There is no plan.
    IsRefused,
    /// On a node with state it is left out.
    IsLeftOut,
}

/// The path of a key of the section.
pub(crate) fn path(key: &str) -> Path {
    Path::of("cluster").key(key)
}

impl<'a> Reader<'a> {
    /// Where a key stands, or the section if it is not written at all.
    pub(crate) fn at(&self, key: &str) -> At {
        path(key).at(self.section.node.entry(key).map_or(self.section.line, |(key, _)| key.line))
    }

    /// What reads the options of a unit.
    pub(crate) fn reads(&self, unit: Unit) -> For<'a> {
        For { unit, version: self.home.version.as_ref() }
    }

    /// A key and its value; nothing if it is not written, or null.
    pub(crate) fn get(&self, key: &str) -> Option<(&'a Key, &'a Node)> {
        self.section.node.entry(key).filter(|(_, node)| !node.is_null())
    }

    /// The single value of a key; a finding if it is a list or a mapping.
    pub(crate) fn scalar(&mut self, key: &str, accepted: &str, other: OtherType) -> Option<Given<'a>> {
        let (_, node) = self.get(key)?;
        let at = self.at(key);
        let Some(scalar) = node.scalar() else {
            self.wrong_type(at, node, accepted, other);
            return None;
        };
        Some(Given { scalar, at })
    }

    /// The single value of a key, if it is not empty.
    pub(crate) fn filled(&mut self, key: &str, accepted: &str, other: OtherType) -> Option<Given<'a>> {
        self.scalar(key, accepted, other).filter(|given| !given.trimmed().is_empty())
    }

    /// A value of another type than `accepted`.
    pub(crate) fn wrong_type(&mut self, at: At, node: &Node, accepted: &str, other: OtherType) {
        let rest = format!("is {}; write {accepted}", node.described());
        match other {
            OtherType::IsRefused => self.findings.refuse(Code::WrongType, at, &rest),
            OtherType::IsLeftOut => drop(self.findings.refuse_fresh(Code::WrongType, at, &rest, Instead::LeftOut)),
        }
    }

    /// The entries of a key that holds a mapping of single values.
    pub(crate) fn mapping(&mut self, key: &str) -> Vec<(&'a Key, &'a Node)> {
        let Some((_, node)) = self.get(key) else { return Vec::new() };
        if !matches!(node.kind, Kind::Map(_)) {
            self.wrong_type(self.at(key), node, "a mapping of names to text", OtherType::IsLeftOut);
        }
        let mut kept = Vec::new();
        for (name, value) in node.entries() {
            if value.scalar().is_some() {
                kept.push((name, value));
            } else {
                let at = path(key).key(&name.scalar.text).at(name.line);
                self.wrong_type(at, value, "text", OtherType::IsLeftOut);
            }
        }
        kept
    }

    /// A joining node lacks what it needs: refused, unless RKE2 finds it in a file of somebody else.
    pub(crate) fn missing(&mut self, code: Code, needed: Needed, unit: Unit, at: At, what: &str) {
        let rest = match (self.home.gives(needed, unit), self.home.mentions(needed, unit)) {
            (Some(given), _) => {
                let rest = format!("is missing, {what}; {} is used, write it here", given.described());
                return self.findings.warn(code, at, &rest);
            }
            (None, Some(given)) => {
                let given = given.described();
                format!(
                    "is missing, {what}; write it here, because {given} counts only on a node that has state of RKE2"
                )
            }
            (None, None) => format!("is missing, {what}; write it"),
        };
        self.findings.refuse(code, at, &rest);
    }

    /// A path that is absolute, has no `..` and no control characters; normalised. Anything else is refused; on a node with state it is
    /// taken from the root, as the Go provider did, whose working directory was `/`.
    pub(crate) fn absolute_path(&mut self, at: At, text: &str) -> Option<String> {
        if is_absolute(text) {
            return Some(normalized(text));
        }
        let rest = format!("{} is not an absolute path without `..` and control characters; write one", quoted(text));
        let kept = Some(normalized(text)).filter(|_| !text.chars().any(char::is_control));
        let instead = if kept.is_some() { Instead::Kept } else { Instead::LeftOut };
        let is_refused = self.findings.refuse_fresh(Code::PathInvalid, at, &rest, instead);
        kept.filter(|_| !is_refused)
    }
}
