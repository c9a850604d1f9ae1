//! `cluster.control_plane_host`: where the cluster is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::config::{embedded, is_in_config, is_text_of_config};
use super::reader::{OtherType, Reader};
use super::role::Role;
use crate::findings::Instead;
use crate::findings::code::Code;
use crate::rke2::drop_in::{self, Owned};
use crate::rke2::overrides::Needed;
use crate::text::escape::{mask_user, quoted};
use crate::text::odd;

/// Where nodes register (rke2 `pkg/cli/cmds/server.go`, the supervisor's port).
const PORT: u16 = 9345;

/// Where the cluster is: a host name in lower case, an address, or on a node with state the text that the Go provider used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A host name.
    Name(String),
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// What is neither; kept for a node that runs with it.
    Verbatim(String),
    /// A template: what yip makes of it on the node is the host.
    Template(String),
}

impl Endpoint {
    /// Reads `control_plane_host`: brackets, `https://`, a port and a `/` at the end are taken off. Gives the host and the port.
    /// Fails with what is wrong, for a message.
    pub(crate) fn parse(text: &str) -> Result<(Endpoint, Option<u16>), &'static str> {
        let mut rest = text.trim();
        if let Some((scheme, tail)) = rest.split_once("://") {
            if !scheme.eq_ignore_ascii_case("https") {
                return Err("a scheme other than https");
            }
            rest = tail;
        }
        rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Err("no host");
        }
        if let Some(what) = odd::character(rest) {
            return Err(what);
        }
        if odd::has_gap(rest) {
            return Err("a placeholder that nobody has filled in");
        }
        if rest.chars().any(char::is_control) {
            return Err("a control character");
        }
        for (mark, what) in
            [('@', "user information"), ('/', "a path"), ('?', "a query"), ('#', "a fragment"), ('%', "a zone id")]
        {
            if rest.contains(mark) {
                return Err(what);
            }
        }
        let port =
            |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or("a port that is not between 1 and 65535");
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, tail) = bracketed.split_once(']').ok_or("a bracket that is not closed")?;
            let address: Ipv6Addr = host.parse().map_err(|_| "brackets, but no IPv6 address in them")?;
            let port = match tail {
                "" => None,
                tail => Some(port(tail.strip_prefix(':').ok_or("text after the bracket")?)?),
            };
            return Ok((Endpoint::Address(address.into()), port));
        }
        if let Ok(address) = rest.parse::<IpAddr>() {
            return Ok((Endpoint::Address(address), None));
        }
        let (host, port) = match rest.split_once(':') {
            Some((_, tail)) if tail.contains(':') => return Err("colons, but no valid IPv6 address"),
            Some((host, tail)) => (host, Some(port(tail)?)),
            None => (rest, None),
        };
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok((Endpoint::Address(address.into()), port));
        }
        Ok((Endpoint::Name(name(host)?), port))
    }

    /// The host as certificates name it: without brackets.
    pub(crate) fn host(&self) -> String {
        match self {
            Endpoint::Name(host) | Endpoint::Template(host) => host.clone(),
            // A user and password have no place in a certificate.
            Endpoint::Verbatim(text) => text.rsplit_once('@').map_or(text.as_str(), |(_, host)| host).to_owned(),
            Endpoint::Address(address) => address.to_string(),
        }
    }

    /// The URL that a joining node registers at; RKE2's supervisor listens at 9345.
    pub(crate) fn join_url(&self) -> String {
        match self {
            Endpoint::Address(IpAddr::V6(address)) => format!("https://[{address}]:{PORT}"),
            Endpoint::Verbatim(text) => format!("https://{text}:{PORT}"),
            // The URL is made when the host is known.
            Endpoint::Template(text) => text.clone(),
            other => format!("https://{}:{PORT}", other.host()),
        }
    }

    /// Whether other nodes cannot mean this one by it.
    fn is_local(&self) -> bool {
        match self {
            Endpoint::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Endpoint::Address(IpAddr::V4(it)) => {
                it.is_loopback() || it.is_unspecified() || it.is_link_local() || it.is_multicast()
            }
            Endpoint::Address(IpAddr::V6(it)) => {
                it.is_loopback() || it.is_unspecified() || it.is_unicast_link_local() || it.is_multicast()
            }
            Endpoint::Verbatim(_) | Endpoint::Template(_) => false,
        }
    }
}

/// A host name in lower case (RFC 1123, and the underscores that people use).
fn name(host: &str) -> Result<String, &'static str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("characters or a form that no host name has");
    }
    // A name whose last label is a number would be taken for an address (WHATWG URL, RFC 3986 3.2.2).
    if host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("the look of an IPv4 address, but not a valid one");
    }
    Ok(host.to_ascii_lowercase())
}

/// Reads the key, or the server among RKE2's options where it is missing.
pub(crate) fn read(reader: &mut Reader, role: Role, owned: &[Owned]) -> Option<Endpoint> {
    let own = reader.filled("control_plane_host", "a host name or an address", OtherType::IsRefused);
    let is_wrong_type =
        own.is_none() && reader.get("control_plane_host").is_some_and(|(_, node)| node.scalar().is_none());
    let embedded = if role.joins() {
        embedded(reader, "server", "control_plane_host", own.is_none() && !is_wrong_type, owned)
    } else {
        None
    };
    let (text, at) = match (&own, embedded) {
        (Some(given), _) => (given.scalar.text.clone(), given.at.clone()),
        _ if is_wrong_type || !role.joins() => return None,
        (None, Some(it)) => (it.text.clone(), it.at.clone()),
        (None, None) => {
            let at = reader.at("control_plane_host");
            let what = format!("and a {} needs the address of its cluster", role.as_str());
            reader.missing(Code::HostMissing, Needed::Server, role.unit(), at, &what);
            return None;
        }
    };
    if drop_in::is_template("server", text.trim()) {
        return Some(Endpoint::Template(text.trim().to_owned()));
    }
    let endpoint = match Endpoint::parse(&text) {
        Ok((endpoint, port)) => {
            if let Some(port) = port.filter(|port| *port != PORT) {
                let rest =
                    format!("names the port {port}, but nodes register at {PORT}, which is used; remove the port");
                reader.findings.warn(Code::HostPort, at.clone(), &rest);
            }
            endpoint
        }
        Err(what) => {
            let rest = format!("{} has {what}; write a host name or an IP address alone", quoted(&mask_user(&text)));
            if reader.findings.refuse_fresh(Code::HostInvalid, at.clone(), &rest, Instead::Kept) {
                return None;
            }
            Endpoint::Verbatim(text.trim().to_owned())
        }
    };
    if endpoint.is_local() {
        let rest = format!("{} cannot be reached by other nodes; write an address that can", quoted(&endpoint.host()));
        reader.findings.warn(Code::HostLocal, at, &rest);
    }
    Some(endpoint)
}

/// The server among the options of a node that founds the cluster: the Go provider joined it, so a node with state keeps it, as it is written.
pub(crate) fn on_init(reader: &mut Reader, role: Role, owned: &[Owned]) -> Option<String> {
    let server = owned.iter().find(|it| it.name == "server").filter(|_| !role.joins())?;
    if !is_in_config(server) {
        // The Go provider read no option of RKE2 from there.
        let rest = "is left out, because role init founds the cluster; remove it, or write role controlplane if this node joins";
        reader.findings.warn(Code::ServerOnInit, server.at.clone(), rest);
        return None;
    }
    let rest = "is not for role init, which founds the cluster; write role controlplane and control_plane_host if this node joins, else \
                remove it";
    // Of another spelling RKE2 took the empty one that the Go provider wrote.
    let is_joined = is_text_of_config(reader, server);
    let instead = if is_joined { Instead::Kept } else { Instead::LeftOut };
    let is_refused = reader.findings.refuse_fresh(Code::ServerOnInit, server.at.clone(), rest, instead);
    (!is_refused && is_joined).then(|| server.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host name with this many characters, all labels as long as one may be.
    fn name_of(length: usize) -> String {
        format!("{}.", "a".repeat(63)).chars().cycle().take(length).collect()
    }

    #[test]
    fn hosts_as_people_write_them() {
        let (longest, its_url) = (name_of(253), format!("https://{}:9345", name_of(253)));
        for (text, url, host, port) in [
            ("10.0.0.1", "https://10.0.0.1:9345", "10.0.0.1", None),
            ("10.0.0.1:9345", "https://10.0.0.1:9345", "10.0.0.1", Some(9345)),
            ("https://10.0.0.1:6443/", "https://10.0.0.1:9345", "10.0.0.1", Some(6443)),
            ("HTTPS://VIP.Example.Com/", "https://vip.example.com:9345", "vip.example.com", None),
            ("vip.example.com.", "https://vip.example.com:9345", "vip.example.com", None),
            ("node_1", "https://node_1:9345", "node_1", None),
            ("fd00::1", "https://[fd00::1]:9345", "fd00::1", None),
            ("[FD00:0::1]", "https://[fd00::1]:9345", "fd00::1", None),
            ("[fd00::1]:9345", "https://[fd00::1]:9345", "fd00::1", Some(9345)),
            ("https://[fd00::1]/", "https://[fd00::1]:9345", "fd00::1", None),
            ("fd00::1:9345", "https://[fd00::1:9345]:9345", "fd00::1:9345", None),
            (" vip ", "https://vip:9345", "vip", None),
            (&longest, &its_url, &longest, None),
        ] {
            let (endpoint, found) = Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((endpoint.join_url().as_str(), endpoint.host().as_str(), found), (url, host, port), "{text}");
        }
    }

    #[test]
    fn hosts_that_other_nodes_cannot_reach() {
        for (text, is_local) in [
            ("localhost", true),
            ("node.localhost", true),
            ("notlocalhost", false),
            ("127.0.0.2", true),
            ("0.0.0.0", true),
            ("169.254.1.1", true),
            ("224.0.0.1", true),
            ("10.0.0.1", false),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("ff02::1", true),
            ("fd00::1", false),
        ] {
            let (endpoint, _) = Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(endpoint.is_local(), is_local, "{text}");
        }
    }

    #[test]
    fn what_is_no_host() {
        let (too_long, label_too_long) = (name_of(254), "a".repeat(64));
        for (text, what) in [
            ("", "no host"),
            ("https://", "no host"),
            ("http://vip", "a scheme other than https"),
            ("tcp://vip", "a scheme other than https"),
            ("vip/path", "a path"),
            ("https://vip//", "a path"),
            ("user@vip", "user information"),
            ("fe80::1%eth0", "a zone id"),
            ("a b", "blanks in it"),
            ("\u{201c}vip\u{201d}", "typographic quotes in it"),
            ("vip\u{200b}", "a character without width in it"),
            ("<vip>", "a placeholder that nobody has filled in"),
            ("${VIP}", "a placeholder that nobody has filled in"),
            ("a\u{1}b", "a control character"),
            ("vip:", "a port that is not between 1 and 65535"),
            ("vip:0", "a port that is not between 1 and 65535"),
            ("vip:65536", "a port that is not between 1 and 65535"),
            ("vip:https", "a port that is not between 1 and 65535"),
            ("[fd00::1", "a bracket that is not closed"),
            ("[10.0.0.1]", "brackets, but no IPv6 address in them"),
            ("[fd00::1]9345", "text after the bracket"),
            ("fd00:::1", "colons, but no valid IPv6 address"),
            ("10.0.0.256", "the look of an IPv4 address, but not a valid one"),
            ("10.0.0", "the look of an IPv4 address, but not a valid one"),
            ("010.0.0.1", "the look of an IPv4 address, but not a valid one"),
            ("-vip", "characters or a form that no host name has"),
            ("vip..example", "characters or a form that no host name has"),
            ("münchen.example", "characters or a form that no host name has"),
            (&too_long, "characters or a form that no host name has"),
            (&label_too_long, "characters or a form that no host name has"),
        ] {
            assert_eq!(Endpoint::parse(text), Err(what), "{text}");
        }
    }
}
