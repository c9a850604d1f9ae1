//! What RKE2 hands on to the pods of the control plane, and to the programs in them (rke2 `pkg/podtemplate`).

use super::node::taint;
use super::view::{Tell, View};
use crate::findings::MOST_PRINTED;
use crate::findings::code::{Code, Severity};
use crate::rke2::flags::{self, Found};
use crate::rke2::options::{Kind, nearest_of};
use crate::rke2::version::Version;
use crate::text::escape::quoted;

const COMPONENTS: [&str; 6] =
    ["kube-apiserver", "kube-scheduler", "kube-controller-manager", "kube-proxy", "etcd", "cloud-controller-manager"];

/// Whether a text is a quantity of Kubernetes: `500m`, `1.5Gi`, `1e3` (apimachinery `pkg/api/resource`).
fn is_quantity(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    let exponent = suffix.strip_prefix(['e', 'E']).map(|it| it.strip_prefix(['+', '-']).unwrap_or(it));
    let is_exponent = exponent.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
    let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    is_number && (units.contains(&suffix) || is_exponent)
}

/// An item without `=` stops RKE2; an unknown name, or a quantity that is none, it leaves out.
pub(super) fn resources(view: &View, tell: &mut Tell) {
    for option in ["control-plane-resource-requests", "control-plane-resource-limits"] {
        for item in view.texts(option) {
            let text = quoted(item);
            let Some((name, quantity)) = item.split_once('=') else {
                let rest = format!("{text} has no `=`, so RKE2 does not start; write {}", Kind::Resource.expected());
                tell.error(Code::ResourceInvalid, option, Some(item), rest);
                continue;
            };
            let component = ["-cpu", "-memory"].into_iter().find_map(|end| name.strip_suffix(end));
            let rest = match component {
                None => format!(
                    "{text} is neither -cpu nor -memory of a component, so it is left out; write {}",
                    Kind::Resource.expected()
                ),
                Some(component) if !COMPONENTS.contains(&component) => {
                    let todo = nearest_of(component, &COMPONENTS).map_or_else(
                        || format!("write one of {}", COMPONENTS.join(", ")),
                        |near| format!("write {near}"),
                    );
                    format!("{text} is of no component, so it is left out; {todo}")
                }
                Some(_) if !is_quantity(quantity) => {
                    format!("{} is not a quantity, so it is left out; write one such as 500m or 2Gi", quoted(quantity))
                }
                Some(_) => continue,
            };
            tell.warn(Code::ResourceInvalid, option, Some(item), rest);
        }
    }
}

const PROBES: [&str; 3] = ["liveness", "readiness", "startup"];
const SETTINGS: [&str; 4] = ["initial-delay-seconds", "timeout-seconds", "failure-threshold", "period-seconds"];

/// A number that is missing or out of range stops RKE2; an unknown name it leaves out.
pub(super) fn probes(view: &View, tell: &mut Tell) {
    let option = "control-plane-probe-configuration";
    for item in view.texts(option) {
        let text = quoted(item);
        let (name, number) = item.split_once('=').unwrap_or((item, ""));
        if !number.parse::<i32>().is_ok_and(|it| it >= 0) {
            let rest =
                format!("{text} has no number from 0 to {} behind `=`, so RKE2 does not start; write one", i32::MAX);
            tell.error(Code::ProbeInvalid, option, Some(item), rest);
            continue;
        }
        let setting = SETTINGS.into_iter().find_map(|it| name.strip_suffix(it)?.strip_suffix('-'));
        let probe = setting.and_then(|head| PROBES.into_iter().find_map(|it| head.strip_suffix(it)?.strip_suffix('-')));
        if !probe.is_some_and(|component| COMPONENTS.contains(&component)) {
            let rest = format!("{text} is no setting of a probe, so it is left out; write {}", Kind::Probe.expected());
            tell.warn(Code::ProbeInvalid, option, Some(item), rest);
        }
    }
}

const TYPES: [&str; 8] =
    ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

/// What is no mount is left out.
pub(super) fn mounts(view: &View, tell: &mut Tell) {
    for (spec, value) in view.all().filter(|(spec, _)| spec.kind == Kind::Mount) {
        for item in value.texts() {
            let parts: Vec<&str> = item.split(':').collect();
            let what = match parts[..] {
                [source, target, ..] if source.is_empty() || target.is_empty() => "has an empty path",
                [_, _] => continue,
                [_, _, mode] if mode.eq_ignore_ascii_case("ro") || mode.eq_ignore_ascii_case("rw") => continue,
                [_, _, _] => "ends neither in :ro nor in :rw",
                [_, _, _, kind] if TYPES.contains(&kind) => continue,
                [_, _, _, _] => "ends in no type of a hostPath",
                _ => "is not SOURCE:TARGET",
            };
            let rest = format!("{} {what}, so it is left out; write {}", quoted(item), Kind::Mount.expected());
            tell.warn(Code::MountInvalid, spec.name, Some(item), rest);
        }
    }
}

/// What has no `=` is left out. It may be a secret.
pub(super) fn variables(view: &View, tell: &mut Tell) {
    for (spec, value) in view.all().filter(|(spec, _)| spec.kind == Kind::Variable) {
        for item in value.texts().iter().filter(|item| !item.contains('=')) {
            tell.warn(
                Code::VariableInvalid,
                spec.name,
                Some(item),
                "has no `=`, so it is left out; write NAME=VALUE".into(),
            );
        }
    }
}

/// What stops a cluster that cannot start without it.
const VITAL: [&str; 5] = ["etcd-arg", "helm-controller-arg", "kube-apiserver-arg", "kube-proxy-arg", "kubelet-arg"];

const TLS: [&str; 4] = ["VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"];

/// Whether a text is a cipher suite of Go's crypto/tls, of all versions (component-base `cli/flag/ciphersuites_flag.go`).
fn is_suite(text: &str) -> bool {
    const ALONE: [&str; 3] = ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"];
    const CIPHERS: [&str; 6] = [
        "3DES_EDE_CBC_SHA", "AES_128_CBC_SHA", "AES_128_CBC_SHA256", "AES_128_GCM_SHA256", "AES_256_CBC_SHA",
        "AES_256_GCM_SHA384",
    ];
    const OTHERS: [&str; 3] = ["RC4_128_SHA", "CHACHA20_POLY1305", "CHACHA20_POLY1305_SHA256"];
    let Some(name) = text.trim().strip_prefix("TLS_") else { return text.is_empty() };
    match name.split_once("_WITH_") {
        None => ALONE.contains(&name),
        Some(("RSA", cipher)) => CIPHERS.contains(&cipher) || cipher == OTHERS[0],
        Some(("ECDHE_RSA" | "ECDHE_ECDSA", cipher)) => CIPHERS.contains(&cipher) || OTHERS.contains(&cipher),
        Some(_) => false,
    }
}

/// Each item is one flag of the program (k3s `pkg/util/args.go`), which does not start with one that it does not have.
pub(super) fn arguments(view: &View, tell: &mut Tell) {
    let mut wrong = 0;
    for (spec, value) in view.all().filter(|(spec, _)| spec.kind == Kind::Argument) {
        let program = spec.name.strip_suffix("-arg").unwrap_or(spec.name);
        let severity = if VITAL.contains(&spec.name) { Severity::Error } else { Severity::Warning };
        for item in value.texts() {
            let (name, value) = item.split_once('=').map_or((item.as_str(), None), |(name, value)| (name, Some(value)));
            let bare = name.trim_start_matches('-').trim_end_matches(['+', '-']);
            // Only those that are printed are worth the search.
            let near = || (wrong < MOST_PRINTED).then(|| flags::nearest(program, bare)).flatten();
            if bare.is_empty() || bare.contains(char::is_whitespace) {
                let rest =
                    format!("{} is not a flag of {program}, which does not start; write NAME=VALUE", quoted(item));
                tell.push(severity, Code::ArgumentInvalid, spec.name, Some(item), rest);
            } else if let Some(rest) = wrong_flag(program, bare, value.unwrap_or("true"), view.version, &near) {
                wrong += 1;
                tell.push(severity, Code::ArgumentInvalid, spec.name, Some(item), rest);
            }
            let taints = value.filter(|_| program == "kubelet" && bare == "register-with-taints");
            if let Some((what, todo)) = taints.and_then(|it| {
                it.split(',').filter(|it| !it.is_empty() && !it.ends_with('-')).find_map(|it| taint(it).err())
            }) {
                let rest = format!("{} {what}, so the kubelet does not start; {todo}", quoted(item));
                tell.error(Code::ArgumentInvalid, spec.name, Some(item), rest);
            }
            let is_tls = spec.name == "kube-apiserver-arg" && matches!(bare, "tls-min-version" | "tls-cipher-suites");
            let is_known =
                |it: &str| if bare == "tls-min-version" { TLS.contains(&it) } else { it.split(',').all(is_suite) };
            if is_tls && !value.is_some_and(is_known) {
                let values = if bare == "tls-min-version" { TLS.join(", ") } else { "names of cipher suites".into() };
                let rest = format!(
                    "{} has no value that RKE2 starts with; write `=` and one or more of: {values}",
                    quoted(item)
                );
                tell.error(Code::ArgumentInvalid, spec.name, Some(item), rest);
            }
        }
    }
}

/// What is wrong with a flag, and what to do; `near` gives the name that may be meant. Its value may be a secret that was put in the wrong
/// place, so it is not said.
fn wrong_flag(
    program: &str,
    name: &str,
    value: &str,
    version: Option<&Version>,
    near: &dyn Fn() -> Option<&'static str>,
) -> Option<String> {
    let minor = version.map(Version::minor).map(|(_, minor)| minor);
    let what = quoted(name);
    Some(match flags::find(program, name, minor)? {
        Found::Flag(form) if form.takes(value) => return None,
        Found::Flag(form) => {
            let expected = form.expected();
            format!("the value of {what} is not {expected}, so {program} does not start; write {expected}")
        }
        Found::Unknown => {
            let todo = near().map_or_else(|| "remove it".to_owned(), |near| format!("did you mean {near}?"));
            format!("{what} is no flag of {program}, which does not start with it; {todo}")
        }
        Found::NotYet(first) => {
            format!(
                "{what} is a flag of {program} from 1.{first} on, and an earlier one does not start with it; remove it"
            )
        }
        Found::NoMore(last) => {
            format!("{what} is a flag of {program} up to 1.{last}, and a later one does not start with it; remove it")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for text in ["1", "500m", "0.5", ".5", "1.", "2Gi", "100k", "1e3", "1E", "1E6", "1e-3", "-1", "+5Mi", "3n"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", "m", "5OOm", "1 Gi", "1gi", "1GB", "1.2.3", "1e", "1m5", "--1", "0x1"] {
            assert!(!is_quantity(text), "{text}");
        }
    }
}
