//! Where RKE2 and this program keep what a reset takes away: found out from whatever is left of the configuration.

use crate::check::quoted;
use crate::cloud_config::{self, Section};
use crate::cluster::{self, DATA_DIR, DOCUMENT_PATH, SCANNED};
use crate::config::CONFIG;
use crate::document;
use crate::gate;
use crate::host::Host;
use crate::overrides::assignments;
use crate::staged::PLAN_PATH;
use crate::yaml::{self, Node, OPTIONS};

/// The data directories that were cleared in this boot, one in a line: a second reset knows what the first one knew.
pub const CLEARED: &str = "/run/provider-rke2/reset";

/// What RKE2 makes in its data directory: one of these proves it (rke2 `pkg/bootstrap/bootstrap.go`, k3s `pkg/daemons`).
const MARKERS: [&str; 3] = ["server", "agent", "data"];

/// Directories that nobody gives to RKE2 alone.
const SYSTEM: [&str; 50] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/efi",
    "/etc",
    "/etc/rancher",
    "/etc/rancher/rke2",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/nix",
    "/oem",
    "/opt",
    "/ostree",
    "/persistent",
    "/proc",
    "/root",
    "/run",
    "/run/provider-rke2",
    "/sbin",
    "/srv",
    "/state",
    "/sys",
    "/sysroot",
    "/system",
    "/system/providers",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/home",
    "/var/lib",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/local",
    "/var/log",
    "/var/spool",
    "/var/tmp",
];

/// Nothing below these is a directory of RKE2 either.
const PSEUDO: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// Where agent mode keeps its variables, `STYLUS_ROOT` among them (kairos-io/provider-rke2 `scripts/rke2-uninstall.sh`).
const AGENT_MODE: &str = "/etc/spectro/environment";

/// What a reset is about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Targets {
    /// The data directories that exist and are RKE2's.
    pub data_dirs: Vec<String>,
    /// Directories that may have been RKE2's data directory and hold only what others have put there: they stay.
    pub unmarked: Vec<String>,
    /// What paths of state may begin with: nothing, and the root path where there is one.
    pub prefixes: Vec<String>,
    /// Documents of ours, retired ones included.
    pub documents: Vec<String>,
    /// The name that the node has in the cluster, unless RKE2 was told another.
    pub node: Option<String>,
    /// Whether it was a server.
    pub server: bool,
}

impl Targets {
    /// Looks at the section that the event carries, then at what is staged, at the document, at what RKE2 reads.
    ///
    /// Fails with a sentence that names the directory if one of them cannot be RKE2's own, and if a root path is none. Without anything of
    /// RKE2 in it a directory is refused only where its name is all that there is: the default one, and one for which this program has
    /// planned, may be what a reset left that was cut off, or that came before the last boot.
    pub fn find(host: &Host, section: Option<&Section>) -> Result<Targets, String> {
        let known = Known::gather(host, section);
        let mut prefixes = vec![String::new()];
        for (from, root) in known.roots {
            let root = root_path(&from, &root)?;
            if !prefixes.contains(&root) {
                prefixes.push(root);
            }
        }
        let cleared = cleared(host);
        let mut named = known.data_dirs;
        if named.is_empty() {
            named.push(DATA_DIR.into());
        }
        let (mut data_dirs, mut unmarked) = (Vec::new(), Vec::new());
        for name in named {
            let (mut marked, mut others) = (Vec::new(), Vec::new());
            for path in prefixes.iter().rev().map(|prefix| format!("{prefix}{name}")) {
                match holds(host, &path)? {
                    Holds::Rke2 => marked.push(path),
                    Holds::Others if !cleared.contains(&path) => others.push(path),
                    Holds::Others | Holds::Nothing => {}
                }
            }
            let is_known = name == DATA_DIR || known.planned.contains(&name) || !marked.is_empty();
            if let Some(path) = others.first().filter(|_| !is_known) {
                return Err(refusal(path, "has none of the directories that RKE2 makes (server, agent, data)"));
            }
            data_dirs.extend(marked);
            unmarked.extend(others);
        }
        let server = data_dirs.iter().any(|path| host.is_dir(&format!("{path}/server")));
        let documents = documents(host, &known.documents);
        Ok(Targets { data_dirs, unmarked, prefixes, documents, node: known.node, server })
    }

    /// Directories below which nothing runs and nothing is mounted after the reset.
    pub fn roots(&self) -> Vec<String> {
        self.data_dirs.iter().cloned().chain(["/run/k3s".to_owned()]).collect()
    }

    /// Where kubelet keeps its state.
    pub fn kubelets(&self) -> impl Iterator<Item = String> {
        self.prefixes.iter().map(|prefix| format!("{prefix}/var/lib/kubelet"))
    }
}

/// What the configuration says, wherever it is found; nothing of it is judged yet.
#[derive(Default)]
struct Known {
    data_dirs: Vec<String>,
    /// Those of them that a plan of this program names.
    planned: Vec<String>,
    /// Root paths, each with where it was found.
    roots: Vec<(String, String)>,
    /// Where a document may be, besides where Kairos looks for them.
    documents: Vec<String>,
    node: Option<String>,
}

impl Known {
    fn gather(host: &Host, section: Option<&Section>) -> Known {
        let mut known = Known::default();
        let text = |path: &str| {
            host.read(path, OPTIONS.bytes as u64).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        if let Some(section) = section {
            // A default is what nobody has said.
            known.data_dir(Some(cluster::data_dir(section)).filter(|path| path != DATA_DIR));
            let document = section.node.get("cluster_config_path").and_then(Node::scalar);
            known.document(document.map(|it| it.text.clone()));
            let provider = section.node.get("providerConfig").or_else(|| section.node.get("provider_options"));
            let root = provider.and_then(|it| it.get("cluster_root_path")).and_then(Node::scalar);
            known.root("cluster.providerConfig.cluster_root_path", root.map(|it| it.text.clone()));
        }
        if let Some(plan) = text(PLAN_PATH) {
            known.plan(PLAN_PATH, &plan);
        }
        for path in documents(host, &known.documents) {
            let staged = text(&path).and_then(|text| document::staged_files(&text, "{}").ok()).unwrap_or_default();
            if let Some((_, plan)) = staged.iter().find(|(staged, _)| staged == PLAN_PATH) {
                known.plan(&path, plan);
            }
        }
        let options = text(CONFIG).and_then(|text| yaml::read(&text, OPTIONS).ok());
        let option = |name: &str| Some(options.as_ref()?.root.get(name)?.scalar()?.text.clone());
        known.data_dir(option("data-dir").or_else(|| option("d")));
        known.node = option("node-name");
        for unit in gate::UNITS {
            let variables = text(&crate::environment::path(unit)).map(|text| assignments(&text)).unwrap_or_default();
            let found = variables.into_iter().rev().find(|(_, (name, _))| name == "RKE2_DATA_DIR");
            known.data_dir(found.map(|(_, (_, value))| value));
        }
        for path in cleared(host) {
            known.data_dir(Some(path));
        }
        let agent_mode = text(AGENT_MODE).map(|text| assignments(&text)).unwrap_or_default();
        let root = agent_mode.into_iter().rev().find(|(_, (name, _))| name == "STYLUS_ROOT");
        known.root(&format!("STYLUS_ROOT in {AGENT_MODE}"), root.map(|(_, (_, value))| value));
        known
    }

    /// What a plan for the steps says ([`crate::staged`]).
    fn plan(&mut self, from: &str, text: &str) {
        let Ok(plan) = yaml::read(text, OPTIONS) else { return };
        let get = |key: &str| plan.root.get(key).and_then(Node::scalar).map(|it| it.text.clone());
        self.planned.extend(get("data_dir").map(|path| cluster::normalized(&path)));
        self.data_dir(get("data_dir"));
        self.root(from, get("cluster_root_path"));
        self.document(get("document"));
    }

    fn document(&mut self, path: Option<String>) {
        self.documents.extend(path.filter(|path| path.starts_with('/')).map(|path| cluster::normalized(&path)));
    }

    fn data_dir(&mut self, path: Option<String>) {
        let path = path.filter(|path| !path.is_empty()).map(|path| cluster::normalized(&path));
        self.data_dirs.extend(path.filter(|path| !self.data_dirs.contains(path)));
    }

    fn root(&mut self, from: &str, path: Option<String>) {
        let is_new = |path: &String| !path.is_empty() && self.roots.iter().all(|(_, known)| known != path);
        let path = path.filter(is_new);
        self.roots.extend(path.map(|path| (from.to_owned(), path)));
    }
}

/// What [`CLEARED`] holds.
pub fn cleared(host: &Host) -> Vec<String> {
    let text = host.read(CLEARED, 1 << 20).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(ToOwned::to_owned).collect()
}

/// A root path as a prefix of absolute paths; `/` is none.
fn root_path(from: &str, path: &str) -> Result<String, String> {
    let is_path = path.starts_with('/')
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| part != "." && part != "..");
    if !is_path {
        let found = quoted(path);
        return Err(format!(
            "{from}: found {found}, accepted is an absolute path without `.` and `..`, correct it there"
        ));
    }
    Ok(cluster::normalized(path).trim_end_matches('/').to_owned())
}

/// What is in a data directory.
enum Holds {
    Nothing,
    Rke2,
    Others,
}

fn refusal(path: &str, why: &str) -> String {
    format!("{}: {why}, so nothing was reset, correct data-dir in the configuration", quoted(path))
}

/// Fails if the directory cannot be RKE2's own, whatever is in it.
fn holds(host: &Host, path: &str) -> Result<Holds, String> {
    let identity = host.identity(path);
    let is_system = SYSTEM.contains(&path)
        || PSEUDO.iter().any(|parent| path.starts_with(parent))
        || identity.is_some_and(|it| SYSTEM.iter().any(|system| host.identity(system) == Some(it)));
    if is_system {
        return Err(refusal(path, "is a directory of the system, which is not RKE2's own"));
    }
    if let Some(link) = host.symlink_on(path) {
        return Err(refusal(path, &format!("{} is a symlink, which a reset does not follow", quoted(&link))));
    }
    if !host.is_there(path) {
        return Ok(Holds::Nothing);
    }
    let names = host.list(path).map_err(|_| refusal(path, "is not a directory that can be read"))?;
    if names.iter().any(|name| MARKERS.contains(&name.as_str())) {
        return Ok(Holds::Rke2);
    }
    // mkfs makes the directory in a file system of its own.
    let is_empty = names.iter().all(|name| name == "lost+found");
    Ok(if is_empty { Holds::Nothing } else { Holds::Others })
}

/// Documents of ours: where one is by default, where a section or a plan has it, and wherever Kairos looks for boot stages, one directory deeper too,
/// for yip walks through what is below.
fn documents(host: &Host, told: &[String]) -> Vec<String> {
    let below = |directory: &str| -> Vec<String> {
        let names = host.list(directory).unwrap_or_default();
        names.into_iter().map(|name| format!("{directory}/{name}")).collect()
    };
    let is_yaml = |path: &String| {
        let name = path.strip_suffix(".retired").unwrap_or(path);
        name.ends_with(".yaml") || name.ends_with(".yml")
    };
    let scanned: Vec<String> = SCANNED.into_iter().flat_map(below).collect();
    let directories = scanned.iter().filter(|path| !host.is_symlink(path) && host.is_dir(path));
    let deeper: Vec<String> = directories.flat_map(|directory| below(directory)).collect();
    let with_retired = |path: String| [format!("{path}.retired"), path];
    let told = told.iter().cloned().chain([DOCUMENT_PATH.to_owned()]).flat_map(with_retired);
    let mut found: Vec<String> = Vec::new();
    for path in told.chain(scanned.into_iter().chain(deeper).filter(is_yaml)) {
        let is_ours = || {
            let text = host.read(&path, 16 << 20);
            text.is_ok_and(|bytes| cloud_config::is_ours(&String::from_utf8_lossy(&bytes)))
        };
        if !found.contains(&path) && is_ours() {
            found.push(path);
        }
    }
    // The one in force is the last to go.
    found.sort_by_key(|path| path == DOCUMENT_PATH);
    found
}
