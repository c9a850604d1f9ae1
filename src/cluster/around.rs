//! What stands at the top of the cloud-config beside the cluster section, or in its place, and was meant to be it.

use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::Path;
use crate::rke2::options;
use crate::text::yaml::{self, Kind, Node, OPTIONS};

/// Keys of the section that no other program has at the top of a cloud-config.
const OWN: [&str; 6] = [
    "cluster_token", "control_plane_host", "providerConfig", "import_local_images", "local_images_path",
    "cluster_config_path",
];

/// Values of the key `role`, which others may have too.
const ROLES: [&str; 3] = ["init", "controlplane", "worker"];

/// Keys of Kairos' own provider that bring up a Kubernetes (kairos-io/provider-kairos `internal/provider/config/config.go`).
const OTHERS: [&str; 4] = ["k3s", "k3s-agent", "k0s", "k0s-worker"];

/// Its key for clusters that find themselves.
const P2P: &str = "p2p";

/// What may be said of it.
pub(super) const CODES: [Code; 3] = [Code::SectionMisnamed, Code::SectionMisplaced, Code::OtherDistribution];

/// Judges the top of a cloud-config. Whether it has a cluster section decides what another key means.
pub(super) fn judge(root: &Node, has_section: bool, findings: &mut Findings) {
    let has_own = root.get("cluster").is_none_or(|section| section.get("config").is_some());
    let is_options = |name: &str, node: &Node| name == "config" && !has_own && holds_options(node);
    let is_any = |name: &str, node: &Node| is_loose(name, node) || is_options(name, node);
    let loose: Vec<_> = root.entries().iter().filter(|(key, node)| is_any(&key.scalar.text, node)).collect();
    if let Some((key, _)) = loose.first() {
        let names: Vec<&str> = loose.iter().map(|(key, _)| key.scalar.text.as_str()).collect();
        let rest = format!(
            "stands at the top of the cloud-config, where nobody reads it; indent {} below cluster",
            names.join(", ")
        );
        findings.error(Code::SectionMisplaced, Path::of(names.first().unwrap_or(&"")).at(key.line), &rest);
    }
    for (key, node) in root.entries().iter().filter(|(_, node)| !node.is_null()) {
        let (name, line) = (key.scalar.text.as_str(), key.line);
        let path = || Path::of(name);
        if name == "cluster" {
            continue;
        }
        if is_section(node) && options::nearest_of(name, &["cluster"]).is_some() {
            let rest = "is not read by anybody; write cluster, once, at the top of the cloud-config";
            findings.error(Code::SectionMisnamed, path().at(line), rest);
        } else if let Some((inner, _)) = node.entry("cluster").filter(|(_, section)| is_section(section)) {
            let rest = "is not read, because the cluster section stands at the top of the cloud-config; move it there";
            findings.error(Code::SectionMisplaced, path().key("cluster").at(inner.line), rest);
        } else if OTHERS.contains(&name) {
            other(name, line, node, has_section, findings);
        } else if name == P2P && has_section {
            let rest = "is for Kairos' own provider, which may bring up a Kubernetes beside RKE2; remove it, or the cluster section";
            findings.warn(Code::OtherDistribution, path().at(line), rest);
        }
    }
}

/// A Kubernetes of another provider: alone it is somebody else's node, switched on beside a cluster section there would be two.
fn other(name: &str, line: usize, node: &Node, has_section: bool, findings: &mut Findings) {
    let enabled = node.get("enabled").and_then(Node::scalar).map(|it| it.text.to_ascii_lowercase());
    let at = Path::of(name).at(line);
    match (has_section, enabled.as_deref()) {
        (_, Some("false")) => {}
        (true, Some("true")) => {
            let rest = "is enabled, so Kairos' own provider brings up another Kubernetes beside RKE2; remove it, or the cluster section";
            findings.error(Code::OtherDistribution, at, rest);
        }
        (true, _) => {
            let rest =
                "is for Kairos' own provider, not for RKE2; remove it, and write RKE2's options under cluster.config";
            findings.warn(Code::OtherDistribution, at, rest);
        }
        (false, _) => {
            let rest = "is for Kairos' own provider; write a cluster section if this node is to run RKE2";
            findings.warn(Code::OtherDistribution, at, rest);
        }
    }
}

/// Whether a key at the top is one of the section that has lost its indentation.
fn is_loose(name: &str, node: &Node) -> bool {
    let is_role = || node.scalar().is_some_and(|it| ROLES.contains(&it.text.as_str()));
    !node.is_null() && (OWN.contains(&name) || (name == "role" && is_role()))
}

/// Whether a value holds options of RKE2, as text or as a mapping.
fn holds_options(node: &Node) -> bool {
    let has_any = |it: &Node| it.entries().iter().any(|(key, _)| options::of_key(&key.scalar.text).is_some());
    let inside = |text: &str| yaml::read(text, OPTIONS).is_ok_and(|document| has_any(&document.root));
    has_any(node) || node.scalar().is_some_and(|it| inside(&it.text))
}

/// Whether a value is a cluster section, or a list of some.
fn is_section(node: &Node) -> bool {
    match &node.kind {
        Kind::Map(entries) => entries.iter().any(|(key, node)| is_loose(&key.scalar.text, node)),
        Kind::List(items) => items.first().is_some_and(|first| matches!(first.kind, Kind::Map(_)) && is_section(first)),
        Kind::Scalar(_) => false,
    }
}
