//! What the cluster section means: a value that cannot be invalid, or the findings that say why there is none.
//!
//! Each key has a file of its own, which reads it by [`reader::Reader`]; [`understand`] reads them all, in the order in which they depend on
//! each other.

pub(crate) mod around;
pub(crate) mod ca_certs;
pub mod cloud_config;
pub(crate) mod config;
pub(crate) mod document_path;
pub mod env;
mod excerpt;
mod foreign;
mod gaps;
pub(crate) mod host;
pub(crate) mod images;
pub mod keys;
pub mod locate;
pub mod mask;
pub(crate) mod networks;
pub(crate) mod pem;
pub(crate) mod provider;
pub(crate) mod reader;
pub(crate) mod role;
pub mod schema;
pub mod settings;
pub(crate) mod token;
pub(crate) mod values;

use std::collections::BTreeMap;

use ca_certs::Certificate;
use cloud_config::{Options, Section};
use host::Endpoint;
use reader::Reader;
use role::Role;
use settings::Settings;
use token::Token;

use crate::environment::Networks;
use crate::findings::Findings;
use crate::findings::code::{Code, Severity};
use crate::findings::path::{At, Path};
use crate::host::Host;
use crate::identity::home::Home;
use crate::rke2::drop_in::{self, DropIn, Read, Value};
use crate::rke2::flags;
use crate::rke2::merge::{OWNER, Source, USER};
use crate::rke2::options::{self, Class};
use crate::rke2::{DATA_DIR, installed, values as rules};
use crate::text::paths::normalized;
use crate::text::yaml::{Kind, Node};

/// What the node is to be; it cannot be invalid.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What the node does.
    pub role: Role,
    /// The secret; a joiner has one, here or in a file that its options name.
    pub token: Option<Token>,
    /// Where the cluster is; a joiner has it.
    pub endpoint: Option<Endpoint>,
    /// The server that a node of role init has joined under the Go provider.
    pub joined: Option<String>,
    /// RKE2's options from `config`, without `token` and `server`.
    pub options: DropIn,
    /// Those of them, of the lists that replace each other, that were given with a `+`.
    pub appended: Vec<String>,
    /// RKE2's options from `providerConfig`.
    pub provider_options: DropIn,
    /// Prefix of scripts and content, without a `/` at the end; empty is none.
    pub root_path: String,
    /// Settings of this program.
    pub settings: Settings,
    /// Where pods and Services are.
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

impl Cluster {
    /// Its drop-ins, as the node will merge them.
    pub(crate) fn drop_ins(&self) -> [Source; 2] {
        let drop_in = |name: &str, options: &DropIn| {
            let appended = self.appended.iter().cloned().collect();
            let read = Read { options: options.clone(), appended, ..Read::default() };
            Source { name: name.to_owned(), path: name.to_owned(), read }
        };
        [drop_in(USER, &self.options), drop_in(OWNER, &self.provider_options)]
    }

    /// What the section gives RKE2 for an option, as an option or as a variable.
    pub(crate) fn given(&self, name: &str) -> Option<Value> {
        drop_in::given(&[&self.options, &self.provider_options], &self.env, options::find(name)?)
    }

    /// Whether the section turns a boolean on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        match self.given(name) {
            Some(Value::Bool(it)) => it,
            Some(Value::Text(text)) => flags::boolean(&text) == Some(true),
            _ => false,
        }
    }
}

/// Keys of the cluster section (kairos `sdk/clusterplugin/config.go`).
pub(crate) const KEYS: [&str; 10] = [
    "role", "cluster_token", "control_plane_host", "config", "providerConfig", "env", "ca_certs",
    "import_local_images", "local_images_path", "cluster_config_path",
];

/// Keys that people write for another one.
const MISNAMED: [(&str, &str); 2] = [("token", "cluster_token"), ("server", "control_plane_host")];

/// The data directory that a section asks for, before anything is judged: RKE2's state decides how strictly that is done.
pub fn data_dir(section: &Section) -> String {
    let text = |node: Option<&Node>| Some(node?.scalar()?.yaml11().printed()).filter(|text| !text.is_empty());
    let config = match &section.options {
        Options::Read(_, document) => Some(&document.root),
        _ => None,
    };
    let found = section.node.get(provider::key(&section.node)).and_then(drop_in::data_dir);
    let found = found.or_else(|| config.and_then(drop_in::data_dir));
    let found = found.or_else(|| text(section.node.get("env").and_then(|env| env.get("RKE2_DATA_DIR"))));
    found.map_or_else(|| DATA_DIR.to_owned(), |path| normalized(&path))
}

/// The home of a node that a section is judged for. Which RKE2 is installed is looked up only for options of which that decides.
pub fn home(host: &Host, section: &Section) -> Home {
    let config = match &section.options {
        Options::Read(_, document) => Some(&document.root),
        _ => None,
    };
    let options = config.into_iter().chain(section.node.get(provider::key(&section.node))).flat_map(Node::entries);
    let options: Vec<_> = options.collect();
    // What is planned depends on a profile, so RKE2 itself may be asked; what is said of other options is not worth that time.
    let version = if drop_in::has_versioned_profile(options.iter().copied()) {
        installed::version(host).version()
    } else if options.iter().any(|(key, _)| rules::asks_for_version(&key.scalar.text)) {
        installed::at_hand(host)
    } else {
        None
    };
    let mut home = Home::of(host, &data_dir(section));
    home.version = version;
    let has_variable = section.node.get("env").is_some_and(|env| env.get("RKE2_SELINUX").is_some());
    let asks = has_variable || options.iter().any(|(key, _)| key.scalar.text == "selinux");
    home.lacks_policy = asks && installed::lacks_policy(host);
    home
}

/// The settings that a section asks for, as far as they are right; nothing is judged.
pub(crate) fn settings(section: &Section) -> Settings {
    let mut settings = Settings::default();
    for (name, value) in section.node.get(provider::key(&section.node)).map(Node::entries).unwrap_or_default() {
        if let Some(scalar) = value.scalar() {
            let _ = settings.set(&name.scalar.text, scalar.text.trim());
        }
    }
    settings
}

/// Judges the section for a node with this [`home`]: every mistake is a finding. `None` if one of them is
/// refused.
pub fn understand(section: &Section, home: &Home, findings: &mut Findings) -> Option<Cluster> {
    findings.lenient = home.state.is_any();
    let cluster = read(&mut Reader { section, home, findings });
    match findings.worst() {
        Some(Severity::Refused) => None,
        _ => cluster,
    }
}

fn read(reader: &mut Reader) -> Option<Cluster> {
    let section = reader.section;
    if !matches!(section.node.kind, Kind::Map(_)) {
        let found = section.node.described();
        let rest = format!("is {found}; write a mapping with role, cluster_token and so on");
        reader.findings.refuse(Code::WrongType, Path::of("cluster").at(section.node.line), &rest);
        return None;
    }
    unknown_keys(reader);
    gaps::judge(reader);
    let role = role::read(reader);
    // Without a role the rest is judged as for the first server, which demands least.
    let judged = role.unwrap_or(Role::Init);
    let mut options = config::read(reader, judged);
    let provider = provider::find(reader);
    let networks = networks::read(reader, &provider, judged);
    let (settings, root_path, mut provider_options) = provider::read(reader, &provider, judged);
    let mut env = env::read(reader);
    config::check_profile(reader, &provider, &options.options, &provider_options.options, &env);
    let owned: Vec<_> = provider_options.owned.into_iter().chain(options.owned).collect();
    token::drop_files(reader, &mut options.options, &mut provider_options.options);
    let token = token::read(reader, role, &owned, &[&options.options, &provider_options.options], &env);
    let endpoint = host::read(reader, judged, &owned);
    let joined = host::on_init(reader, judged, &owned);
    let given = [&options.options, &provider_options.options];
    values::judge(reader, &provider, judged, given, &env, endpoint.as_ref());
    let ca_certs = ca_certs::read(reader);
    let images = images::read(reader);
    let document_path = document_path::read(reader);
    let data_dir = keep_home(reader, &mut options.options, &mut provider_options.options, &mut env);
    let is_replaced = |name: &String| options::find(name).is_some_and(|spec| spec.class == Class::Replace);
    Some(Cluster {
        role: role?,
        token,
        endpoint,
        joined,
        options: options.options,
        appended: options.appended.into_iter().filter(is_replaced).collect(),
        provider_options: provider_options.options,
        root_path,
        settings,
        networks,
        env,
        ca_certs,
        images,
        document_path,
        data_dir,
    })
}

fn unknown_keys(reader: &mut Reader) {
    for (key, _) in reader.section.node.entries() {
        let name = key.scalar.text.as_str();
        if KEYS.contains(&name) || name == "provider_options" {
            continue;
        }
        if let Some((_, meant)) = MISNAMED.iter().find(|(it, _)| *it == name) {
            let rest = format!("is not a key of the cluster section, which does not read it; write cluster.{meant}");
            reader.findings.error(Code::KeyMisnamed, reader::path(name).at(key.line), &rest);
            continue;
        }
        let near = reader.findings.prints(Code::UnknownKey).then(|| options::nearest_of(name, &KEYS)).flatten();
        let rest = match near {
            Some(near) => format!("is not a key of the cluster section; did you mean {near}?"),
            None if options::find(name).is_some() => "is an option of RKE2; write it under cluster.config".into(),
            None => format!("is not a key of the cluster section; write one of {}", KEYS.join(", ")),
        };
        reader.findings.warn(Code::UnknownKey, reader::path(name).at(key.line), &rest);
    }
}

/// What is said where another data directory is asked for than the one that has the state.
pub(crate) fn data_dir_kept(asked: &str, kept: &str) -> String {
    format!(
        "would be {asked}, but this node has its state in {kept}, which stays; write that directory, or move the data by hand"
    )
}

/// The data directory. Where the node has its state in another one than the section asks for, that one stays: RKE2 would begin anew.
fn keep_home(
    reader: &mut Reader,
    config: &mut DropIn,
    provider: &mut DropIn,
    env: &mut BTreeMap<String, String>,
) -> String {
    let (asked, kept) = (data_dir(reader.section), &reader.home.data_dir);
    if drop_in::is_template(drop_in::DATA_DIR, &asked) {
        // Whether it is the one that holds the state is known on the node.
        return asked;
    }
    if asked != *kept {
        let rest = data_dir_kept(&asked, kept);
        let at = At { path: reader::path("config").key(drop_in::DATA_DIR), ..reader.at("config") };
        reader.findings.error(Code::DataDirKept, at, &rest);
        config.retain(|(name, _)| name != drop_in::DATA_DIR);
        provider.retain(|(name, _)| name != drop_in::DATA_DIR);
        env.remove("RKE2_DATA_DIR");
        provider.push((drop_in::DATA_DIR.into(), Value::Text(kept.clone())));
    }
    kept.clone()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn settings_of_a_section_that_nobody_has_judged() {
        for (text, seconds) in [
            ("cluster:\n  providerConfig:\n    swap: perhaps\n    reset_timeout: 1h\n", 3600),
            ("cluster:\n  provider_options:\n    reset_timeout: 10m\n", 600),
            ("cluster:\n  providerConfig:\n    reset_timeout: never\n", 300),
            ("cluster:\n  role: init\n", 300),
        ] {
            let section = cloud_config::of_file(text).0.unwrap_or_else(|| panic!("{text}"));
            assert_eq!(settings(&section).reset_timeout.0, Duration::from_secs(seconds), "{text}");
        }
    }
}
