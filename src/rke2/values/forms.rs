//! The form of a value by its kind: one row of [`FORMS`] each.

use std::net::IpAddr;

use super::names::is_dns;
use super::view::{Tell, View};
use crate::findings::code::{Code, Severity};
use crate::rke2::drop_in::Value;
use crate::rke2::options::{Kind, Spec, nearest_of};
use crate::text::base64;
use crate::text::escape::quoted;

/// A form: of which kind, what a value of another form is called, and what it must be: nothing if it is right, else what is wrong, and what to do
/// where that is more than the kind says.
struct Form {
    kind: Kind,
    code: Code,
    wrong: fn(&str) -> Option<Wrong>,
}

/// What is wrong with a value, and what to do if the kind does not say it.
type Wrong = (&'static str, Option<String>);

const FORMS: &[Form] = &[
    Form { kind: Kind::Address, code: Code::AddressInvalid, wrong: address },
    Form { kind: Kind::Dns, code: Code::DnsNameInvalid, wrong: dns },
    Form { kind: Kind::Domain, code: Code::DomainInvalid, wrong: domain },
    Form { kind: Kind::Host, code: Code::HostNameInvalid, wrong: host },
    Form { kind: Kind::Image, code: Code::ImageInvalid, wrong: image },
    Form { kind: Kind::Path, code: Code::PathRelative, wrong: path },
    Form { kind: Kind::Ports, code: Code::PortRangeInvalid, wrong: ports },
    Form { kind: Kind::Proxy, code: Code::HostNameInvalid, wrong: proxy },
    Form { kind: Kind::Socket, code: Code::PathRelative, wrong: socket },
    Form { kind: Kind::Vmodule, code: Code::NumberOutOfRange, wrong: vmodule },
];

/// What happens with a value of another form: how much that weighs, and how it is said.
fn then(spec: &Spec, text: &str) -> (Severity, &'static str) {
    match (spec.kind, spec.name) {
        (Kind::Address, "bind-address") if is_dns(text) => {
            (Severity::Warning, "so RKE2 has to look it up before it can listen")
        }
        (Kind::Address, "advertise-address") => (Severity::Error, "with which the kube-apiserver does not start"),
        (Kind::Domain, _) if text.contains(char::is_whitespace) => {
            (Severity::Error, "with which the kube-apiserver does not start")
        }
        (Kind::Image, "helm-job-image") => (Severity::Warning, "so no chart is installed"),
        (Kind::Address | Kind::Image | Kind::Ports, _) => (Severity::Error, "so RKE2 does not start"),
        (Kind::Domain | Kind::Dns, _) => (Severity::Warning, "so names may not be found"),
        (Kind::Host | Kind::Proxy, _) => (Severity::Warning, "so no snapshot is ever uploaded"),
        (Kind::Path | Kind::Socket, _) => {
            (Severity::Warning, "so it is looked for below the directory that RKE2 happens to run in")
        }
        _ => (Severity::Warning, "so it is ignored"),
    }
}

/// All kinds.
pub(super) fn all(view: &View, tell: &mut Tell) {
    for (spec, value) in view.all() {
        match (spec.kind, value) {
            (Kind::Number, Value::Int(number)) => self::number(spec, *number, tell),
            (Kind::Word, _) => words(view, spec, value, tell),
            (kind, _) => {
                let Some(form) = FORMS.iter().find(|form| form.kind == kind) else { continue };
                for text in value.texts() {
                    // Of several, each is base64 or a path (k3s `pkg/etcd/s3/s3.go`).
                    let is_certificate = |it: &str| base64::decoded(it).is_some();
                    if spec.name == "etcd-s3-endpoint-ca"
                        && text.split(' ').all(|it| is_certificate(it) || path(it).is_none())
                    {
                        continue;
                    }
                    let Some((what, todo)) = (form.wrong)(text) else { continue };
                    let (severity, then) = then(spec, text);
                    let todo = todo.unwrap_or_else(|| format!("write {}", kind.expected()));
                    let rest = format!("{} {what}, {then}; {todo}", quoted(text));
                    let item = spec.is_list().then_some(text.as_str());
                    tell.push(severity, form.code, spec.name, item, rest);
                }
            }
        }
    }
}

fn number(spec: &Spec, number: i128, tell: &mut Tell) {
    let (least, most) = spec.numbers();
    if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
        let range = match (least, most) {
            (Some(least), Some(most)) => format!("from {least} to {most}"),
            (least, _) => format!("from {} on", least.unwrap_or_default()),
        };
        let rest = format!("{number} is out of range; write a number {range}");
        tell.warn(Code::NumberOutOfRange, spec.name, None, rest);
    }
}

/// Words that have rules of their own.
const OWN: [&str; 3] = ["cni", "ingress-controller", "profile"];

fn words(view: &View, spec: &'static Spec, value: &Value, tell: &mut Tell) {
    if OWN.contains(&spec.name) {
        return;
    }
    let words: Vec<&str> = spec.words(view.version).collect();
    let is_lookup = spec.name == "etcd-s3-bucket-lookup-type";
    let is_known =
        |text: &String| words.iter().any(|word| text == word || (is_lookup && text.eq_ignore_ascii_case(word)));
    for text in value.texts().iter().filter(|text| !is_known(text)) {
        let todo = nearest_of(text, &words)
            .map_or_else(|| format!("write one of {}", words.join(", ")), |near| format!("write {near}"));
        let (severity, then) = match spec.name {
            "snapshotter" => {
                (Severity::Warning, "a snapshotter that RKE2 is known to have, so containers may not start")
            }
            "etcd-s3-bucket-lookup-type" => (Severity::Warning, "one of its words, so RKE2 takes auto"),
            _ => (Severity::Error, "one of its words, so RKE2 does not start"),
        };
        tell.push(severity, Code::ValueUnknown, spec.name, None, format!("{} is not {then}; {todo}", quoted(text)));
    }
}

fn address(text: &str) -> Option<Wrong> {
    if text.parse::<IpAddr>().is_ok() {
        return None;
    }
    let bare = text.trim_start_matches('[');
    let end = bare.find([']', '/', '%']).or_else(|| bare.rfind(':')).unwrap_or(bare.len());
    let near = bare.get(..end).and_then(|it| it.parse::<IpAddr>().ok()).map(|it| format!("write {it}"));
    Some(("is not an IP address", near))
}

fn dns(text: &str) -> Option<Wrong> {
    (!is_dns(text.trim_end_matches('.'))).then_some(("is not a DNS name", None))
}

fn domain(text: &str) -> Option<Wrong> {
    (!is_dns(&text.trim_end_matches('.').to_ascii_lowercase())).then_some(("is not a domain", None))
}

fn host(text: &str) -> Option<Wrong> {
    if text.contains("://") {
        let host = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        return Some(("has a scheme", host.filter(|it| !it.contains('@')).map(|it| format!("write {}", quoted(it)))));
    }
    text.contains(|c: char| c == '/' || c.is_whitespace()).then_some(("has a path or a blank", None))
}

fn proxy(text: &str) -> Option<Wrong> {
    let host = text.split_once("://").map_or("", |(_, rest)| rest);
    (text != "none" && host.is_empty()).then_some(("is not a URL", None))
}

/// `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, as go-containerregistry takes it when it is not strict.
fn image(text: &str) -> Option<Wrong> {
    if text.contains("://") {
        return Some(("has a scheme", None));
    }
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let is_digest = |it: &str| {
        it.split_once(':').is_some_and(|(_, hex)| hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    let is_tag = |it: &str| {
        !it.is_empty() && it.len() <= 128 && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    let repository = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
        _ => name,
    };
    let is_name = !repository.is_empty()
        && repository.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-/".contains(&b));
    if !is_name {
        return Some(("is not the name of an image", None));
    }
    if !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
        return Some(("has a tag or digest that is none", None));
    }
    None
}

fn path(text: &str) -> Option<Wrong> {
    if text.starts_with('/') || text.starts_with("http://") || text.starts_with("https://") {
        None
    } else if text.starts_with("~/") {
        Some(("begins with ~, which nobody replaces", None))
    } else {
        Some(("is not an absolute path", None))
    }
}

fn socket(text: &str) -> Option<Wrong> {
    path(text.strip_prefix("unix://").unwrap_or(text))
}

/// `FIRST-LAST`, `FIRST+COUNT` or one port (apimachinery `pkg/util/net/port_range.go`).
fn ports(text: &str) -> Option<Wrong> {
    let text = text.trim();
    let port = |it: &str| it.parse::<u32>().ok().filter(|it| *it <= 65535);
    let is_range = match (text.split_once('-'), text.split_once('+')) {
        (Some((first, last)), _) => port(first).zip(port(last)).is_some_and(|(first, last)| first <= last),
        (None, Some((first, count))) => {
            port(first).zip(port(count)).is_some_and(|(first, count)| first + count <= 65535)
        }
        (None, None) => port(text).is_some(),
    };
    (!is_range).then_some(("is not a range of ports up to 65535", None))
}

fn vmodule(text: &str) -> Option<Wrong> {
    let is_pair = |it: &str| {
        it.split_once('=').is_some_and(|(pattern, number)| !pattern.is_empty() && number.parse::<i32>().is_ok())
    };
    (!text.split(',').filter(|it| !it.is_empty()).all(is_pair)).then_some(("is not PATTERN=NUMBER", None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_those_that_rke2_can_parse() {
        for text in [
            "rancher/pause:3.6",
            "pause",
            "registry.example:5000/rancher/mirrored-pause:3.6",
            "localhost/x",
            "a/b/c:v1_2.3-x",
            "docker.io/rancher/hardened-etcd:v3.5.13-k3s1-build20240910",
            "rancher/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(image(text), None, "{text}");
        }
        for text in ["https://registry.example/x", "Rancher/Pause", "a b", "x:", "x:a b", "/x y", "x@sha256:zz", ""] {
            assert!(image(text).is_some(), "{text}");
        }
    }

    #[test]
    fn ports_are_those_that_kubernetes_parses() {
        for text in ["30000-32767", "30000", " 30000-32767 ", "30000+100", "80-80"] {
            assert_eq!(ports(text), None, "{text}");
        }
        for text in ["", "30000..32767", "32767-30000", "1-65536", "a-b", "30000-", "65535+1"] {
            assert!(ports(text).is_some(), "{text}");
        }
    }
}
