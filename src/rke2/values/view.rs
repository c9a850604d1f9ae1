//! What rules see of a node's options, and what they say of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::findings::code::{Code, Severity};
use crate::rke2::Unit;
use crate::rke2::drop_in::{self, Value};
use crate::rke2::flags;
use crate::rke2::options::{self, Spec};
use crate::rke2::version::Version;

/// The options of one node, all drop-ins merged.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// What reads them.
    pub unit: Unit,
    /// Whether the node joins a cluster.
    pub joins: bool,
    /// Which RKE2 it is, where that is known; else only what holds for every version is said, and the rest no louder than a warning.
    pub version: Option<&'a Version>,
    /// The host of the control plane.
    pub host: Option<&'a str>,
    /// Whether the image is known to lack the policy that SELinux needs for RKE2.
    pub lacks_policy: bool,
    /// The options and their values, but for those that hold a template that nobody has evaluated.
    known: Vec<(&'static Spec, &'a Value)>,
    /// Those.
    unknown: Vec<&'static str>,
    env: &'a BTreeMap<String, String>,
}

impl<'a> View<'a> {
    /// Of the options; the last of one name counts. What holds a `{{` is not judged: it is yet to be evaluated, or nobody does, and it may hold a secret.
    pub(crate) fn new(
        unit: Unit,
        options: impl IntoIterator<Item = &'a (String, Value)>,
        env: &'a BTreeMap<String, String>,
    ) -> View<'a> {
        let mut view = View {
            unit,
            joins: false,
            version: None,
            host: None,
            lacks_policy: false,
            known: Vec::new(),
            unknown: Vec::new(),
            env,
        };
        for (name, value) in options {
            let Some(spec) = options::find(name).filter(|spec| spec.takes(unit)) else { continue };
            view.known.retain(|(it, _)| it.name != spec.name);
            if value.texts().iter().any(|text| text.contains("{{")) {
                view.unknown.push(spec.name);
            } else {
                view.known.push((spec, value));
            }
        }
        view
    }

    /// All that are known, in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Spec, &'a Value)> {
        self.known.iter().copied()
    }

    /// The value of an option.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.known.iter().find(|(spec, _)| spec.name == name).map(|(_, value)| *value)
    }

    /// The text of an option that has one.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.texts().first().map(String::as_str)
    }

    /// The items of an option, or its one text.
    pub(crate) fn texts(&self, name: &str) -> &'a [String] {
        self.get(name).map(Value::texts).unwrap_or_default()
    }

    /// Whether an option is given, be it as a template or by a variable.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.get(name).is_some() || self.unknown.contains(&name) || self.variable(name).is_some()
    }

    /// Whether a template or a variable gives an option, so that its value is not judged.
    pub(crate) fn is_unknown(&self, name: &str) -> bool {
        self.unknown.contains(&name) || (self.get(name).is_none() && self.variable(name).is_some())
    }

    /// Whether a boolean is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        match self.get(name) {
            Some(value) => *value == Value::Bool(true),
            None => self.variable(name).and_then(flags::boolean) == Some(true),
        }
    }

    /// Whether a variable of the environment is set.
    pub(crate) fn has_variable(&self, variable: &str) -> bool {
        self.env.get(variable).is_some_and(|text| !text.is_empty())
    }

    /// The variable that gives an option. Its value is nobody's business.
    fn variable(&self, name: &str) -> Option<&'a str> {
        drop_in::variable(self.env, options::find(name)?)
    }

    /// The ranges of an option, and whether each of its items is one.
    pub(crate) fn ranges(&self, name: &str) -> (Vec<IpNet>, bool) {
        let texts = self.texts(name);
        let ranges: Vec<IpNet> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        let is_all = ranges.len() == texts.len() && !self.is_unknown(name);
        (ranges, is_all)
    }

    /// The addresses among the items of an option.
    pub(crate) fn addresses(&self, name: &str) -> impl Iterator<Item = IpAddr> {
        self.texts(name).iter().filter_map(|text| text.parse().ok())
    }

    /// Whether the version is known to have what came with `since`.
    pub(crate) fn has(&self, since: &str) -> bool {
        self.version.is_some_and(|version| version.has(since))
    }

    /// Whether the version is known not to have it yet.
    pub(crate) fn lacks(&self, since: &str) -> bool {
        self.version.is_some_and(|version| !version.has(since))
    }
}

/// What a rule says.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    /// How much it weighs.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// The option that it is about, or [`HOST`], or the name of a variable.
    pub option: &'static str,
    /// The item of a list that it is about.
    pub item: Option<String>,
    /// What follows the key in the sentence.
    pub rest: String,
}

/// Stands for `control_plane_host` in [`Told::option`].
pub(crate) const HOST: &str = "control_plane_host";

/// Collects what rules say.
#[derive(Debug, Default)]
pub(crate) struct Tell(pub Vec<Told>);

impl Tell {
    /// Says something of an option, or of one of its items.
    pub(crate) fn push(
        &mut self,
        severity: Severity,
        code: Code,
        option: &'static str,
        item: Option<&str>,
        rest: String,
    ) {
        self.0.push(Told { severity, code, option, item: item.map(str::to_owned), rest });
    }

    /// RKE2, the kubelet or the API server refuses it.
    pub(crate) fn error(&mut self, code: Code, option: &'static str, item: Option<&str>, rest: String) {
        self.push(Severity::Error, code, option, item, rest);
    }

    /// It works, but hardly as meant.
    pub(crate) fn warn(&mut self, code: Code, option: &'static str, item: Option<&str>, rest: String) {
        self.push(Severity::Warning, code, option, item, rest);
    }

    /// It is good to know.
    pub(crate) fn note(&mut self, code: Code, option: &'static str, rest: &str) {
        self.push(Severity::Note, code, option, None, rest.to_owned());
    }
}
