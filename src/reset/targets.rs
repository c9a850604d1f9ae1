//! Where RKE2 and this program keep what a reset takes away: found out from whatever is left of the configuration.

use crate::cluster::cloud_config::Section;
use crate::cluster::{self, provider};
use crate::environment;
use crate::host::Host;
use crate::plan::find;
use crate::plan::plan::Places;
use crate::plan::staged::{APPLIED_PLAN, PLAN_PATH};
use crate::rke2::drop_in;
use crate::rke2::merge::CONFIG;
use crate::rke2::overrides::assignments;
use crate::rke2::{DATA_DIR, Unit, is_unpacking};
use crate::text::escape::quoted;
use crate::text::lossy;
use crate::text::paths::{is_absolute, normalized};
use crate::text::yaml::{self, Node, OPTIONS};

/// The data directories that were cleared in this boot, one in a line: a second reset knows what the first one knew.
pub(crate) const CLEARED: &str = "/run/provider-rke2/reset";

/// What RKE2 makes in its data directory: one of these proves it (rke2 `pkg/bootstrap/bootstrap.go`, k3s `pkg/daemons`). Names as common as
/// `server` and `data` alone prove nothing, but in the default directory.
const MARKERS: [&str; 4] = ["server/tls", "server/db", "agent/etc", "agent/client-kubelet.crt"];
const CHILDREN: [&str; 3] = ["server", "agent", "data"];

/// Directories that nobody gives to RKE2 alone.
const SYSTEM: [&str; 50] = [
    "/", "/bin", "/boot", "/dev", "/efi", "/etc", "/etc/rancher", "/etc/rancher/rke2", "/home", "/lib", "/lib64",
    "/media", "/mnt", "/nix", "/oem", "/opt", "/ostree", "/persistent", "/proc", "/root", "/run", "/run/provider-rke2",
    "/sbin", "/srv", "/state", "/sys", "/sysroot", "/system", "/system/providers", "/tmp", "/usr", "/usr/bin",
    "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/sbin",
    "/usr/share", "/var", "/var/cache", "/var/home", "/var/lib", "/var/lib/kubelet", "/var/lib/rancher", "/var/local",
    "/var/log", "/var/spool", "/var/tmp",
];

/// Nothing below these is a directory of RKE2 either.
const PSEUDO: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// Where agent mode keeps its variables, `STYLUS_ROOT` among them (kairos-io/provider-rke2 `scripts/rke2-uninstall.sh`).
const AGENT_MODE: &str = "/etc/spectro/environment";

/// What a reset is about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Targets {
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
    /// Whether the caller names a cluster section, so that the node is one of RKE2's whatever is found on it.
    pub is_asked: bool,
}

impl Targets {
    /// Looks at the section that the event carries, then at what is staged, at the document, at what RKE2 reads.
    ///
    /// Fails with a sentence that names the directory if one of them cannot be RKE2's own, and if a root path is none. Without anything of
    /// RKE2 in it a directory is refused only where its name is all that there is: the default one, and one for which this program has
    /// planned, may be what a reset left that was cut off, or that came before the last boot.
    pub(crate) fn find(host: &Host, section: Option<&Section>) -> Result<Targets, String> {
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
        if let Some(path) = named.iter().find(|path| !path.starts_with('/')) {
            return Err(refusal(path, "is not an absolute path, and nobody knows from where RKE2 took it"));
        }
        // RKE2 makes the directory that it is told, so it has not run since with one that is not there.
        let mut paths = named.iter().flat_map(|name| prefixes.iter().map(move |prefix| format!("{prefix}{name}")));
        if !paths.any(|path| host.is_there(&path)) && !named.iter().any(|name| name == DATA_DIR) {
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
                return Err(refusal(
                    path,
                    "has nothing that only RKE2 makes (server/tls, server/db, agent/etc, data/v…)",
                ));
            }
            data_dirs.extend(marked);
            unmarked.extend(others);
        }
        let server = data_dirs.iter().any(|path| host.is_dir(&format!("{path}/server")));
        let documents = find::all(host, &known.documents).into_iter().map(|found| found.path).collect();
        Ok(Targets { data_dirs, unmarked, prefixes, documents, node: known.node, server, is_asked: section.is_some() })
    }

    /// Directories below which nothing runs and nothing is mounted after the reset.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.data_dirs.iter().cloned().chain(["/run/k3s".to_owned()]).collect()
    }

    /// Where kubelet keeps its state.
    pub(crate) fn kubelets(&self) -> impl Iterator<Item = String> {
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
        let text = |path: &str| host.read(path, OPTIONS.bytes as u64).ok().map(lossy);
        if let Some(section) = section {
            // A default is what nobody has said.
            known.data_dir(Some(cluster::data_dir(section)).filter(|path| path != DATA_DIR));
            let text = |node: Option<&Node>| Some(node?.scalar()?.text.clone());
            known.document(text(section.node.get("cluster_config_path")));
            let root = section.node.get(provider::key(&section.node)).and_then(|it| it.get(provider::ROOT_PATH));
            known.root("cluster.providerConfig.cluster_root_path", text(root));
        }
        // In the second no template is left.
        for path in [PLAN_PATH, APPLIED_PLAN] {
            known.places(path, text(path).map(|text| Places::of_yaml(&text)).unwrap_or_default());
        }
        for found in find::all(host, &known.documents) {
            known.places(&found.path, found.places());
        }
        let options = text(CONFIG).and_then(|text| yaml::read(&text, OPTIONS).ok());
        let option = |name: &str| Some(options.as_ref()?.root.get(name)?.scalar()?.text.clone());
        known.data_dir(options.as_ref().and_then(|it| drop_in::data_dir(&it.root)));
        known.node = option("node-name");
        for unit in Unit::ALL {
            let variables = text(environment::path(unit)).map(|text| assignments(&text)).unwrap_or_default();
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

    fn places(&mut self, from: &str, places: Places) {
        self.planned.extend(places.data_dir.clone());
        self.data_dir(places.data_dir);
        self.root(from, places.root_path);
        self.document(places.document);
    }

    fn document(&mut self, path: Option<String>) {
        self.documents.extend(path.filter(|path| path.starts_with('/')).map(|path| normalized(&path)));
    }

    fn data_dir(&mut self, path: Option<String>) {
        let whole = |path: String| if path.starts_with('/') { normalized(&path) } else { path };
        let path = path.filter(|path| !path.is_empty()).map(whole);
        self.data_dirs.extend(path.filter(|path| !self.data_dirs.contains(path)));
    }

    fn root(&mut self, from: &str, path: Option<String>) {
        let is_new = |path: &String| !path.is_empty() && self.roots.iter().all(|(_, known)| known != path);
        let path = path.filter(is_new);
        self.roots.extend(path.map(|path| (from.to_owned(), path)));
    }
}

/// What [`CLEARED`] holds.
pub(crate) fn cleared(host: &Host) -> Vec<String> {
    let text = host.read(CLEARED, 1 << 20).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(ToOwned::to_owned).collect()
}

/// A root path as a prefix of absolute paths; `/` is none.
fn root_path(from: &str, path: &str) -> Result<String, String> {
    if !is_absolute(path) || path.split('/').any(|part| part == ".") {
        let found = quoted(path);
        return Err(format!("{from}: {found} is not an absolute path without `.` and `..`; correct it there"));
    }
    Ok(normalized(path).trim_end_matches('/').to_owned())
}

/// Whether a name below `data/` is one of RKE2's: a version that it has unpacked, or the link to the one in use (rke2 `pkg/bootstrap`).
pub(super) fn is_release(name: &str) -> bool {
    name == "current" || name.strip_prefix('v').is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
}

/// One of the names that [`is_unpacking`] knows: RKE2 does not look there, and a later reset or start deletes it.
pub(super) fn aside(number: u32) -> String {
    format!("runtime-{number}")
}

/// What is in a data directory.
enum Holds {
    Nothing,
    Rke2,
    Others,
}

fn refusal(path: &str, why: &str) -> String {
    format!("{}: {why}, so nothing was reset; correct data-dir in the configuration", quoted(path))
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
    let is_marked = MARKERS.iter().any(|marker| host.is_there(&format!("{path}/{marker}")))
        || host.list(&format!("{path}/data")).is_ok_and(|names| names.iter().any(|name| is_release(name)))
        || (path.ends_with(DATA_DIR)
            && names.iter().any(|name| CHILDREN.contains(&name.as_str()) || is_unpacking(name)));
    if is_marked {
        return Ok(Holds::Rke2);
    }
    // mkfs makes the directory in a file system of its own.
    let is_empty = names.iter().all(|name| name == "lost+found");
    Ok(if is_empty { Holds::Nothing } else { Holds::Others })
}
