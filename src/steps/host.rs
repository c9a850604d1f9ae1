//! `apply host`: what RKE2's hardening profile demands of the node, and what `providerConfig` asks for. Files of ours that nobody asks for
//! any more are removed.

use std::time::Duration;

use crate::accounts::{Accounts, Table};
use crate::check::{Code, Findings, Path, Severity};
use crate::config::CONFIG;
use crate::host::{Error, Host};
use crate::overrides;
use crate::report::outcome::Outcome;
use crate::service::Manager as _;
use crate::service::systemd::Systemd;
use crate::staged::Staged;
use crate::sysctl::{self, Setting};
use crate::whose::{MARK, Whose};
use crate::yaml::{self, Node, OPTIONS};

/// What follows the mark in the first line of a file of ours.
const HEADER: &str = "; the cloud-config decides, what is changed here is lost";

/// The name of each file of ours.
const NAME: &str = "90-provider-rke2.conf";

/// Where sysctl.d(5) looks, the first directory that has a file of a name counts.
const SYSCTL: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// Where systemd-modules-load(8) looks.
const MODULES: &str = "/etc/modules-load.d";

/// Where NetworkManager.conf(5) looks.
const NETWORK_MANAGER: &str = "/etc/NetworkManager/conf.d";

/// What RKE2's CNIs make: its page of known issues lists those of Canal, Calico and Flannel; Cilium makes `cilium*` and `lxc*`.
const INTERFACES: [&str; 9] = [
    "cali*",
    "flannel*",
    "tunl*",
    "vxlan.calico",
    "vxlan-v6.calico",
    "wireguard.cali",
    "wg-v6.cali",
    "cilium*",
    "lxc*",
];

/// How long the locks of the account files are waited for, as lckpwdf(3) does.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// How long one kernel module may take to load.
const MODPROBE: Duration = Duration::from_secs(20);

/// How much of a file is read.
const LIMIT: u64 = 1 << 20;

/// RKE2's hardening profiles (rke2 `pkg/rke2/rke2.go`), the more demanding one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// etcd runs as a user of its own.
    Etcd,
    /// The same, and kernel settings. Older versions of RKE2 had one of each version of the benchmark.
    Cis,
}

impl Profile {
    /// The profile of a name; none for a name that RKE2 itself refuses.
    pub fn of(name: &str) -> Option<Profile> {
        match name {
            "etcd" => Some(Profile::Etcd),
            name if name == "cis" || name.starts_with("cis-1.") => Some(Profile::Cis),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Profile::Etcd => "etcd",
            Profile::Cis => "cis",
        }
    }
}

/// Prepares the node. What fails does not keep the rest from being done.
pub fn run(host: &Host, staged: &Staged) -> Outcome {
    let profile = profile(host, staged);
    let mut step = Preparation { host, done: Vec::new(), findings: Findings::default() };
    let mut failed = step.kernel(profile == Some(Profile::Cis), staged.is_on("inotify_limits"));
    if profile.is_some() && staged.role.is_server() {
        failed.extend(step.etcd(&staged.data_dir).err());
    }
    failed.extend(step.network_manager(staged.is_on("networkmanager_unmanaged")).err());
    failed.extend(step.modules(staged.setting("kernel_modules").unwrap_or_default()));
    if step.done.is_empty() && failed.is_empty() {
        let is_asked = ["inotify_limits", "networkmanager_unmanaged", "kernel_modules"];
        step.done.push(match profile {
            Some(profile) => format!("profile {}: the node is prepared", profile.as_str()),
            None if is_asked.into_iter().any(|it| staged.setting(it).is_some()) => "the node is prepared".to_owned(),
            None => "nothing is asked of the node".to_owned(),
        });
    }
    Outcome { done: step.done, ..Outcome::all_failed(failed) }.with(&step.findings)
}

/// The most demanding profile that the cloud-config, the installed configuration, or what RKE2 reads after them names: RKE2 starts on a node that is
/// prepared for more than it asks for, and not on one that is prepared for less.
fn profile(host: &Host, staged: &Staged) -> Option<Profile> {
    let installed = host.read(CONFIG, OPTIONS.bytes as u64).unwrap_or_default();
    let of_text = |text: &str| {
        let document = yaml::read(text, OPTIONS).ok()?;
        Profile::of(&document.root.get("profile").and_then(Node::scalar)?.text)
    };
    let texts = [&staged.provider, &staged.user, String::from_utf8_lossy(&installed).as_ref()].map(of_text);
    let variable = staged.env.get("RKE2_CIS_PROFILE").and_then(|name| Profile::of(name));
    let files = overrides::drop_ins(host)
        .into_iter()
        .filter_map(|file| of_text(&String::from_utf8_lossy(&host.read(&file, LIMIT).unwrap_or_default())));
    let assigned = overrides::environment_files(host, staged.role.unit()).into_iter().flat_map(|file| {
        let text = host.read(&file, LIMIT).unwrap_or_default();
        overrides::assignments(&String::from_utf8_lossy(&text))
    });
    let assigned =
        assigned.filter(|(_, (name, _))| name == "RKE2_CIS_PROFILE").filter_map(|(_, (_, it))| Profile::of(&it));
    texts.into_iter().chain([variable]).flatten().chain(files).chain(assigned).max()
}

struct Preparation<'a> {
    host: &'a Host,
    done: Vec<String>,
    findings: Findings,
}

impl Preparation<'_> {
    /// Makes a file of ours hold these lines, or be gone without them. Gives whether it changed.
    fn file(&mut self, directory: &str, lines: &str) -> Result<bool, String> {
        let (host, path) = (self.host, format!("{directory}/{NAME}"));
        let told = |error: Error| error.to_string();
        match (Whose::of(host, &path).map_err(told)?, lines.is_empty()) {
            (Whose::Nobodys | Whose::Others, true) => Ok(false),
            (Whose::Others, false) => Err(format!("{path}: was not written by this program, rename or remove it")),
            (Whose::Ours, true) => {
                self.done.push(format!("{path}: removed, what it has set stays until the next boot"));
                host.remove(&path).map_err(told)
            }
            (_, false) => {
                let text = format!("{MARK}{HEADER}\n{lines}");
                let changed = host.install(&path, text.as_bytes(), 0o644, true).map_err(told)?;
                if changed {
                    self.done.push(format!("{path}: written"));
                }
                Ok(changed)
            }
        }
    }

    /// The settings of the kernel: in a file for whoever sets all of them anew, and in the kernel at once, for systemd-sysctl(8) has read
    /// its files before the boot stages run. Gives what failed.
    fn kernel(&mut self, cis: bool, inotify: bool) -> Vec<String> {
        let mut settings = if cis { demanded(self.host) } else { Vec::new() };
        if inotify {
            settings.extend(sysctl::INOTIFY.iter().map(|(name, least)| {
                let setting = Setting::new(name, "");
                let current = self.current(&setting).and_then(|text| text.trim().parse::<u64>().ok());
                Setting { value: current.unwrap_or_default().max(*least).to_string(), ..setting }
            }));
        }
        let [directory, ..] = SYSCTL;
        let mut failed: Vec<String> = self.file(directory, &sysctl::text(&settings)).err().into_iter().collect();
        for setting in &settings {
            failed.extend(self.set(setting).err());
        }
        self.find_overrides(&settings);
        failed
    }

    fn current(&self, setting: &Setting) -> Option<String> {
        self.host.read(&setting.path(), 1 << 16).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sets what is not set, and looks whether the kernel took it.
    fn set(&mut self, setting: &Setting) -> Result<(), String> {
        let Setting { name, value, optional } = setting;
        let before = self.current(setting);
        if before.as_deref().is_some_and(|text| setting.is(text)) {
            return Ok(());
        }
        if !self.host.is_real() {
            self.done.push(format!("would set {name} to {value}"));
            return Ok(());
        }
        let tried = self.host.set_kernel(&setting.path(), value);
        let after = self.current(setting);
        let found = after.as_deref().map_or("nothing", str::trim);
        if after.as_deref().is_some_and(|text| setting.is(text)) {
            let before = before.as_deref().map_or("unknown", str::trim);
            self.done.push(format!("{name}: set to {value}, was {before}"));
            return Ok(());
        }
        let reason = tried.err().map(|error| format!(" ({error})")).unwrap_or_default();
        let sentence = format!("{name}: found {found}, wanted is {value}, it cannot be set{reason}");
        if *optional {
            self.done.push(sentence);
            return Ok(());
        }
        Err(format!("{sentence}, set it on the machine itself"))
    }

    /// Files of others that set the same to something else, after ours.
    fn find_overrides(&mut self, settings: &[Setting]) {
        let mut seen: Vec<String> = Vec::new();
        for directory in SYSCTL {
            for name in self.host.list(directory).unwrap_or_default() {
                if !name.ends_with(".conf") || name.as_str() <= NAME || seen.contains(&name) {
                    continue;
                }
                let path = format!("{directory}/{name}");
                seen.push(name);
                let bytes = self.host.read(&path, LIMIT).unwrap_or_default();
                for other in sysctl::read(&String::from_utf8_lossy(&bytes)) {
                    let ours = settings.iter().find(|it| it.path() == other.path() && !it.is(&other.value));
                    if let Some(Setting { name, value, .. }) = ours {
                        let rest = format!(
                            "{path}: sets {name} to {}, wanted is {value}, whoever sets all of them anew undoes it, remove the line",
                            other.value
                        );
                        self.findings.push(Severity::Warning, Code::SysctlOverridden, &Path::default(), 1, &rest);
                    }
                }
            }
        }
    }

    /// User and group etcd, with the ids that its data has already if there is any.
    fn etcd(&mut self, data_dir: &str) -> Result<(), String> {
        let told = |error: Error| error.to_string();
        let host = self.host;
        let names: Vec<&str> = Table::ALL.iter().rev().map(|table| table.name()).collect();
        let files = host.lock_accounts(&names, LOCK_WAIT).map_err(told)?;
        let read = |table: Table| files.read(table.name()).map_err(told);
        let needed = |table: Table| {
            let missing = || format!("/etc/{}: is not there, so etcd cannot be added, make it", table.name());
            read(table)?.ok_or_else(missing)
        };
        let before = Accounts {
            passwd: needed(Table::Passwd)?,
            group: needed(Table::Group)?,
            shadow: read(Table::Shadow)?,
            gshadow: read(Table::Gshadow)?,
        };
        let shells = ["/usr/sbin/nologin", "/sbin/nologin", "/bin/false"];
        let shell = shells.into_iter().find(|path| host.exists(path)).unwrap_or("/sbin/nologin");
        let mut after = before.clone();
        let ids = after.add_etcd(host.owner(&format!("{data_dir}/server/db/etcd")), shell)?;
        for table in Table::ALL {
            if let Some(bytes) = after.get(table).filter(|bytes| before.get(table) != Some(bytes)) {
                files.replace(table.name(), bytes).map_err(told)?;
                match table {
                    Table::Group => self.done.push(format!("/etc/group: group etcd added, id {}", ids.group)),
                    Table::Passwd => self.done.push(format!("/etc/passwd: user etcd added, id {}", ids.user)),
                    Table::Gshadow | Table::Shadow => {}
                }
            }
        }
        Ok(())
    }

    /// Keeps NetworkManager from managing what the CNI makes; one that runs is told of a change.
    fn network_manager(&mut self, wanted: bool) -> Result<(), String> {
        let names: Vec<String> = INTERFACES.iter().map(|name| format!("interface-name:{name}")).collect();
        // `+=` adds to what other files list.
        let lines = format!("[keyfile]\nunmanaged-devices+={}\n", names.join(";"));
        if !self.file(NETWORK_MANAGER, if wanted { &lines } else { "" })? {
            return Ok(());
        }
        let mut systemd = Systemd::of(self.host);
        let told = |error: Error| error.to_string();
        if !self.host.is_real() || self.host.systemd_runs_here() {
            if self.host.is_real() && !systemd.show("NetworkManager").map_err(told)?.is_busy() {
                return Ok(());
            }
            // Nothing of this waits for it.
            systemd.order(&["reload", "--no-block", "NetworkManager.service"]).map_err(told)?;
        } else if self.host.is_dir("/run/NetworkManager") {
            systemd.run("nmcli", &["general", "reload", "conf"], Duration::from_secs(10)).map_err(told)?;
        }
        self.done.append(&mut systemd.said);
        Ok(())
    }

    /// Kernel modules: loaded at once, and listed for the next who loads all. Gives what failed.
    fn modules(&mut self, names: &str) -> Vec<String> {
        let lines: String = names.split_whitespace().flat_map(|name| [name, "\n"]).collect();
        let mut failed: Vec<String> = self.file(MODULES, &lines).err().into_iter().collect();
        for name in names.split_whitespace() {
            // Loaded, or built in with parameters; what is built in without, modprobe knows.
            if self.host.exists(&format!("/sys/module/{}", name.replace('-', "_"))) {
                continue;
            }
            let mut system = Systemd::of(self.host);
            match system.run("modprobe", &["--", name], MODPROBE) {
                Ok(_) => self.done.append(&mut system.said),
                Err(error) => failed.push(format!("kernel module {name}: {error}")),
            }
        }
        failed
    }
}

/// What RKE2's profile demands of the kernel: as the installed RKE2 says, else as we know it.
fn demanded(host: &Host) -> Vec<Setting> {
    let shipped = sysctl::SHIPPED.into_iter().filter_map(|path| host.read(path, LIMIT).ok());
    let read = shipped.map(|bytes| sysctl::read(&String::from_utf8_lossy(&bytes))).find(|list| !list.is_empty());
    read.unwrap_or_else(|| sysctl::CIS.iter().map(|(name, value)| Setting::new(name, value)).collect())
}
