//! What is wrong with the values of RKE2's options, for the version that reads them.
//!
//! [`RULES`] is the table: each row looks at one thing. A rule is an error where RKE2, the kubelet or the API server refuses what is asked, and
//! a warning where they take it for something else than was meant, or where nobody has seen what they do.

mod components;
mod forms;
mod names;
mod network;
mod node;
mod pods;
mod schedule;
mod storage;
mod versions;
pub(crate) mod view;

pub(crate) use node::wrong_name;
use view::{Tell, Told, View};

use super::drop_in::{DropIn, Value};
use super::options::{self, Class, Kind};

/// A rule: looks at the options and says what is wrong.
type Rule = fn(&View, &mut Tell);

/// All rules, in the order in which they speak.
const RULES: &[Rule] = &[
    versions::options,
    versions::profile,
    versions::ingress_variable,
    forms::all,
    network::cni,
    network::ranges,
    network::host_bits,
    network::families,
    network::overlap,
    network::sizes,
    network::dns,
    network::node_ip,
    network::advertised,
    network::sans,
    node::name,
    node::labels,
    node::taints,
    pods::resources,
    pods::probes,
    pods::mounts,
    pods::variables,
    pods::arguments,
    schedule::snapshots,
    schedule::intervals,
    storage::s3,
    storage::datastore,
    components::ingress,
    components::charts,
    components::kube_proxy,
    components::cloud_provider,
    components::none_left,
    components::etcd_off,
    components::registry,
    components::embedded_registry,
    components::no_effect,
    components::selinux,
];

/// Judges the options of a node.
pub(crate) fn judge(view: &View) -> Vec<Told> {
    let mut tell = Tell::default();
    for rule in RULES {
        rule(view, &mut tell);
    }
    tell.0
}

/// Two drop-ins as one: items of lists that are not replaced add up. Nothing where there is only one.
pub(crate) fn merged(first: &DropIn, second: &DropIn) -> Option<DropIn> {
    if second.is_empty() {
        return None;
    }
    let mut merged = first.clone();
    for (name, value) in second {
        let adds = options::find(name).is_some_and(|spec| spec.class == Class::Append);
        match (merged.iter_mut().find(|(it, _)| it == name), value) {
            (Some((_, Value::List(list))), Value::List(more)) if adds => list.extend(more.iter().cloned()),
            (Some((_, earlier)), value) => *earlier = value.clone(),
            (None, value) => merged.push((name.clone(), value.clone())),
        }
    }
    Some(merged)
}

/// Whether an option of this name, as it is written, is judged by the version.
pub(crate) fn asks_for_version(written: &str) -> bool {
    let Some(spec) = options::of_key(written) else { return false };
    spec.since.contains('.') && !spec.since.starts_with("<=")
        || [spec.allowed, spec.default].iter().any(|words| words.contains(['@', '<']))
        || spec.kind == Kind::Argument
        || versions::JUDGED.contains(&spec.name)
}
