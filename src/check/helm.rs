//! `HelmChart` and `HelmChartConfig` in the manifests of a server (k3s-io/helm-controller `pkg/apis/helm.cattle.io/v1/types.go`).

use super::manifest;
use super::written::{Around, Written, is_map};
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::At;
use crate::rke2::Unit;
use crate::rke2::defaults::CNI;
use crate::rke2::options::nearest_of;
use crate::text::escape::quoted;
use crate::text::yaml::{self, Node, OPTIONS};

/// The charts that RKE2 brings (rancher/rke2 `charts/chart_versions.yaml`, all minors that are supported).
const CHARTS: [&str; 22] = [
    "harvester-cloud-provider", "harvester-csi-driver", "rancher-vsphere-cpi", "rancher-vsphere-csi", "rke2-calico",
    "rke2-calico-crd", "rke2-canal", "rke2-cilium", "rke2-coredns", "rke2-flannel", "rke2-ingress-nginx",
    "rke2-metrics-server", "rke2-multus", "rke2-multus-crd", "rke2-ovirt-csi-driver", "rke2-runtimeclasses",
    "rke2-security-responder", "rke2-snapshot-controller", "rke2-snapshot-controller-crd",
    "rke2-snapshot-validation-webhook", "rke2-traefik", "rke2-traefik-crd",
];

/// Charts of a CNI, and the value of the option that brings them.
const OF_CNI: [(&str, &str); 6] = [
    ("rke2-calico", "calico"),
    ("rke2-calico-crd", "calico"),
    ("rke2-canal", "canal"),
    ("rke2-cilium", "cilium"),
    ("rke2-flannel", "flannel"),
    ("rke2-multus", "multus"),
];

/// Where RKE2 keeps its charts, and where they are changed.
const NAMESPACE: &str = "kube-system";

/// One manifest of a file.
struct Manifest<'a> {
    file: &'a Written,
    root: Node,
    /// The lines of the file before it.
    before: usize,
}

impl Manifest<'_> {
    fn text(&self, keys: &[&str]) -> Option<&str> {
        let mut node = &self.root;
        for key in keys {
            node = node.get(key)?;
        }
        Some(node.scalar()?.text.as_str())
    }

    /// Where a key of it stands; of one that is missing, where the nearest does.
    fn at(&self, keys: &[&str]) -> At {
        let (mut node, mut path, mut line) = (&self.root, self.file.key.clone(), self.root.line);
        for key in keys {
            path = path.key(key);
            let Some((found, below)) = node.entry(key) else { break };
            (line, node) = (found.line, below);
        }
        self.file.of(&path, self.before + line)
    }

    fn is(&self, kind: &str) -> bool {
        self.text(&["kind"]) == Some(kind)
    }
}

fn manifests(file: &Written) -> Vec<Manifest<'_>> {
    let text = file.text.as_deref().unwrap_or_default();
    let read = |(before, document): (usize, &str)| {
        let root = yaml::read(document, OPTIONS).ok()?.root;
        Some(Manifest { file, root, before })
    };
    manifest::documents(text).into_iter().filter_map(read).collect()
}

/// The names of the charts that a file brings.
pub(super) fn charts(file: &Written) -> Vec<String> {
    if !file.path.contains("/server/manifests/") {
        return Vec::new();
    }
    let of_charts = manifests(file).into_iter().filter(|it| it.is("HelmChart"));
    of_charts.filter_map(|it| it.text(&["metadata", "name"]).map(str::to_owned)).collect()
}

/// Judges a file of the directory of manifests.
pub(super) fn judge(file: &Written, around: &Around, findings: &mut Findings) {
    if around.unit == Unit::Agent {
        let rest = format!("{} is a manifest, which servers alone read; write it on a server", quoted(&file.path));
        findings.warn(Code::ManifestOnAgent, file.at(), &rest);
        return;
    }
    let text = file.text.as_deref().unwrap_or_default();
    for (before, document) in manifest::documents(text) {
        match yaml::read(document, OPTIONS) {
            Ok(document) => one(&Manifest { file, root: document.root, before }, around, findings),
            Err(error) => {
                let rest = format!("RKE2 applies nothing of {}, which {}", quoted(&file.path), error.problem);
                findings.error(Code::ManifestInvalid, file.of(&file.key, before + error.line), &rest);
            }
        }
    }
}

fn one(manifest: &Manifest, around: &Around, findings: &mut Findings) {
    if manifest.root.is_null() {
        return;
    }
    if !is_map(&manifest.root) || manifest.text(&["apiVersion"]).is_none() || manifest.text(&["kind"]).is_none() {
        let rest = "is no manifest of Kubernetes, which has apiVersion and kind; write them";
        findings.error(Code::ManifestInvalid, manifest.at(&[]), rest);
        return;
    }
    let is_config = manifest.is("HelmChartConfig");
    if !is_config && !manifest.is("HelmChart") {
        return;
    }
    let kind = if is_config { "HelmChartConfig" } else { "HelmChart" };
    if manifest.text(&["apiVersion"]) != Some("helm.cattle.io/v1") {
        let rest = format!("is not the version of {kind}; write helm.cattle.io/v1");
        findings.error(Code::ManifestInvalid, manifest.at(&["apiVersion"]), &rest);
    }
    match manifest.text(&["metadata", "name"]) {
        None | Some("") => findings.error(
            Code::ManifestInvalid,
            manifest.at(&["metadata", "name"]),
            "is missing; write the name of the chart",
        ),
        Some(name) if is_config => config_name(manifest, name, around, findings),
        Some(name) if CHARTS.contains(&name) => {
            let rest = format!(
                "{} is a chart that RKE2 brings itself, and both would replace each other; write a HelmChartConfig of that name",
                quoted(name)
            );
            findings.error(Code::HelmChartName, manifest.at(&["metadata", "name"]), &rest);
        }
        Some(_) => {}
    }
    let spec = manifest.root.get("spec");
    if !is_config && !["chart", "chartContent"].iter().any(|key| spec.is_some_and(|it| it.get(key).is_some())) {
        findings.error(
            Code::ManifestInvalid,
            manifest.at(&["spec", "chart"]),
            "is missing; write chart, or chartContent",
        );
    }
    for (key, meant) in [
        ("values", "valuesContent, a text with YAML"),
        ("valuesYaml", "valuesContent"),
        ("valueContent", "valuesContent"),
        ("valuescontent", "valuesContent"),
    ] {
        if spec.is_some_and(|it| it.get(key).is_some()) {
            let rest = format!("is not a field of {kind}, so its values have no effect; write {meant}");
            findings.error(Code::HelmValues, manifest.at(&["spec", key]), &rest);
        }
    }
    if let Some(values) = spec.and_then(|it| it.get("valuesContent")).filter(|it| !it.is_null()) {
        let at = manifest.at(&["spec", "valuesContent"]);
        match values.scalar() {
            None => {
                let rest = format!(
                    "is {}, which Kubernetes refuses; write text with YAML, after valuesContent: |-",
                    values.described()
                );
                findings.error(Code::HelmValues, at, &rest);
            }
            Some(scalar) => match yaml::read(&scalar.text, OPTIONS) {
                Ok(document) if is_map(&document.root) || document.root.is_null() => {}
                Ok(document) => {
                    let rest =
                        format!("holds {}; write a mapping with the values of the chart", document.root.described());
                    findings.error(Code::HelmValues, at, &rest);
                }
                Err(error) => {
                    let rest = format!(
                        "the chart is not installed, because line {} of the text {}",
                        error.line, error.problem
                    );
                    findings.error(Code::HelmValues, at, &rest);
                }
            },
        }
    }
}

/// The name of a `HelmChartConfig` is that of the chart that it changes.
fn config_name(manifest: &Manifest, name: &str, around: &Around, findings: &mut Findings) {
    let at = manifest.at(&["metadata", "name"]);
    if !CHARTS.contains(&name) && !around.charts.iter().any(|it| it == name) {
        let rest = match nearest_of(name, &CHARTS).or_else(|| of_rke2(name)) {
            Some(near) => {
                format!("{} is no chart that RKE2 brings, so nothing is changed; did you mean {near}?", quoted(name))
            }
            None => format!(
                "{} is no chart that RKE2 or this cloud-config brings, so nothing is changed; write the name of one",
                quoted(name)
            ),
        };
        findings.warn(Code::HelmChartName, at, &rest);
        return;
    }
    let namespace = manifest.text(&["metadata", "namespace"]).filter(|it| !it.is_empty());
    if CHARTS.contains(&name) && namespace != Some(NAMESPACE) {
        // What has none comes to be in `default` (rancher/wrangler pkg/apply).
        let what = if namespace.is_some() { "is not that of RKE2's charts" } else { "is missing" };
        let rest = format!("{what}, so nothing is changed; write {NAMESPACE}");
        findings.error(Code::HelmChartName, manifest.at(&["metadata", "namespace"]), &rest);
    }
    let used: Vec<String> = around.option("cni").map(|it| it.texts().to_vec()).unwrap_or_default();
    let is_used = |cni: &str| if used.is_empty() { cni == CNI } else { used.iter().any(|it| it == cni) };
    if let Some((_, cni)) = OF_CNI.into_iter().find(|(chart, _)| *chart == name).filter(|(_, cni)| !is_used(cni)) {
        let rest = format!(
            "{} is the chart of the CNI {cni}, which this node does not have; write the one of its cni, or remove the file",
            quoted(name)
        );
        findings.warn(Code::HelmChartName, at, &rest);
    }
}

/// The chart of RKE2 for the name that the program has elsewhere.
fn of_rke2(name: &str) -> Option<&'static str> {
    CHARTS.into_iter().find(|chart| chart.strip_prefix("rke2-") == Some(name))
}
