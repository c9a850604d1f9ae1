//! The node's name, labels and taints, which the kubelet and the API server judge (kubernetes `cmd/kubelet/app/options/options.go`,
//! `pkg/util/taints/taints.go`).

use std::collections::HashSet;

use super::names::{is_dns, is_key, is_value};
use super::view::{Tell, View};
use crate::findings::code::{Code, Severity};
use crate::rke2::options::nearest_of;
use crate::text::escape::{quoted, quoted_part};

/// The option that names the node.
pub(super) fn name(view: &View, tell: &mut Tell) {
    let option = "node-name";
    if let Some((severity, rest)) = view.text(option).and_then(wrong_name) {
        tell.push(severity, Code::NodeNameInvalid, option, None, rest);
    }
}

/// What is wrong with the name of a node. K3s writes it in lower case (k3s `pkg/util/net.go`), and the kubelet makes a label of it.
pub(crate) fn wrong_name(text: &str) -> Option<(Severity, String)> {
    let name = text.to_ascii_lowercase();
    let (severity, what) = if !is_dns(&name) {
        (Severity::Error, "is not a name that the API server takes for a node; write letters, digits, `-` and `.`")
    } else if !is_value(&name) {
        (
            Severity::Error,
            "is longer than the label kubernetes.io/hostname may be, so the API server does not take the node; write at \
             most 63 characters",
        )
    } else if name == "localhost" || name.starts_with("localhost.") {
        (Severity::Warning, "may be the name of every node, and each needs its own; write another")
    } else {
        return None;
    };
    Some((severity, format!("{} {what}", quoted(text))))
}

/// Labels of Kubernetes' own domains that a kubelet may give its node.
const OWN: [&str; 10] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

/// Whether a text is the domain, or lies in it.
fn is_in(text: &str, domain: &str) -> bool {
    text.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether the kubelet refuses to give its node this label.
fn is_forbidden(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return false };
    let is_kubernetes = is_in(prefix, "kubernetes.io") || is_in(prefix, "k8s.io");
    let is_of_node = is_in(prefix, "kubelet.kubernetes.io") || is_in(prefix, "node.kubernetes.io");
    is_kubernetes && !is_of_node && !OWN.contains(&key)
}

/// RKE2 joins the items with commas, at which the kubelet splits them.
pub(super) fn labels(view: &View, tell: &mut Tell) {
    let option = "node-label";
    for item in view.texts(option) {
        for label in item.split(',').filter(|label| !label.is_empty()) {
            // Of a label without `=` the kubelet takes an empty value (component-base `cli/flag/configuration_map.go`).
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            let (key, value) = (key.trim(), value.trim());
            if is_forbidden(key) {
                let rest = format!(
                    "{} is a label that no node may give itself, so the kubelet does not start; set it with kubectl once the node is there",
                    quoted_part(key, item)
                );
                tell.error(Code::LabelForbidden, option, Some(item), rest);
            } else if !is_key(key) {
                let rest = format!(
                    "{} is not a key of a label, so the kubelet does not start; write NAME or DOMAIN/NAME of letters, digits, `-`, `_` and `.`",
                    quoted_part(key, item)
                );
                tell.error(Code::LabelInvalid, option, Some(item), rest);
            } else if !is_value(value) {
                let rest = format!(
                    "{} is not a value of a label, so the kubelet does not start; write up to 63 letters, digits, `-`, `_` and `.`",
                    quoted_part(value, item)
                );
                tell.error(Code::LabelInvalid, option, Some(item), rest);
            }
        }
    }
}

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// What is wrong with a taint: what is said of it, and what to do.
pub(super) fn taint(text: &str) -> Result<(&str, &str), (String, String)> {
    let wanted = || "write KEY=VALUE:EFFECT or KEY:EFFECT".to_owned();
    let wrong = |what: &str, todo: String| Err((what.to_owned(), todo));
    let parts: Vec<&str> = text.split(':').collect();
    let (head, effect) = match parts[..] {
        [_] => {
            return wrong(
                "has no effect behind a `:`",
                format!("add one of {}", EFFECTS.map(|it| format!(":{it}")).join(", ")),
            );
        }
        [head, effect] => (head, effect),
        _ if text.contains(',') => {
            return wrong("is several taints in one text", "write each as an item of the list".into());
        }
        _ => return wrong("has a `:` too many", wanted()),
    };
    if !EFFECTS.contains(&effect) {
        let todo = match nearest_of(effect, &EFFECTS)
            .or_else(|| EFFECTS.into_iter().find(|it| !effect.is_empty() && it.starts_with(effect)))
        {
            Some(near) => format!("write {near}"),
            None => format!("write one of {}", EFFECTS.join(", ")),
        };
        return wrong(&format!("has the unknown effect {}", quoted_part(effect, text)), todo);
    }
    let (key, value) = head.split_once('=').unwrap_or((head, ""));
    if !is_key(key) {
        return wrong("has no valid key", wanted());
    }
    if !is_value(value) {
        return wrong("has no valid value", wanted());
    }
    Ok((key, effect))
}

/// RKE2 goes on with a bad one; it is the kubelet that does not start.
pub(super) fn taints(view: &View, tell: &mut Tell) {
    let option = "node-taint";
    let mut seen = HashSet::new();
    for item in view.texts(option) {
        let added = item.strip_suffix('-').unwrap_or(item);
        match taint(added) {
            Err((what, todo)) => {
                let rest = format!("{} {what}, so the kubelet does not start; {todo}", quoted(item));
                tell.error(Code::TaintInvalid, option, Some(item), rest);
            }
            Ok(_) if added != item => {
                let rest = format!("{} ends in `-`, which removes nothing here; remove the item", quoted(item));
                tell.warn(Code::TaintInvalid, option, Some(item), rest);
            }
            Ok(taint) if !seen.insert(taint) => {
                let rest = format!(
                    "{} has the key and the effect of another taint, so the kubelet does not start; keep one",
                    quoted(item)
                );
                tell.error(Code::TaintInvalid, option, Some(item), rest);
            }
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_kubernetes_are_the_ones_that_the_kubelet_allows() {
        for (key, forbidden) in [
            ("role", false),
            ("example.com/role", false),
            ("node.kubernetes.io/instance-type", false),
            ("x.node.kubernetes.io/y", false),
            ("kubelet.kubernetes.io/x", false),
            ("topology.kubernetes.io/zone", false),
            ("kubernetes.io/hostname", false),
            ("notkubernetes.io/x", false),
            ("node-role.kubernetes.io/worker", true),
            ("node-restriction.kubernetes.io/x", true),
            ("kubernetes.io/role", true),
            ("topology.kubernetes.io/rack", true),
            ("k8s.io/x", true),
            ("x.k8s.io/y", true),
        ] {
            assert_eq!(is_forbidden(key), forbidden, "{key}");
        }
    }
}
