//! What the version of RKE2 does not have yet, or would rather not have any more.

use super::view::{Tell, View};
use crate::findings::code::Code;
use crate::rke2::options;

/// Options that are judged by the version, but for what the table says of them.
pub(super) const JUDGED: [&str; 7] = [
    "cloud-provider-config", "etcd-s3-timeout", "helm-job-image", "node-external-ip", "service-cidr",
    "system-default-registry", "tls-san",
];

/// Versions of the table for a person: `1.31.9, 1.32.5, 1.33.1`.
fn listed(since: &str) -> String {
    since.replace('|', ", ")
}

/// RKE2 skips an option that it does not know (k3s `pkg/configfilearg/parser.go`).
pub(super) fn options(view: &View, tell: &mut Tell) {
    let Some(version) = view.version else { return };
    for (spec, _) in view.all() {
        if !spec.since.is_empty() && !version.has(spec.since) {
            let rest = format!(
                "is not an option of RKE2 {version}, which ignores it; remove it, or use one that has it ({})",
                listed(spec.since)
            );
            tell.warn(Code::OptionTooNew, spec.name, None, rest);
        } else if version.has(spec.deprecated) {
            let todo = spec.meaning.split_once("deprecated, ").map_or("remove it", |(_, todo)| todo);
            tell.note(Code::OptionDeprecated, spec.name, &format!("is deprecated in RKE2 {version}; {todo}"));
        }
    }
}

/// RKE2 stops at a profile that it does not know (rke2 `pkg/cli/cmds/profile_linux.go`). Other words are judged where options are read.
pub(super) fn profile(view: &View, tell: &mut Tell) {
    let option = "profile";
    let (Some(version), Some("etcd"), Some(spec)) = (view.version, view.text(option), options::find(option)) else {
        return;
    };
    let words: Vec<&str> = spec.words(Some(version)).collect();
    if !words.contains(&"etcd") && version.has("1.31") {
        let rest = format!(
            "\"etcd\" is a profile that RKE2 {version} does not know, so it does not start; write one of {}",
            words.join(", ")
        );
        tell.error(Code::ProfileUnknown, option, None, rest);
    }
}

/// The variable got its name late, and the old one goes (rke2 `pkg/cli/cmds/server.go`).
pub(super) fn ingress_variable(view: &View, tell: &mut Tell) {
    let (new, old) = ("RKE2_INGRESS_CONTROLLER", "RKE_INGRESS_CONTROLLER");
    let Some(version) = view.version else { return };
    if view.has_variable(new) && view.lacks("1.32.13+rke2r2|1.33.10|1.34.6|1.35.3") && !view.has_variable(old) {
        let rest = format!("is not read by RKE2 {version}; write ingress-controller under config");
        tell.warn(Code::OptionTooNew, new, None, rest);
    }
    if view.has_variable(old) && view.has("1.37") {
        let rest = format!(
            "is deprecated in RKE2 {version}, and 1.38 is to stop at it; write ingress-controller under config"
        );
        tell.warn(Code::OptionDeprecated, old, None, rest);
    }
}
