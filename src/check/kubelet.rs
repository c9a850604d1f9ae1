//! Configuration files of the kubelet (kubernetes `staging/src/k8s.io/kubelet/config/v1beta1`): those that an argument names, and RKE2's
//! directory of them.

use super::written::{Around, Written, is_map};
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::rke2::drop_in::Value;
use crate::text::escape::quoted;
use crate::text::paths::normalized;
use crate::text::yaml::Node;

/// What every such file says of itself.
const VERSION: &str = "kubelet.config.k8s.io/v1beta1";
const KIND: &str = "KubeletConfiguration";

/// The files and directories that `kubelet-arg` names.
pub(super) fn named(around: &Around) -> Vec<String> {
    let arguments = around.option("kubelet-arg").map(Value::texts).unwrap_or_default().iter();
    let named = arguments.filter_map(|it| {
        let (name, path) = it.trim_start_matches('-').split_once('=')?;
        matches!(name, "config" | "config-dir").then(|| normalized(path))
    });
    named.collect()
}

/// Judges a file.
pub(super) fn judge(file: &Written, findings: &mut Findings) {
    let Some(document) = file.yaml(Code::KubeletConfig, "the kubelet does not start with", findings) else { return };
    let root = &document.root;
    let text = |key: &str| root.get(key).and_then(Node::scalar).map(|it| it.text.as_str());
    if !is_map(root) || text("apiVersion") != Some(VERSION) || text("kind") != Some(KIND) {
        let rest = format!(
            "{} is not a {KIND}, so the kubelet does not start; write apiVersion: {VERSION} and kind: {KIND}",
            quoted(&file.path)
        );
        findings.error(Code::KubeletConfig, file.at(), &rest);
        return;
    }
    if !file.path.ends_with(".conf") && file.path.contains("/kubelet.conf.d/") {
        let rest = format!("{} does not end in .conf, so the kubelet passes it over; rename it", quoted(&file.path));
        findings.error(Code::KubeletConfig, file.at(), &rest);
    }
    for (key, _) in root.entries().iter().filter(|(key, _)| key.scalar.text.contains(['-', '_'])) {
        let name = camel(&key.scalar.text);
        let rest = format!("is not a field of the file, but a flag; write {}", quoted(&name));
        findings.error(Code::KubeletConfig, file.of(&file.key.key(&key.scalar.text), key.line), &rest);
    }
}

/// `max-pods` as the file has it: `maxPods`.
fn camel(flag: &str) -> String {
    let mut words = flag.trim_start_matches('-').split(['-', '_']);
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|it| it.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}
