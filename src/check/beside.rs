//! What RKE2 reads of the files that a cloud-config writes, each judged by where it lies.

use super::written::{Around, Written};
use super::{helm, kubelet, options, registries};
use crate::cluster::Cluster;
use crate::cluster::cloud_config::Section;
use crate::cluster::role::Role;
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::rke2::DATA_DIR;
use crate::rke2::drop_in::Value;
use crate::rke2::merge::{DROP_INS, is_drop_in};
use crate::rke2::overrides;
use crate::rke2::version::Version;
use crate::text::escape::quoted;
use crate::text::paths::is_below;
use crate::text::yaml::Node;

/// Judges the files, each by its place; and with the cloud-config in which it stands, where there are several.
pub(super) fn judge(
    written: &[(String, Written)],
    section: &Section,
    cluster: Option<&Cluster>,
    version: Option<&Version>,
    findings: &mut Findings,
) {
    // A section that is refused has a role and no more.
    let role = section.node.get("role").and_then(Node::scalar).and_then(|it| Role::of(&it.text));
    let mut around = Around {
        unit: cluster.map(|it| it.role).or(role).unwrap_or(Role::Init).unit(),
        data_dir: cluster.map_or(DATA_DIR, |it| &it.data_dir),
        options: cluster.map(|it| vec![&it.options, &it.provider_options]).unwrap_or_default(),
        charts: Vec::new(),
    };
    around.charts = written.iter().flat_map(|(_, file)| helm::charts(file)).collect();
    let own = |name: &str| match around.option(name) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let registries = own("private-registry").unwrap_or_else(|| registries::FILE.to_owned());
    let kubelet_files = kubelet::named(&around);
    let (mut has_registries, mut given) = (false, Vec::new());
    for (source, file) in written {
        findings.file = Some(source.clone()).filter(|it| !it.is_empty());
        let kind = kind(file, &around, &registries, &kubelet_files);
        let Some(kind) = kind else { continue };
        has_registries |= kind == Of::Registries;
        match &file.text {
            Err(what) => findings.error(Code::FileUnreadable, file.at(), &format!("{} {what}", quoted(&file.path))),
            // yip evaluates it on the node.
            Ok(text) if text.contains("{{") => {}
            Ok(_) => match kind {
                Of::Registries => registries::judge(file, &around, findings),
                Of::Manifest => helm::judge(file, &around, findings),
                Of::DropIn => given.extend(options::judge(file, around.unit, findings)),
                Of::Kubelet => kubelet::judge(file, findings),
                Of::Overwritten(by) => {
                    let rest = format!("{} is written anew at each boot, by {by}", quoted(&file.path));
                    findings.warn(Code::FileOverwritten, file.at(), &rest);
                }
                Of::Nothing(instead) => {
                    let rest = format!("nobody reads {}; {instead}", quoted(&file.path));
                    findings.warn(Code::FileUnread, file.at(), &rest);
                }
                Of::OtherProgram => {
                    let rest = format!(
                        "{} is a file of k3s, which RKE2 does not read; write the one of RKE2, below /etc/rancher/rke2 or its data directory",
                        quoted(&file.path)
                    );
                    findings.warn(Code::OtherDistribution, file.at(), &rest);
                }
            },
        }
    }
    findings.file = None;
    if let Some(cluster) = cluster.filter(|_| !given.is_empty()) {
        options::judge_values(given, section, cluster, version, findings);
    }
    if !has_registries && cluster.is_some() {
        registries::missing(&around, findings, section.line);
    }
}

/// What a file is to RKE2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Registries,
    Manifest,
    DropIn,
    Kubelet,
    /// By whom, and what to do.
    Overwritten(&'static str),
    OtherProgram,
    /// What to write instead.
    Nothing(&'static str),
}

/// Files of the provider's own document, which may be among the sources.
const OF_THE_DOCUMENT: [&str; 2] =
    ["/etc/rancher/rke2/config.d/90_userdata.yaml", "/etc/rancher/rke2/config.d/99_userdata.yaml"];

/// Files that somebody else writes.
const OVERWRITTEN: [(&str, &str); 4] = [
    ("/etc/rancher/rke2/config.yaml", "the provider; write its options under cluster.config"),
    ("/etc/default/rke2-server", "the provider; write its variables under cluster.env"),
    ("/etc/default/rke2-agent", "the provider; write its variables under cluster.env"),
    ("/etc/rancher/rke2/rke2-pss.yaml", "RKE2; write another file, and name it in pod-security-admission-config-file"),
];

/// Names that are taken for those of files that RKE2 reads.
const NOT_READ: [(&str, &str); 4] = [
    ("/etc/rancher/rke2/config.yml", "write its options under cluster.config"),
    ("/etc/rancher/rke2/registries.yml", "write it to /etc/rancher/rke2/registries.yaml"),
    ("/etc/rancher/rke2/registry.yaml", "write it to /etc/rancher/rke2/registries.yaml"),
    ("/etc/rancher/rke2/registry.yml", "write it to /etc/rancher/rke2/registries.yaml"),
];

fn kind(file: &Written, around: &Around, registries: &str, kubelet_files: &[String]) -> Option<Of> {
    let path = file.path.as_str();
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    let is_in = |directory: &str| path.rsplit_once('/').is_some_and(|(parent, _)| parent == directory);
    let data_dir = |below: &str| format!("{}/{below}", around.data_dir);
    if OF_THE_DOCUMENT.contains(&path) {
        return None;
    }
    if let Some((_, by)) = OVERWRITTEN.into_iter().find(|(it, _)| *it == path) {
        return Some(Of::Overwritten(by));
    }
    if path == registries {
        Some(Of::Registries)
    } else if is_below(path, &data_dir("server/manifests")) && ends(&[".yaml", ".yml", ".json"]) {
        Some(Of::Manifest)
    } else if is_in(overrides::DROP_INS) || is_in(DROP_INS) {
        Some(if is_drop_in(path) { Of::DropIn } else { Of::Nothing("give it a name that ends in .yaml") })
    } else if let Some((_, instead)) = NOT_READ.into_iter().find(|(it, _)| *it == path) {
        Some(Of::Nothing(instead))
    } else if is_in(&data_dir("agent/etc/kubelet.conf.d")) || kubelet_files.iter().any(|it| it == path || is_in(it)) {
        Some(Of::Kubelet)
    } else if is_below(path, "/etc/rancher/k3s") || is_below(path, "/var/lib/rancher/k3s") {
        Some(Of::OtherProgram)
    } else {
        None
    }
}
