//! The environment of RKE2's service: what the cloud-config asks for, and for a proxy all that has to go with it.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::host::{Error, Host};
use crate::no_proxy;
use crate::staged::Staged;
use crate::whose::Whose;

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

/// The first line of a file of ours.
const HEADER: &str =
    "# written by provider-rke2; cluster.env of the cloud-config decides, what is changed here is lost";

/// Any of these with a value makes the rest be derived.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"];

/// The names under which what needs no proxy may be listed.
const NO_PROXIES: [&str; 3] = ["NO_PROXY", "no_proxy", "CONTAINERD_NO_PROXY"];

/// The file that RKE2's unit reads (rke2 `bundle/lib/systemd/system`, `EnvironmentFile`).
pub fn path(unit: &str) -> String {
    format!("/etc/default/{unit}")
}

/// The file that is read after it: what is known only when the network is.
pub fn late_path(unit: &str) -> String {
    format!("{}/{unit}.env", crate::gate::RUN)
}

/// Whether the variables name a proxy.
pub fn has_proxy(env: &Variables) -> bool {
    PROXIES.iter().any(|name| env.get(*name).is_some_and(|value| !value.is_empty()))
}

/// All variables of the service, with the networks of the node as far as they are known.
///
/// Without a proxy they are those of the cloud-config. With one, `HTTP_PROXY` and `HTTPS_PROXY` are written where either case of them is
/// given, the upper case counts; `NO_PROXY` is made of what the user lists under any of its names; containerd gets all three under its own
/// names (k3s `pkg/agent/containerd/containerd.go`), where the user's own proxy for it counts.
pub fn variables(staged: &Staged, nodes: &[IpNet]) -> Variables {
    let mut all = staged.env.clone();
    if !has_proxy(&all) {
        return all;
    }
    let given = |name: &str| staged.env.get(name).filter(|value| !value.is_empty());
    for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
        let Some(proxy) = given(name).or_else(|| given(&name.to_ascii_lowercase())) else { continue };
        all.insert(name.into(), proxy.clone());
        let twin = format!("CONTAINERD_{name}");
        // An empty one is the user's too: no proxy for containerd.
        all.entry(twin).or_insert_with(|| proxy.clone());
    }
    let user: Vec<&str> = NO_PROXIES.iter().filter_map(|name| given(name)).map(String::as_str).collect();
    let value = no_proxy::value(&staged.networks, staged.control_plane_host.as_deref(), nodes, &user);
    let also = all.contains_key("no_proxy").then_some("no_proxy");
    for name in ["NO_PROXY", "CONTAINERD_NO_PROXY"].into_iter().chain(also) {
        all.insert(name.into(), value.clone());
    }
    all
}

/// The text of a file that systemd (systemd.exec(5), `EnvironmentFile=`) and `sh` read alike: sorted by name, always in double quotes.
pub fn text(variables: &Variables) -> String {
    let mut text = format!("{HEADER}\n");
    for (name, value) in variables {
        text += name;
        text += "=\"";
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(c);
        }
        text += "\"\n";
    }
    text
}

/// What is to stand in the file of the unit: a function of the cloud-config alone.
pub fn asked_for(staged: &Staged) -> String {
    text(&variables(staged, &[]))
}

/// What the file that is read later adds: with a proxy the list with the networks of the node; everything, where the first file is somebody
/// else's.
pub fn late(staged: &Staged, nodes: &[IpNet], is_ours: bool) -> Variables {
    let mut variables = variables(staged, nodes);
    let proxied = has_proxy(&staged.env);
    variables.retain(|name, _| !is_ours || (proxied && NO_PROXIES.contains(&name.as_str())));
    variables
}

/// Whether the file of a unit is ours, or there is none.
pub fn is_ours(host: &Host, unit: &str) -> Result<bool, Error> {
    Ok(Whose::of(host, &path(unit))? != Whose::Others)
}

/// Whether a unit is to have a file.
fn is_asked(staged: &Staged, unit: &str) -> bool {
    unit == staged.role.unit() && !staged.env.is_empty()
}

/// Whether the files of both units are what is asked for.
pub fn is_installed(host: &Host, staged: &Staged) -> bool {
    crate::gate::UNITS.into_iter().all(|unit| match (Whose::of(host, &path(unit)), is_asked(staged, unit)) {
        (Ok(Whose::Others), _) => true,
        (Ok(_), true) => host.holds(&path(unit), asked_for(staged).as_bytes()),
        (Ok(whose), false) => whose == Whose::Nobodys,
        (Err(_), _) => false,
    })
}

/// Makes the file of the unit what is asked for, and removes that of the other role; gives sentences of what was done. Files of somebody
/// else are never touched: what is asked for is then read after them, when the service starts.
pub fn install(host: &Host, staged: &Staged) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    for unit in crate::gate::UNITS {
        let path = path(unit);
        match (is_ours(host, unit)?, is_asked(staged, unit)) {
            (true, true) => {
                if host.install(&path, asked_for(staged).as_bytes(), 0o600, true)? {
                    done.push(format!("{path}: written"));
                }
            }
            (true, false) => {
                if host.remove(&path)? {
                    done.push(format!("{path}: removed"));
                }
            }
            (false, true) => done.push(format!(
                "{path}: was not written by this program and stays, cluster.env is read after it, remove the file if it is not needed"
            )),
            (false, false) => {}
        }
    }
    Ok(done)
}
