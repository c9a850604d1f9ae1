//! Files that a cloud-config writes on the node (`write_files`, `stages.*.files`).

use super::encoded;
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::{At, Path};
use crate::rke2::Unit;
use crate::rke2::drop_in::{self, DropIn, Place, Value};
use crate::text::escape::quoted;
use crate::text::paths::normalized;
use crate::text::yaml::{self, Document, Kind, Node, OPTIONS, Style};

/// A file that is written.
#[derive(Debug)]
pub(super) struct Written {
    /// Where it is on the node.
    pub path: String,
    /// The key of its content, and where its text begins.
    pub key: Path,
    pub place: Place,
    /// The line of the content.
    pub line: usize,
    /// Its text, or what is wrong with it.
    pub text: Result<String, &'static str>,
}

/// What the node is, as far as its files depend on it.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub unit: Unit,
    pub data_dir: &'a str,
    /// RKE2's options from the section; the last counts.
    pub options: Vec<&'a DropIn>,
    /// The names of charts that other files bring.
    pub charts: Vec<String>,
}

impl Around<'_> {
    /// The value of an option.
    pub(super) fn option(&self, name: &str) -> Option<&Value> {
        drop_in::option(&self.options, name)
    }
}

impl Written {
    /// Where the content stands.
    pub(super) fn at(&self) -> At {
        self.key.at(self.line)
    }

    /// Reads the text as YAML; what is no YAML is told with what comes of it.
    pub(super) fn yaml(&self, code: Code, what_comes: &str, findings: &mut Findings) -> Option<Document> {
        let text = self.text.as_ref().ok()?;
        match yaml::read(text, OPTIONS) {
            Ok(document) => Some(document),
            Err(error) => {
                let rest = format!("{what_comes} {}, which {}", quoted(&self.path), error.problem);
                findings.error(code, self.place.at(&self.key, error.line), &rest);
                None
            }
        }
    }

    /// The node's key below the content.
    pub(super) fn of(&self, keys: &Path, line: usize) -> At {
        self.place.at(keys, line)
    }
}

/// All files that a cloud-config writes, in its order.
pub(super) fn files(root: &Node) -> Vec<Written> {
    let mut written = Vec::new();
    list(root.get("write_files"), &Path::of("write_files"), &mut written);
    let stages = Path::of("stages");
    for (stage, steps) in root.get("stages").map(Node::entries).unwrap_or_default() {
        for (index, step) in steps.items().iter().enumerate() {
            if let Some(files) = step.get("files") {
                list(Some(files), &stages.key(&stage.scalar.text).item(index).key("files"), &mut written);
            }
        }
    }
    written
}

fn list(files: Option<&Node>, path: &Path, written: &mut Vec<Written>) {
    let text = |file: &Node, key: &str| file.get(key).and_then(Node::scalar).map(|it| it.text.clone());
    for (index, file) in files.map(Node::items).unwrap_or_default().iter().enumerate() {
        let (Some(to), Some((key, content))) = (text(file, "path"), file.entry("content")) else { continue };
        let to = normalized(to.trim());
        // Of all others the content may be large, and is nobody's business here.
        if !["/rancher/", "kubelet", "registries", "/rke2"].iter().any(|part| to.contains(part)) {
            continue;
        }
        let Some(scalar) = content.scalar() else { continue };
        let encoding = text(file, "encoding").unwrap_or_default();
        let place = match scalar.style {
            Style::Literal if encoding.is_empty() => Place::Block(content.line),
            _ => Place::Inline(content.line),
        };
        let bytes = encoded::decoded(&scalar.text, &encoding);
        let text = bytes.and_then(|it| String::from_utf8(it).map_err(|_| "is not UTF-8; write it as text"));
        written.push(Written { path: to, key: path.item(index).key("content"), place, line: key.line, text });
    }
}

/// Whether a value is a mapping, for what must be one.
pub(super) fn is_map(node: &Node) -> bool {
    matches!(node.kind, Kind::Map(_))
}
