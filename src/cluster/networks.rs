//! Where pods and Services are, as the options of either role name it; for what must not go through a proxy.

use std::net::Ipv6Addr;

use super::cloud_config::Options;
use super::provider::Provider;
use super::reader::{self, Reader};
use super::role::Role;
use crate::environment::Networks;
use crate::environment::no_proxy::{self, is_cidr};
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::findings::path::At;
use crate::rke2::Unit;
use crate::rke2::defaults::{CLUSTER_V6, SERVICE_V6};
use crate::rke2::drop_in::Place;
use crate::text::escape::quoted;
use crate::text::yaml::{Key, Kind, Node};

/// A text and where it stands.
type Given = Vec<(At, String)>;

/// Reads what `config` and `providerConfig` name; the latter counts last, as its drop-in does. What is no CIDR is told.
pub(crate) fn read(reader: &mut Reader, provider: &Provider, role: Role) -> Networks {
    let (place, entries) = match &reader.section.options {
        Options::Read(place, document) => (*place, document.root.entries()),
        _ => (Place::Here, &[][..]),
    };
    let config = entries.iter().map(|(key, node)| ("config", place, key, node));
    let provider = provider.entries.iter().map(|(key, node)| (provider.key, Place::Here, *key, *node));
    let all: Vec<_> = config.chain(provider).collect();
    let given = |name: &str| given(&all, name);
    let (cluster, service, domain) = (given("cluster-cidr"), given("service-cidr"), given("cluster-domain"));
    // RKE2's defaults are of the family of its first node address (k3s `pkg/util/net.go`).
    let is_v6 = given("node-ip").first().is_some_and(|(_, text)| text.parse::<Ipv6Addr>().is_ok());
    let or_default = |given: &Given, default: &str| match given.is_empty() && is_v6 {
        true => vec![default.to_owned()],
        false => given.iter().map(|(_, text)| text.clone()).collect(),
    };
    let networks = Networks {
        cluster: or_default(&cluster, CLUSTER_V6),
        service: or_default(&service, SERVICE_V6),
        domain: domain.last().map(|(_, text)| text.clone()).unwrap_or_default(),
    };
    // On a server the values of options are judged all together.
    let of_agents = [cluster, service].into_iter().flatten().filter(|_| role.unit() == Unit::Agent);
    for (at, text) in of_agents.filter(|(_, text)| !text.contains("{{")) {
        judge(at, &text, Unit::Agent, reader.findings);
    }
    networks
}

/// Tells what is no address range.
pub(crate) fn judge(at: At, text: &str, unit: Unit, findings: &mut Findings) {
    if !is_cidr(text) {
        // On an agent only the proxy environment is made of it.
        let severity = if unit == Unit::Server { Severity::Error } else { Severity::Warning };
        let rest = format!("{} is not an address range; write one such as 10.42.0.0/16", quoted(text));
        findings.push(severity, Code::CidrInvalid, at, &rest);
    }
}

/// What an option is given, `+` added.
fn given(all: &[(&str, Place, &Key, &Node)], name: &str) -> Given {
    let mut given = Given::new();
    for (holder, place, key, node) in all {
        let written = key.scalar.text.as_str();
        let is_added = written.strip_suffix('+') == Some(name);
        if !is_added && written != name {
            continue;
        }
        let texts = texts(node);
        if !is_added && !texts.is_empty() {
            given.clear();
        }
        let at = place.at(&reader::path(holder).key(name), key.line);
        given.extend(texts.into_iter().map(|text| (at.clone(), text)));
    }
    given
}

/// The texts of a single value or a flat list, split at commas, without the empty ones. A comma inside a template is none of them.
fn texts(node: &Node) -> Vec<String> {
    let scalars: Vec<String> = match &node.kind {
        Kind::Scalar(scalar) => vec![scalar.yaml11().printed()],
        _ => node.items().iter().filter_map(Node::scalar).map(|it| it.yaml11().printed()).collect(),
    };
    let split = |text: String| match text.contains("{{") {
        true => vec![text],
        false => no_proxy::items(&text),
    };
    scalars.into_iter().flat_map(split).collect()
}
