//! What must not go through a proxy: a list whose order is fixed, because a changed value restarts static pods.
//!
//! RKE2 adds to `NO_PROXY` on servers only (k3s `pkg/server/server.go`), and `CONTAINERD_NO_PROXY` replaces it for containerd and the CNI
//! plugins that it runs (rancher/rke2#4924); so the whole list is made here, once for both.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::host::Interface;
use crate::rke2::defaults::{CLUSTER_V4, CLUSTER_V6, DOMAIN, SERVICE_V4, SERVICE_V6};

/// Where pods and Services are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Networks {
    /// The ranges of pods; empty is RKE2's default.
    pub cluster: Vec<String>,
    /// The ranges of Services; empty is RKE2's default.
    pub service: Vec<String>,
    /// The suffix of names in the cluster; empty is RKE2's default.
    pub domain: String,
}

/// Interfaces that the node itself, containers or a CNI made: by a beginning of the name, `lo` whole.
const INTERNAL: [&str; 17] = [
    "docker", "br-", "cni", "flannel", "cali", "cilium", "lxc", "veth", "vxlan", "kube-ipvs", "nodelocaldns", "virbr",
    "tunl", "wireguard", "antrea", "podman", "lo:",
];

/// Whether a text is an address range, as RKE2 takes it.
pub(crate) fn is_cidr(text: &str) -> bool {
    text.parse::<IpNet>().is_ok()
}

/// The ranges of an option, split at commas as RKE2 does, without the empty ones.
pub(crate) fn items(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The networks of the node: of every global unicast address of an interface that leads out of it, but for the address that equals the
/// control plane host, which may be one that moves; where it is the only one of its family it is the node's own. IPv4 before IPv6, in numeric order, each once.
pub fn node_networks(interfaces: &[Interface], control_plane_host: Option<&str>) -> Vec<IpNet> {
    let moving = control_plane_host.and_then(|host| host.parse::<IpAddr>().ok());
    let global: Vec<IpNet> = outward(interfaces).map(|it| it.address).collect();
    let moves = |it: &IpNet| Some(it.addr()) == moving;
    let is_own =
        moving.is_some_and(|moving| global.iter().filter(|it| it.addr().is_ipv4() == moving.is_ipv4()).all(moves));
    // In ipnet's order IPv4 comes before IPv6.
    let mut networks: Vec<IpNet> = global.iter().filter(|it| is_own || !moves(it)).map(IpNet::trunc).collect();
    networks.sort_unstable();
    networks.dedup();
    networks
}

/// How long there has been no new address among those of [`node_networks`]; nothing if there is none, or if nobody knows.
pub fn quiet(interfaces: &[Interface]) -> Option<Duration> {
    outward(interfaces).map(|it| it.age).min().flatten()
}

/// The global unicast addresses of interfaces that lead out of the node.
fn outward(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    interfaces.iter().filter(|it| !is_internal(&it.name) && is_global(it.address.addr()))
}

fn is_internal(interface: &str) -> bool {
    interface == "lo" || INTERNAL.iter().any(|beginning| interface.starts_with(beginning))
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            !(it.is_unspecified()
                || it.is_loopback()
                || it.is_link_local()
                || it.is_multicast()
                || it.is_broadcast()
                || it.octets().first() == Some(&0))
        }
        IpAddr::V6(it) => !(it.is_unspecified() || it.is_loopback() || it.is_unicast_link_local() || it.is_multicast()),
    }
}

/// The length of a domain name, at most (RFC 1035, 2.3.4).
const LONGEST_DOMAIN: usize = 253;

/// The value of `NO_PROXY`.
///
/// In this order, each entry once: the node itself, pods, Services, `nodes`, the control plane host, names of Services, the cluster's
/// domain, what the `user` wrote. Addresses and ranges are canonical, names in lower case, blanks gone. If all that the user wrote is `*`,
/// that is the value.
pub fn value(networks: &Networks, control_plane_host: Option<&str>, nodes: &[IpNet], user: &[&str]) -> String {
    let user: Vec<&str> = user.iter().flat_map(|text| entries(text)).collect();
    if !user.is_empty() && user.iter().all(|entry| *entry == "*") {
        return "*".into();
    }
    let only_v6 = !nodes.is_empty() && nodes.iter().all(|it| matches!(it, IpNet::V6(_)));
    let or_default = |given: &[String], v4: &str, v6: &str| {
        let known: Vec<String> = given.iter().filter(|text| !text.contains("{{")).cloned().collect();
        if known.is_empty() { vec![if only_v6 { v6 } else { v4 }.to_owned()] } else { known }
    };
    let domain = match networks.domain.trim_matches('.') {
        given if given.len() <= LONGEST_DOMAIN && given.split('.').all(is_label) => given,
        // A template, or what RKE2 does not take either.
        _ => DOMAIN,
    };
    let mut list: Vec<String> = ["127.0.0.0/8", "::1", "localhost"].map(str::to_owned).into();
    list.extend(or_default(&networks.cluster, CLUSTER_V4, CLUSTER_V6));
    list.extend(or_default(&networks.service, SERVICE_V4, SERVICE_V6));
    list.extend(
        nodes
            .iter()
            .map(|it| if it.prefix_len() == it.max_prefix_len() { it.addr().to_string() } else { it.to_string() }),
    );
    list.extend(control_plane_host.map(str::to_owned));
    let mut service = ".svc".to_owned();
    list.push(service.clone());
    for label in domain.split('.') {
        service = format!("{service}.{label}");
        list.push(service.clone());
    }
    list.push(format!(".{domain}"));
    list.extend(user.into_iter().map(str::to_owned));
    let mut seen = HashSet::new();
    // A host that a node with state runs with may be anything, a range that is none too.
    let all = list.iter().flat_map(|text| entries(text)).map(canonical);
    all.filter(|entry| seen.insert(entry.clone())).collect::<Vec<_>>().join(",")
}

/// The entries of a list as people write it: with commas, blanks, or both.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn canonical(entry: &str) -> String {
    if let Ok(network) = entry.parse::<Ipv4Net>() {
        return network.trunc().to_string();
    }
    if let Ok(network) = entry.parse::<Ipv6Net>() {
        return network.trunc().to_string();
    }
    entry.parse::<IpAddr>().map_or_else(|_| entry.to_lowercase(), |address| address.to_string())
}
