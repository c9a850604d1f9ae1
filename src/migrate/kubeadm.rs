//! kubeadm's configuration (kubernetes `cmd/kubeadm/app/apis/kubeadm/v1beta3` and `v1beta4`, and the keys of kairos-io/provider-kubeadm) as
//! options of RKE2.

use std::fmt::Write as _;

use super::facts::Facts;
use super::sheet::{Sheet, get, indented, items, left, option, text, texts};
use super::written_out;
use crate::cluster::role::Role;
use crate::rke2::options;
use crate::text::yaml::OPTIONS;
use crate::text::yaml::marks::{Marked, What};

/// The kinds of documents, by the first letters in lower case that make them keys of a section.
const KINDS: [&str; 5] = [
    "ClusterConfiguration", "InitConfiguration", "JoinConfiguration", "KubeletConfiguration", "KubeProxyConfiguration",
];

/// What becomes of a field.
#[derive(Clone, Copy)]
enum To {
    /// An option of RKE2: one value, or a list.
    Option(&'static str),
    /// A flag in an option of RKE2.
    Flag(&'static str, &'static str),
    /// Flags and their values.
    Flags(&'static str),
    /// Objects, each as one text.
    Objects(&'static str, fn(&Marked) -> Option<String>),
    /// Where the cluster is.
    Host,
    /// What nodes join with.
    Token,
    /// Nothing, and nothing is lost.
    Nothing(&'static str),
}

const OWN: &str = "RKE2 decides it by itself";
const IMAGE: &str = "the image has one version of RKE2";
const TOKENS: &str = "nodes of RKE2 join with cluster_token alone";

const ROWS: [(&str, To); 58] = [
    ("networking.podSubnet", To::Option("cluster-cidr")),
    ("networking.serviceSubnet", To::Option("service-cidr")),
    ("networking.dnsDomain", To::Option("cluster-domain")),
    ("controlPlaneEndpoint", To::Host),
    ("discovery.bootstrapToken.apiServerEndpoint", To::Host),
    ("discovery.bootstrapToken.token", To::Token),
    ("apiServer.certSANs", To::Option("tls-san")),
    ("apiServer.extraArgs", To::Flags("kube-apiserver-arg")),
    ("apiServer.extraVolumes", To::Objects("kube-apiserver-extra-mount", mount)),
    ("apiServer.extraEnvs", To::Objects("kube-apiserver-extra-env", variable)),
    ("controllerManager.extraArgs", To::Flags("kube-controller-manager-arg")),
    ("controllerManager.extraVolumes", To::Objects("kube-controller-manager-extra-mount", mount)),
    ("controllerManager.extraEnvs", To::Objects("kube-controller-manager-extra-env", variable)),
    ("scheduler.extraArgs", To::Flags("kube-scheduler-arg")),
    ("scheduler.extraVolumes", To::Objects("kube-scheduler-extra-mount", mount)),
    ("scheduler.extraEnvs", To::Objects("kube-scheduler-extra-env", variable)),
    ("etcd.local.extraArgs", To::Flags("etcd-arg")),
    ("etcd.local.extraEnvs", To::Objects("etcd-extra-env", variable)),
    ("etcd.external.endpoints", To::Option("datastore-endpoint")),
    ("etcd.external.caFile", To::Option("datastore-cafile")),
    ("etcd.external.certFile", To::Option("datastore-certfile")),
    ("etcd.external.keyFile", To::Option("datastore-keyfile")),
    ("nodeRegistration.name", To::Option("node-name")),
    ("nodeRegistration.taints", To::Objects("node-taint", taint)),
    ("nodeRegistration.kubeletExtraArgs.node-ip", To::Option("node-ip")),
    ("nodeRegistration.kubeletExtraArgs.node-labels", To::Option("node-label")),
    ("nodeRegistration.kubeletExtraArgs", To::Flags("kubelet-arg")),
    ("localAPIEndpoint.advertiseAddress", To::Option("advertise-address")),
    ("controlPlane.localAPIEndpoint.advertiseAddress", To::Option("advertise-address")),
    ("maxPods", To::Flag("kubelet-arg", "max-pods")),
    ("podPidsLimit", To::Flag("kubelet-arg", "pod-max-pids")),
    ("readOnlyPort", To::Flag("kubelet-arg", "read-only-port")),
    ("protectKernelDefaults", To::Flag("kubelet-arg", "protect-kernel-defaults")),
    ("eventRecordQPS", To::Flag("kubelet-arg", "event-qps")),
    ("cpuManagerPolicy", To::Flag("kubelet-arg", "cpu-manager-policy")),
    ("topologyManagerPolicy", To::Flag("kubelet-arg", "topology-manager-policy")),
    ("containerLogMaxSize", To::Flag("kubelet-arg", "container-log-max-size")),
    ("containerLogMaxFiles", To::Flag("kubelet-arg", "container-log-max-files")),
    ("imageGCHighThresholdPercent", To::Flag("kubelet-arg", "image-gc-high-threshold")),
    ("imageGCLowThresholdPercent", To::Flag("kubelet-arg", "image-gc-low-threshold")),
    ("tlsMinVersion", To::Flag("kubelet-arg", "tls-min-version")),
    ("tlsCipherSuites", To::Flag("kubelet-arg", "tls-cipher-suites")),
    ("clusterDNS", To::Option("cluster-dns")),
    ("clusterDomain", To::Option("cluster-domain")),
    ("mode", To::Flag("kube-proxy-arg", "proxy-mode")),
    ("ipvs.strictARP", To::Flag("kube-proxy-arg", "ipvs-strict-arp")),
    ("kubernetesVersion", To::Nothing(IMAGE)),
    ("clusterName", To::Nothing("RKE2 gives its clusters no name")),
    ("certificatesDir", To::Nothing(OWN)),
    ("cgroupDriver", To::Nothing(OWN)),
    ("nodeRegistration.criSocket", To::Nothing("RKE2 brings its own containerd")),
    ("localAPIEndpoint.bindPort", To::Nothing("the port of RKE2's kube-apiserver is always 6443")),
    ("controlPlane.localAPIEndpoint.bindPort", To::Nothing("the port of RKE2's kube-apiserver is always 6443")),
    ("bootstrapTokens", To::Nothing(TOKENS)),
    ("certificateKey", To::Nothing(TOKENS)),
    ("controlPlane.certificateKey", To::Nothing(TOKENS)),
    ("discovery.bootstrapToken.caCertHashes", To::Nothing("the full form of an RKE2 token names the CA")),
    ("discovery.bootstrapToken.unsafeSkipCAVerification", To::Nothing("the full form of an RKE2 token names the CA")),
];

fn field<'m>(object: &'m Marked, name: &str) -> Option<&'m str> {
    get(object, name).and_then(text)
}

fn mount(object: &Marked) -> Option<String> {
    let mode = if field(object, "readOnly") == Some("true") { ":ro" } else { "" };
    Some(format!("{}:{}{mode}", field(object, "hostPath")?, field(object, "mountPath")?))
}

fn variable(object: &Marked) -> Option<String> {
    Some(format!("{}={}", field(object, "name")?, field(object, "value")?))
}

fn taint(object: &Marked) -> Option<String> {
    let value = field(object, "value").filter(|it| !it.is_empty()).map(|it| format!("={it}")).unwrap_or_default();
    Some(format!("{}{value}:{}", field(object, "key")?, field(object, "effect")?))
}

/// A value for an option, with what was written around it.
struct Given {
    comments: String,
    value: String,
    remark: String,
}

/// What comes of all documents.
#[derive(Default)]
struct Options {
    /// By name, in the order of their first value.
    given: Vec<(&'static str, Vec<Given>)>,
    /// Comments that belong to what comes next.
    comments: String,
    /// What is not carried over.
    left: String,
}

impl Options {
    fn give(&mut self, name: &'static str, values: Vec<String>, remark: &str) {
        let at = self.given.iter().position(|(it, _)| *it == name).unwrap_or_else(|| {
            self.given.push((name, Vec::new()));
            self.given.len() - 1
        });
        let Some((_, given)) = self.given.get_mut(at) else { return };
        for value in values {
            let comments = std::mem::take(&mut self.comments);
            given.push(Given { comments, value, remark: remark.to_owned() });
        }
    }

    /// Whether an option has a flag.
    fn has(&self, name: &str, flag: &str) -> bool {
        let given = self.given.iter().filter(|(it, _)| *it == name).flat_map(|(_, given)| given);
        given.into_iter().any(|it| it.value.split('=').next() == Some(flag))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, given) in &self.given {
            let is_list = options::find(name).is_some_and(options::Spec::is_list);
            let mut lines = String::new();
            for it in given {
                let written = option(name, std::slice::from_ref(&it.value));
                let value = written.trim_end().lines().last().unwrap_or_default();
                lines += &indented(&it.comments, if is_list { 2 } else { 0 });
                let _ = writeln!(lines, "{value}{}", it.remark);
            }
            if is_list {
                let _ = writeln!(text, "{name}:");
            }
            text += &lines;
        }
        text += &self.comments;
        if !self.left.is_empty() {
            text += "# not carried over from kubeadm:\n";
            text += &self.left;
        }
        text
    }
}

/// One document, or one key of kairos-io/provider-kubeadm.
struct Part<'s> {
    kind: &'static str,
    path: String,
    /// The line from which on its comments stand.
    first: usize,
    node: &'s Marked,
}

/// The parts of a document; nothing if it is none of kubeadm's.
fn parts(root: &Marked) -> Option<Vec<Part<'_>>> {
    let version = field(root, "apiVersion").unwrap_or_default();
    if let Some(kind) = field(root, "kind").and_then(|kind| KINDS.into_iter().find(|it| *it == kind)) {
        return version.contains(".k8s.io/").then(|| vec![Part { kind, path: kind.to_owned(), first: 0, node: root }]);
    }
    let What::Map(entries) = &root.kind else { return None };
    let mut parts = Vec::new();
    for (place, node) in entries {
        let key = text(place)?;
        let first = if parts.is_empty() { 0 } else { place.start.line };
        // The key of a kind begins in lower case.
        let is_of_key = |kind: &str| kind.eq_ignore_ascii_case(key) && kind.get(1..) == key.get(1..);
        let kind = KINDS.into_iter().find(|kind| is_of_key(kind))?;
        parts.push(Part { kind, path: key.to_owned(), first, node });
    }
    Some(parts)
}

/// The documents of a text, as sheets. Nothing if the text is not of kubeadm.
fn sheets(source: &str) -> Option<Vec<Sheet>> {
    let mut texts = vec![String::new()];
    for line in source.split_inclusive('\n') {
        match texts.last_mut() {
            Some(_) if line.trim_end() == "---" => texts.push(String::new()),
            Some(text) => text.push_str(line),
            None => {}
        }
    }
    let sheets: Vec<Sheet> = texts
        .into_iter()
        .filter_map(|text| {
            Sheet::new(&written_out::of(&text, OPTIONS).ok().flatten().map_or(text, |it| it.text), OPTIONS)
        })
        .collect();
    let is_all = !sheets.is_empty() && sheets.iter().all(|sheet| parts(&sheet.root).is_some_and(|it| !it.is_empty()));
    is_all.then_some(sheets)
}

/// Whether a text is a configuration of kubeadm.
pub(super) fn is_of(source: &str) -> bool {
    sheets(source).is_some()
}

/// Options of RKE2 in place of kubeadm's documents; nothing if there are none.
pub(super) fn convert(source: &str, facts: &mut Facts) -> Option<String> {
    let sheets = sheets(source)?;
    facts.is_kubeadm = true;
    facts.say("", "is now for RKE2, which takes nothing over from a node of kubeadm; install the nodes anew and move the workloads");
    let mut all: Vec<(&Sheet, Part)> = sheets
        .iter()
        .flat_map(|sheet| parts(&sheet.root).into_iter().flatten().map(move |part| (sheet, part)))
        .collect();
    // What the command line of a program says counts more than its file.
    all.sort_by_key(|(_, part)| part.kind.starts_with("Kube"));
    if facts.role.is_none() {
        let joins = all.iter().find(|(_, part)| part.kind == "JoinConfiguration");
        let founds = all.iter().any(|(_, part)| matches!(part.kind, "ClusterConfiguration" | "InitConfiguration"));
        facts.role = match joins {
            Some((_, part)) if !founds && get(part.node, "controlPlane").is_some() => Some(Role::ControlPlane),
            Some(_) if !founds => Some(Role::Worker),
            _ => Some(Role::Init),
        };
    }
    let joins = facts.role.is_some_and(Role::joins);
    let mut options = Options::default();
    for (sheet, part) in all {
        let is_of_role = !matches!((part.kind, joins), ("InitConfiguration", true) | ("JoinConfiguration", false));
        if !is_of_role {
            let what = if joins { "the node joins" } else { "the node founds the cluster" };
            facts.say(&part.path, &format!("is left out, because {what}"));
            continue;
        }
        let mut leaves = Vec::new();
        collect(part.node, &mut Vec::new(), &mut leaves);
        let mut line = part.first;
        for leaf in leaves {
            let lines = sheet.range(leaf.0.start, leaf.1.end.max(leaf.0.end));
            options.comments += &comments(sheet, line..lines.start.max(line));
            line = lines.end.max(line);
            take(sheet, &part, &leaf.2, leaf.1, &mut options, facts);
        }
        options.comments += &comments(sheet, line..sheet.range(part.node.start, part.node.end).end.max(line));
    }
    Some(options.text())
}

/// The comments in lines, without indentation.
fn comments(sheet: &Sheet, lines: std::ops::Range<usize>) -> String {
    let of = |line: usize| {
        let text = sheet.written(line..line + 1);
        let text = text.trim();
        let at = if text.starts_with('#') { Some(0) } else { text.find(" #").map(|at| at + 1) };
        at.and_then(|at| text.get(at..)).map(|it| format!("{it}\n"))
    };
    lines.filter_map(of).collect()
}

type Leaf<'s> = (&'s Marked, &'s Marked, Vec<&'s str>);

/// What is no mapping, or an empty one, with its key and path.
fn collect<'s>(node: &'s Marked, path: &mut Vec<&'s str>, leaves: &mut Vec<Leaf<'s>>) {
    let What::Map(entries) = &node.kind else { return };
    for (key, value) in entries {
        let Some(name) = text(key) else { continue };
        path.push(name);
        match &value.kind {
            What::Map(inner) if !inner.is_empty() => collect(value, path, leaves),
            _ => leaves.push((key, value, path.clone())),
        }
        path.pop();
    }
}

fn row(path: &str) -> Option<To> {
    ROWS.iter().find(|(it, _)| *it == path).map(|(_, to)| *to)
}

/// One field.
fn take(sheet: &Sheet, part: &Part, path: &[&str], value: &Marked, options: &mut Options, facts: &mut Facts) {
    let whole = path.join(".");
    let (last, above) = path.split_last().map(|(last, above)| (*last, above.join("."))).unwrap_or_default();
    let is_empty = text(value).is_none_or(|it| matches!(it, "" | "~" | "null")) && items(value).is_empty();
    if matches!(whole.as_str(), "apiVersion" | "kind") || is_empty {
        return;
    }
    if part.kind == "KubeletConfiguration" && matches!(text(value), Some("0" | "0s" | "\"0\"")) {
        return facts
            .say(&part.path, "has fields that are zero, which are left out; the kubelet takes its defaults for them");
    }
    let remark = sheet.remark(value);
    let values = || texts(value).into_iter().map(ToOwned::to_owned).collect::<Vec<String>>();
    let mut named = whole.as_str();
    let (name, values) = match (row(&whole), row(&above)) {
        (Some(To::Option(name)), _) if options::find(name).is_some_and(options::Spec::is_list) => {
            let split = values().iter().flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect();
            (name, split)
        }
        (Some(To::Option(name)), _) => (name, vec![values().join(",")]),
        (Some(To::Flag(name, flag)), _) => {
            if options.has(name, flag) {
                let rest = format!("is left out, because the flag {flag} is given too and counts");
                return facts.say(&format!("{}.{whole}", part.path), &rest);
            }
            (name, vec![format!("{flag}={}", values().join(","))])
        }
        (Some(To::Objects(name, of)), _) => (name, items(value).iter().filter_map(of).collect()),
        (Some(To::Flags(name)), _) => (name, items(value).iter().filter_map(variable).collect()),
        (None, Some(To::Flags(name))) => {
            named = &above;
            (name, vec![format!("{last}={}", values().join(","))])
        }
        (Some(To::Token), _) => {
            facts.other_token = values().pop();
            return facts
                .say(&format!("{}.{whole}", part.path), "is left out here; nodes of RKE2 join with cluster_token");
        }
        (Some(To::Host), _) => {
            let Some(host) = values().pop().and_then(|it| facts.host_of(&it)) else { return };
            if facts.host.as_ref().is_some_and(|it| *it != host) {
                facts
                    .say(&format!("{}.{whole}", part.path), "is now in tls-san, because control_plane_host is another");
                options.give("tls-san", vec![host], &remark);
            } else {
                facts.say(&format!("{}.{whole}", part.path), "is control_plane_host; RKE2 needs no other name for it");
                facts.other_host = Some(host);
            }
            return;
        }
        (Some(To::Nothing(why)), _) => {
            return facts.say(&format!("{}.{whole}", part.path), &format!("is left out; {why}"));
        }
        (None, _) => {
            facts.say(
                &format!("{}.{whole}", part.path),
                "is a comment now, because this program knows nothing like it in RKE2",
            );
            options.left += &left(&format!("{}.{whole}", part.path), &sheet.slice(value));
            return;
        }
    };
    facts.say(&format!("{}.{named}", part.path), &format!("is now {name}; RKE2 calls it so"));
    options.give(name, values, &remark);
}
