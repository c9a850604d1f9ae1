//! Options of RKE2 in files of their own: `config.yaml.d`, which RKE2 reads after config.yaml, and `config.d`, of which the provider makes it.

use std::collections::HashSet;

use super::written::Written;
use crate::cluster::Cluster;
use crate::cluster::cloud_config::Section;
use crate::cluster::host::Endpoint;
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::findings::path::Path;
use crate::rke2::Unit;
use crate::rke2::drop_in::{self, Braces, DropIn, For, Read};
use crate::rke2::effective::Effective;
use crate::rke2::merge::{self, DROP_INS, Source};
use crate::rke2::options;
use crate::rke2::overrides;
use crate::rke2::values;
use crate::rke2::values::view::{Told, View};
use crate::rke2::version::Version;
use crate::text::escape::quoted;
use crate::text::paths::is_below;
use crate::text::yaml::{Key, Kind, Node};

/// Options that belong to the cluster section, and their key there.
const OURS: [(&str, &str); 3] =
    [("token", "cluster_token"), ("server", "control_plane_host"), ("data-dir", "config.data-dir")];

/// A file of options that was read.
pub(super) struct Given<'a> {
    /// The cloud-config in which it stands, where there are several.
    source: Option<String>,
    file: &'a Written,
    root: Node,
    read: Read,
}

impl Given<'_> {
    /// The name in `config.d`; nothing of a file that is elsewhere.
    fn name(&self) -> Option<&str> {
        self.file.path.strip_prefix(DROP_INS)?.strip_prefix('/')
    }

    /// Where it gives an option; the last counts.
    fn key(&self, option: &str) -> Option<&Key> {
        let is_it = |key: &&Key| options::of_key(&key.scalar.text).is_some_and(|spec| spec.name == option);
        self.root.entries().iter().map(|(key, _)| key).rev().find(is_it)
    }
}

/// Judges a file as the options of the section are judged, each for itself. Gives what it holds.
pub(super) fn judge<'a>(file: &'a Written, unit: Unit, findings: &mut Findings) -> Option<Given<'a>> {
    let document = file.yaml(Code::OptionsInvalidYaml, "RKE2 does not start with", findings)?;
    let root = &document.root;
    if !matches!(root.kind, Kind::Map(_)) {
        if !root.is_null() {
            let rest = format!(
                "{} holds {}; write a mapping with RKE2's options by name",
                quoted(&file.path),
                root.described()
            );
            findings.error(Code::OptionsNotMapping, file.at(), &rest);
        }
        return None;
    }
    let mut found = Findings::default();
    let read =
        drop_in::read(root.entries(), &file.key, file.place, Braces::Text, For { unit, version: None }, &mut found);
    for it in found.list {
        // At boot it keeps nothing from being planned.
        findings.add(it, Severity::Error);
    }
    let is_later = is_below(&file.path, overrides::DROP_INS);
    let options = read.options.iter().map(|(name, _)| name.as_str());
    for name in options.chain(read.owned.iter().map(|it| it.name)) {
        let Some((_, key)) = OURS.into_iter().find(|(it, _)| *it == name && is_later) else { continue };
        let line = root.entry(name).map_or(root.line, |(key, _)| key.line);
        let rest = format!(
            "would replace what the cluster section says, because RKE2 reads this file last; write cluster.{key}"
        );
        findings.error(Code::ConfigOverridden, file.of(&file.key.key(name), line), &rest);
    }
    Some(Given { source: findings.file.clone(), file, root: document.root, read })
}

/// Judges the values that RKE2 reads with these files, but for what is told of the section alone.
pub(super) fn judge_values(
    mut given: Vec<Given>,
    section: &Section,
    cluster: &Cluster,
    version: Option<&Version>,
    findings: &mut Findings,
) {
    let own = || Vec::from(cluster.drop_ins());
    let host = cluster.endpoint.as_ref().map(Endpoint::host);
    let told = |options: &DropIn| {
        let mut view = View::new(cluster.role.unit(), options, &cluster.env);
        view.joins = cluster.role.joins();
        view.version = version;
        view.host = host.as_deref();
        values::judge(&view)
    };
    // What is wrong with the merging is told where the node merges.
    let mut unsaid = Findings::default();
    let of_section: HashSet<Told> = told(&merge::merge(own(), &mut unsaid)).into_iter().collect();

    // `config.d` before `config.yaml.d`, as it is read.
    given.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    let mut sources = own();
    for it in &mut given {
        if let Some(name) = it.name().map(str::to_owned) {
            let read = std::mem::take(&mut it.read);
            sources.push(Source { path: it.file.path.clone(), name, read });
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    let mut all = Effective { options: merge::merge(sources, &mut unsaid), ..Effective::default() };
    for it in given.iter_mut().filter(|it| it.name().is_none()) {
        all.add(std::mem::take(&mut it.read));
    }
    for it in told(&all.options).into_iter().filter(|it| !of_section.contains(it)) {
        let file = given.iter().rev().find_map(|file| Some((file, file.key(it.option)?)));
        let at = if let Some((Given { file, .. }, key)) = file {
            file.of(&file.key.key(&key.scalar.text), key.line)
        } else {
            // The section's own was right before they came.
            let config = section.node.entry("config").map_or(section.line, |(key, _)| key.line);
            Path::of("cluster").key("config").key(it.option).at(config)
        };
        findings.file = file.and_then(|(it, _)| it.source.clone());
        findings.push(it.severity, it.code, at, &it.rest);
    }
    findings.file = None;
}
