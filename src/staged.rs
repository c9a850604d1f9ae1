//! What yip has laid out for the steps: the plan and the drop-ins, each ending in the line that proves it whole.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cluster::{Certificate, Networks, Role};
use crate::gate::RUN;
use crate::host::{Error, Host};
use crate::template::{self, Evaluated};
use crate::yaml::{self, CLOUD_CONFIG, Key, Node};

/// The plan, as the steps on the node need it.
#[derive(Debug, Clone)]
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
    /// The id of the plan.
    id: String,
    /// The plan itself, as it was laid out.
    text: String,
}

/// How long a file that is not whole is looked at again: another run of the boot stages may be writing it, in place, under no lock of ours.
const WRITING: Duration = Duration::from_millis(200);

/// How much of a staged file is read.
const LIMIT: u64 = 16 << 20;

const PLAN: &str = "plan.yaml";
const USER: &str = "config.d/90_userdata.yaml";
const PROVIDER: &str = "config.d/99_userdata.yaml";
const VALUES: &str = "values.json";

/// Without this file nothing is staged.
pub const PLAN_PATH: &str = "/run/provider-rke2/plan.yaml";

/// The id of the plan in force: what the last `agent.boot` of this boot has left behind.
const PLAN_ID: &str = "/run/provider-rke2/plan-id";

/// Copies of the staged files that `apply config` has accepted, which every other step goes by. yip may lay out an older plan meanwhile.
const APPLIED: &str = "/run/provider-rke2/applied";

/// The id of the plan in force; nothing if no `agent.boot` has left one in this boot.
pub fn plan_id(host: &Host) -> Option<String> {
    let bytes = host.read(PLAN_ID, 64).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    is_id(text.trim_end()).then(|| text.trim_end().to_owned())
}

/// Says which plan is in force, or that none is.
pub fn set_plan_id(host: &Host, id: Option<&str>) -> Result<(), Error> {
    match id {
        Some(id) => host.install(PLAN_ID, format!("{id}\n").as_bytes(), 0o600, false).map(drop),
        None => host.remove(PLAN_ID).map(drop),
    }
}

/// Removes all that is staged, so that it is not installed by hand either.
pub fn remove(host: &Host) -> Result<(), Error> {
    set_plan_id(host, None)?;
    for path in [PLAN_PATH.to_owned(), format!("{APPLIED}/{PLAN}")] {
        host.remove(&path)?;
    }
    Ok(())
}

/// Why what is staged is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unstaged {
    /// It is whole, but of another plan than the one in force. The sentence is no reason to do anything.
    Other(String),
    /// Its files are whole, but not all of one plan.
    Mixed(String),
    /// A file is missing, cut off, or cannot be read.
    Torn(String),
}

impl Unstaged {
    /// The sentence.
    pub fn sentence(self) -> String {
        match self {
            Unstaged::Other(sentence) | Unstaged::Mixed(sentence) | Unstaged::Torn(sentence) => sentence,
        }
    }
}

impl Staged {
    /// Reads what yip has laid out, once it is whole and of one plan, and that the one in force, if that is known.
    pub fn read(host: &Host) -> Result<Staged, Unstaged> {
        let end = Instant::now() + WRITING;
        loop {
            let staged = Staged::read_at_once(host, RUN);
            let is_whole = match &staged {
                Ok(staged) => staged.values.is_ok() || !(staged.user.contains("{{") || staged.provider.contains("{{")),
                Err(_) => !host.exists(PLAN_PATH),
            };
            if is_whole || Instant::now() >= end {
                let staged = staged?;
                return match staged.is_in_force(host) {
                    true => Ok(staged),
                    false => Err(Unstaged::Other(format!(
                        "{PLAN_PATH}: is not of the plan in force, which agent.boot has made since, so it is left alone; \
                         run the boot stages again if RKE2 does not start"
                    ))),
                };
            }
            sleep(Duration::from_millis(25));
        }
    }

    /// Reads what `apply config` has accepted; where that is not of the plan in force, what is staged, if that is. Fails with a sentence if
    /// neither is.
    pub fn applied(host: &Host) -> Result<Staged, String> {
        let is_in_force = |staged: &Staged| staged.is_in_force(host);
        let in_directory = |directory| Staged::read_at_once(host, directory).ok().filter(is_in_force);
        in_directory(APPLIED).map_or_else(|| Staged::read(host).map_err(Unstaged::sentence), Ok)
    }

    /// Whether it is of the plan in force. Where no `agent.boot` has left one in this boot, any plan is.
    pub fn is_in_force(&self, host: &Host) -> bool {
        plan_id(host).is_none_or(|id| id == self.id)
    }

    /// Keeps what was accepted for the other steps.
    pub fn accept(&self, host: &Host) -> Result<(), Error> {
        host.make_dir(APPLIED, 0o700)?;
        host.make_dir(&format!("{APPLIED}/config.d"), 0o700)?;
        let id = format!("# plan {}\n", self.id);
        let values = self.values.as_deref().unwrap_or_default();
        // The plan is the last: without it nothing is accepted.
        let texts = [(USER, self.user.as_str()), (PROVIDER, &self.provider), (VALUES, values), (PLAN, &self.text)];
        for (name, text) in texts {
            host.install(&format!("{APPLIED}/{name}"), format!("{text}{id}").as_bytes(), 0o600, false)?;
        }
        Ok(())
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

    /// What lies in a directory at this moment.
    fn read_at_once(host: &Host, directory: &str) -> Result<Staged, Unstaged> {
        let (text, id) = whole(host, directory, PLAN).map_err(Unstaged::Torn)?;
        let file = |name: &str| match whole(host, directory, name) {
            Ok((text, its)) if its == id => Ok(text),
            Ok(_) => Err(Unstaged::Mixed(format!(
                "{directory}/{name}: is of another plan than {PLAN}; reboot, or run the boot stages again"
            ))),
            Err(sentence) => Err(Unstaged::Torn(sentence)),
        };
        let incomplete = |what: &str| Unstaged::Torn(format!("{directory}/{PLAN}: {what}; run agent.boot again"));
        let document = yaml::read(&text, CLOUD_CONFIG).map_err(|error| incomplete(&error.problem))?;
        let get = |key: &str| document.root.get(key).and_then(Node::scalar).map(|it| it.text.clone());
        let role = get("role").as_deref().and_then(Role::of).ok_or_else(|| incomplete("names no role"))?;
        let texts = |key: &str| -> Vec<String> {
            let items = document.root.get(key).map(Node::items).unwrap_or_default();
            items.iter().filter_map(|it| Some(it.scalar()?.text.clone())).collect()
        };
        let map = |key: &str| -> BTreeMap<String, String> {
            let entries = document.root.get(key).map(Node::entries).unwrap_or_default();
            let pair = |(key, value): &(Key, Node)| Some((key.scalar.text.clone(), value.scalar()?.text.clone()));
            entries.iter().filter_map(pair).collect()
        };
        let values = file(VALUES).map_err(Unstaged::sentence);
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
            user: file(USER)?,
            provider: file(PROVIDER)?,
            values,
            id: id.clone(),
            text: text.clone(),
        })
    }
}

/// A staged file without its last line, and the id in it. yip writes in place: a full disk leaves an empty file behind, a write that was
/// cut off a short one.
fn whole(host: &Host, directory: &str, name: &str) -> Result<(String, String), String> {
    let path = format!("{directory}/{name}");
    let bytes = host.read(&path, LIMIT).map_err(|error| error.to_string())?;
    let cut = || format!("{path}: is not whole, its last line is no plan id; free space on the file system and reboot");
    let text = String::from_utf8(bytes).map_err(|_| cut())?;
    let (text, last) = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).ok_or_else(cut)?;
    let id = last.strip_prefix("# plan ").filter(|id| is_id(id));
    Ok((format!("{text}\n"), id.ok_or_else(cut)?.to_owned()))
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
