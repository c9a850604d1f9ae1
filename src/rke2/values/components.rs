//! What RKE2 installs and runs beside Kubernetes itself.

use super::view::{Tell, View};
use crate::findings::code::{Code, Severity};
use crate::rke2::Unit;
use crate::rke2::defaults::CNI;
use crate::rke2::drop_in::Value;
use crate::rke2::options::{self, nearest_of};
use crate::text::escape::quoted;

/// Up to 1.35 an unknown word stops RKE2; 1.36 does not look at it; from 1.37 on ingress-nginx alone stops it (rke2 `pkg/bootstrap/bootstrap.go`).
pub(super) fn ingress(view: &View, tell: &mut Tell) {
    let option = "ingress-controller";
    let items = view.texts(option);
    let words: Vec<&str> = options::find(option).map(|spec| spec.words(view.version).collect()).unwrap_or_default();
    for item in items.iter().filter(|item| !words.contains(&item.as_str())) {
        let todo = nearest_of(item, &words)
            .map_or_else(|| format!("write one of {}", words.join(", ")), |near| format!("write {near}"));
        let (severity, then) = match view.lacks("1.36") {
            true => (Severity::Error, "RKE2 does not start"),
            false => (Severity::Warning, "the cluster has no ingress, or RKE2 before 1.36 does not start"),
        };
        let rest = format!("{} is not an ingress controller of RKE2, so {then}; {todo}", quoted(item));
        tell.push(severity, Code::IngressInvalid, option, Some(item), rest);
    }
    let is = |item: &String, word: &str| item == word;
    if items.len() > 1 && items.iter().any(|item| is(item, "none")) {
        let rest = "names none beside another one; write one or the other";
        tell.warn(Code::IngressInvalid, option, None, rest.into());
    }
    if view.has("1.37") && !items.is_empty() && items.iter().all(|item| is(item, "ingress-nginx")) {
        let rest = "is ingress-nginx alone, with which RKE2 1.37 and later do not start; write traefik, or traefik and ingress-nginx while you migrate";
        tell.error(Code::IngressInvalid, option, None, rest.into());
    }
}

/// Names of K3s, and what RKE2 calls the same; nothing where it has no such thing.
const OF_K3S: [(&str, &str); 7] = [
    ("traefik", "rke2-traefik"),
    ("coredns", "rke2-coredns"),
    ("metrics-server", "rke2-metrics-server"),
    ("ingress-nginx", "rke2-ingress-nginx"),
    ("snapshot-controller", "rke2-snapshot-controller"),
    ("local-storage", ""),
    ("servicelb", ""),
];

/// Any file of the manifests may be named, so only what is meant for something else is told.
pub(super) fn charts(view: &View, tell: &mut Tell) {
    let option = "disable";
    let Some(spec) = options::find(option) else { return };
    let words: Vec<&str> = spec.words(None).collect();
    for item in view.texts(option).iter().filter(|item| !words.contains(&item.as_str())) {
        let todo = match OF_K3S.iter().find(|(name, _)| name == item) {
            Some((_, "")) => "RKE2 has no such chart; remove it".to_owned(),
            Some((_, name)) => format!("RKE2 calls the chart {name}; write that"),
            None => match nearest_of(item, &words) {
                Some(near) => format!("no chart of RKE2 is called so; write {near}"),
                None if item.contains(char::is_whitespace) => {
                    "RKE2 splits names at commas alone; write a list".to_owned()
                }
                // A manifest of the user's own is left out by its name too.
                None => continue,
            },
        };
        tell.warn(Code::ChartUnknown, option, Some(item), format!("{} disables nothing, because {todo}", quoted(item)));
    }
}

/// Only some CNIs can do without it.
pub(super) fn kube_proxy(view: &View, tell: &mut Tell) {
    let option = "disable-kube-proxy";
    if !view.is_on(option) || view.is_unknown("cni") {
        return;
    }
    let cni = view.texts("cni").iter().map(String::as_str).rfind(|item| *item != "multus").unwrap_or(CNI);
    // Whoever takes its chart out brings a CNI of their own.
    let is_out = |chart: &String| chart.strip_prefix("rke2-") == Some(cni);
    if matches!(cni, "canal" | "flannel") && !view.texts("disable").iter().any(is_out) {
        let rest = format!(
            "leaves the cluster without Services, because {cni} does not take the place of kube-proxy; write cni: cilium or calico and let it, or remove it"
        );
        tell.warn(Code::KubeProxyMissing, option, None, rest);
    }
}

/// Pairs of options (rke2 `pkg/rke2/rke2_linux.go`, `pkg/cli/cmds/root.go`).
pub(super) fn cloud_provider(view: &View, tell: &mut Tell) {
    let (name, config, external) = ("cloud-provider-name", "cloud-provider-config", "node-external-ip");
    if view.is_given(config) && !view.is_given(name) {
        let rest = format!("is given without {name}, so RKE2 does not start; write both");
        tell.error(Code::CloudProvider, config, None, rest);
    }
    if let Some(given) = [name, config].into_iter().find(|it| view.is_given(it)).filter(|_| view.is_given(external)) {
        if view.has("1.36") {
            let rest =
                format!("does not go with {given} in RKE2 1.36 and later, which do not start; remove one of them");
            tell.error(Code::CloudProvider, external, None, rest);
        } else if view.version.is_none() {
            let rest = format!("does not go with {given} from RKE2 1.36 on; remove one of them");
            tell.warn(Code::CloudProvider, external, None, rest);
        }
    }
    let (Some(text), Some(spec)) = (view.text(name), options::find(name)) else { return };
    let words: Vec<&str> = spec.words(None).collect();
    if text == "aws" {
        let rest = "\"aws\" only names the node after the cloud's metadata; write node-name-from-cloud-provider-metadata: true";
        tell.note(Code::OptionDeprecated, name, rest);
    } else if words.contains(&text) && !spec.words(view.version).any(|word| word == text) {
        let rest = format!("{} came with RKE2 1.36, and this one passes it on as it is; use a newer one", quoted(text));
        tell.warn(Code::CloudProvider, name, None, rest);
    } else if let Some(near) = nearest_of(text, &words).filter(|near| *near != text) {
        let rest = format!("{} is not a cloud provider of RKE2; did you mean {near}?", quoted(text));
        tell.warn(Code::CloudProvider, name, None, rest);
    }
}

/// A server that runs nothing of the control plane.
pub(super) fn none_left(view: &View, tell: &mut Tell) {
    let parts = ["disable-apiserver", "disable-controller-manager", "disable-scheduler", "disable-etcd"];
    if parts.iter().all(|name| view.is_on(name)) {
        let rest = "is the last part of the control plane that is switched off, so this server does nothing; remove one, or make it a worker";
        tell.warn(Code::ComponentsDisabled, parts[3], None, rest.into());
    }
}

/// Without etcd and a server to join, RKE2 takes `SQLite` (rke2 `pkg/rke2/rke2_linux.go`).
pub(super) fn etcd_off(view: &View, tell: &mut Tell) {
    let option = "disable-etcd";
    if view.is_on(option) && !view.joins && !view.is_given("datastore-endpoint") {
        let rest = "makes the first server run on SQLite, which no other server can join; remove it, or write datastore-endpoint";
        tell.warn(Code::ComponentsDisabled, option, None, rest.into());
    }
}

/// Since when the registry of RKE2's own images may have a path.
const REGISTRY_PATH: &str = "1.32.13+rke2r2|1.33.10|1.34.6|1.35.3";

/// What keeps a text from being the host of a registry.
fn registry_wrong(text: &str) -> Option<&'static str> {
    let port = text.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    if text.contains("://") {
        Some("has a scheme; write the host alone")
    } else if text.contains('@') {
        Some("has a user; write the host alone, and the user in registries.yaml")
    } else if text.starts_with('/')
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || "?#\"<>\\^`{|}".contains(c))
    {
        Some("is not the host of a registry; write HOST or HOST:PORT")
    } else if port.is_some_and(|port| !port.contains('/') && port.parse::<u16>().is_err()) {
        Some("has a port that is none; write HOST or HOST:PORT")
    } else {
        None
    }
}

/// RKE2 reads it as the beginning of an image's name (rke2 `pkg/images/images.go`).
pub(super) fn registry(view: &View, tell: &mut Tell) {
    let option = "airgap-extra-registry";
    for item in view.texts(option) {
        if let Some(what) = registry_wrong(item) {
            tell.warn(Code::RegistryInvalid, option, Some(item), format!("{} {what}", quoted(item)));
        }
    }
    let option = "system-default-registry";
    let Some(text) = view.text(option) else { return };
    if view.unit == Unit::Agent {
        let rest = "has no effect on agents, which are told by the servers; write it there";
        return tell.note(Code::OptionNoEffect, option, rest);
    }
    if let Some(what) = registry_wrong(text) {
        let (what, todo) = what.split_once("; ").unwrap_or((what, "correct it"));
        let rest = format!("{} {what}, so RKE2 does not start; {todo}", quoted(text));
        tell.error(Code::RegistryInvalid, option, None, rest);
    } else if text.contains('/') && view.lacks(REGISTRY_PATH) {
        let version = view.version.map(ToString::to_string).unwrap_or_default();
        let rest =
            format!("{} has a path, with which RKE2 {version} does not start; write the host alone", quoted(text));
        tell.error(Code::RegistryInvalid, option, None, rest);
    }
}

/// (k3s `pkg/agent/run.go`)
pub(super) fn embedded_registry(view: &View, tell: &mut Tell) {
    let (option, other) = ("embedded-registry", "container-runtime-endpoint");
    if view.is_on(option) && view.is_given(other) {
        let rest = format!("needs RKE2's own containerd, so RKE2 does not start beside {other}; remove one of them");
        tell.error(Code::OptionsConflict, option, None, rest);
    }
}

/// RKE2 sets it to true (rke2 `pkg/rke2/rke2.go`).
pub(super) fn no_effect(view: &View, tell: &mut Tell) {
    let option = "secrets-encryption";
    if view.get(option) == Some(&Value::Bool(false)) {
        let rest = "is false, but RKE2 encrypts Secrets whatever is set here; remove it";
        tell.warn(Code::OptionNoEffect, option, None, rest.into());
    }
}

/// Whether the policy is there is seen in the image.
pub(super) fn selinux(view: &View, tell: &mut Tell) {
    if view.is_on("selinux") && view.lacks_policy {
        let rest = "needs the policy rke2-selinux, which the image lacks, so containers are not started where SELinux is enforced; install it there";
        tell.note(Code::SelinuxPolicy, "selinux", rest);
    }
}
