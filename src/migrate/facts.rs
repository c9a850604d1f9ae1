//! What is known of the node that a configuration is for, and what was said about it.

use crate::cluster::host::Endpoint;
use crate::cluster::role::Role;
use crate::findings::path::Path;
use crate::text::escape::limit;

/// What a person says beside the file.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What the node is.
    pub(crate) role: Option<Role>,
    /// Whether the options are those of k3s.
    pub(crate) is_k3s: Option<bool>,
    /// What the file of `token-file` holds.
    pub(crate) token: Option<String>,
}

/// What is found on the way through a file.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// What a person says.
    pub(super) asked: &'a Asked,
    /// Whether it is certain that the file is for k3s.
    pub(super) is_k3s: bool,
    /// What the node is.
    pub(super) role: Option<Role>,
    /// `token` among the options.
    pub(super) token: Option<String>,
    /// `server` among the options.
    pub(super) server: Option<String>,
    /// The host of the section.
    pub(super) host: Option<String>,
    /// A token and a host that count only where the section has none.
    pub(super) other_token: Option<String>,
    pub(super) other_host: Option<String>,
    /// Whether the nodes were founded by kubeadm.
    pub(super) is_kubeadm: bool,
    /// Where the options stand that are read.
    pub(super) path: Option<Path>,
    /// What was changed, and why.
    pub(super) said: Vec<String>,
}

impl Facts<'_> {
    /// The host in the address of a server. Says so where the address has more, or none.
    pub(super) fn host_of(&mut self, address: &str) -> Option<String> {
        if let Ok((endpoint, _)) = Endpoint::parse(address) {
            return Some(endpoint.host());
        }
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => Ok(host),
            // What of it is a password nobody knows.
            None if rest.contains('@') => Err("user information that is not escaped"),
            None => Ok(authority),
        };
        let cluster = Path::of("cluster");
        match host.and_then(Endpoint::parse) {
            Ok((endpoint, _)) => {
                self.say_of(
                    &cluster.key("control_plane_host"),
                    "is the host of the server's address alone; RKE2 joins there at port 9345",
                );
                Some(endpoint.host())
            }
            Err(what) => {
                let rest = format!("is not written, because the address of the server has {what}; write the host");
                self.say_of(&cluster.key("control_plane_host"), &rest);
                None
            }
        }
    }

    fn say_of(&mut self, path: &Path, rest: &str) {
        self.add(&format!("{path}: {rest}"));
    }

    fn add(&mut self, sentence: &str) {
        let sentence = limit(sentence);
        if !self.said.contains(&sentence) {
            self.said.push(sentence);
        }
    }

    /// Says what became of a key below the one that is read.
    pub(super) fn say(&mut self, key: &str, rest: &str) {
        let path = match &self.path {
            Some(path) if key.is_empty() => path.clone(),
            Some(path) => path.key(key),
            None if key.is_empty() => Path::default(),
            None => Path::of(key),
        };
        if path.is_empty() {
            self.add(&format!("the file {rest}"));
        } else {
            self.say_of(&path, rest);
        }
    }
}
