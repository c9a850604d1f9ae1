//! `apply host`: what RKE2's hardening profile demands of the node, and what `providerConfig` asks for. Files of ours that nobody asks for
//! any more are removed.

use std::time::Duration;

use super::accounts::{Accounts, Table};
use super::step::{Leaf, Step};
use crate::findings::code::Code;
use crate::findings::path::At;
use crate::findings::{Findings, Reason};
use crate::host::Host;
use crate::host::owned::{MARK, Whose};
use crate::plan::plan::Plan;
use crate::report::outcome::Outcome;
use crate::rke2::merge::CONFIG;
use crate::rke2::profile::{self, Setting};
use crate::rke2::{Unit, overrides};
use crate::service::manager::Manager as _;
use crate::service::systemd::{self, Systemd};
use crate::text::lossy;
use crate::text::yaml::{self, Node, OPTIONS};

/// The step.
pub(crate) const STEP: Step = Step {
    name: "host",
    what: "Prepares the host for RKE2's hardening profile",
    stages: &["30-host.yaml"],
    run: |apply| apply.with_plan("host", |plan| run(apply.host, plan)),
    leaves: &[Leaf::Marked(SYSCTL_FILE), Leaf::Marked(MODULES_FILE), Leaf::Marked(NETWORK_MANAGER_FILE)],
};

/// What follows the mark in the first line of a file of ours.
const HEADER: &str = "; the cloud-config decides, what is changed here is lost";

/// The file for sysctl.d(5), and its name.
const SYSCTL_FILE: &str = "/etc/sysctl.d/90-provider-rke2.conf";
const NAME: &str = "90-provider-rke2.conf";

/// The file for systemd-modules-load(8).
const MODULES_FILE: &str = "/etc/modules-load.d/90-provider-rke2.conf";

/// The file for NetworkManager.conf(5).
const NETWORK_MANAGER_FILE: &str = "/etc/NetworkManager/conf.d/90-provider-rke2.conf";

/// Where sysctl.d(5) looks, the first directory that has a file of a name counts.
const SYSCTL: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// What RKE2's CNIs make: its page of known issues lists those of Canal, Calico and Flannel; Cilium makes `cilium*` and `lxc*`.
const INTERFACES: [&str; 9] = [
    "cali*", "flannel*", "tunl*", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali", "cilium*", "lxc*",
];

/// How long the locks of the account files are waited for, as lckpwdf(3) does.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// How long one kernel module may take to load.
const MODPROBE: Duration = Duration::from_secs(20);

/// How much of a file is read.
const LIMIT: u64 = 1 << 20;

/// RKE2's hardening profiles (rke2 `pkg/rke2/rke2.go`), the more demanding one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    /// etcd runs as a user of its own.
    Etcd,
    /// The same, and kernel settings. Older versions of RKE2 had one of each version of the benchmark.
    Cis,
}

impl Profile {
    /// The profile of a name; none for a name that RKE2 itself refuses.
    pub(crate) fn of(name: &str) -> Option<Profile> {
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
pub(crate) fn run(host: &Host, plan: &Plan) -> Outcome {
    let (profile, settings) = (profile(host, plan), &plan.settings);
    let mut step = Preparation { host, outcome: Outcome::default() };
    step.kernel(profile == Some(Profile::Cis), settings.inotify_limits);
    if profile.is_some() && plan.role.unit() == Unit::Server {
        let added = step.etcd(&plan.data_dir);
        step.tried(added);
    }
    let told = step.network_manager(settings.networkmanager_unmanaged);
    step.tried(told);
    step.modules(&settings.kernel_modules.0);
    let mut outcome = step.outcome;
    if outcome.done.is_empty() && outcome.failed.is_empty() {
        let is_asked =
            settings.inotify_limits || settings.networkmanager_unmanaged || !settings.kernel_modules.0.is_empty();
        outcome.done.push(match profile {
            Some(profile) => format!("profile {}: the node is prepared", profile.as_str()),
            None if is_asked => "the node is prepared".to_owned(),
            None => "nothing is asked of the node".to_owned(),
        });
    }
    outcome
}

/// The most demanding profile that the cloud-config, the installed configuration, or what RKE2 reads after them names: RKE2 starts on a node that is
/// prepared for more than it asks for, and not on one that is prepared for less.
fn profile(host: &Host, plan: &Plan) -> Option<Profile> {
    let installed = host.read(CONFIG, OPTIONS.bytes as u64).unwrap_or_default();
    let of_text = |text: &str| {
        let document = yaml::read(text, OPTIONS).ok()?;
        Profile::of(&document.root.get("profile").and_then(Node::scalar)?.text)
    };
    let texts = [&plan.provider, &plan.user, String::from_utf8_lossy(&installed).as_ref()].map(of_text);
    let variable = plan.env.get("RKE2_CIS_PROFILE").and_then(|name| Profile::of(name));
    let files = overrides::drop_ins(host)
        .into_iter()
        .filter_map(|file| of_text(&String::from_utf8_lossy(&host.read(&file, LIMIT).unwrap_or_default())));
    let assigned = overrides::environment_files(host, plan.role.unit()).into_iter().flat_map(|file| {
        let text = host.read(&file, LIMIT).unwrap_or_default();
        overrides::assignments(&String::from_utf8_lossy(&text))
    });
    let assigned =
        assigned.filter(|(_, (name, _))| name == "RKE2_CIS_PROFILE").filter_map(|(_, (_, it))| Profile::of(&it));
    texts.into_iter().chain([variable]).flatten().chain(files).chain(assigned).max()
}

struct Preparation<'a> {
    host: &'a Host,
    outcome: Outcome,
}

impl Preparation<'_> {
    fn did(&mut self, sentence: String) {
        self.outcome.done.push(sentence);
    }

    /// Takes in why something failed, if it did; gives whether anything was changed.
    fn tried<T: Default>(&mut self, result: Result<T, Reason>) -> T {
        result.unwrap_or_else(|reason| {
            self.outcome.failed.push(reason);
            T::default()
        })
    }

    /// Makes a file of ours hold these lines, or be gone without them. Gives whether it changed.
    fn file(&mut self, path: &str, lines: &str) -> Result<bool, Reason> {
        let host = self.host;
        match (Whose::of(host, path)?, lines.is_empty()) {
            (Whose::Nobodys | Whose::Others, true) => Ok(false),
            (Whose::Others, false) => {
                Err(format!("{path}: was not written by this program; rename or remove it").into())
            }
            (Whose::Ours, true) => {
                self.did(format!("{path}: removed, what it has set stays until the next boot"));
                Ok(host.remove(path)?)
            }
            (_, false) => {
                let text = format!("{MARK}{HEADER}\n{lines}");
                let is_changed = host.install(path, text.as_bytes(), 0o644)?;
                if is_changed {
                    self.did(format!("{path}: written"));
                }
                Ok(is_changed)
            }
        }
    }

    /// The settings of the kernel: in a file for the next program that sets all of them anew, and in the kernel at once, because
    /// systemd-sysctl(8) has read its files before the boot stages run.
    fn kernel(&mut self, cis: bool, inotify: bool) {
        let mut settings = if cis { demanded(self.host) } else { Vec::new() };
        if inotify {
            settings.extend(profile::INOTIFY.iter().map(|(name, least)| {
                let setting = Setting::new(name, "");
                let current = self.current(&setting).and_then(|text| text.trim().parse::<u64>().ok());
                Setting { value: current.unwrap_or_default().max(*least).to_string(), ..setting }
            }));
        }
        let written = self.file(SYSCTL_FILE, &profile::text(&settings));
        self.tried(written);
        for setting in &settings {
            let set = self.set(setting);
            self.tried(set);
        }
        self.find_overrides(&settings);
    }

    fn current(&self, setting: &Setting) -> Option<String> {
        self.host.read(&setting.path(), 1 << 16).ok().map(lossy)
    }

    /// Sets what is not set, and looks whether the kernel took it.
    fn set(&mut self, setting: &Setting) -> Result<(), Reason> {
        let Setting { name, value, optional } = setting;
        let before = self.current(setting);
        if before.as_deref().is_some_and(|text| setting.is(text)) {
            return Ok(());
        }
        if !self.host.is_real() {
            self.did(format!("would set {name} to {value}"));
            return Ok(());
        }
        let tried = self.host.set_kernel(&setting.path(), value);
        let after = self.current(setting);
        let found = after.as_deref().map_or("nothing", str::trim);
        if after.as_deref().is_some_and(|text| setting.is(text)) {
            let before = before.as_deref().map_or("unknown", str::trim);
            self.did(format!("{name}: set to {value}, was {before}"));
            return Ok(());
        }
        let reason = tried.err().map(|error| format!(" ({error})")).unwrap_or_default();
        let sentence = format!("{name}: is {found} and cannot be set to {value}{reason}; set it on the machine itself");
        if *optional {
            self.did(sentence);
            return Ok(());
        }
        Err(sentence.into())
    }

    /// Files of others that set the same to something else, after ours.
    fn find_overrides(&mut self, settings: &[Setting]) {
        let (mut findings, mut seen) = (Findings::default(), Vec::new());
        for directory in SYSCTL {
            for name in self.host.list(directory).unwrap_or_default() {
                if !name.ends_with(".conf") || name.as_str() <= NAME || seen.contains(&name) {
                    continue;
                }
                let path = format!("{directory}/{name}");
                seen.push(name);
                let bytes = self.host.read(&path, LIMIT).unwrap_or_default();
                for other in profile::read(&String::from_utf8_lossy(&bytes)) {
                    let ours = settings.iter().find(|it| it.path() == other.path() && !it.is(&other.value));
                    if let Some(Setting { name, value, .. }) = ours {
                        let sentence = format!(
                            "{path}: sets {name} to {}, but RKE2 needs {value}; remove the line, because it counts when all are set anew",
                            other.value
                        );
                        findings.warn(Code::SysctlOverridden, At::line(1), &sentence);
                    }
                }
            }
        }
        self.outcome.notes.extend(findings.reasons());
    }

    /// User and group etcd, with the ids that its data has already if there is any.
    fn etcd(&mut self, data_dir: &str) -> Result<(), Reason> {
        let host = self.host;
        let names: Vec<&str> = Table::ALL.iter().rev().map(|table| table.name()).collect();
        let files = host.lock_accounts(&names, LOCK_WAIT)?;
        let needed = |table: Table| -> Result<Vec<u8>, Reason> {
            let missing = || format!("/etc/{}: is not there, so etcd cannot be added; make it", table.name());
            files.read(table.name())?.ok_or_else(|| missing().into())
        };
        let before = Accounts {
            passwd: needed(Table::Passwd)?,
            group: needed(Table::Group)?,
            shadow: files.read(Table::Shadow.name())?,
            gshadow: files.read(Table::Gshadow.name())?,
        };
        let shells = ["/usr/sbin/nologin", "/sbin/nologin", "/bin/false"];
        let shell = shells.into_iter().find(|path| host.exists(path)).unwrap_or("/sbin/nologin");
        let mut after = before.clone();
        let ids = after.add_etcd(host.owner(&format!("{data_dir}/server/db/etcd")), shell)?;
        for table in Table::ALL {
            if let Some(bytes) = after.get(table).filter(|bytes| before.get(table) != Some(bytes)) {
                files.replace(table.name(), bytes)?;
                match table {
                    Table::Group => self.did(format!("/etc/group: group etcd added, id {}", ids.group)),
                    Table::Passwd => self.did(format!("/etc/passwd: user etcd added, id {}", ids.user)),
                    Table::Gshadow | Table::Shadow => {}
                }
            }
        }
        Ok(())
    }

    /// Keeps NetworkManager from managing what the CNI makes; one that runs is told of a change.
    fn network_manager(&mut self, is_wanted: bool) -> Result<(), Reason> {
        let names: Vec<String> = INTERFACES.iter().map(|name| format!("interface-name:{name}")).collect();
        // `+=` adds to what other files list.
        let lines = format!("[keyfile]\nunmanaged-devices+={}\n", names.join(";"));
        if !self.file(NETWORK_MANAGER_FILE, if is_wanted { &lines } else { "" })? {
            return Ok(());
        }
        let mut systemd = Systemd::of(self.host);
        if !self.host.is_real() || systemd::runs_here(self.host) {
            if self.host.is_real() && !systemd.show("NetworkManager")?.is_busy() {
                return Ok(());
            }
            // Nothing of this waits for it.
            systemd.order(&["reload", "--no-block", "NetworkManager.service"])?;
        } else if self.host.is_dir("/run/NetworkManager") {
            systemd.run("nmcli", &["general", "reload", "conf"], Duration::from_secs(10))?;
        }
        self.outcome.done.append(&mut systemd.said);
        Ok(())
    }

    /// Kernel modules: loaded at once, and listed for the next boot.
    fn modules(&mut self, names: &[String]) {
        let written = self.file(MODULES_FILE, &names.iter().flat_map(|name| [name, "\n"]).collect::<String>());
        self.tried(written);
        for name in names {
            // Loaded, or built in with parameters; what is built in without, modprobe knows.
            if self.host.exists(&format!("/sys/module/{}", name.replace('-', "_"))) {
                continue;
            }
            let mut system = Systemd::of(self.host);
            match system.run("modprobe", &["--", name], MODPROBE) {
                Ok(_) => self.outcome.done.append(&mut system.said),
                Err(error) => self.outcome.failed.push(format!("kernel module {name}: {error}").into()),
            }
        }
    }
}

/// What RKE2's profile demands of the kernel: as the installed RKE2 says, else as we know it.
fn demanded(host: &Host) -> Vec<Setting> {
    let shipped = profile::SHIPPED.into_iter().filter_map(|path| host.read(path, LIMIT).ok());
    let read = shipped.map(|bytes| profile::read(&String::from_utf8_lossy(&bytes))).find(|list| !list.is_empty());
    read.unwrap_or_else(|| profile::CIS.iter().map(|(name, value)| Setting::new(name, value)).collect())
}
