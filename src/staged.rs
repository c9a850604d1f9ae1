//! What yip has laid out for the steps: the plan and the drop-ins, each ending in the line that proves it whole.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cluster::{Certificate, Networks, Role};
use crate::gate::RUN;
use crate::host::Host;
use crate::template::{self, Evaluated};
use crate::yaml::{self, Key, Node, OPTIONS};

/// The plan, as the steps on the node need it.
#[derive(Debug)]
pub struct Staged {
    /// What the node does.
    pub role: Role,
    /// Where RKE2 holds its state.
    pub data_dir: String,
    /// Whether swap stays as it is.
    pub keep_swap: bool,
    /// Options of the user whose items add to what earlier drop-ins gave.
    pub append: Vec<String>,
    /// The user's options.
    pub user: String,
    /// The provider's options.
    pub provider: String,
    /// The control plane host, without brackets.
    pub control_plane_host: Option<String>,
    /// The networks of the cluster.
    pub networks: Networks,
    /// Environment variables of RKE2's service, as the cloud-config has them.
    pub env: BTreeMap<String, String>,
    /// Certificates that the node trusts.
    pub ca_certs: Vec<Certificate>,
    /// Prefix of scripts and content, without a `/` at the end; empty is none.
    pub root_path: String,
    /// Where local images are imported from, if they are.
    pub images: Option<String>,
    /// Options of `providerConfig` for steps ([`crate::cluster::SETTINGS`]).
    settings: BTreeMap<String, String>,
    /// yip's values, JSON, or why there are none; only a template asks for them.
    pub values: Result<String, String>,
}

/// How long a file that is not whole is looked at again: another run of the boot stages may be writing it, in place, under no lock of ours.
const WRITING: Duration = Duration::from_millis(200);

/// How much of a staged file is read.
const LIMIT: u64 = 16 << 20;

const PLAN: &str = "plan.yaml";

/// Without this file nothing is staged.
pub const PLAN_PATH: &str = "/run/provider-rke2/plan.yaml";

impl Staged {
    /// Reads what was staged, once it is whole and of one plan. Fails with a sentence that names the file if it does not become so.
    pub fn read(host: &Host) -> Result<Staged, String> {
        let end = Instant::now() + WRITING;
        loop {
            let staged = Staged::read_at_once(host);
            let is_whole = match &staged {
                Ok(staged) => staged.values.is_ok() || !(staged.user.contains("{{") || staged.provider.contains("{{")),
                Err(_) => !host.exists(PLAN_PATH),
            };
            if is_whole || Instant::now() >= end {
                return staged;
            }
            sleep(Duration::from_millis(25));
        }
    }

    /// A duration of the settings, or what it is by default.
    pub fn duration(&self, setting: &str, default: Duration) -> Duration {
        self.setting(setting).and_then(|text| text.parse().ok()).map_or(default, Duration::from_secs)
    }

    /// Whether a setting is switched on.
    pub fn is_on(&self, setting: &str) -> bool {
        self.setting(setting) == Some("true")
    }

    /// The text of a setting, if it is given.
    pub fn setting(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(String::as_str)
    }

    /// The same for what is there at this moment.
    pub fn read_at_once(host: &Host) -> Result<Staged, String> {
        let (text, id) = whole(host, PLAN)?;
        let file = |name: &str| match whole(host, name)? {
            (text, its) if its == id => Ok(text),
            _ => Err(format!("{RUN}/{name}: is of another plan than {PLAN}, reboot, or run the boot stages again")),
        };
        let incomplete = |what: &str| format!("{RUN}/{PLAN}: {what}, run agent.boot again");
        let document = yaml::read(&text, OPTIONS).map_err(|error| incomplete(&error.problem))?;
        let get = |key: &str| document.root.get(key).and_then(Node::scalar).map(|it| it.text.clone());
        let role = match get("role").as_deref() {
            Some("init") => Role::Init,
            Some("controlplane") => Role::ControlPlane,
            Some("worker") => Role::Worker,
            _ => return Err(incomplete("names no role")),
        };
        let texts = |key: &str| -> Vec<String> {
            let items = document.root.get(key).map(Node::items).unwrap_or_default();
            items.iter().filter_map(|it| Some(it.scalar()?.text.clone())).collect()
        };
        let map = |key: &str| -> BTreeMap<String, String> {
            let entries = document.root.get(key).map(Node::entries).unwrap_or_default();
            let pair = |(key, value): &(Key, Node)| Some((key.scalar.text.clone(), value.scalar()?.text.clone()));
            entries.iter().filter_map(pair).collect()
        };
        let values = file("values.json");
        // The same as of the options, which config.yaml gets evaluated.
        let evaluated = |text: String| match template::evaluate(&text, || {
            values.as_ref().ok().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
        }) {
            Evaluated::Text(text) => text,
            Evaluated::Kept | Evaluated::Missing(_) => text,
        };
        let networks = |key: &str| -> Vec<String> { texts(key).into_iter().map(evaluated).collect() };
        let certificate = |it: &Node| {
            let text = |key: &str| it.get(key).and_then(Node::scalar).map(|it| it.text.clone());
            text("pem").map(Certificate::Pem).or_else(|| text("path").map(Certificate::Path))
        };
        let certificates = document.root.get("ca_certs").map(Node::items).unwrap_or_default();
        Ok(Staged {
            role,
            data_dir: get("data_dir").ok_or_else(|| incomplete("names no data directory"))?,
            keep_swap: get("swap").as_deref() == Some("keep"),
            append: texts("append"),
            control_plane_host: get("control_plane_host"),
            networks: Networks {
                cluster: networks("cluster_cidr"),
                service: networks("service_cidr"),
                domain: get("cluster_domain").map(evaluated).unwrap_or_default(),
            },
            env: map("env"),
            ca_certs: certificates.iter().filter_map(certificate).collect(),
            root_path: get("cluster_root_path").unwrap_or_default(),
            images: get("local_images_path"),
            settings: map("settings"),
            user: file("config.d/90_userdata.yaml")?,
            provider: file("config.d/99_userdata.yaml")?,
            values,
        })
    }
}

/// A staged file without its last line, and the id in it. yip writes in place: a full disk leaves an empty file behind, a write that was
/// cut off a short one.
fn whole(host: &Host, name: &str) -> Result<(String, String), String> {
    let path = format!("{RUN}/{name}");
    let bytes = host.read(&path, LIMIT).map_err(|error| error.to_string())?;
    let cut = || format!("{path}: is not whole, its last line is no plan id, free space on the file system and reboot");
    let text = String::from_utf8(bytes).map_err(|_| cut())?;
    let (text, last) = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).ok_or_else(cut)?;
    let id =
        last.strip_prefix("# plan ").filter(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Ok((format!("{text}\n"), id.ok_or_else(cut)?.to_owned()))
}
