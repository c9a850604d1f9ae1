//! What the cluster section means: a value that cannot be invalid, or the findings that say why there is none.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::certificates::{self, Problem};
use crate::check::{Code, Findings, Instead, MOST_PRINTED, Path, Severity, quoted};
use crate::cloud_config::{Options, Place, Section};
use crate::drop_in::{self, DropIn, Owned};
use crate::no_proxy;
use crate::options;
use crate::yaml::{Core, Key, Kind, Node, Scalar, Yaml11};

/// Where RKE2 holds its state if nothing else is said (rke2 `pkg/cli/cmds/root.go`).
pub const DATA_DIR: &str = "/var/lib/rancher/rke2";

/// Where the document goes if nothing else is said (kairos `sdk/clusterplugin/plugin.go`).
pub const DOCUMENT_PATH: &str = "/usr/local/cloud-config/cluster.kairos.yaml";

/// Where Kairos looks for boot stages (kairos-agent `pkg/constants`, `GetCloudInitPaths`), ours first.
pub const SCANNED: [&str; 3] = ["/usr/local/cloud-config", "/oem", "/system/oem"];

/// Where local images are looked for if nothing else is said.
pub const IMAGES_PATH: &str = "/opt/content/images";

/// What the node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Founds the cluster: its first server.
    Init,
    /// Joins as a server.
    ControlPlane,
    /// Joins as an agent.
    Worker,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Init, Role::ControlPlane, Role::Worker];

    /// The role of a word of the cloud-config.
    pub fn of(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// The word of the cloud-config.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Init => "init",
            Role::ControlPlane => "controlplane",
            Role::Worker => "worker",
        }
    }

    /// The systemd unit that runs it, without `.service`.
    pub fn unit(self) -> &'static str {
        if self.is_server() { "rke2-server" } else { "rke2-agent" }
    }

    /// Whether it runs a control plane.
    pub fn is_server(self) -> bool {
        self != Role::Worker
    }

    /// Whether it joins a cluster that another node founded.
    pub fn joins(self) -> bool {
        self != Role::Init
    }
}

/// The shared secret of the cluster; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The secret itself, for the files that are meant for it.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Where the cluster is: a host name in lower case, an address, or on a node with state the text that the Go provider used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A host name.
    Name(String),
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// What is neither; kept for a node that runs with it.
    Verbatim(String),
}

impl Endpoint {
    /// Reads `control_plane_host`: brackets, `https://`, a port and a `/` at the end are taken off. Gives the host and the port.
    /// Fails with what is wrong, for a message.
    pub fn parse(text: &str) -> Result<(Endpoint, Option<u16>), &'static str> {
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
        if rest.contains("{{") {
            return Err("a template, which is not evaluated here");
        }
        if rest.chars().any(char::is_whitespace) {
            return Err("blanks in it");
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
    pub fn host(&self) -> String {
        match self {
            Endpoint::Name(host) => host.clone(),
            // A user and password have no place in a certificate.
            Endpoint::Verbatim(text) => text.rsplit_once('@').map_or(text.as_str(), |(_, host)| host).to_owned(),
            Endpoint::Address(address) => address.to_string(),
        }
    }

    /// The URL that a joining node registers at; RKE2's supervisor listens at 9345.
    pub fn join_url(&self) -> String {
        match self {
            Endpoint::Address(IpAddr::V6(address)) => format!("https://[{address}]:9345"),
            Endpoint::Verbatim(text) => format!("https://{text}:9345"),
            other => format!("https://{}:9345", other.host()),
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
            Endpoint::Verbatim(_) => false,
        }
    }
}

/// `text` with `***` for what stands before its last `@`: a host given with a user may carry a password.
pub fn mask_user(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, host)| format!("***@{host}"))
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

/// A trusted certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// One certificate, in the form that [`certificates::read`] gives.
    Pem(String),
    /// The absolute path of a file on the node.
    Path(String),
}

/// What the node is to be; it cannot be invalid.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What the node does.
    pub role: Role,
    /// The secret; a joiner has one, here or in a file that its options name.
    pub token: Option<Token>,
    /// Where the cluster is; a joiner has it.
    pub endpoint: Option<Endpoint>,
    /// RKE2's options from `config`, without `token` and `server`.
    pub options: DropIn,
    /// Those of them, of the lists that replace each other, that were given with a `+`.
    pub appended: Vec<String>,
    /// RKE2's options from `providerConfig`.
    pub provider_options: DropIn,
    /// Prefix of scripts and content, without a `/` at the end; empty is none.
    pub root_path: String,
    /// Whether swap stays as it is.
    pub keep_swap: bool,
    /// Options of `providerConfig` that are for steps on the node: see [`SETTINGS`], with values in the form given there.
    pub settings: BTreeMap<&'static str, String>,
    /// Where pods and Services are, for what must not go through a proxy.
    pub networks: Networks,
    /// Environment variables of RKE2's service.
    pub env: BTreeMap<String, String>,
    /// Certificates that the node trusts.
    pub ca_certs: Vec<Certificate>,
    /// Where local images are imported from, if they are.
    pub images: Option<String>,
    /// Where the document goes.
    pub document_path: String,
    /// Where RKE2 holds its state.
    pub data_dir: String,
}

/// The networks of the cluster as the cloud-config has them, on an agent too, whose own configuration does not name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// Address ranges of pods; empty if RKE2's default is to be.
    pub cluster: Vec<String>,
    /// Address ranges of Services; empty if RKE2's default is to be.
    pub service: Vec<String>,
    /// The DNS suffix of the cluster; empty if RKE2's default is to be.
    pub domain: String,
}

/// What the node already is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// It was a server: `server/db` or `server/tls` is there.
    pub server: bool,
    /// It was an agent (or a server, which runs one too): `agent/client-kubelet.crt` is there.
    pub agent: bool,
}

/// Keys of the cluster section (kairos `sdk/clusterplugin/config.go`).
const KEYS: [&str; 10] = [
    "role",
    "cluster_token",
    "control_plane_host",
    "config",
    "providerConfig",
    "env",
    "ca_certs",
    "import_local_images",
    "local_images_path",
    "cluster_config_path",
];

/// Keys of `providerConfig` that are ours.
fn provider_keys() -> Vec<&'static str> {
    ["cluster_root_path", "swap"].into_iter().chain(SETTINGS.map(|(name, _)| name)).collect()
}

/// What the value of a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// A duration with its unit (`90s`, `10m`, `1h30m`); kept as whole seconds.
    Duration,
    /// `true` or `false` and the other words that RKE2 takes for them; kept as `true` or `false`.
    Switch,
    /// Names of kernel modules between blanks or commas; kept with one blank in between.
    Modules,
    /// The name of a file in a directory, or an absolute path.
    File,
}

/// Options of `providerConfig` that steps on the node read.
pub const SETTINGS: [(&str, Setting); 7] = [
    ("images_budget", Setting::Duration),
    ("images_wait", Setting::Duration),
    ("images_marker", Setting::File),
    ("networkmanager_unmanaged", Setting::Switch),
    ("inotify_limits", Setting::Switch),
    ("kernel_modules", Setting::Modules),
    ("reset_timeout", Setting::Duration),
];

impl Setting {
    /// The value in the form in which it is kept, or what is accepted.
    fn read(self, text: &str) -> Result<String, &'static str> {
        match self {
            Setting::Duration => match seconds(text) {
                Some(seconds) => Ok(seconds.to_string()),
                None => Err("a duration of at most a day, such as 90s or 10m"),
            },
            Setting::Switch => match drop_in::boolean(&Yaml11::Text(text.to_owned())) {
                Some(on) => Ok(on.to_string()),
                None => Err("true or false"),
            },
            Setting::Modules => {
                let names: Vec<&str> =
                    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty()).collect();
                let is_name = |name: &&str| {
                    !name.starts_with('-')
                        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
                };
                match names.iter().all(is_name) {
                    true => Ok(names.join(" ")),
                    false => Err("names of kernel modules with blanks in between"),
                }
            }
            Setting::File => match is_absolute(text) || (!text.contains('/') && is_absolute(&format!("/{text}"))) {
                true => Ok(text.to_owned()),
                false => Err("the name of a file, or an absolute path without `..`"),
            },
        }
    }
}

/// The data directory that a section asks for, before anything is judged: RKE2's state decides how strictly that is done.
pub fn data_dir(section: &Section) -> String {
    let text = |node: Option<&Node>| Some(node?.scalar()?.yaml11().printed()).filter(|text| !text.is_empty());
    let provider = section.node.get("providerConfig").or_else(|| section.node.get("provider_options"));
    let option = |root: Option<&Node>| text(root?.get("data-dir")).or_else(|| text(root?.get("d")));
    let config = match &section.options {
        Options::Read(_, document) => Some(&document.root),
        _ => None,
    };
    let found = option(provider).or_else(|| option(config));
    let found = found.or_else(|| text(section.node.get("env").and_then(|env| env.get("RKE2_DATA_DIR"))));
    found.map_or_else(|| DATA_DIR.to_owned(), |path| normalized(&path))
}

/// Judges the section for a node in `state`: every mistake is a finding. `None` if one of them is refused.
pub fn understand(section: &Section, state: State, findings: &mut Findings) -> Option<Cluster> {
    findings.lenient = state.server || state.agent;
    let path = Path::of("cluster");
    let mut judge = Judge { section, state, path, findings };
    let cluster = judge.cluster();
    match findings.worst() {
        Some(Severity::Refused) => None,
        _ => cluster,
    }
}

/// What `providerConfig` holds.
struct Ours {
    keep_swap: bool,
    root_path: String,
    settings: BTreeMap<&'static str, String>,
    options: drop_in::Read,
}

struct Judge<'a> {
    section: &'a Section,
    state: State,
    path: Path,
    findings: &'a mut Findings,
}

impl<'a> Judge<'a> {
    fn cluster(&mut self) -> Option<Cluster> {
        let Kind::Map(_) = self.section.node.kind else {
            let rest = format!(
                "found {}, accepted is a mapping with role, cluster_token and so on, write that",
                self.section.node.described()
            );
            self.findings.push(Severity::Refused, Code::WrongType, &self.path, self.section.node.line, &rest);
            return None;
        };
        self.unknown_keys();
        let role = self.role();
        // Without a role the rest is judged as for the first server, which demands least.
        let judged = role.unwrap_or(Role::Init);
        let options = self.options(judged);
        let (provider_key, provider) = self.provider_config();
        let networks = self.networks(&provider, judged);
        let ours = self.provider_options(provider_key, &provider, judged);
        let Ours { keep_swap, root_path, settings, options: provider_options } = ours;
        let env = self.env();
        self.profile(provider_key, &options.options, &provider_options.options, &env);
        let mut owned = provider_options.owned;
        owned.extend(options.owned);
        let token = self.token(role, &owned, &[&options.options, &provider_options.options], &env);
        let endpoint = self.endpoint(judged, &owned);
        let ca_certs = self.ca_certs();
        let images = self.images();
        let document_path = self.document_path();
        Some(Cluster {
            role: role?,
            token,
            endpoint,
            options: options.options,
            appended: options.appended.into_iter().filter(|name| is_replaced(name)).collect(),
            provider_options: provider_options.options,
            root_path,
            keep_swap,
            settings,
            networks,
            env,
            ca_certs,
            images,
            document_path,
            data_dir: data_dir(self.section),
        })
    }

    fn get(&self, key: &str) -> Option<(&'a Key, &'a Node)> {
        self.section.node.entry(key).filter(|(_, node)| !node.is_null())
    }

    fn push(&mut self, severity: Severity, code: Code, path: &Path, line: usize, rest: &str) {
        self.findings.push(severity, code, path, line, rest);
    }

    /// The line of a key, where it is written at all.
    fn line_of(&self, key: &str) -> usize {
        self.section.node.entry(key).map_or(self.section.line, |(key, _)| key.line)
    }

    /// The scalar of a key with the key's line; a list or mapping in its place is refused, for `hard` ones also on a node with state.
    fn scalar(&mut self, key: &str, accepted: &str, hard: bool) -> Option<(Scalar, usize)> {
        let (line, node) = self.get(key).map(|(key, node)| (key.line, node))?;
        let Kind::Scalar(scalar) = &node.kind else {
            let rest = format!("found {}, accepted is {accepted}, write that", node.described());
            self.refuse_type(&self.path.key(key), line, &rest, hard);
            return None;
        };
        Some((scalar.clone(), line))
    }

    fn refuse_type(&mut self, path: &Path, line: usize, rest: &str, hard: bool) {
        if hard {
            self.push(Severity::Refused, Code::WrongType, path, line, rest);
        } else {
            self.findings.refuse(Code::WrongType, path, line, rest, Instead::LeftOut);
        }
    }

    fn unknown_keys(&mut self) {
        for (key, _) in self.section.node.entries() {
            let name = key.scalar.text.as_str();
            if KEYS.contains(&name) || name == "provider_options" {
                continue;
            }
            let is_printed = self.findings.count(Code::UnknownKey) < MOST_PRINTED;
            let near = is_printed.then(|| options::nearest_of(name, &KEYS)).flatten();
            let rest = match near {
                Some(near) => format!("is no key of the cluster section, did you mean {near}?"),
                None if options::find(name).is_some() => {
                    "is an option of RKE2, which belongs into cluster.config".into()
                }
                None => format!("is no key of the cluster section, accepted are {}", KEYS.join(", ")),
            };
            self.findings.push(Severity::Warning, Code::UnknownKey, &self.path.key(name), key.line, &rest);
        }
    }

    fn role(&mut self) -> Option<Role> {
        const ACCEPTED: &str =
            "accepted are init (the first server), controlplane (a server that joins) and worker (an agent)";
        let path = self.path.key("role");
        if self.get("role").is_some_and(|(_, node)| !matches!(node.kind, Kind::Scalar(_))) {
            self.scalar("role", "init, controlplane or worker", true);
            return None;
        }
        let role = self.scalar("role", "", true).filter(|(scalar, _)| !scalar.text.trim().is_empty());
        let (code, line, found) = match role {
            None => (Code::RoleMissing, self.line_of("role"), "found no role".to_owned()),
            Some((scalar, line)) => match scalar.text.as_str() {
                "init" => return Some(Role::Init),
                "controlplane" => return Some(Role::ControlPlane),
                "worker" => return Some(Role::Worker),
                other if is_word(other) => (Code::RoleUnknown, line, format!("found {}", quoted(other))),
                _ => (Code::RoleUnknown, line, "found another text".to_owned()),
            },
        };
        let meant = match found.to_ascii_lowercase().trim_start_matches("found ").trim_matches(['"', ' ']) {
            "init" | "bootstrap" | "cluster-init" | "first" => "write init",
            "master" | "server" | "control-plane" | "control_plane" | "controlplane" | "control plane" | "cp"
            | "etcd" | "controller" => "write controlplane, or init on the first server",
            "agent" | "node" | "worker" | "workers" | "minion" => "write worker",
            _ => "write one of them",
        };
        let rest = format!("{found}, {ACCEPTED}, {meant}");
        if self.state.server {
            let rest =
                format!("{rest} (this node has state of a server, so it is taken for a server that joins, as before)");
            self.push(Severity::Warning, code, &path, line, &rest);
            return Some(Role::ControlPlane);
        }
        self.push(Severity::Refused, code, &path, line, &rest);
        None
    }

    fn options(&mut self, role: Role) -> drop_in::Read {
        let path = self.path.key("config");
        match &self.section.options {
            Options::None => drop_in::Read::default(),
            Options::WrongType => {
                let rest = "found a list, accepted is text with YAML or a mapping, both with RKE2's options by name";
                self.push(Severity::Refused, Code::WrongType, &path, self.line_of("config"), rest);
                drop_in::Read::default()
            }
            Options::Broken(place, error) => {
                let (line, problem) = (error.line, &error.problem);
                let rest = match place.inner(line) {
                    Some(line) => format!("line {line} of its text {problem}, correct it"),
                    None => format!("{problem}, correct it"),
                };
                self.push(Severity::Refused, Code::OptionsInvalidYaml, &path, place.outer(line), &rest);
                self.findings.mark_inner(place.inner(line));
                drop_in::Read::default()
            }
            Options::Read(place, document) => {
                let (place, root) = (*place, &document.root);
                if let Some((_, line)) = &document.anchor_twice {
                    let rest = "defines an anchor twice, which YAML readers take differently, rename one";
                    self.findings.refuse(Code::OptionsAnchorTwice, &path, place.outer(*line), rest, Instead::Kept);
                    self.findings.mark_inner(place.inner(*line));
                }
                if let Some(line) = document.second {
                    let rest = "goes on with a second document, which has no effect, remove it";
                    self.push(Severity::Warning, Code::SecondDocument, &path, place.outer(line), rest);
                    self.findings.mark_inner(place.inner(line));
                }
                if !matches!(root.kind, Kind::Map(_)) {
                    if !root.is_null() {
                        let rest = format!(
                            "holds {}, accepted is a mapping with RKE2's options by name, write that",
                            root.described()
                        );
                        self.push(Severity::Refused, Code::OptionsNotMapping, &path, place.outer(root.line), &rest);
                        self.findings.mark_inner(place.inner(root.line));
                    }
                    return drop_in::Read::default();
                }
                drop_in::read(root.entries(), &path, place, role.is_server(), self.findings)
            }
        }
    }

    /// `providerConfig`, or the same under its usual misspelling.
    fn provider_config(&mut self) -> (&'static str, Vec<(&'a Key, &'a Node)>) {
        let mut key = "providerConfig";
        if let Some(line) = self.get("provider_options").map(|(key, _)| key.line) {
            let rest = match self.get(key).is_some() {
                true => "is ignored, for providerConfig is there too, remove it",
                false => "is taken for providerConfig, rename it",
            };
            if self.get(key).is_none() {
                key = "provider_options";
            }
            self.push(Severity::Warning, Code::ProviderOptionsMisnamed, &self.path.key("provider_options"), line, rest);
        }
        (key, self.mapping(key))
    }

    /// The entries of a key that holds a mapping of single values; null values are left out.
    fn mapping(&mut self, key: &str) -> Vec<(&'a Key, &'a Node)> {
        let Some((key_line, node)) = self.get(key).map(|(key, node)| (key.line, node)) else {
            return Vec::new();
        };
        let path = self.path.key(key);
        let Kind::Map(entries) = &node.kind else {
            let rest = format!("found {}, accepted is a mapping of names to text, write that", node.described());
            self.refuse_type(&path, key_line, &rest, false);
            return Vec::new();
        };
        let mut kept = Vec::new();
        for (name, value) in entries {
            if matches!(value.kind, Kind::Scalar(_)) {
                kept.push((name, value));
            } else {
                let rest = format!("found {}, accepted is text, write that", value.described());
                self.refuse_type(&path.key(&name.scalar.text), name.line, &rest, false);
            }
        }
        kept
    }

    fn provider_options(&mut self, key: &str, entries: &[(&'a Key, &'a Node)], role: Role) -> Ours {
        let path = self.path.key(key);
        let (mut keep_swap, mut root_path, mut rke2) = (false, String::new(), Vec::new());
        let mut settings = BTreeMap::new();
        for (name, value) in entries {
            let Some(scalar) = value.scalar().filter(|_| !value.is_null()) else { continue };
            let (path, text) = (path.key(&name.scalar.text), scalar.text.as_str());
            match name.scalar.text.as_str() {
                "swap" if text == "keep" => keep_swap = true,
                "swap" => {
                    let rest = format!(
                        "found {}, accepted is keep, swap is switched off, write keep or remove the key",
                        quoted(text)
                    );
                    self.push(Severity::Warning, Code::SwapUnknown, &path, name.line, &rest);
                }
                "cluster_root_path" => {
                    root_path = self.checked_path(&path, name.line, text, "an absolute path").unwrap_or_default();
                    if root_path == "/" {
                        root_path.clear();
                    }
                }
                other => {
                    if let Some((setting, kind)) = SETTINGS.into_iter().find(|(name, _)| *name == other) {
                        match kind.read(text.trim()) {
                            Ok(value) => drop(settings.insert(setting, value)),
                            Err(accepted) => {
                                let rest = format!(
                                    "found {}, accepted is {accepted}, it is left out, correct it",
                                    quoted(text)
                                );
                                self.push(Severity::Warning, Code::ProviderOptionInvalid, &path, name.line, &rest);
                            }
                        }
                        continue;
                    }
                    let option = other.strip_suffix('+').unwrap_or(other);
                    match options::find(option).map(|spec| spec.class) {
                        None => {}
                        Some(options::Class::Dropped) => {
                            let rest = "is a k3s option, no effect in RKE2, it is left out, remove it";
                            self.push(Severity::Warning, Code::OptionDropped, &path, name.line, rest);
                            continue;
                        }
                        Some(_) => {
                            rke2.push(drop_in::entry(other, text, name.line));
                            continue;
                        }
                    }
                    // The nearest name is looked up only for those that are printed.
                    let is_printed = self.findings.count(Code::ProviderOptionUnknown) < MOST_PRINTED;
                    let near = || options::nearest_of(option, &provider_keys()).or_else(|| options::nearest(option));
                    let near = is_printed.then(near).flatten().map_or_else(
                        || format!("accepted are {} and RKE2's options", provider_keys().join(", ")),
                        |near| format!("did you mean {near}?"),
                    );
                    self.push(
                        Severity::Warning,
                        Code::ProviderOptionUnknown,
                        &path,
                        name.line,
                        &format!("is not known, {near}"),
                    );
                }
            }
        }
        let options = drop_in::read(&rke2, &path, Place::Here, role.is_server(), self.findings);
        Ours { keep_swap, root_path, settings, options }
    }

    /// The networks that the options name, whatever the role; `providerConfig` counts last, as its drop-in does. What is no CIDR is told.
    fn networks(&mut self, provider: &[(&'a Key, &'a Node)], role: Role) -> Networks {
        let config = match &self.section.options {
            Options::Read(place, document) => Some((*place, document.root.entries())),
            _ => None,
        };
        let config =
            config.into_iter().flat_map(|(place, entries)| entries.iter().map(move |(key, node)| (place, key, node)));
        let all: Vec<(Place, &Key, &Node)> =
            config.chain(provider.iter().map(|(key, node)| (Place::Here, *key, *node))).collect();
        let given = |name: &str| -> Vec<(Place, usize, String)> {
            let mut given: Vec<(Place, usize, String)> = Vec::new();
            for (place, key, node) in &all {
                let written = key.scalar.text.as_str();
                let is_added = written.strip_suffix('+') == Some(name);
                if !is_added && written != name {
                    continue;
                }
                let texts = texts(node);
                if !is_added && !texts.is_empty() {
                    given.clear();
                }
                given.extend(texts.into_iter().map(|text| (*place, key.line, text)));
            }
            given
        };
        let texts = |given: &[(Place, usize, String)]| given.iter().map(|(_, _, text)| text.clone()).collect();
        let (cluster, service, domain) = (given("cluster-cidr"), given("service-cidr"), given("cluster-domain"));
        // RKE2's defaults are of the family of its first node address (k3s `pkg/util/net.go`).
        let is_v6 = given("node-ip").first().is_some_and(|(_, _, text)| text.parse::<Ipv6Addr>().is_ok());
        let or_default = |texts: Vec<String>, default: &str| match texts.is_empty() && is_v6 {
            true => vec![default.to_owned()],
            false => texts,
        };
        let networks = Networks {
            cluster: or_default(texts(&cluster), no_proxy::CLUSTER_V6),
            service: or_default(texts(&service), no_proxy::SERVICE_V6),
            domain: domain.last().map(|(_, _, text)| text.clone()).unwrap_or_default(),
        };
        // On an agent only the proxy environment is made of it.
        let severity = if role.is_server() { Severity::Error } else { Severity::Warning };
        for (name, given) in [("cluster-cidr", &cluster), ("service-cidr", &service)] {
            for (place, line, text) in
                given.iter().filter(|(_, _, text)| !no_proxy::is_cidr(text) && !text.contains("{{"))
            {
                let rest =
                    format!("found {}, accepted is an address range such as 10.42.0.0/16, write one", quoted(text));
                let path = self.path.key("config").key(name);
                self.push(severity, Code::CidrInvalid, &path, place.outer(*line), &rest);
                self.findings.mark_inner(place.inner(*line));
            }
        }
        networks
    }

    /// With the profile `cis`, RKE2 stops where protect-kernel-defaults is false (rke2 `pkg/cli/cmds/profile_linux.go`).
    fn profile(&mut self, key: &str, config: &DropIn, provider: &DropIn, env: &BTreeMap<String, String>) {
        let of = |options: &DropIn, name: &str| {
            let found = options.iter().find(|(option, _)| option == name);
            found.map(|(_, value)| value.clone())
        };
        // Of both the one in providerConfig counts, as its drop-in comes last.
        let last = |name: &str| of(provider, name).or_else(|| of(config, name));
        let variable = env.get("RKE2_CIS_PROFILE").map(|text| drop_in::Value::Text(text.clone()));
        let is_cis = last("profile").or(variable) == Some(drop_in::Value::Text("cis".into()));
        let name = "protect-kernel-defaults";
        if !is_cis || last(name) != Some(drop_in::Value::Bool(false)) {
            return;
        }
        let line = |node: Option<&Node>| node.and_then(|node| node.entry(name)).map(|(key, _)| key.line);
        let in_config = match &self.section.options {
            Options::Read(place, document) if of(provider, name).is_none() => {
                line(Some(&document.root)).map(|line| (place.outer(line), place.inner(line)))
            }
            _ => None,
        };
        let (key, (line, inner)) = match in_config {
            Some(found) => ("config", found),
            None => (key, (line(self.section.node.get(key)).unwrap_or(self.section.line), None)),
        };
        let rest = "found false, with which RKE2 does not start where profile is cis, remove it";
        self.push(Severity::Error, Code::ProfileKernelDefaults, &self.path.key(key).key(name), line, rest);
        self.findings.mark_inner(inner);
    }

    fn env(&mut self) -> BTreeMap<String, String> {
        let path = self.path.key("env");
        let mut env = BTreeMap::new();
        for (name, value) in self.mapping("env") {
            let (text, path) = (name.scalar.text.as_str(), path.key(&name.scalar.text));
            let Some(scalar) = value.scalar() else { continue };
            let reserved = match text {
                "RKE2_TOKEN" => Some("cluster_token"),
                "RKE2_URL" => Some("control_plane_host"),
                "RKE2_CONFIG_FILE" => Some("config"),
                _ => None,
            };
            if !is_variable(text) {
                let rest = "found a name that no variable can have, accepted are letters, digits and underscores, no digit first, rename it";
                self.findings.refuse(Code::EnvName, &path, name.line, rest, Instead::LeftOut);
            } else if let Some(field) = reserved {
                let rest = format!("would override the cluster section, write cluster.{field} in its place");
                self.findings.refuse(Code::EnvReserved, &path, name.line, &rest, Instead::LeftOut);
            } else if value.is_null() {
                self.push(Severity::Note, Code::EnvEmpty, &path, name.line, "found no value, it is left out");
            } else if scalar.text.chars().any(char::is_control) {
                let rest =
                    "found a control character or line break in its value, accepted is one line of text, remove it";
                self.findings.refuse(Code::EnvControl, &path, name.line, rest, Instead::LeftOut);
            } else if scalar.text.chars().any(is_noncharacter) {
                let rest = "found a code point that stands for no character (U+FFFE and the like), for which systemd drops the whole environment file, accepted is one line of text, remove it";
                self.findings.refuse(Code::EnvControl, &path, name.line, rest, Instead::LeftOut);
            } else {
                if scalar.text.contains("{{") {
                    let rest = "holds a template, which is evaluated in options only, it is kept as text";
                    self.push(Severity::Warning, Code::OptionTemplate, &path, name.line, rest);
                }
                env.insert(text.to_owned(), scalar.text.clone());
            }
        }
        env
    }

    fn token(
        &mut self,
        role: Option<Role>,
        owned: &[Owned],
        options: &[&DropIn],
        env: &BTreeMap<String, String>,
    ) -> Option<Token> {
        let path = self.path.key("cluster_token");
        let own = self.scalar("cluster_token", "text", true);
        let wrong_type = own.is_none() && self.get("cluster_token").is_some();
        if let Some((scalar, line)) = &own
            && scalar.core() == Core::Retyped
        {
            let rest = "found a number, boolean or date without quotes, kept as written, but merging cloud-configs may change it, quote it";
            self.push(Severity::Warning, Code::TokenNotText, &path, *line, rest);
        }
        let own = own.map(|(scalar, line)| (scalar.text.trim().to_owned(), line)).filter(|(text, _)| !text.is_empty());
        let given = own.is_some();
        let embedded = self.embedded("token", "cluster_token", given, owned);
        let (text, path, line, inner) = match (own, embedded) {
            (Some((text, line)), _) => (text, path, line, None),
            (None, Some(it)) => (it.text.clone(), it.path.clone(), it.line, it.inner),
            (None, None) => {
                let in_file = options.iter().any(|it| it.iter().any(|(name, _)| name == "token-file"));
                if in_file || env.get("RKE2_TOKEN_FILE").is_some_and(|it| !it.is_empty()) || wrong_type {
                    return None;
                }
                if let Some(role) = role.filter(|role| role.joins()) {
                    let rest = format!("found none, a {} needs the token of its cluster, write it", role.as_str());
                    self.push(Severity::Refused, Code::TokenMissing, &path, self.line_of("cluster_token"), &rest);
                } else if role.is_some() {
                    let rest = "found none, RKE2 makes one, which other nodes need to join";
                    self.push(Severity::Note, Code::TokenGenerated, &path, self.line_of("cluster_token"), rest);
                }
                return None;
            }
        };
        if text.contains("{{") {
            let rest =
                "holds a template, which is not evaluated in a secret, it is kept as text, write the token itself";
            self.push(Severity::Warning, Code::OptionTemplate, &path, line, rest);
            self.findings.mark_inner(inner);
        }
        if let Some((severity, code, rest)) = judge_token(&text, role.unwrap_or(Role::Init)) {
            self.push(severity, code, &path, line, rest);
            self.findings.mark_inner(inner);
        }
        Some(Token(text))
    }

    /// `token` or `server` among RKE2's options: it counts where the key of the cluster section is missing.
    fn embedded<'o>(&mut self, name: &str, key: &str, given: bool, owned: &'o [Owned]) -> Option<&'o Owned> {
        for (number, it) in owned.iter().filter(|it| it.name == name).enumerate() {
            let rest = match number == 0 && !given {
                true => format!("is used, for cluster.{key} is missing, write it there"),
                false => format!("is ignored, for cluster.{key} counts, remove it"),
            };
            self.push(Severity::Warning, Code::TokenEmbedded, &it.path, it.line, &rest);
            self.findings.mark_inner(it.inner);
        }
        owned.iter().find(|it| it.name == name)
    }

    fn endpoint(&mut self, role: Role, owned: &[Owned]) -> Option<Endpoint> {
        let path = self.path.key("control_plane_host");
        let own = self.scalar("control_plane_host", "a host name or an address", true);
        let wrong_type = own.is_none() && self.get("control_plane_host").is_some();
        let own = own.map(|(scalar, line)| (scalar.text, line)).filter(|(text, _)| !text.trim().is_empty());
        let (text, path, line, inner) = match own {
            Some((text, line)) => {
                if role.joins() {
                    self.embedded("server", "control_plane_host", true, owned);
                } else {
                    self.server_on_init(owned);
                }
                (text, path, line, None)
            }
            None if !role.joins() => {
                self.server_on_init(owned);
                return None;
            }
            None => match self.embedded("server", "control_plane_host", wrong_type, owned) {
                _ if wrong_type => return None,
                Some(it) => (it.text.clone(), it.path.clone(), it.line, it.inner),
                None => {
                    let rest = format!("found none, a {} needs the address of its cluster, write it", role.as_str());
                    self.push(Severity::Refused, Code::HostMissing, &path, self.line_of("control_plane_host"), &rest);
                    return None;
                }
            },
        };
        let endpoint = match Endpoint::parse(&text) {
            Ok((endpoint, port)) => {
                if let Some(port) = port.filter(|port| *port != 9345) {
                    let rest = format!("found the port {port}, nodes register at 9345, which is used, remove the port");
                    self.push(Severity::Warning, Code::HostPort, &path, line, &rest);
                    self.findings.mark_inner(inner);
                }
                endpoint
            }
            Err(what) => {
                let rest = format!(
                    "found {} with {what}, accepted is a host name or an IP address, write just that",
                    quoted(&mask_user(&text))
                );
                let refused = self.findings.refuse(Code::HostInvalid, &path, line, &rest, Instead::Kept);
                self.findings.mark_inner(inner);
                if refused {
                    return None;
                }
                Endpoint::Verbatim(text.trim().to_owned())
            }
        };
        if endpoint.is_local() {
            let rest = format!(
                "found {}, which other nodes cannot reach, write an address that they can",
                quoted(&endpoint.host())
            );
            self.push(Severity::Warning, Code::HostLocal, &path, line, &rest);
            self.findings.mark_inner(inner);
        }
        Some(endpoint)
    }

    fn server_on_init(&mut self, owned: &[Owned]) {
        for it in owned.iter().filter(|it| it.name == "server") {
            let rest = "is left out, for role init founds the cluster, remove it, or write role controlplane if this node joins";
            self.push(Severity::Warning, Code::ServerOnInit, &it.path, it.line, rest);
            self.findings.mark_inner(it.inner);
        }
    }

    fn ca_certs(&mut self) -> Vec<Certificate> {
        let Some((line, node)) = self.get("ca_certs").map(|(key, node)| (key.line, node)) else {
            return Vec::new();
        };
        let path = self.path.key("ca_certs");
        let Kind::List(items) = &node.kind else {
            let rest = format!("found {}, accepted is a list of PEM texts or paths, write a list", node.described());
            self.refuse_type(&path, line, &rest, false);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = path.item(index);
            let Some(scalar) = item.scalar().filter(|_| !item.is_null()) else {
                let rest = format!("found {}, accepted is a PEM text or an absolute path, write one", item.described());
                self.refuse_type(&path, item.line, &rest, false);
                continue;
            };
            let text = scalar.text.trim();
            let mut refuse = |code, rest: &str| self.findings.refuse(code, &path, item.line, rest, Instead::LeftOut);
            match certificates::read(text) {
                Ok(read) => found.extend(read.into_iter().map(Certificate::Pem)),
                Err(Problem::PrivateKey) => {
                    let rest = "found a private key, accepted is a certificate, remove the key and replace it, for it is no secret any more";
                    refuse(Code::CertificatePrivateKey, rest);
                }
                Err(Problem::NotPem) if text.starts_with('/') && !text.contains('\n') => {
                    found.extend(self.checked_path(&path, item.line, text, "an absolute path").map(Certificate::Path));
                }
                Err(Problem::NotPem) => {
                    let rest = "found text that is neither a whole certificate in PEM form nor an absolute path, write one of them";
                    refuse(Code::CertificateInvalid, rest);
                }
                Err(problem) => {
                    let rest = format!("found {problem}, accepted are whole certificates in PEM form, copy them anew");
                    refuse(Code::CertificateInvalid, &rest);
                }
            }
        }
        found
    }

    fn images(&mut self) -> Option<String> {
        let path = self.path.key("import_local_images");
        let import = self.scalar("import_local_images", "true or false", false).is_some_and(|(scalar, line)| {
            let read = Yaml11::Text(scalar.text.clone());
            drop_in::boolean(&read).unwrap_or_else(|| {
                let rest = format!("found {}, accepted is true or false, write one of them", quoted(&scalar.text));
                self.findings.refuse(Code::BooleanInvalid, &path, line, &rest, Instead::LeftOut);
                false
            })
        });
        let path = self.path.key("local_images_path");
        let directory =
            self.scalar("local_images_path", "an absolute path", false).filter(|(scalar, _)| !scalar.text.is_empty());
        let directory = match directory {
            Some((scalar, line)) => self.checked_path(&path, line, &scalar.text, "an absolute path"),
            None => Some(IMAGES_PATH.to_owned()),
        };
        import.then_some(directory?)
    }

    fn document_path(&mut self) -> String {
        let path = self.path.key("cluster_config_path");
        let accepted = "an absolute path that ends in .yaml or .yml";
        let given = self.scalar("cluster_config_path", accepted, false).filter(|(scalar, _)| !scalar.text.is_empty());
        let Some((scalar, line)) = given else { return DOCUMENT_PATH.into() };
        let text = scalar.text.as_str();
        let name = text.rsplit('/').next().unwrap_or_default();
        let is_yaml = [".yaml", ".yml"].iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix));
        if !is_yaml || !is_absolute(text) {
            // A document that Kairos does not run would leave a node with state without its boot stages.
            let rest =
                format!("found {}, accepted is {accepted}, without `..`, write one or remove the key", quoted(text));
            self.findings.refuse(Code::PathInvalid, &path, line, &rest, Instead::LeftOut);
            return DOCUMENT_PATH.into();
        }
        let document = normalized(text);
        let is_below = |directory: &&str| document.strip_prefix(*directory).is_some_and(|rest| rest.starts_with('/'));
        if !SCANNED.iter().any(is_below) {
            let below = format!("{}/", SCANNED.first().unwrap_or(&""));
            let rest = format!(
                "found {}, where Kairos does not look for boot stages, write a path below {below}",
                quoted(&document)
            );
            self.push(Severity::Warning, Code::DocumentPathUnscanned, &path, line, &rest);
        }
        document
    }

    /// A path that is absolute, has no `..` and no control characters; normalised. Anything else is refused; on a node with
    /// state it is taken from the root, as the Go provider did, whose working directory was `/`.
    fn checked_path(&mut self, path: &Path, line: usize, text: &str, accepted: &str) -> Option<String> {
        if is_absolute(text) {
            return Some(normalized(text));
        }
        let rest =
            format!("found {}, accepted is {accepted} without `..` and control characters, write one", quoted(text));
        let refused = self.findings.refuse(Code::PathInvalid, path, line, &rest, Instead::Kept);
        (!refused && !text.chars().any(char::is_control)).then(|| normalized(text))
    }
}

/// The seconds of a duration such as `1h30m`, at most a day.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut seconds) = (text, 0_u64);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(['h', 'm', 's'])?);
        let unit = match tail.as_bytes().first() {
            Some(b'h') => 3600,
            Some(b'm') => 60,
            _ => 1,
        };
        let number: u64 = number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)?.parse().ok()?;
        seconds = number.checked_mul(unit)?.checked_add(seconds)?;
        rest = tail.get(1..)?;
    }
    (!text.is_empty() && seconds <= 86_400).then_some(seconds)
}

/// The texts of a single value or a flat list, split at commas, without the empty ones.
fn texts(node: &Node) -> Vec<String> {
    let scalars: Vec<String> = match &node.kind {
        Kind::Scalar(scalar) => vec![scalar.yaml11().printed()],
        _ => node.items().iter().filter_map(Node::scalar).map(|it| it.yaml11().printed()).collect(),
    };
    let parts = scalars.iter().flat_map(|text| text.split(',')).map(str::trim);
    parts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// What is to be said about a token (k3s `pkg/clientaccess/token.go` and `pkg/util/token.go`).
fn judge_token(text: &str, role: Role) -> Option<(Severity, Code, &'static str)> {
    const SHORTEST: usize = 16;
    let malformed = "found a token that begins with K10 and is not K10<64 hex digits>::<user>:<password>, RKE2 does not accept it, copy it whole";
    if let Some(rest) = text.strip_prefix("K10") {
        let credentials = match rest.split_once("::") {
            Some((hash, _)) if !hash.is_empty() && hash.len() != 64 => {
                return Some((Severity::Error, Code::TokenMalformed, malformed));
            }
            Some((_, credentials)) => credentials,
            None => rest,
        };
        let fits = is_bootstrap_token(credentials)
            || credentials.split_once(':').is_some_and(|(_, password)| !password.is_empty());
        return (!fits).then_some((Severity::Error, Code::TokenMalformed, malformed));
    }
    if is_bootstrap_token(text) && role.is_server() {
        let rest =
            "found a token of the form abcdef.0123456789abcdef, which RKE2 servers do not accept, choose another";
        return Some((Severity::Error, Code::TokenBootstrapForm, rest));
    }
    let rest = "found a token shorter than 16 characters, which can be guessed, choose a longer one";
    (text.chars().count() < SHORTEST).then_some((Severity::Warning, Code::TokenShort, rest))
}

/// `^[a-z0-9]{6}\.[a-z0-9]{16}$`
fn is_bootstrap_token(text: &str) -> bool {
    let word = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

fn is_replaced(option: &str) -> bool {
    options::find(option).is_some_and(|spec| spec.class == options::Class::Replace)
}

/// Whether a text can be the name of an environment variable: `^[A-Za-z_][A-Za-z0-9_]*$`.
pub fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Whether a code point is reserved as no character: systemd takes no file that holds one, and logs the line (systemd
/// `src/basic/utf8.c`, `unichar_is_valid`).
pub fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether a text reads like a role that somebody meant. Anything else may be a token that slipped into the line, and is not quoted.
fn is_word(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
}

/// Whether a path begins at the root and stays below where it leads, on one line.
fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && !path.chars().any(char::is_control) && !path.split('/').any(|part| part == "..")
}

/// An absolute path without empty parts, `.` and `..`.
pub fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_people_write_them() {
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
        ] {
            let (endpoint, found) = Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((endpoint.join_url().as_str(), endpoint.host().as_str(), found), (url, host, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_host() {
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
            ("{{ .Host }}", "a template, which is not evaluated here"),
        ] {
            assert_eq!(Endpoint::parse(text), Err(what), "{text}");
        }
    }

    #[test]
    fn tokens_are_judged_as_rke2_parses_them() {
        let hash = "a".repeat(64);
        for (token, role, code) in [
            ("a-long-enough-token".to_owned(), Role::Init, None),
            ("short".into(), Role::Worker, Some(Code::TokenShort)),
            ("abcdef.0123456789abcdef".into(), Role::Init, Some(Code::TokenBootstrapForm)),
            ("abcdef.0123456789abcdef".into(), Role::Worker, None),
            (format!("K10{hash}::server:pass"), Role::Worker, None),
            (format!("K10{hash}::abcdef.0123456789abcdef"), Role::Worker, None),
            (format!("K10{hash}::server:"), Role::Worker, Some(Code::TokenMalformed)),
            ("K10::server:pass".into(), Role::Worker, None),
            ("K10abc::server:pass".into(), Role::Worker, Some(Code::TokenMalformed)),
            ("K10-just-a-password".into(), Role::Worker, Some(Code::TokenMalformed)),
            ("K10user:password".into(), Role::Worker, None),
        ] {
            assert_eq!(judge_token(&token, role).map(|(_, code, _)| code), code, "{token}");
        }
    }

    #[test]
    fn paths_are_normalised() {
        for (path, normal) in [("/a//b/./c/", "/a/b/c"), ("/", "/"), ("a/b", "/a/b"), ("/../a/../b", "/b")] {
            assert_eq!(normalized(path), normal);
        }
    }
}
