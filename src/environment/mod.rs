//! The environment of RKE2's service: what the cloud-config asks for, and for a proxy all that has to go with it.

pub mod no_proxy;

use std::collections::BTreeMap;

use ipnet::IpNet;
pub use no_proxy::Networks;

use crate::findings::Reason;
use crate::host::owned::{MARK, Whose};
use crate::host::{Error, Host};
use crate::rke2::Unit;

/// Variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// What the environment is made of.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The unit that gets it.
    pub unit: Unit,
    /// The variables of the cloud-config.
    pub env: &'a Variables,
    /// The networks of the cluster.
    pub networks: &'a Networks,
    /// The control plane host, without brackets.
    pub control_plane_host: Option<&'a str>,
}

/// The first line of a file of ours.
const HEADER: &str =
    "# written by provider-rke2; cluster.env of the cloud-config decides, what is changed here is lost";

/// How much of a file of a unit is read.
const LIMIT: u64 = 1 << 20;

/// Any of these with a value makes the rest be derived.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"];

/// The names under which what needs no proxy may be listed.
const NO_PROXIES: [&str; 3] = ["NO_PROXY", "no_proxy", "CONTAINERD_NO_PROXY"];

/// The file that RKE2's unit reads (rke2 `bundle/lib/systemd/system`, `EnvironmentFile`).
pub(crate) const fn path(unit: Unit) -> &'static str {
    match unit {
        Unit::Server => "/etc/default/rke2-server",
        Unit::Agent => "/etc/default/rke2-agent",
    }
}

/// Whether the variables name a proxy.
pub(crate) fn has_proxy(env: &Variables) -> bool {
    PROXIES.iter().any(|name| env.get(*name).is_some_and(|value| !value.is_empty()))
}

/// All variables of the service, with the networks of the node as far as they are known.
///
/// Without a proxy they are those of the cloud-config. With one, `HTTP_PROXY` and `HTTPS_PROXY` are written where either case of them is
/// given, the upper case counts; `NO_PROXY` is made of what the user lists under any of its names; containerd gets all three under its own
/// names (k3s `pkg/agent/containerd/containerd.go`), where the user's own proxy for it counts.
pub(crate) fn variables(asked: &Asked, nodes: &[IpNet]) -> Variables {
    let mut all = asked.env.clone();
    if !has_proxy(&all) {
        return all;
    }
    let given = |name: &str| asked.env.get(name).filter(|value| !value.is_empty());
    for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
        let Some(proxy) = given(name).or_else(|| given(&name.to_ascii_lowercase())) else { continue };
        all.insert(name.into(), proxy.clone());
        let twin = format!("CONTAINERD_{name}");
        // An empty one is the user's too: no proxy for containerd.
        all.entry(twin).or_insert_with(|| proxy.clone());
    }
    let user: Vec<&str> = NO_PROXIES.iter().filter_map(|name| given(name)).map(String::as_str).collect();
    let value = no_proxy::value(asked.networks, asked.control_plane_host, nodes, &user);
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
pub(crate) fn asked_for(asked: &Asked) -> String {
    text(&variables(asked, &[]))
}

/// What the file that is read later adds: with a proxy the list with the networks of the node; everything, where the first file was written
/// by somebody else.
pub fn late(host: &Host, asked: &Asked, nodes: &[IpNet]) -> Result<Variables, Error> {
    let is_ours = is_ours(host, asked.unit)?;
    let mut variables = variables(asked, nodes);
    variables.retain(|name, _| !is_ours || (has_proxy(asked.env) && NO_PROXIES.contains(&name.as_str())));
    Ok(variables)
}

/// Whose the file of a unit is; one that the Go provider wrote is taken over, so that what it has set goes with what asked for it.
pub(crate) fn whose(host: &Host, unit: Unit) -> Result<Whose, Error> {
    let is_ours =
        |bytes: &[u8]| bytes.starts_with(MARK.as_bytes()) || str::from_utf8(bytes).is_ok_and(is_of_go_provider);
    Whose::is(host, path(unit), is_ours)
}

/// Whether the file of a unit is ours, or there is none.
pub(crate) fn is_ours(host: &Host, unit: Unit) -> Result<bool, Error> {
    Ok(whose(host, unit)? != Whose::Others)
}

/// Whether a text has the form that only the Go provider gives it (kairos-io/provider-rke2 `pkg/provider/provider.go`): each proxy followed by
/// its twin for containerd, and in the end a list that begins with a comma.
fn is_of_go_provider(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(pairs) = lines.map(|line| line.split_once('=')).collect::<Option<Vec<_>>>() else { return false };
    let mut order = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].into_iter();
    let is_pair = |pair: &[(&str, &str)]| match pair {
        [(name, value), (twin, same)] => {
            order.any(|it| it == *name) && *twin == format!("CONTAINERD_{name}") && value == same
        }
        _ => false,
    };
    pairs.chunks(2).all(is_pair)
        && pairs.last().is_some_and(|(twin, list)| twin.ends_with("NO_PROXY") && list.starts_with(','))
}

/// Puts our mark on the files of units that a document of the Go provider lays out by `files`, path and content: nothing but the variables of
/// the document is in them. Fails with the first that cannot be written.
pub(crate) fn take_over(host: &Host, files: &[(String, String)]) -> Result<Vec<String>, Error> {
    let mut taken = Vec::new();
    for unit in Unit::ALL {
        let path = path(unit);
        let Some((_, content)) = files.iter().find(|(it, _)| it == path) else { continue };
        if whose(host, unit)? != Whose::Others {
            continue;
        }
        let Ok(bytes) = host.read(path, LIMIT) else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        if text.trim() == content.trim() || is_of_variables(&text, content) {
            host.install(path, format!("{HEADER}\n{}\n", text.trim_end()).as_bytes(), 0o600)?;
            taken.push(format!("{path}: was written by the Go provider, and is taken over"));
        }
    }
    Ok(taken)
}

/// Whether a text sets variables that `other` sets, and holds nothing else.
fn is_of_variables(text: &str, other: &str) -> bool {
    let names = |text: &str| -> Option<Vec<String>> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect()
    };
    let (Some(own), Some(all)) = (names(text), names(other)) else { return false };
    !own.is_empty() && own.iter().all(|name| all.contains(name))
}

/// The text of a unit's file; nothing if it is to have none.
fn file_of(asked: &Asked, unit: Unit) -> Option<String> {
    (unit == asked.unit && !asked.env.is_empty()).then(|| asked_for(asked))
}

/// Whether the files of both units are what is asked for.
pub(crate) fn is_installed(host: &Host, asked: &Asked) -> bool {
    Unit::ALL.into_iter().all(|unit| match (whose(host, unit), file_of(asked, unit)) {
        (Ok(Whose::Others), _) => true,
        (Ok(_), Some(text)) => host.holds(path(unit), text.as_bytes()),
        (Ok(whose), None) => whose == Whose::Nobodys,
        (Err(_), _) => false,
    })
}

/// Makes the file of the unit what is asked for, and removes that of the other role; gives sentences of what was done. A file of somebody
/// else is never touched: what is asked for is then read after it, when the service starts.
pub(crate) fn install(host: &Host, asked: &Asked) -> Result<Vec<String>, Reason> {
    let mut done = Vec::new();
    for unit in Unit::ALL {
        let path = path(unit);
        match (is_ours(host, unit)?, file_of(asked, unit)) {
            (true, Some(text)) => {
                if host.install(path, text.as_bytes(), 0o600)? {
                    done.push(format!("{path}: written"));
                }
            }
            (true, None) => {
                if host.remove(path)? {
                    done.push(format!("{path}: removed"));
                }
            }
            (false, Some(_)) => done.push(format!(
                "{path}: was not written by this program, so it stays, and cluster.env is read after it; remove the file if nobody needs it"
            )),
            (false, None) => {}
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_go_provider_is_its_alone() {
        let list = "NO_PROXY=,10.42.0.0/16,.svc\nCONTAINERD_NO_PROXY=,10.42.0.0/16,.svc";
        let http = "HTTP_PROXY=http://p:1\nCONTAINERD_HTTP_PROXY=http://p:1\n";
        let https = "HTTPS_PROXY=http://p:1\nCONTAINERD_HTTPS_PROXY=http://p:1\n";
        for (text, is) in [
            (format!("{http}{https}{list}"), true),
            (format!("{https}{list}\n"), true),
            (list.to_owned(), true),
            // A value that ends in a line break.
            (http.replace("CONTAINERD", "\nCONTAINERD") + list, true),
            (String::new(), false),
            (http.to_owned(), false),
            (format!("{https}{http}{list}"), false),
            (format!("{http}{http}{list}"), false),
            (format!("{list}\n{http}"), false),
            (format!("# of the site\n{http}{list}"), false),
            (format!("{http}{list}\nMINE=1"), false),
            (format!("MINE=1\n{http}{list}"), false),
            (format!("{http}{}", list.replace("=,", "=")), false),
            (format!("{http}NO_PROXY=,a\nCONTAINERD_NO_PROXY=,b"), false),
            (format!("HTTP_PROXY=http://p:1\n{list}"), false),
        ] {
            assert_eq!(is_of_go_provider(&text), is, "{text}");
        }
    }

    #[test]
    fn a_text_has_the_variables_of_another() {
        for (text, other, is) in [
            ("A=1\nB=2\n", "A=1\nB=3", true),
            ("B=2", "A=1\nB=2", true),
            ("A=1\nC=2", "A=1\nB=2", false),
            ("# comment\nA=1", "A=1", false),
            ("", "A=1", false),
            ("A=1\nword", "A=1", false),
        ] {
            assert_eq!(is_of_variables(text, other), is, "{text}");
        }
    }
}
