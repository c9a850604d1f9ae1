//! A cluster section without its secrets, to be shown to a person.

use super::Cluster;
use super::ca_certs::Certificate;
use super::env::is_variable;
use super::host::Endpoint;
use super::token::Token;
use crate::rke2::drop_in::Value;
use crate::rke2::options;
use crate::text::escape::{mask_user, mask_userinfo};

/// What stands in place of a secret.
const MASK: &str = "***";

/// The same with `***` for every secret.
pub fn masked(mut cluster: Cluster) -> Cluster {
    cluster.token = cluster.token.map(|_| Token::new(MASK));
    if let Some(Endpoint::Verbatim(text)) = &mut cluster.endpoint {
        *text = mask_user(text);
    }
    cluster.joined = cluster.joined.map(|url| mask_userinfo(&url));
    for (name, value) in cluster.options.iter_mut().chain(&mut cluster.provider_options) {
        mask(name, value);
    }
    for value in cluster.env.values_mut() {
        MASK.clone_into(value);
    }
    let certificates = cluster.ca_certs.iter_mut().filter_map(|it| match it {
        Certificate::Path(path) => Some(path),
        Certificate::Pem(_) => None,
    });
    // A URL that was taken for a path has lost one of its slashes.
    let paths = certificates.chain(&mut cluster.images).chain([&mut cluster.root_path]);
    paths.for_each(|path| *path = mask_user(path));
    cluster
}

/// Takes what is secret out of the value of an option.
pub(crate) fn mask(name: &str, value: &mut Value) {
    let is_secret = options::is_secret(name);
    let hide = |text: &str| match text.split_once('=') {
        _ if !is_secret => mask_userinfo(text),
        // Of NAME=value only the value is secret.
        Some((variable, _)) if name.ends_with("-extra-env") && is_variable(variable) => format!("{variable}={MASK}"),
        _ => MASK.to_owned(),
    };
    match value {
        Value::Text(text) => *text = hide(text),
        Value::List(items) if name == "tls-san" => items.iter_mut().for_each(|item| *item = mask_user(item)),
        Value::List(items) => items.iter_mut().for_each(|item| *item = hide(item)),
        Value::Int(_) | Value::Bool(_) if is_secret => *value = Value::Text(MASK.into()),
        Value::Int(_) | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let text = |text: &str| Value::Text(text.to_owned());
        let list = |items: &[&str]| Value::List(items.iter().map(|item| (*item).to_owned()).collect());
        for (name, value, expected) in [
            ("node-name", text("edge-1"), text("edge-1")),
            ("private-registry", text("https://u:secret@h/r.yaml"), text("https://***@h/r.yaml")),
            ("agent-token", text("secret"), text("***")),
            ("agent-token", Value::Int(5), text("***")),
            ("agent-token", Value::Bool(true), text("***")),
            ("etcd-snapshot-retention", Value::Int(5), Value::Int(5)),
            ("selinux", Value::Bool(true), Value::Bool(true)),
            ("vpn-auth", text("name=t,joinKey=secret"), text("***")),
            ("etcd-extra-env", list(&["A=secret", "a b=secret", "secret"]), list(&["A=***", "***", "***"])),
            ("node-label", list(&["mail=me@example.com", "rack=r17"]), list(&["mail=me@example.com", "rack=r17"])),
            ("tls-san", list(&["u@api.example.com", "10.0.0.1"]), list(&["***@api.example.com", "10.0.0.1"])),
        ] {
            let mut masked = value;
            mask(name, &mut masked);
            assert_eq!(masked, expected, "{name}");
        }
    }
}
