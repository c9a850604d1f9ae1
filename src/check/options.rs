//! Options of RKE2 in files of their own: `config.yaml.d`, which RKE2 reads after config.yaml, and `config.d`, of which the provider makes it.

use super::written::Written;
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::rke2::Unit;
use crate::rke2::drop_in::{self, Braces, For};
use crate::text::escape::quoted;
use crate::text::yaml::Kind;

/// Options that belong to the cluster section, and their key there.
const OURS: [(&str, &str); 3] =
    [("token", "cluster_token"), ("server", "control_plane_host"), ("data-dir", "config.data-dir")];

/// Judges a file as the options of the section are judged.
pub(super) fn judge(file: &Written, unit: Unit, findings: &mut Findings) {
    let Some(document) = file.yaml(Code::OptionsInvalidYaml, "RKE2 does not start with", findings) else { return };
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
        return;
    }
    let mut found = Findings::default();
    let read =
        drop_in::read(root.entries(), &file.key, file.place, Braces::Text, For { unit, version: None }, &mut found);
    for it in found.list {
        // At boot it keeps nothing from being planned.
        findings.add(it, Severity::Error);
    }
    let is_later = file.path.starts_with("/etc/rancher/rke2/config.yaml.d/");
    let options = read.options.iter().map(|(name, _)| name.as_str());
    for name in options.chain(read.owned.iter().map(|it| it.name)) {
        let Some((_, key)) = OURS.into_iter().find(|(it, _)| *it == name && is_later) else { continue };
        let line = root.entry(name).map_or(root.line, |(key, _)| key.line);
        let rest = format!(
            "would replace what the cluster section says, because RKE2 reads this file last; write cluster.{key}"
        );
        findings.error(Code::ConfigOverridden, file.of(&file.key.key(name), line), &rest);
    }
}
