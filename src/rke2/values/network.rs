//! The CNI, the ranges of pods and Services, addresses, and the names in the server's certificate.

use std::net::IpAddr;

use ipnet::IpNet;

use super::names::is_san;
use super::view::{HOST, Tell, View};
use crate::findings::code::{Code, Severity};
use crate::rke2::Unit;
use crate::rke2::defaults::{CLUSTER_V4, CLUSTER_V6, SERVICE_V4, SERVICE_V6};
use crate::rke2::options::{self, nearest_of};
use crate::text::escape::quoted;

const PODS: &str = "cluster-cidr";
const SERVICES: &str = "service-cidr";
const NODE_IP: &str = "node-ip";

/// One of the words, or multus and one of them (rke2 `pkg/cli/cmds/server.go`).
pub(super) fn cni(view: &View, tell: &mut Tell) {
    let option = "cni";
    let items = view.texts(option);
    let words: Vec<&str> = options::find(option).map(|spec| spec.words(view.version).collect()).unwrap_or_default();
    let mut is_known = true;
    for item in items.iter().filter(|item| !words.contains(&item.as_str())) {
        is_known = false;
        let near = nearest_of(item, &words)
            .map_or_else(|| format!("write one of {}", words.join(", ")), |near| format!("write {near}"));
        let rest = format!("{} is not a CNI of RKE2, which does not start; {near}", quoted(item));
        tell.error(Code::CniInvalid, option, Some(item), rest);
    }
    let count = items.len();
    let is_multus = |at: usize| items.get(at).is_some_and(|item| item == "multus");
    let what = match count {
        _ if !is_known => return,
        1 if is_multus(0) => "is multus alone, which needs another CNI behind it",
        2 if is_multus(1) => "names multus last, which must be first",
        2 if !is_multus(0) => "names two CNIs, of which only multus, as the first, goes with another",
        3.. => "names more than two CNIs",
        _ => return,
    };
    let rest = format!("{what}, so RKE2 does not start; write one, or multus and one");
    tell.error(Code::CniInvalid, option, None, rest);
}

/// What is no range (k3s `pkg/cli/server/server.go`).
pub(super) fn ranges(view: &View, tell: &mut Tell) {
    for option in [PODS, SERVICES] {
        for item in view.texts(option).iter().filter(|item| item.parse::<IpNet>().is_err()) {
            let rest = format!("{} is not an address range; write one such as 10.42.0.0/16", quoted(item));
            tell.error(Code::CidrInvalid, option, Some(item), rest);
        }
    }
}

/// Bits behind the length are dropped without a word.
pub(super) fn host_bits(view: &View, tell: &mut Tell) {
    for option in [PODS, SERVICES] {
        for item in view.texts(option) {
            let Ok(range) = item.parse::<IpNet>() else { continue };
            if range.trunc() != range {
                let network = range.trunc();
                let rest =
                    format!("{} is an address inside the range {network}, which is taken; write that", quoted(item));
                tell.warn(Code::RangeHostBits, option, Some(item), rest);
            }
        }
    }
}

/// Whether the node's first address is IPv6, from which RKE2 takes its defaults (k3s `pkg/util/net.go`); nothing where that is not known.
fn is_v6(view: &View) -> Option<bool> {
    if let Some(first) = view.addresses(NODE_IP).next() {
        return Some(first.is_ipv6());
    }
    let given = ["advertise-address", "bind-address", "cluster-dns", "node-external-ip"];
    let mut addresses = given.iter().flat_map(|name| view.addresses(name)).chain(host(view));
    let is_open = view.is_unknown(NODE_IP) || addresses.any(|it| it.is_ipv6());
    (!is_open).then_some(false)
}

fn host(view: &View) -> Option<IpAddr> {
    view.host?.parse().ok()
}

/// The ranges of an option, or RKE2's default; nothing where they are not known.
fn known(view: &View, option: &str) -> Option<Vec<IpNet>> {
    let (given, is_all) = view.ranges(option);
    if !is_all || !given.is_empty() {
        return Some(given).filter(|_| is_all);
    }
    let default = match (option == PODS, is_v6(view)?) {
        (true, false) => CLUSTER_V4,
        (true, true) => CLUSTER_V6,
        (false, false) => SERVICE_V4,
        (false, true) => SERVICE_V6,
    };
    Some(default.parse().ok().into_iter().collect())
}

fn is_range_v6(range: &IpNet) -> bool {
    matches!(range, IpNet::V6(_))
}

/// IPv4, IPv6 or both, for a person.
fn named(v6: &[bool]) -> &'static str {
    match (v6.contains(&false), v6.contains(&true)) {
        (true, true) => "IPv4 and IPv6",
        (_, true) => "IPv6",
        _ => "IPv4",
    }
}

fn families_of(ranges: &[IpNet]) -> &'static str {
    named(&ranges.iter().map(is_range_v6).collect::<Vec<_>>())
}

/// Pods, Services and the node must be of the same families (k3s `pkg/agent/run.go`), at most one range of each.
pub(super) fn families(view: &View, tell: &mut Tell) {
    for option in [PODS, SERVICES] {
        let (ranges, _) = view.ranges(option);
        let count = |v6: bool| ranges.iter().filter(|it| is_range_v6(it) == v6).count();
        let Some(v6) = [false, true].into_iter().find(|v6| count(*v6) > 1) else { continue };
        let family = if v6 { "IPv6" } else { "IPv4" };
        let (severity, who) = match option {
            SERVICES => (Severity::Error, "the kube-apiserver"),
            _ => (Severity::Warning, "the kube-controller-manager"),
        };
        let rest =
            format!("has {} ranges of {family}, with which {who} does not start; write one of each family", count(v6));
        tell.push(severity, Code::FamiliesDiffer, option, None, rest);
    }
    let (Some(pods), Some(services)) = (known(view, PODS), known(view, SERVICES)) else { return };
    let of_pods = families_of(&pods);
    if of_pods != families_of(&services) {
        let (option, other) = if view.is_given(SERVICES) { (SERVICES, PODS) } else { (PODS, SERVICES) };
        let (own, others) =
            if option == SERVICES { (families_of(&services), of_pods) } else { (of_pods, families_of(&services)) };
        let default = if view.is_given(other) { "" } else { " by default" };
        let rest = format!(
            "is {own}, but {other} is {others}{default}, so RKE2 does not start; write ranges of the same families in both"
        );
        tell.error(Code::FamiliesDiffer, option, None, rest);
        return;
    }
    let nodes: Vec<bool> = view.addresses(NODE_IP).map(|it| it.is_ipv6()).collect();
    let is_missing = |range: &IpNet| !nodes.contains(&is_range_v6(range));
    if !nodes.is_empty() && view.is_given(PODS) && pods.iter().any(is_missing) {
        let own = named(&nodes);
        let rest =
            format!("is {own}, but {PODS} is {of_pods}, so RKE2 does not start; write an address of each family");
        tell.error(Code::FamiliesDiffer, NODE_IP, None, rest);
        return;
    }
    let first = |ranges: &[IpNet]| ranges.first().map(is_range_v6);
    if first(&pods) != first(&services) {
        let rest = format!(
            "names its families in another order than {PODS}, so pods and Services prefer different ones; write the same order"
        );
        tell.warn(Code::FamiliesDiffer, SERVICES, None, rest);
    } else if view.is_given(PODS) && nodes.first().is_some_and(|v6| first(&pods) != Some(*v6)) {
        let rest = format!("names its families in another order than {PODS}; write the same order");
        tell.warn(Code::FamiliesDiffer, NODE_IP, None, rest);
    }
}

/// Whether two ranges share an address.
fn overlaps(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// Nobody refuses ranges that overlap, and nothing that they share is reached.
pub(super) fn overlap(view: &View, tell: &mut Tell) {
    let all = [PODS, SERVICES].map(|option| (option, known(view, option).unwrap_or_default()));
    let [(_, pods), (_, services)] = &all;
    if let Some((pod, service)) =
        pods.iter().flat_map(|a| services.iter().map(move |b| (a, b))).find(|(a, b)| overlaps(a, b))
    {
        let (option, own, other, others) = match view.is_given(SERVICES) {
            true => (SERVICES, service, PODS, pod),
            false => (PODS, pod, SERVICES, service),
        };
        let rest = format!(
            "{own} overlaps {others} of {other}, so some pods or Services are never reached; write ranges apart from each other"
        );
        tell.warn(Code::RangesOverlap, option, None, rest);
    }
    let nodes = [NODE_IP, "advertise-address", "node-external-ip"];
    let addresses = nodes.into_iter().flat_map(|option| view.addresses(option).map(move |it| (option, it)));
    for (place, address) in addresses.chain(host(view).map(|it| (HOST, it))) {
        for (option, ranges) in &all {
            let Some(range) = ranges.iter().find(|range| range.contains(&address)) else { continue };
            let rest = format!(
                "{address} lies in {range} of {option}, so what is at that address is not reached from the cluster; write another range there"
            );
            tell.warn(Code::RangesOverlap, place, None, rest);
        }
    }
}

/// How large a range may be.
pub(super) fn sizes(view: &View, tell: &mut Tell) {
    for item in view.texts(SERVICES) {
        let Ok(range) = item.parse::<IpNet>() else { continue };
        let bits = range.max_prefix_len() - range.prefix_len();
        let text = quoted(item);
        // From 1.34 on only what IP addresses are handed out from is limited (kubernetes `pkg/registry/core/service/ipallocator`).
        if is_range_v6(&range) && range.prefix_len() < 64 {
            let rest = format!(
                "{text} is larger than the kube-apiserver takes, which does not start; write one of /64 to /112"
            );
            tell.error(Code::RangeSize, SERVICES, Some(item), rest);
        } else if bits > 20 && !view.has("1.34") {
            let least = range.max_prefix_len() - 20;
            let severity = if view.version.is_some() { Severity::Error } else { Severity::Warning };
            let rest = format!(
                "{text} is larger than the kube-apiserver takes before 1.34, which does not start; write /{least} or smaller"
            );
            tell.push(severity, Code::RangeSize, SERVICES, Some(item), rest);
        } else if bits < 4 && !view.is_given("cluster-dns") {
            let rest = format!(
                "{text} has no tenth address, which RKE2 needs for the cluster's DNS, so it does not start; write a larger one"
            );
            tell.error(Code::RangeSize, SERVICES, Some(item), rest);
        }
    }
    let sizes_nodes = |item: &String| item.trim_start_matches('-').starts_with("node-cidr-mask-size");
    if view.texts("kube-controller-manager-arg").iter().any(sizes_nodes) {
        return;
    }
    for item in view.texts(PODS) {
        let Ok(range) = item.parse::<IpNet>() else { continue };
        let of_node = if is_range_v6(&range) { 64 } else { 24 };
        let what = match range.prefix_len() {
            length if length > of_node => "smaller than the range of one node",
            length if of_node - length > 16 => "more than 65536 times the range of one node",
            _ => continue,
        };
        let rest = format!(
            "{} is {what} (/{of_node}), so the kube-controller-manager gives none out; write another, or set node-cidr-mask-size",
            quoted(item)
        );
        tell.warn(Code::RangeSize, PODS, Some(item), rest);
    }
}

/// The cluster's DNS is a Service that gets the address; the API server refuses one outside the range.
pub(super) fn dns(view: &View, tell: &mut Tell) {
    let option = "cluster-dns";
    let Some(services) = known(view, SERVICES) else { return };
    for item in view.texts(option) {
        let Ok(address) = item.parse::<IpAddr>() else { continue };
        if !services.iter().any(|range| range.contains(&address)) {
            let ranges: Vec<String> = services.iter().map(ToString::to_string).collect();
            let rest = format!(
                "{} is not in {SERVICES} ({}), so the API server refuses it and the cluster has no DNS; write an address of that range",
                quoted(item),
                ranges.join(", ")
            );
            tell.error(Code::DnsOutside, option, Some(item), rest);
        } else if let Some(range) = services.first().filter(|range| is_taken(range, address)) {
            let rest = format!(
                "{} is not free in {range}, whose first address the Service kubernetes has, so the cluster has no DNS; write another \
                 address of it",
                quoted(item)
            );
            tell.error(Code::DnsOutside, option, Some(item), rest);
        }
    }
}

/// Whether an address is the range itself, or that of the Service kubernetes (kubernetes `pkg/controlplane/services.go`).
fn is_taken(range: &IpNet, address: IpAddr) -> bool {
    match (range.network(), address) {
        (IpAddr::V4(first), IpAddr::V4(it)) => u32::from(it).checked_sub(first.into()).is_some_and(|it| it < 2),
        (IpAddr::V6(first), IpAddr::V6(it)) => u128::from(it).checked_sub(first.into()).is_some_and(|it| it < 2),
        _ => false,
    }
}

/// What the kubelet takes for no address of a node (kubernetes `pkg/kubelet/kubelet_node_status.go`); the unspecified one it does not look at.
fn no_address_of_a_node(address: IpAddr) -> Option<(Severity, &'static str)> {
    let is_link_local = match address {
        IpAddr::V4(it) => it.is_link_local(),
        IpAddr::V6(it) => it.is_unicast_link_local(),
    };
    match address {
        _ if address.is_loopback() => Some((Severity::Error, "a loopback address")),
        _ if address.is_multicast() => Some((Severity::Error, "a multicast address")),
        _ if is_link_local => Some((Severity::Error, "a link-local address")),
        _ if address.is_unspecified() => Some((Severity::Warning, "no address of a single node")),
        _ => None,
    }
}

/// RKE2 starts with several addresses of a family, and uses the first.
pub(super) fn node_ip(view: &View, tell: &mut Tell) {
    for item in view.texts(NODE_IP) {
        let Some((severity, what)) = item.parse().ok().and_then(no_address_of_a_node) else { continue };
        let then =
            if severity == Severity::Error { "which the kubelet refuses" } else { "at which no other reaches it" };
        let rest = format!("{} is {what}, {then}; write an address that other nodes reach", quoted(item));
        tell.push(severity, Code::AddressInvalid, NODE_IP, Some(item), rest);
    }
    let all: Vec<IpAddr> = view.addresses(NODE_IP).collect();
    let is_more = all.iter().any(|a| all.iter().filter(|b| a.is_ipv4() == b.is_ipv4()).count() > 1);
    if is_more {
        let rest = "has several addresses of one family, of which only the first counts; write one of each family";
        tell.warn(Code::AddressInvalid, NODE_IP, None, rest.into());
    }
}

/// The address that the kube-apiserver tells is of the family of the first range of Services (kubernetes `cmd/kube-apiserver/app/options`).
pub(super) fn advertised(view: &View, tell: &mut Tell) {
    let given = ["advertise-address", "node-external-ip", NODE_IP];
    let found = given.into_iter().find_map(|option| Some((option, view.addresses(option).next()?)));
    let (services, _) = view.ranges(SERVICES);
    if let (Some((option, address)), Some(first)) = (found, services.first())
        && is_range_v6(first) != address.is_ipv6()
        && given.iter().all(|option| !view.is_unknown(option))
    {
        let rest = format!(
            "{address} is of another family than {first}, the first of {SERVICES}, with which the kube-apiserver does not start; write both in the same order"
        );
        tell.error(Code::FamiliesDiffer, option, None, rest);
    }
}

/// Since when names with a `*` are in the certificate of port 9345; of the patches before 1.36.3 nobody has seen it.
const WILDCARD: &str = "1.33.13+rke2r2|1.34.10|1.35.7|1.36.3";

/// What is not in the certificate although it is asked for (k3s `pkg/daemons/control/deps/deps.go`).
pub(super) fn sans(view: &View, tell: &mut Tell) {
    let option = "tls-san";
    if view.unit != Unit::Server {
        return;
    }
    for item in view.texts(option).iter().filter(|item| item.parse::<IpAddr>().is_err()) {
        let text = quoted(item);
        let port = item.rsplit_once(':').filter(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok());
        let what = if !item.is_ascii() {
            let rest = format!("{text} is not ASCII, with which RKE2 does not start; write the name with xn--");
            tell.error(Code::SanInvalid, option, Some(item), rest);
            continue;
        } else if item.contains("://") {
            "is a URL; write the host alone"
        } else if item.starts_with('[') {
            "has brackets, so it is no address; write it without them"
        } else if item.contains('/') {
            "is a range or a path; write a name or an address"
        } else if port.is_some() {
            "has a port, with which no certificate is asked for; write the host alone"
        } else if let Some(rest) = item.strip_prefix("*.").filter(|rest| is_san(rest)) {
            if view.lacks(WILDCARD) {
                let version = view.version.map(ToString::to_string).unwrap_or_default();
                let rest = format!(
                    "{text} is left out of the certificate of port 9345 by RKE2 {version}; write the names under {rest}, or use 1.36.3 or later"
                );
                tell.warn(Code::SanWildcard, option, Some(item), rest);
            }
            continue;
        } else if !is_san(item) {
            "is neither a DNS name nor an IP address, so it is left out of the certificate; write one"
        } else {
            continue;
        };
        tell.warn(Code::SanInvalid, option, Some(item), format!("{text} {what}"));
    }
}
