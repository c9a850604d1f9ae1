//! What yip has laid out for the steps: the plan and the drop-ins, each ending in the line that proves it whole.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cluster::Role;
use crate::gate::RUN;
use crate::host::Host;
use crate::yaml::{self, Node, OPTIONS};

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
        let append = document.root.get("append").map(Node::items).unwrap_or_default();
        Ok(Staged {
            role,
            data_dir: get("data_dir").ok_or_else(|| incomplete("names no data directory"))?,
            keep_swap: get("swap").as_deref() == Some("keep"),
            append: append.iter().filter_map(|it| Some(it.scalar()?.text.clone())).collect(),
            user: file("config.d/90_userdata.yaml")?,
            provider: file("config.d/99_userdata.yaml")?,
            values: file("values.json"),
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
