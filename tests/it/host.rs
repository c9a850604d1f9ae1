//! `apply host` on a node in a temporary directory: the tree before, the tree after, and that a second run changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::support::{self, Fault, Node, Ran, Stamp, What, can_trace, paths, tampered, traced};
use rustix::fs::{FlockOperation, XattrFlags, fcntl_lock, getxattr, setxattr};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n";
const GSHADOW: &str = "root:*::\ndaemon:*::\n";
const USER: &str = "etcd:x:379:379:etcd of RKE2:/:/sbin/nologin\n";

const SYSCTL: &str = "etc/sysctl.d/90-provider-rke2.conf";
const MODULES: &str = "etc/modules-load.d/90-provider-rke2.conf";
const NETWORK_MANAGER: &str = "etc/NetworkManager/conf.d/90-provider-rke2.conf";
const HEADER: &str = "# written by provider-rke2; the cloud-config decides, what is changed here is lost\n";
const CIS: &str = "vm.overcommit_memory=1\nvm.panic_on_oom=0\nkernel.panic=10\nkernel.panic_on_oops=1\n";

const SERVER: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: a-long-enough-token\n";
const AGENT: &str =
    "#cloud-config\ncluster:\n  role: worker\n  cluster_token: a-long-enough-token\n  control_plane_host: 10.0.0.1\n";

/// A node with accounts; no plan yet.
fn node() -> Node {
    let node = Node::new();
    node.write("etc/passwd", PASSWD, 0o644);
    node.write("etc/group", GROUP, 0o644);
    node.write("etc/shadow", SHADOW, 0o640);
    node.write("etc/gshadow", GSHADOW, 0o600);
    node
}

/// The boot phase with a cloud-config: what `apply config` comes to must be good, what `apply host` comes to is given.
fn apply(node: &Node, config: &str) -> Ran {
    assert_eq!(node.boot_anew(config)["error"], "");
    node.stage();
    let ran = node.run(&["apply", "config"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    node.run(&["apply", "host"])
}

/// The same, good; then once more, where nothing may change. Gives what was said, line by line.
fn prepared(node: &Node, config: &str) -> Vec<String> {
    let ran = apply(node, config);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let once = facts(node);
    let again = node.run(&["apply", "host"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(facts(node), once);
    ran.said()
}

/// The files below /etc that are no configuration of RKE2.
fn facts(node: &Node) -> BTreeMap<String, Stamp> {
    const OTHERS: [&str; 3] = ["etc/rancher", "etc/default", "etc/issue.d"];
    let mut facts = node.stamps("etc/");
    facts.retain(|path, stamp| !stamp.is_dir() && !OTHERS.into_iter().any(|other| path.starts_with(other)));
    facts
}

/// The text of the files below /etc.
fn files(node: &Node) -> BTreeMap<String, String> {
    facts(node).into_iter().map(|(name, stamp)| (name, stamp.text())).collect()
}

fn tree<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<String, String> {
    files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// The accounts with etcd among them.
fn accounts() -> BTreeMap<String, String> {
    tree([
        ("etc/.pwd.lock", ""),
        ("etc/passwd", &format!("{PASSWD}{USER}")),
        ("etc/group", &format!("{GROUP}etcd:x:379:\n")),
        ("etc/shadow", &format!("{SHADOW}etcd:!:::::::\n")),
        ("etc/gshadow", &format!("{GSHADOW}etcd:!::\n")),
    ])
}

fn with(mut tree: BTreeMap<String, String>, name: &str, text: &str) -> BTreeMap<String, String> {
    tree.insert(name.to_owned(), text.to_owned());
    tree
}

fn untouched() -> BTreeMap<String, String> {
    tree([("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/shadow", SHADOW), ("etc/gshadow", GSHADOW)])
}

#[test]
fn nothing_is_written_where_nothing_is_asked_for() {
    for config in [SERVER, AGENT] {
        let node = node();
        assert_eq!(prepared(&node, config), ["nothing is asked of the node"]);
        assert_eq!(files(&node), untouched());
    }
    // Without accounts and /etc/sysctl.d there is nothing to fail either.
    let bare = Node::new();
    assert_eq!(prepared(&bare, SERVER), ["nothing is asked of the node"]);
}

#[test]
fn a_server_with_the_cis_profile_has_kernel_settings_and_etcd() {
    let node = node();
    let config = format!("{SERVER}  config: |\n    profile: cis\n");
    let said = prepared(&node, &config);
    assert_eq!(
        said,
        [
            "/etc/sysctl.d/90-provider-rke2.conf: written",
            "would set vm.overcommit_memory to 1",
            "would set vm.panic_on_oom to 0",
            "would set kernel.panic to 10",
            "would set kernel.panic_on_oops to 1",
            "/etc/group: group etcd added, id 379",
            "/etc/passwd: user etcd added, id 379",
        ]
    );
    assert_eq!(files(&node), with(accounts(), SYSCTL, &format!("{HEADER}{CIS}")));
    let modes = [SYSCTL, "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"].map(|path| node.mode(path));
    assert_eq!(modes, [0o644, 0o644, 0o644, 0o640, 0o600]);
}

#[test]
fn each_profile_and_role_gets_what_it_needs() {
    let sysctl = || with(untouched(), SYSCTL, &format!("{HEADER}{CIS}"));
    let both = || with(accounts(), SYSCTL, &format!("{HEADER}{CIS}"));
    for (config, expected) in [
        (format!("{AGENT}  config: |\n    profile: cis\n"), sysctl()),
        (format!("{AGENT}  config: |\n    profile: etcd\n"), untouched()),
        (format!("{SERVER}  config: |\n    profile: etcd\n"), accounts()),
        (format!("{SERVER}  config: |\n    profile: cis-1.23\n"), both()),
        (format!("{SERVER}  config:\n    profile: \"{{{{ .Values.node.profile }}}}\"\n"), both()),
        (format!("{SERVER}  providerConfig:\n    profile: cis\n"), both()),
        (format!("{SERVER}  config: |\n    profile: etcd\n  providerConfig:\n    profile: cis\n"), both()),
        (format!("{SERVER}  env:\n    RKE2_CIS_PROFILE: cis\n"), both()),
        (format!("{SERVER}  env:\n    RKE2_CIS_PROFILE: etcd\n"), accounts()),
        // RKE2 says itself what it thinks of these.
        (format!("{SERVER}  config: |\n    profile: csi\n"), untouched()),
        (format!("{SERVER}  config: |\n    profile: \"\"\n"), untouched()),
    ] {
        let node = node();
        assert_eq!(node.boot_anew(&config)["error"], "");
        node.stage();
        if let Some(value) = node.read("run/provider-rke2/values/0") {
            node.write("run/provider-rke2/values/0", value.replace("<no value>", "cis"), 0o600);
        }
        assert_eq!(node.run(&["apply", "config"]).code, Some(0), "{config}");
        assert_eq!(node.run(&["apply", "host"]).code, Some(0), "{config}");
        assert_eq!(files(&node), expected, "{config}");
    }
    // Somebody else's drop-in is part of what RKE2 reads.
    let node = node();
    node.write("etc/rancher/rke2/config.d/95_site.yaml", "profile: cis\n", 0o600);
    prepared(&node, SERVER);
    assert_eq!(files(&node), both());
}

#[test]
fn the_settings_are_those_of_the_installed_rke2() {
    let config = format!("{AGENT}  config: |\n    profile: cis\n");
    for path in ["usr/local/share/rke2", "usr/share/rke2", "opt/rke2/share/rke2"] {
        let node = node();
        node.write(&format!("{path}/rke2-cis-sysctl.conf"), "# new\nvm.new = 5\n-kernel/panic=10\n", 0o644);
        let said = prepared(&node, &config);
        let expected = format!("{HEADER}vm.new=5\n-kernel/panic=10\n");
        assert_eq!(node.read(SYSCTL).unwrap(), expected);
        assert!(said.contains(&"would set vm.new to 5".to_owned()), "{said:?}");
    }
    // One that says nothing is as none.
    let node = node();
    node.write("usr/share/rke2/rke2-cis-sysctl.conf", "garbage\n", 0o644);
    prepared(&node, &config);
    assert_eq!(node.read(SYSCTL).unwrap(), format!("{HEADER}{CIS}"));
}

#[test]
fn what_is_set_already_is_not_set() {
    let node = node();
    node.write("proc/sys/vm/panic_on_oom", "0\n", 0o644);
    node.write("proc/sys/kernel/panic", "1\n", 0o644);
    let said = prepared(&node, &format!("{AGENT}  config: |\n    profile: cis\n"));
    let would: Vec<_> = said.iter().filter(|line| line.starts_with("would")).collect();
    assert_eq!(
        would,
        ["would set vm.overcommit_memory to 1", "would set kernel.panic to 10", "would set kernel.panic_on_oops to 1"]
    );
    assert_eq!(node.read("proc/sys/kernel/panic").unwrap(), "1\n");
}

#[test]
fn without_a_profile_our_file_goes_and_the_rest_stays() {
    let node = node();
    prepared(&node, &format!("{SERVER}  config: |\n    profile: cis\n"));
    let said = prepared(&node, SERVER);
    assert_eq!(said, ["/etc/sysctl.d/90-provider-rke2.conf: removed, what it has set stays until the next boot"]);
    // The data of etcd may be the user's.
    assert_eq!(files(&node), accounts());
    assert_eq!(prepared(&node, SERVER), ["nothing is asked of the node"]);
}

#[test]
fn files_of_others_under_our_names_stay() {
    let asked = "  providerConfig:\n    networkmanager_unmanaged: \"true\"\n    kernel_modules: br_netfilter\n    inotify_limits: \"true\"\n";
    for path in [SYSCTL, MODULES, NETWORK_MANAGER] {
        let node = node();
        node.write(path, "of the site\n", 0o600);
        assert_eq!(prepared(&node, SERVER), ["nothing is asked of the node"]);
        let ran = apply(&node, &format!("{SERVER}{asked}"));
        let sentence = format!("/{path}: was not written by this program; rename or remove it");
        assert_eq!((ran.code, ran.stderr.contains(&sentence)), (Some(1), true), "{ran:?}");
        assert_eq!((node.read(path).as_deref(), node.mode(path)), (Some("of the site\n"), 0o600));
        // The others are there all the same.
        let others = [SYSCTL, MODULES, NETWORK_MANAGER].into_iter().filter(|other| *other != path);
        assert!(others.into_iter().all(|other| node.read(other).unwrap().starts_with(HEADER)));
        assert!(node.read("run/provider-rke2/status.yaml").unwrap().contains("rename or remove it"));
    }
}

#[test]
fn what_provider_config_asks_for_comes_and_goes() {
    let node = node();
    let config = format!(
        "{SERVER}  providerConfig:\n    networkmanager_unmanaged: \"yes\"\n    inotify_limits: \"on\"\n    kernel_modules: br_netfilter, overlay nf-conntrack\n"
    );
    node.write("sys/module/overlay/initstate", "live\n", 0o444);
    node.write("sys/module/nf_conntrack/initstate", "live\n", 0o444);
    node.write("proc/sys/fs/inotify/max_user_watches", "1048576\n", 0o644);
    node.write("proc/sys/fs/inotify/max_user_instances", "128\n", 0o644);
    let interfaces = "interface-name:cali*;interface-name:flannel*;interface-name:tunl*;interface-name:vxlan.calico;\
                      interface-name:vxlan-v6.calico;interface-name:wireguard.cali;interface-name:wg-v6.cali;\
                      interface-name:cilium*;interface-name:lxc*";
    assert_eq!(
        prepared(&node, &config),
        [
            "/etc/sysctl.d/90-provider-rke2.conf: written",
            "would set fs.inotify.max_user_instances to 8192",
            "/etc/NetworkManager/conf.d/90-provider-rke2.conf: written",
            "would run systemctl reload --no-block NetworkManager.service",
            "/etc/modules-load.d/90-provider-rke2.conf: written",
            "would run modprobe -- br_netfilter",
        ]
    );
    let limits = format!("{HEADER}fs.inotify.max_user_instances=8192\nfs.inotify.max_user_watches=1048576\n");
    let expected = with(untouched(), SYSCTL, &limits);
    let expected = with(expected, MODULES, &format!("{HEADER}br_netfilter\noverlay\nnf-conntrack\n"));
    let expected = with(expected, NETWORK_MANAGER, &format!("{HEADER}[keyfile]\nunmanaged-devices+={interfaces}\n"));
    assert_eq!(files(&node), expected);
    // Limits and profile share a file.
    prepared(&node, &config.replace("  providerConfig:", "  config: |\n    profile: cis\n  providerConfig:"));
    assert_eq!(node.read(SYSCTL).unwrap(), limits.replace(HEADER, &format!("{HEADER}{CIS}")));
    let said = prepared(
        &node,
        &config.replace("yes", "no").replace("on", "off").replace("kernel_modules: ", "kernel_modules: \"\" #"),
    );
    assert_eq!(said.iter().filter(|line| line.contains(": removed")).count(), 3, "{said:?}");
    assert_eq!(files(&node), accounts());
}

/// The finding `sysctl-overridden`: a warning of a step that did its part stands in the log.
#[test]
fn files_that_would_undo_a_setting_are_named() {
    let node = node();
    for (path, text) in [
        ("etc/sysctl.d/99-site.conf", "vm.overcommit_memory = 0\nvm/panic_on_oom=0\nnet.ipv4.ip_forward=1\n"),
        // Masked by the file of that name in /etc.
        ("usr/lib/sysctl.d/99-site.conf", "kernel.panic=1\n"),
        ("usr/local/lib/sysctl.d/95-late.conf", "kernel/panic_on_oops=0\n"),
        // Before ours, and not read at all.
        ("etc/sysctl.d/10-early.conf", "kernel.panic=1\n"),
        ("etc/sysctl.d/99-site.conf.bak", "kernel.panic=1\n"),
    ] {
        node.write(path, text, 0o644);
    }
    prepared(&node, &format!("{AGENT}  config: |\n    profile: cis\n"));
    let log = node.read("var/log/provider-rke2.log").unwrap();
    let warned: Vec<_> = log.lines().filter(|line| line.contains("but RKE2 needs")).collect();
    for (line, sentence) in warned.iter().zip([
        "warning host: /etc/sysctl.d/99-site.conf: sets vm.overcommit_memory to 0, but RKE2 needs 1",
        "warning host: /usr/local/lib/sysctl.d/95-late.conf: sets kernel.panic_on_oops to 0, but RKE2 needs 1",
    ]) {
        assert!(line.contains(sentence), "{line}");
    }
    // Two runs.
    assert_eq!(warned.len(), 4, "{log}");
}

#[test]
fn accounts_that_cannot_be_edited_are_refused() {
    let config = format!("{SERVER}  config: |\n    profile: cis\n");
    let mend = |path: &str, mend: &dyn Fn(&Node)| {
        let node = node();
        node.clear(path);
        mend(&node);
        let before = facts(&node);
        let ran = apply(&node, &config);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let mut after = facts(&node);
        // The rest was done, and is in the log.
        assert!(
            node.read("var/log/provider-rke2.log")
                .unwrap()
                .contains("info host: /etc/sysctl.d/90-provider-rke2.conf: written")
        );
        assert_eq!(after.remove(SYSCTL).unwrap().text(), format!("{HEADER}{CIS}"));
        assert!(after.remove("etc/.pwd.lock").is_some());
        assert_eq!(after, before);
        ran.said()
    };
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(&elsewhere, PASSWD).unwrap();
    // What was done is said before.
    let is = |said: Vec<String>, sentence: &str| assert_eq!(said[5..], [sentence]);
    is(
        mend("etc/passwd", &|node| symlink(elsewhere.path(), node.path("etc/passwd")).unwrap()),
        "cannot read /etc/passwd: it is a symlink, not a regular file",
    );
    is(
        mend("etc/shadow", &|node| symlink("gshadow", node.path("etc/shadow")).unwrap()),
        "cannot read /etc/shadow: it is a symlink, not a regular file",
    );
    is(
        mend("etc/group", &|node| node.fifo("etc/group")),
        "cannot read /etc/group: it is a named pipe, not a regular file",
    );
    is(mend("etc/passwd", &|_| {}), "/etc/passwd: is not there, so etcd cannot be added; make it");
    is(
        mend("etc/passwd", &|node| node.write("etc/passwd", "", 0o644)),
        "/etc/passwd: holds no entry at all, so etcd is not added; mend the file",
    );
    is(
        mend("etc/group", &|node| node.write("etc/group", "root:x:0:\netcd:x\n", 0o644)),
        "/etc/group: the entry of etcd is not whole; mend or remove it",
    );
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), PASSWD);
}

#[test]
fn the_ids_are_those_of_the_data() {
    let (node, data) = (node(), "data/rke2/server/db/etcd/member");
    node.write(&format!("{data}/x"), "", 0o600);
    let own = fs::metadata(node.path(data)).unwrap();
    let (user, group) = if own.uid() == 0 {
        chown(node.path("data/rke2/server/db/etcd"), Some(4711), Some(4712)).unwrap();
        (4711, 4712)
    } else {
        (own.uid(), own.gid())
    };
    prepared(&node, &format!("{SERVER}  config: |\n    profile: etcd\n    data-dir: /data/rke2\n"));
    let passwd = node.read("etc/passwd").unwrap();
    assert!(passwd.ends_with(&format!("\netcd:x:{user}:{group}:etcd of RKE2:/:/sbin/nologin\n")), "{passwd}");
    assert!(node.read("etc/group").unwrap().ends_with(&format!("\netcd:x:{group}:\n")));
}

#[test]
fn what_the_image_has_stays_as_it_is() {
    let node = node();
    node.write("etc/passwd", format!("{PASSWD}etcd:x:52:52:of the image:/var/lib/etcd:/sbin/nologin"), 0o644);
    node.write("etc/group", format!("{GROUP}etcd:x:52:"), 0o644);
    node.write("bin/false", "", 0o755);
    let before = facts(&node);
    assert_eq!(
        prepared(&node, &format!("{SERVER}  config: |\n    profile: etcd\n")),
        ["profile etcd: the node is prepared"]
    );
    let mut after = facts(&node);
    after.remove("etc/.pwd.lock");
    assert_eq!(after, before);
}

#[test]
fn the_shell_is_one_that_the_node_has() {
    for (has, shell) in
        [("usr/sbin/nologin", "/usr/sbin/nologin"), ("sbin/nologin", "/sbin/nologin"), ("bin/false", "/bin/false")]
    {
        let node = node();
        node.write("bin/false", "", 0o755);
        node.write(has, "", 0o755);
        prepared(&node, &format!("{SERVER}  config: |\n    profile: etcd\n"));
        assert!(node.read("etc/passwd").unwrap().ends_with(&format!(":/:{shell}\n")), "{has}");
    }
}

#[test]
fn the_locks_of_others_are_waited_for_and_left_overs_are_removed() {
    const HELD: Duration = Duration::from_millis(700);
    let config = format!("{SERVER}  config: |\n    profile: etcd\n");
    let boot = |node: &Node| {
        assert_eq!(node.boot_anew(&config)["error"], "");
        node.stage();
        assert_eq!(node.run(&["apply", "config"]).code, Some(0));
    };
    // As lckpwdf(3) holds it.
    let waits = node();
    boot(&waits);
    waits.write("etc/.pwd.lock", "", 0o600);
    let file = fs::File::options().write(true).open(waits.path("etc/.pwd.lock")).unwrap();
    fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
    let began = Instant::now();
    let held = spawn(move || {
        sleep(HELD);
        drop(file);
    });
    assert_eq!(waits.run(&["apply", "host"]).code, Some(0));
    assert!(began.elapsed() >= HELD);
    held.join().unwrap();
    assert_eq!(files(&waits), accounts());

    // As shadow-utils holds it where lckpwdf does nothing: the number of a living process.
    for name in ["passwd", "group", "shadow", "gshadow"] {
        let waits = node();
        boot(&waits);
        waits.write(&format!("etc/{name}.lock"), format!("{}\0", std::process::id()), 0o600);
        let lock = waits.path(&format!("etc/{name}.lock"));
        let began = Instant::now();
        let held = spawn(move || {
            sleep(HELD);
            fs::remove_file(lock).unwrap();
        });
        assert_eq!(waits.run(&["apply", "host"]).code, Some(0));
        assert!(began.elapsed() >= HELD);
        held.join().unwrap();
        assert_eq!(files(&waits), accounts());
    }

    // Of a process that is gone, and of this program killed.
    let stale = node();
    boot(&stale);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    stale.write("etc/passwd.lock", format!("{}\0", child.id()), 0o600);
    stale.write("etc/.passwd.provider-rke2", "cut off", 0o600);
    stale.write("etc/.group.lock.provider-rke2", "", 0o600);
    assert_eq!(stale.run(&["apply", "host"]).code, Some(0));
    assert_eq!(files(&stale), accounts());
}

#[test]
fn check_knows_what_rke2_stops_at() {
    for (config, expected) in [
        (format!("{SERVER}  config: |\n    profile: cis\n    protect-kernel-defaults: true\n"), ""),
        (format!("{SERVER}  config: |\n    profile: etcd\n    protect-kernel-defaults: false\n"), ""),
        (format!("{SERVER}  config: |\n    protect-kernel-defaults: false\n"), ""),
        (format!("{SERVER}  env:\n    RKE2_CIS_PROFILE: etcd\n  config: |\n    protect-kernel-defaults: false\n"), ""),
        (format!("{SERVER}  config: |\n    profile: \"{{{{ .Values.profile }}}}\"\n"), ""),
        (
            format!("{SERVER}  config: |\n    profile: cis\n    protect-kernel-defaults: false\n"),
            "7: cluster.config.protect-kernel-defaults: is false, with which RKE2 does not start under the profile cis; remove it [profile-kernel-defaults]",
        ),
        (
            format!("{AGENT}  config:\n    protect-kernel-defaults: no\n  providerConfig:\n    profile: cis\n"),
            "7: cluster.config.protect-kernel-defaults: is false, with which RKE2 does not start under the profile cis; remove it [profile-kernel-defaults]",
        ),
        (
            format!(
                "{AGENT}  env:\n    RKE2_CIS_PROFILE: cis\n  providerConfig:\n    protect-kernel-defaults: \"false\"\n"
            ),
            "9: cluster.providerConfig.protect-kernel-defaults: is false, with which RKE2 does not start under the profile cis; remove it [profile-kernel-defaults]",
        ),
        (
            format!(
                "{SERVER}  config: |\n    profile: cis\n    protect-kernel-defaults: false\n  providerConfig:\n    \
                 protect-kernel-defaults: \"false\"\n"
            ),
            "9: cluster.providerConfig.protect-kernel-defaults: is false, with which RKE2 does not start under the profile cis; remove it [profile-kernel-defaults]",
        ),
        (
            format!("{SERVER}  config: |\n    profile: CIS\n"),
            "6: cluster.config.profile: \"CIS\" is not a profile, so RKE2 does not start; write cis or etcd [profile-unknown]",
        ),
    ] {
        let node = Node::new();
        node.write("c", &config, 0o600);
        let path = node.path("c");
        let ran = node.run(&["check", "--format", "json", path.to_str().unwrap()]);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let text = |it: &serde_json::Value| {
            format!("{}: {} [{}]", it["line"], it["message"].as_str().unwrap(), it["code"].as_str().unwrap())
        };
        let errors: Vec<String> =
            told.as_array().unwrap().iter().filter(|it| it["severity"] == "error").map(text).collect();
        assert_eq!(
            (errors.join("\n").as_str(), ran.code),
            (expected, Some(i32::from(!expected.is_empty()))),
            "{config}"
        );
    }
}

#[test]
fn owner_and_label_of_a_file_stay() {
    const LABEL: &str = "security.selinux";
    let node = node();
    let (path, label) = (node.path("etc/shadow"), b"system_u:object_r:shadow_t:s0\0");
    if setxattr(&path, LABEL, label, XattrFlags::empty()).is_err() || chown(&path, Some(0), Some(42)).is_err() {
        let _ =
            std::io::stderr().write_all(b"left out: owners and labels (needs root and a file system with labels)\n");
        return;
    }
    prepared(&node, &format!("{SERVER}  config: |\n    profile: etcd\n"));
    assert!(node.read("etc/shadow").unwrap().ends_with("etcd:!:::::::\n"));
    let (mut found, meta) = ([0; 64], fs::metadata(&path).unwrap());
    let length = getxattr(&path, LABEL, &mut found).unwrap();
    assert_eq!((&found[..length], meta.uid(), meta.gid(), node.mode("etc/shadow")), (&label[..], 0, 42, 0o640));
    // A file that has none gets none.
    assert!(getxattr(node.path("etc/passwd"), LABEL, &mut found).is_err());
}

/// The files of accounts are each the old or the new one, and those that come later are not new before those that come first.
fn is_whole(node: &Node, case: &str) {
    let new = accounts();
    let mut is_new = true;
    for (name, old) in [("gshadow", GSHADOW), ("shadow", SHADOW), ("group", GROUP), ("passwd", PASSWD)] {
        let name = format!("etc/{name}");
        let found = node.read(&name).unwrap();
        assert!(found == old || (is_new && found == new[&name]), "{case}: {name}: {found}");
        is_new = found == new[&name];
    }
}

#[test]
fn whatever_the_system_refuses_the_accounts_stay_whole() {
    const CALLS: [(&str, &[&str]); 8] = [
        ("write", &["EIO", "ENOSPC"]),
        ("fsync", &["EIO", "ENOSPC"]),
        ("renameat", &["EIO", "EROFS"]),
        ("linkat", &["EPERM", "EROFS"]),
        ("openat", &["EIO", "ENOSPC"]),
        ("fchmod", &["EPERM"]),
        ("fcntl", &["ENOLCK"]),
        ("newfstatat", &["EIO"]),
    ];
    if !can_trace() {
        return;
    }
    let config = format!("{SERVER}  config: |\n    profile: etcd\n");
    let node = node();
    assert_eq!(apply(&node, &config).code, Some(0));
    let restore = || {
        for (name, text) in untouched() {
            fs::write(node.path(&name), text).unwrap();
        }
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    restore();
    let all = ["-etrace=%file,%desc,fsync".to_owned()];
    support::run(&mut traced(&node, log.path(), &all, &["apply", "host"]), b"");
    let etc: Vec<String> = paths(&node, log.path());
    // Those of the accounts; the rest is the affair of other tests.
    let etc: Vec<String> = etc.chunks(2).filter(|it| it[1].contains("/etc")).flatten().cloned().collect();
    for (call, errors) in CALLS {
        for when in 1.. {
            for kill in [false, true] {
                restore();
                let what = if kill { What::Killed } else { What::Fails(errors[when % errors.len()]) };
                let fault = Fault { call, when, what };
                let ran = support::run(&mut fault.traced(&node, log.path(), &etc, &["apply", "host"]), b"");
                let case = format!("{fault}: {ran:?}");
                is_whole(&node, &case);
                if !kill && ran.code == Some(1) {
                    assert!(ran.stderr.contains("/etc/"), "{case}");
                    assert!(
                        !files(&node).keys().any(|name| name.contains(".provider-rke2")
                            || (name.ends_with(".lock") && name != "etc/.pwd.lock")),
                        "{case}"
                    );
                }
                // The next run finishes, whatever was left behind.
                let next = node.run(&["apply", "host"]);
                assert_eq!((next.code, files(&node)), (Some(0), accounts()), "{case} {next:?}");
            }
            if tampered(&node, log.path()).is_none()
                && !fs::read_to_string(log.path()).unwrap().contains("killed by SIGKILL")
            {
                assert!(when > 1, "no {call} at all");
                break;
            }
        }
    }
}
