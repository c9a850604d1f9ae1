//! Values of the section that somebody was to fill in: `<…>`, `${…}`, `changeme`. The token and the host say it themselves.

use super::cloud_config::Options;
use super::reader::{self, Reader};
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::Path;
use crate::rke2::drop_in::Place;
use crate::text::odd;
use crate::text::yaml::{Key, Kind, Node};

/// Keys that are judged elsewhere: with more weight, or word for word.
const ELSEWHERE: [&str; 5] = ["role", "cluster_token", "control_plane_host", "config", "ca_certs"];

/// Tells each value with a gap; nothing of the value is printed, because it may be a secret by half.
pub(super) fn judge(reader: &mut Reader) {
    let section = reader.section;
    for (key, node) in section.node.entries() {
        let name = key.scalar.text.as_str();
        if !ELSEWHERE.contains(&name) && holds(node) {
            walk(node, &reader::path(name), key.line, Place::Here, reader.findings);
        }
    }
    if let Options::Read(place, document) = &section.options {
        let options = document.root.entries().iter();
        // Those of the cluster section itself, which count only where its own keys are missing.
        let is_own = |key: &Key| matches!(key.scalar.text.as_str(), "token" | "server");
        for (key, node) in options.filter(|(key, node)| !is_own(key) && holds(node)) {
            walk(node, &reader::path("config").key(&key.scalar.text), key.line, *place, reader.findings);
        }
    }
}

/// Tells the gaps of a value that has one.
fn walk(node: &Node, path: &Path, line: usize, place: Place, findings: &mut Findings) {
    match &node.kind {
        Kind::Scalar(_) => {
            let rest = "holds a placeholder, which nobody fills in on the node; write the value";
            findings.warn(Code::Placeholder, place.at(path, line), rest);
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| holds(item)) {
                walk(item, &path.item(index), item.line, place, findings);
            }
        }
        Kind::Map(entries) => {
            for (key, value) in entries.iter().filter(|(_, value)| holds(value)) {
                walk(value, &path.key(&key.scalar.text), key.line, place, findings);
            }
        }
    }
}

/// Whether something in a value has a gap: a path is made only then.
fn holds(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => odd::has_gap(&scalar.text),
        Kind::List(items) => items.iter().any(holds),
        Kind::Map(entries) => entries.iter().any(|(_, value)| holds(value)),
    }
}
