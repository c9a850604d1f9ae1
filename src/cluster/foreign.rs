//! Whether `cluster.config` is the configuration of another program: one finding, in place of one for each of its keys.

use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::At;
use crate::rke2::options::{self, Class};
use crate::text::yaml::{Key, Node};

/// Programs, keys that only they have, and how many of those make it certain.
const PROGRAMS: [(&str, &[&str], usize); 7] = [
    (
        // kubernetes cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go, and the keys of kairos-io/provider-kubeadm
        "kubeadm",
        &[
            "clusterConfiguration", "initConfiguration", "joinConfiguration", "kubeletConfiguration",
            "kubeProxyConfiguration",
        ],
        1,
    ),
    (
        "kubeadm",
        &[
            "kubernetesVersion", "controlPlaneEndpoint", "networking", "apiServer", "controllerManager", "scheduler",
            "nodeRegistration", "localAPIEndpoint", "discovery", "imageRepository",
        ],
        2,
    ),
    (
        // canonical/k8s-snap src/k8s/api/v1, BootstrapConfig
        "Canonical Kubernetes",
        &[
            "cluster-config", "control-plane-taints", "pod-cidr", "disable-rbac", "k8s-dqlite-port", "extra-sans",
            "datastore-type", "containerd-base-dir", "secure-port", "extra-node-kube-apiserver-args",
            "extra-node-kubelet-args", "extra-node-config-files",
        ],
        2,
    ),
    ("Canonical Kubernetes", &["cluster-config", "k8s-dqlite-port", "extra-node-kube-apiserver-args"], 1),
    // siderolabs/talos, v1alpha1 Config
    ("Talos", &["machine", "cluster"], 2),
    // rancher/rke, cluster.yml
    ("RKE1", &["nodes", "services", "addons", "ingress"], 2),
    // canonical/microk8s, launch configurations
    ("MicroK8s", &["addons", "extraKubeAPIServerArgs", "extraKubeletArgs", "extraSANs", "persistentClusterToken"], 2),
];

/// It shares most of its options with RKE2.
const K3S: &str = "k3s";

/// How many options of k3s that RKE2 drops make it a configuration of k3s, unless options that k3s does not have stand beside them.
const DROPPED: usize = 2;

/// Options that k3s does not have; so are the images, mounts and environments of the control plane.
const OF_RKE2: [&str; 12] = [
    "audit-policy-file", "cloud-provider-config", "cloud-provider-name", "cni", "enable-servicelb",
    "ingress-controller", "kubelet-path", "node-name-from-cloud-provider-metadata",
    "pod-security-admission-config-file", "prime", "profile", "write-kubeconfig-name",
];
const OF_ITS_PODS: [&str; 5] =
    ["-extra-env", "-extra-mount", "-image", "-probe-configuration", "control-plane-resource-"];

/// The program whose configuration this is.
pub(super) fn program(entries: &[(Key, Node)]) -> Option<&'static str> {
    let has = |name: &str| entries.iter().any(|(key, _)| key.scalar.text == name);
    let version = entries.iter().find(|(key, _)| key.scalar.text == "apiVersion").and_then(|(_, node)| node.scalar());
    if let Some(version) = version {
        return Some(match version.text.split('/').next().unwrap_or_default() {
            "kubeadm.k8s.io" => "kubeadm",
            _ if has("kind") => "Kubernetes (a manifest)",
            _ => return None,
        });
    }
    let found = PROGRAMS.iter().find(|(_, keys, least)| keys.iter().filter(|key| has(key)).count() >= *least);
    let is_dropped =
        |(key, _): &&(Key, Node)| options::find(&key.scalar.text).is_some_and(|spec| spec.class == Class::Dropped);
    let is_of_rke2 = |(key, _): &(Key, Node)| {
        let name = key.scalar.text.trim_end_matches('+');
        let is_of_its_pods = || OF_ITS_PODS.iter().any(|it| name.contains(it)) && options::find(name).is_some();
        OF_RKE2.contains(&name) || (!matches!(name, "helm-job-image" | "pause-image") && is_of_its_pods())
    };
    let is_k3s = || {
        let dropped = entries.iter().filter(is_dropped).count();
        dropped >= DROPPED && (dropped * 2 > entries.len() || !entries.iter().any(is_of_rke2))
    };
    found.map(|(program, ..)| *program).or_else(|| is_k3s().then_some(K3S))
}

/// Tells it, in place of what was found of each key.
pub(super) fn tell(program: &str, at: At, findings: &mut Findings) {
    let path = at.path.clone();
    let is_of_key = |code| matches!(code, Code::OptionUnknown | Code::OptionNested | Code::OptionDropped);
    findings.retain(|it| !(is_of_key(it.code) && path.steps().eq(it.path.steps().take(2))));
    let taken = if program == K3S { "leaves a part out" } else { "takes nothing" };
    let rest = format!(
        "is the configuration of {program}, of which RKE2 {taken}; write RKE2's options, such as tls-san, cni or \
         cluster-cidr, by name"
    );
    findings.error(Code::OptionsOfOther, at, &rest);
}
