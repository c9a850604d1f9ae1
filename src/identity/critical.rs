//! The options that all servers of a cluster must have alike, by their meaning: two ways of writing the same value are equal, and what is not
//! given is RKE2's default.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::rke2::Unit;
use crate::rke2::defaults::{self, CLUSTER_V4, CLUSTER_V6, CNI, SERVICE_V4, SERVICE_V6};
use crate::rke2::drop_in::{self, DropIn, Value};
use crate::rke2::options::{self, Class, Spec};
use crate::text::collected;
use crate::text::emit;
use crate::text::yaml::Yaml11;

/// Values by option. One that is missing is not known, such as one that yip has not evaluated yet.
pub(crate) type Critical = BTreeMap<String, String>;

/// Those of which a change breaks a cluster that runs.
pub(crate) const DECISIVE: [&str; 4] = ["cluster-cidr", "service-cidr", "cluster-domain", "cni"];

/// What is kept of a secret one.
pub(crate) const SET: &str = "set";

/// The critical options of a server. Of several drop-ins the last counts; a variable of `env` counts where no drop-in has the option.
pub(crate) fn of(drop_ins: &[&DropIn], env: &BTreeMap<String, String>) -> Critical {
    let given = |spec: &Spec| drop_in::given(drop_ins, env, spec);
    let is_v6 = options::find("node-ip")
        .and_then(given)
        .is_some_and(|value| items(&value).first().is_some_and(|first| first.parse::<Ipv6Addr>().is_ok()));
    let is_critical = |spec: &&Spec| spec.critical || spec.name == "cni";
    let all = options::all().iter().filter(is_critical).filter(|spec| spec.takes(Unit::Server));
    let read = |spec: &Spec| {
        let value = given(spec);
        let is_template = value.iter().flat_map(Value::texts).any(|text| drop_in::is_template(spec.name, text));
        (!is_template).then(|| (spec.name.to_owned(), meaning(spec, value.as_ref(), is_v6)))
    };
    let mut critical: Critical = collected(all.filter_map(read));
    // RKE2 takes the tenth address of each range (k3s `pkg/cli/server/server.go`).
    if critical.get("cluster-dns").is_some_and(String::is_empty) {
        match critical.get("service-cidr").map(|ranges| tenth(ranges)) {
            Some(dns) => critical.insert("cluster-dns".into(), dns),
            None => critical.remove("cluster-dns"),
        };
    }
    critical
}

/// One text for all ways of writing a value.
fn meaning(spec: &Spec, value: Option<&Value>, is_v6: bool) -> String {
    let items = value.map(items).unwrap_or_default();
    let text = items.join(",");
    let or = |default: &str| if text.is_empty() { default.to_owned() } else { text.clone() };
    match spec.name {
        _ if spec.secret => if text.is_empty() { "" } else { SET }.into(),
        "cluster-cidr" => or(if is_v6 { CLUSTER_V6 } else { CLUSTER_V4 }),
        "service-cidr" => or(if is_v6 { SERVICE_V6 } else { SERVICE_V4 }),
        "cni" => {
            // It comes on top of another, and goes without harm.
            let others: Vec<String> = items.into_iter().filter(|name| name != "multus").collect();
            if others.is_empty() { CNI.into() } else { others.join(",") }
        }
        "cluster-domain" => or(defaults::DOMAIN).trim_end_matches('.').to_ascii_lowercase(),
        _ if spec.class == Class::Boolean => {
            let is_true = drop_in::boolean(&Yaml11::Text(text)).unwrap_or_default();
            is_true.to_string()
        }
        name => or(defaults::of_text(name)),
    }
}

/// The items of a value, split where RKE2 splits, addresses and ranges in one form.
fn items(value: &Value) -> Vec<String> {
    let texts: Vec<String> = match value {
        Value::Bool(it) => vec![it.to_string()],
        Value::Int(it) => vec![it.to_string()],
        Value::Text(_) | Value::List(_) => value.texts().to_vec(),
    };
    let split = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|item| !item.is_empty());
    let canonical = |item: &str| {
        let range = item.parse::<IpNet>().map(|it| it.trunc().to_string());
        range.or_else(|_| item.parse::<IpAddr>().map(|it| it.to_string())).unwrap_or_else(|_| item.to_owned())
    };
    split.map(canonical).collect()
}

/// The tenth address of each range.
fn tenth(ranges: &str) -> String {
    let tenth = |range: &str| match range.parse::<IpNet>().ok()?.network() {
        IpAddr::V4(first) => u32::from(first).checked_add(10).map(|it| IpAddr::V4(it.into())),
        IpAddr::V6(first) => u128::from(first).checked_add(10).map(|it| IpAddr::V6(it.into())),
    };
    let all: Vec<String> = ranges.split(',').filter_map(tenth).map(|it| it.to_string()).collect();
    all.join(",")
}

/// What is equal on all servers of a cluster whose critical options are: 16 hex digits, no secret in them.
pub(crate) fn fingerprint(critical: &Critical) -> String {
    let parts = critical.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    emit::fnv(parts.flat_map(|text| text.bytes().chain([0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_options(options: &[(&str, Value)]) -> Critical {
        let options: DropIn = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        of(&[&options], &BTreeMap::new())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn list(items: &[&str]) -> Value {
        Value::List(items.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn two_ways_of_writing_the_same_are_equal() {
        for (one, other) in [
            (("cluster-cidr", list(&[])), ("cluster-cidr", text("10.42.0.0/16"))),
            (("cluster-cidr", text("10.42.7.9/16")), ("cluster-cidr", list(&["10.42.0.0/16"]))),
            (
                ("cluster-cidr", text("10.44.0.0/16, fd00:1::/56")),
                ("cluster-cidr", list(&["10.44.0.0/16", "FD00:0001::/56"])),
            ),
            (("service-cidr", text("10.43.0.0/16")), ("cluster-dns", list(&["10.43.0.10"]))),
            (("cluster-domain", text("Cluster.Local.")), ("cluster-domain", text(""))),
            (("cni", list(&["multus", "canal"])), ("cni", text("canal"))),
            (("cni", text("multus,canal")), ("cni", list(&[]))),
            (("embedded-registry", Value::Bool(false)), ("embedded-registry", text(""))),
            (("embedded-registry", Value::Bool(true)), ("embedded-registry", text("yes"))),
            (("egress-selector-mode", text("agent")), ("egress-selector-mode", text(""))),
            (("agent-token", text("one secret")), ("agent-token", text("another"))),
            (("node-label", list(&["a=b"])), ("node-label", list(&[]))),
        ] {
            let (name, name_of_other) = (one.0, other.0);
            let (one, other) = (of_options(&[one]), of_options(&[other]));
            assert_eq!(one, other, "{name} {name_of_other}");
            assert_eq!(fingerprint(&one), fingerprint(&other));
        }
    }

    #[test]
    fn another_meaning_is_another_value() {
        for (one, other) in [
            (("cluster-cidr", text("10.44.0.0/16")), ("cluster-cidr", text(""))),
            (("cluster-cidr", text("10.42.0.0/16,fd00::/56")), ("cluster-cidr", text("fd00::/56,10.42.0.0/16"))),
            (("cni", text("cilium")), ("cni", text("canal"))),
            (("cni", text("none")), ("cni", text(""))),
            (("node-ip", text("fd00::1")), ("node-ip", text("10.0.0.1"))),
            (("agent-token", text("one secret")), ("agent-token", text(""))),
            (("disable-kube-proxy", Value::Bool(true)), ("disable-kube-proxy", Value::Bool(false))),
        ] {
            let name = one.0;
            let (one, other) = (of_options(&[one]), of_options(&[other]));
            assert_ne!(one, other, "{name}");
            assert_ne!(fingerprint(&one), fingerprint(&other));
        }
    }

    #[test]
    fn a_template_is_not_known_yet_and_a_variable_counts_where_no_option_is() {
        let known = of_options(&[("service-cidr", text("{{ .Values.x }}"))]);
        assert!(!known.contains_key("service-cidr") && !known.contains_key("cluster-dns"));
        let env = BTreeMap::from([("RKE2_ENABLE_SERVICELB".to_owned(), "true".to_owned())]);
        assert_eq!(of(&[], &env).get("enable-servicelb").map(String::as_str), Some("true"));
        let options: DropIn = vec![("enable-servicelb".into(), Value::Bool(false))];
        assert_eq!(of(&[&options], &env).get("enable-servicelb").map(String::as_str), Some("false"));
    }
}
