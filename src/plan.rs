//! What this node will be: the content of the files that boot stages lay out. No YAML, no shell.

use crate::check::mask_userinfo;
use crate::cluster::{Certificate, Cluster, is_variable, mask_user};
use crate::drop_in::{DropIn, Value};
use crate::options;

/// What stands in place of a secret when a plan is shown.
const MASK: &str = "***";

/// A node's plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the cluster section means; `options` and `provider_options` of it are spent on the drop-ins.
    pub cluster: Cluster,
    /// `90_userdata.yaml`: the user's options.
    pub user: DropIn,
    /// Those of them whose items add to what earlier drop-ins gave, where a list would otherwise replace it.
    pub append: Vec<String>,
    /// `99_userdata.yaml`: `token`, `server` of a joiner, `tls-san` of a server, RKE2's options of `providerConfig`.
    pub provider: DropIn,
}

/// Plans the node.
pub fn plan(mut cluster: Cluster) -> Plan {
    let mut provider = DropIn::new();
    if let Some(token) = &cluster.token {
        provider.push(("token".into(), Value::Text(token.secret().into())));
    }
    if let Some(endpoint) = &cluster.endpoint {
        if cluster.role.joins() {
            provider.push(("server".into(), Value::Text(endpoint.join_url())));
        }
        if cluster.role.is_server() {
            provider.push(("tls-san".into(), Value::List(vec![endpoint.host()])));
        }
    }
    for (name, value) in std::mem::take(&mut cluster.provider_options) {
        match (provider.iter_mut().find(|(it, _)| *it == name), value) {
            (Some((_, Value::List(hosts))), Value::List(more)) => {
                let known = hosts.clone();
                hosts.extend(more.into_iter().filter(|it| !known.contains(it)));
            }
            (_, value) => provider.push((name, value)),
        }
    }
    let append = std::mem::take(&mut cluster.appended);
    Plan { user: std::mem::take(&mut cluster.options), append, provider, cluster }
}

impl Plan {
    /// The plan with `***` for every secret, to be shown to a person.
    #[must_use]
    pub fn masked(mut self) -> Plan {
        for (name, value) in self.user.iter_mut().chain(&mut self.provider) {
            mask(name, value);
        }
        for value in self.cluster.env.values_mut() {
            MASK.clone_into(value);
        }
        let certificates = self.cluster.ca_certs.iter_mut().filter_map(|it| match it {
            Certificate::Path(path) => Some(path),
            Certificate::Pem(_) => None,
        });
        // A URL that was taken for a path has lost one of its slashes.
        let paths = certificates.chain(&mut self.cluster.images).chain([&mut self.cluster.root_path]);
        paths.for_each(|path| *path = mask_user(path));
        self
    }
}

fn mask(name: &str, value: &mut Value) {
    let secret = options::is_secret(name);
    let hide = |text: &str| match text.split_once('=') {
        _ if !secret => mask_userinfo(text),
        // Of NAME=value only the value is secret.
        Some((variable, _)) if name.ends_with("-extra-env") && is_variable(variable) => format!("{variable}={MASK}"),
        _ => MASK.to_owned(),
    };
    match value {
        Value::Text(text) => *text = hide(text),
        Value::List(items) if name == "tls-san" => items.iter_mut().for_each(|item| *item = mask_user(item)),
        Value::List(items) => items.iter_mut().for_each(|item| *item = hide(item)),
        Value::Int(_) | Value::Bool(_) if secret => *value = Value::Text(MASK.into()),
        Value::Int(_) | Value::Bool(_) => {}
    }
}
