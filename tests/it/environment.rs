//! The environment of RKE2's service.
//!
//! `testdata/environment/<case>/`: a cloud-config, the interfaces of the node (`interfaces`, a line each: name, address/length), the node as
//! it was (`root/`), and beside them what `agent.boot` and `apply` leave of the environment, and what `prestart` adds to it.

use crate::support::{self, Node, apply};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use provider_rke2::environment::{self, Networks, no_proxy};
use provider_rke2::host::{Host, Interface};
use provider_rke2::plan::staged;
use provider_rke2::rke2::Unit;
use provider_rke2::service::gate;
use provider_rke2::start::{self, started};

const SERVER: &str = "etc/default/rke2-server";
const LATE: &str = "run/provider-rke2/rke2-server.env";

/// A server that joins; what follows is added to the cluster section.
const JOINER: &str = "#cloud-config\ncluster:\n  role: controlplane\n  cluster_token: a-token-that-is-long-enough\n  \
                      control_plane_host: 10.10.0.5\n";

const PROXY: &str = "  env:\n    HTTP_PROXY: http://proxy.example.com:3128\n";

/// What is always at the head of the list, with RKE2's default networks.
const HEAD: &str = "127.0.0.0/8,::1,localhost,10.42.0.0/16,10.43.0.0/16";

/// What always follows the networks of the node and the control plane host.
const TAIL: &str = ".svc,.svc.cluster,.svc.cluster.local,.cluster.local";

/// Something that is done to a node.
type Change = fn(&Node);

/// A node of [`JOINER`] and more that has its plan and what `tree` writes on it.
fn planned(more: &str, files: &[(&str, &str)]) -> Node {
    let node = Node::new();
    for (path, text) in files {
        node.put(path, text);
    }
    plan(&node, more);
    node
}

fn plan(node: &Node, more: &str) {
    assert_eq!(support::boot(node.root(), &format!("{JOINER}{more}")).error, "");
}

fn is_open(node: &Node) -> bool {
    gate::is_open(&Host::new(node.root()).unwrap(), Unit::Server)
}

/// Runs all steps, of which none may fail.
fn applied(node: &Node) -> Vec<String> {
    let (done, failed) = apply(node.root(), None);
    assert_eq!(failed, Vec::<String>::new());
    assert!(is_open(node));
    done
}

fn prestart(node: &Node, unit: Unit) {
    let host = Host::new(node.root()).unwrap();
    assert_eq!(start::run(&support::context(&host), unit).failed, []);
}

fn interface(name: &str, address: &str) -> Interface {
    Interface { name: name.into(), address: address.parse().unwrap(), age: None }
}

// ---- cases ----

#[test]
fn every_case_leaves_what_is_written_beside_it() {
    let cases = support::cases("environment");
    assert!(cases.len() > 30);
    let differ = |case: &std::path::PathBuf| catch_unwind(|| compare(case)).is_err();
    let differing: Vec<_> = cases.into_iter().filter(differ).collect();
    assert!(differing.is_empty(), "these cases leave something else: {differing:#?}");
}

fn compare(case: &Path) {
    let node = Node::of(&case.join("root"));
    let root = node.root();
    let config = fs::read_to_string(case.join("cloud-config.yaml")).unwrap();
    let answer = support::boot(root, &config);
    assert_eq!(answer.error, "", "{}: the plan is refused, that is a case for testdata/events", case.display());
    node.stage();
    let (done, failed) = apply(root, None);

    let mut whole = String::new();
    let mut say = |title: &str, lines: &str| writeln!(whole, "{title}:\n{}\n", lines.trim_end()).unwrap();
    let of_environment: Vec<_> = done.into_iter().filter(|it| it.contains("/etc/default/")).collect();
    say("done", &of_environment.join("\n"));
    say("failed", &failed.join("\n"));
    let log = fs::read_to_string(root.join("var/log/provider-rke2.log")).unwrap();
    let warnings = log.lines().filter(|line| line.contains(" warning ") || line.contains(" error "));
    say("log", &warnings.map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>().join("\n"));
    let host = Host::new(root).unwrap();
    say(
        "ready",
        &Unit::ALL
            .into_iter()
            .filter(|unit| gate::is_open(&host, *unit))
            .map(Unit::name)
            .collect::<Vec<_>>()
            .join("\n"),
    );
    for directory in ["etc/default", "etc/sysconfig"] {
        if root.join(directory).is_dir() {
            say(&format!("/{directory}"), &support::tree(&root.join(directory)));
        }
    }
    let options = fs::read_to_string(root.join("etc/rancher/rke2/config.yaml")).unwrap_or_default();
    let of_networks = options.lines().filter(|line| line.contains("-cidr") || line.contains("-domain"));
    say("config.yaml, of networks", &of_networks.collect::<Vec<_>>().join("\n"));

    let plan = staged::read(&host).unwrap().plan;
    let unit = plan.role.unit();
    let table = fs::read_to_string(case.join("interfaces")).unwrap_or_default();
    let mut interfaces: Vec<Interface> = table
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, address)| interface(name, address))
        .collect();
    let late = |interfaces: &[Interface]| {
        let nodes = no_proxy::node_networks(interfaces, plan.control_plane_host.as_deref());
        environment::late(&host, &plan.environment(), &nodes).unwrap()
    };
    let added = late(&interfaces);
    interfaces.reverse();
    assert_eq!(late(&interfaces), added, "{}: the order of the interfaces matters", case.display());
    let text = if added.is_empty() { "(none)".to_owned() } else { environment::text(&added) };
    say(&format!("/run/provider-rke2/{unit}.env"), &text);
    support::assert_expected(case, &whole);
}

#[test]
fn a_second_run_writes_nothing() {
    for case in support::cases("environment") {
        let node = Node::of(&case.join("root"));
        let config = fs::read_to_string(case.join("cloud-config.yaml")).unwrap();
        support::boot(node.root(), &config);
        let unit = if config.contains("role: worker") { Unit::Agent } else { Unit::Server };
        let run = || {
            let said = apply(node.root(), None);
            prestart(&node, unit);
            let files = ["etc/default/rke2-server", "etc/default/rke2-agent", LATE, "run/provider-rke2/rke2-agent.env"];
            let found = files.into_iter().filter(|file| node.path(file).exists());
            (said.1, found.map(|file| (file, node.stamp(file), node.read(file))).collect::<Vec<_>>())
        };
        let first = run();
        assert_eq!(run(), first, "{}", case.display());
    }
}

// ---- interfaces ----

/// What `NO_PROXY` has between the networks of the cluster and the names of Services.
fn between(interfaces: &[Interface], host: Option<&str>) -> String {
    let nodes = no_proxy::node_networks(interfaces, host);
    // Given, for the defaults are of another family where all addresses are IPv6.
    let networks =
        Networks { cluster: vec!["10.42.0.0/16".into()], service: vec!["10.43.0.0/16".into()], ..Networks::default() };
    let value = no_proxy::value(&networks, host, &nodes, &[]);
    let rest = value.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(TAIL));
    rest.unwrap_or_else(|| panic!("{value}")).trim_matches(',').to_owned()
}

#[test]
fn interfaces_that_do_not_lead_out_are_left_out() {
    for name in [
        "lo", "lo:1", "docker0", "docker_gwbridge", "br-5f3a", "cni0", "cni-podman0", "flannel.1", "flannel-v6.1",
        "cali1a2b", "cilium_host", "lxc7f", "veth9a", "vxlan.calico", "kube-ipvs0", "nodelocaldns", "virbr0", "tunl0",
        "wireguard.cali", "antrea-gw0", "podman1",
    ] {
        let inside = [interface(name, "192.0.2.7/24"), interface(name, "2001:db8::7/64")];
        assert_eq!(between(&inside, None), "", "{name}");
    }
    // Names that only look like them.
    for name in [
        "eth0", "enp3s0", "bond0.100", "br0", "vmbr0", "wlan0", "lan0", "lxd", "wg0", "tun0", "team0", "mybr-1",
        "acni0",
    ] {
        let outside = [interface(name, "192.0.2.7/24")];
        assert_eq!(between(&outside, None), "192.0.2.0/24", "{name}");
    }
}

#[test]
fn addresses_that_other_nodes_cannot_have_are_left_out() {
    for address in [
        "127.0.0.2/8", "169.254.3.4/16", "0.0.0.0/8", "0.1.2.3/8", "224.0.0.5/4", "255.255.255.255/32", "::1/128",
        "::/64", "fe80::1/64", "febf::1/10", "ff02::1/8",
    ] {
        assert_eq!(between(&[interface("eth0", address)], None), "", "{address}");
    }
    for (address, network) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("100.64.1.1/10", "100.64.0.0/10"),
        ("172.16.9.9/31", "172.16.9.8/31"),
        ("198.51.100.4/32", "198.51.100.4"),
        ("fd00::9/64", "fd00::/64"),
        ("2001:db8::9/128", "2001:db8::9"),
        ("192.0.2.1/0", "0.0.0.0/0"),
    ] {
        assert_eq!(between(&[interface("eth0", address)], None), network, "{address}");
    }
}

#[test]
fn networks_are_in_numeric_order_each_once() {
    let interfaces = [
        interface("eth2", "2001:db8:0:10::1/64"),
        interface("eth2", "2001:db8:0:9::1/64"),
        interface("eth1", "192.168.0.1/16"),
        interface("eth1", "10.9.0.1/16"),
        interface("eth0", "10.10.0.1/16"),
        interface("eth3", "10.9.0.2/16"),
        interface("eth3", "9.255.0.2/32"),
        // No subsumption: a network that lies in another is listed too, the wider one first.
        interface("eth4", "10.9.3.2/24"),
    ];
    let expected = "9.255.0.2,10.9.0.0/16,10.9.3.0/24,10.10.0.0/16,192.168.0.0/16,2001:db8:0:9::/64,2001:db8:0:10::/64";
    assert_eq!(between(&interfaces, None), expected);
    assert_eq!(no_proxy::node_networks(&interfaces, None).len(), 7);
}

#[test]
fn an_address_that_moves_does_not_count() {
    let own = interface("eth0", "10.10.0.17/24");
    for (vip, host) in [("10.10.0.5/32", "10.10.0.5"), ("10.10.0.5/24", "10.10.0.5"), ("10.9.0.5/24", "10.9.0.5")] {
        let with = [own.clone(), interface("eth0", vip)];
        assert_eq!(between(&with, Some(host)), format!("10.10.0.0/24,{host}"), "{vip}");
        assert_eq!(between(&with, Some(host)), between(std::slice::from_ref(&own), Some(host)), "{vip}");
    }
    // The only one of its family does not move, whatever the node has of the other.
    let other = interface("eth0", "2001:db8::5/64");
    assert_eq!(between(&[own.clone(), other.clone()], Some("10.10.0.17")), "10.10.0.0/24,2001:db8::/64,10.10.0.17");
    assert_eq!(between(&[own.clone(), other], Some("2001:db8::5")), "10.10.0.0/24,2001:db8::/64,2001:db8::5");
    assert_eq!(
        between(&[own, interface("eth0", "10.11.0.5/24")], Some("k8s.example.com")),
        "10.10.0.0/24,10.11.0.0/24,k8s.example.com"
    );
}

// ---- files ----

#[test]
fn the_files_are_for_root_only_and_begin_with_the_line_that_tells_them() {
    let node = planned(PROXY, &[]);
    applied(&node);
    prestart(&node, Unit::Server);
    for path in [SERVER, LATE] {
        assert_eq!(node.mode(path), 0o600, "{path}");
        let text = node.read(path).unwrap();
        assert!(text.starts_with("# written by provider-rke2; "), "{text}");
        let names: Vec<&str> = text.lines().skip(1).map(|line| line.split_once("=\"").unwrap().0).collect();
        assert!(names.is_sorted() && !names.is_empty(), "{text}");
    }
    fs::set_permissions(node.path(SERVER), fs::Permissions::from_mode(0o644)).unwrap();
    applied(&node);
    assert_eq!(node.mode(SERVER), 0o600, "the mode is not put right");
}

#[test]
fn prestart_adds_the_networks_of_this_machine() {
    // Given, for the defaults are of another family on a machine with IPv6 only.
    let config = "  config: |\n    cluster-cidr: 10.42.0.0/16\n    service-cidr: 10.43.0.0/16\n";
    let node = planned(&format!("{PROXY}{config}"), &[]);
    applied(&node);
    prestart(&node, Unit::Server);
    let host = Host::new(node.root()).unwrap();
    let expected = format!("NO_PROXY=\"{HEAD},{}\"", {
        let networks = no_proxy::node_networks(&host.interfaces(), Some("10.10.0.5"));
        let networks = networks.iter().map(|it| match it.prefix_len() == it.max_prefix_len() {
            true => it.addr().to_string(),
            false => it.to_string(),
        });
        networks.chain(["10.10.0.5".into(), TAIL.into()]).collect::<Vec<_>>().join(",")
    });
    let text = node.read(LATE).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>()[1..], [format!("CONTAINERD_{expected}"), expected]);
}

#[test]
fn what_prestart_wrote_goes_with_the_proxy_and_with_the_role() {
    let node = planned(PROXY, &[]);
    applied(&node);
    prestart(&node, Unit::Server);
    assert!(node.read(LATE).is_some());
    // A unit that is not the plan's gets nothing.
    node.put("run/provider-rke2/rke2-agent.env", "NO_PROXY=\"of another start\"\n");
    prestart(&node, Unit::Agent);
    assert_eq!(node.read("run/provider-rke2/rke2-agent.env"), None);

    plan(&node, "  env:\n    OTHER: x\n");
    applied(&node);
    prestart(&node, Unit::Server);
    assert_eq!(node.read(LATE), None);
    assert_eq!(node.read(SERVER).unwrap().lines().skip(1).collect::<Vec<_>>(), ["OTHER=\"x\""]);

    plan(&node, "");
    let done = applied(&node);
    assert_eq!(node.read(SERVER), None);
    assert!(done.contains(&"/etc/default/rke2-server: removed".to_owned()), "{done:?}");
}

#[test]
fn a_changed_variable_is_written_and_is_a_change() {
    let node = planned(PROXY, &[]);
    let changed = || started::changed(&Host::new(node.root()).unwrap(), Unit::Server);
    assert_eq!(changed(), None);
    applied(&node);
    // Nobody knows with what it runs, if it does; with this it does not.
    assert_eq!(changed(), Some(true));
    prestart(&node, Unit::Server);
    assert_eq!(changed(), Some(false));
    let before = node.stamp(SERVER);
    applied(&node);
    assert_eq!((&node.stamp(SERVER), changed()), (&before, Some(false)));

    // A new range of pods is in the list that nobody wrote.
    plan(&node, &format!("{PROXY}  config: |\n    cluster-cidr: 10.99.0.0/16\n"));
    applied(&node);
    assert_ne!(node.stamp(SERVER), before);
    assert!(node.read(SERVER).unwrap().contains(",10.99.0.0/16,10.43.0.0/16,"));
    assert_eq!(changed(), Some(true));
    prestart(&node, Unit::Server);
    assert_eq!(changed(), Some(false));
}

#[test]
fn files_of_somebody_else_are_never_touched() {
    const OWN: &str = "# mine\nHTTP_PROXY=http://old.example.com\nMINE=\"yes\"\n";
    for (more, unit) in [(PROXY, "rke2-server"), ("", "rke2-server"), (PROXY, "rke2-agent"), ("", "rke2-agent")] {
        let path = format!("etc/default/{unit}");
        let node = planned(more, &[(&path, OWN)]);
        fs::set_permissions(node.path(&path), fs::Permissions::from_mode(0o640)).unwrap();
        let before = node.stamp(&path);
        applied(&node);
        prestart(&node, Unit::Server);
        assert_eq!((node.stamp(&path), node.read(&path).as_deref()), (before, Some(OWN)), "{unit}, {more}");

        // All of ours is read after it.
        let late = node
            .read(LATE)
            .map(|text| text.lines().skip(1).map(|line| line.split_once('=').unwrap().0.to_owned()).collect());
        let expected: Option<Vec<String>> = match (more.is_empty(), unit) {
            (true, _) => None,
            (false, "rke2-agent") => Some(vec!["CONTAINERD_NO_PROXY".into(), "NO_PROXY".into()]),
            (false, _) => Some(
                ["CONTAINERD_HTTP_PROXY", "CONTAINERD_NO_PROXY", "HTTP_PROXY", "NO_PROXY"].map(String::from).into(),
            ),
        };
        assert_eq!(late, expected, "{unit}, {more}");
    }
}

#[test]
fn a_change_beside_a_file_of_somebody_else_is_a_change_too() {
    let node = planned("  env:\n    A: \"1\"\n", &[(SERVER, "MINE=1\n")]);
    let changed = || started::changed(&Host::new(node.root()).unwrap(), Unit::Server);
    applied(&node);
    prestart(&node, Unit::Server);
    assert_eq!((changed(), node.read(LATE).unwrap().lines().nth(1)), (Some(false), Some("A=\"1\"")));
    plan(&node, "  env:\n    A: \"2\"\n");
    applied(&node);
    assert_eq!(changed(), Some(true));
    prestart(&node, Unit::Server);
    assert_eq!((changed(), node.read(LATE).unwrap().lines().nth(1)), (Some(false), Some("A=\"2\"")));
    node.put(SERVER, "MINE=2\n");
    assert_eq!(changed(), Some(true));
}

#[test]
fn links_of_somebody_else_are_never_touched() {
    for unit in Unit::ALL {
        let node = planned(PROXY, &[("etc/default/site", "MINE=1\n")]);
        let link = format!("etc/default/{unit}");
        symlink("site", node.path(&link)).unwrap();
        applied(&node);
        assert_eq!(fs::read_link(node.path(&link)).ok().as_deref(), Some(Path::new("site")), "{unit}");
        assert_eq!(node.read("etc/default/site").as_deref(), Some("MINE=1\n"));
    }
}

#[test]
fn what_is_no_file_of_ours_stays_and_ours_is_read_after_it() {
    let large = vec![b'#'; (1 << 20) + 1];
    for content in [None, Some(large)] {
        let node = planned(PROXY, &[]);
        let path = node.path(SERVER);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => support::fifo(&path),
        }
        let before = node.stamp(SERVER);
        let (done, failed) = apply(node.root(), None);
        assert_eq!(failed, [""; 0]);
        assert!(done.iter().any(|it| it.starts_with("/etc/default/rke2-server: was not written by this")), "{done:?}");
        assert!(is_open(&node));
        assert_eq!(node.stamp(SERVER), before);
    }
}

#[test]
fn the_gate_is_shut_while_the_environment_changes() {
    const READY: &str = "run/provider-rke2/ready-rke2-server";
    let node = planned(PROXY, &[]);
    applied(&node);
    let opened = node.stamp(READY);
    applied(&node);
    assert_eq!(node.stamp(READY), opened, "a quiet run opens it anew");
    let changes: [(&str, Change); 3] = [
        ("a variable", |node| plan(node, &format!("{PROXY}    SITE: north\n"))),
        ("what was left of the other role", |node| {
            node.put("etc/default/rke2-agent", "# written by provider-rke2\nOLD=\"x\"\n");
        }),
        ("somebody's change to ours", |node| node.put(SERVER, "# written by provider-rke2\nOLD=\"x\"\n")),
    ];
    for (what, change) in changes {
        let opened = node.stamp(READY);
        change(&node);
        applied(&node);
        assert_ne!(node.stamp(READY), opened, "{what}");
    }
}

/// As where `apply config` was killed: what is open is so for the plan before, and nothing of this one may come to that.
#[test]
fn a_plan_whose_configuration_is_not_installed_passes_no_gate() {
    let node = planned("", &[]);
    applied(&node);
    plan(&node, PROXY);
    node.stage();
    let (_, failed) = apply(node.root(), Some("service"));
    assert!(failed.iter().any(|it| it.contains("its configuration is not installed")), "{failed:?}");
    assert!(is_open(&node));
    let (_, failed) = apply(node.root(), Some("environment"));
    assert_eq!((failed, is_open(&node)), (vec![], false));
    applied(&node);
}

#[test]
fn an_environment_that_cannot_be_written_shuts_the_gate() {
    for step in [None, Some("config"), Some("environment")] {
        let node = planned("", &[]);
        applied(&node);
        plan(&node, PROXY);
        // What is staged is that of the new plan.
        let _ = apply(node.root(), None);
        let parent = node.path("etc/default");
        fs::remove_dir_all(&parent).unwrap();
        fs::write(&parent, "").unwrap();
        let (_, failed) = apply(node.root(), step);
        assert!(failed.iter().any(|it| it.contains("/etc/default/rke2-server")), "{step:?}: {failed:?}");
        assert!(!is_open(&node), "{step:?}: RKE2 may start");
        let status = node.read("run/provider-rke2/status.yaml").unwrap();
        assert!(status.contains("state: failed\n") && status.contains("/etc/default/rke2-server"), "{status}");

        fs::remove_file(&parent).unwrap();
        applied(&node);
        assert!(node.read(SERVER).is_some());
    }
}

// ---- what other files say ----

/// What `apply config` says to a node with this file.
fn with(path: &str, text: &str, more: &str) -> Result<(), Vec<String>> {
    let node = planned(more, &[(path, text)]);
    let (_, failed) = apply(node.root(), None);
    let failed: Vec<String> =
        failed.into_iter().filter(|it| !it.contains("its configuration is not installed")).collect();
    assert_eq!(failed.is_empty(), is_open(&node), "{path}: {failed:?}");
    assert_eq!(node.read(path).as_deref(), Some(text), "{path}");
    for secret in ["stolen", "a-token-that-is-long-enough"] {
        assert!(!failed.iter().any(|it| it.contains(secret)), "{failed:?}");
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

#[test]
fn other_files_may_not_say_where_the_node_belongs() {
    let sysconfig = "etc/sysconfig/rke2-server";
    let drop_in = "etc/rancher/rke2/config.yaml.d/10-site.yaml";
    for (path, text, written, key) in [
        (sysconfig, "RKE2_TOKEN=stolen\n", "RKE2_TOKEN", "cluster_token"),
        (sysconfig, "# x\n  RKE2_TOKEN = 'stolen'\n", "RKE2_TOKEN", "cluster_token"),
        (sysconfig, "export RKE2_TOKEN=stolen\n", "RKE2_TOKEN", "cluster_token"),
        (sysconfig, "A=1\n\nRKE2_URL=\"https://192.0.2.1:9345\"\n", "RKE2_URL", "control_plane_host"),
        (sysconfig, "RKE2_DATA_DIR=/data\n", "RKE2_DATA_DIR", "config.data-dir"),
        (sysconfig, "RKE2_CONFIG_FILE=/etc/mine.yaml\n", "RKE2_CONFIG_FILE", "config"),
        (sysconfig, "RKE2_TOKEN_FILE=/etc/stolen\n", "RKE2_TOKEN_FILE", "config.token-file"),
        (sysconfig, "RKE2_TOKEN=a-token-that-is-long-enough/\n", "RKE2_TOKEN", "cluster_token"),
        (SERVER, "RKE2_TOKEN=stolen\n", "RKE2_TOKEN", "cluster_token"),
        (
            "usr/local/lib/systemd/system/rke2-server.env",
            "HOME=/root\nRKE2_DATA_DIR=/data\n",
            "RKE2_DATA_DIR",
            "config.data-dir",
        ),
        (drop_in, "token: stolen\n", "token", "cluster_token"),
        (drop_in, "node-name: x\nt: stolen\n", "token", "cluster_token"),
        (drop_in, "token-file: /etc/stolen\n", "token-file", "config.token-file"),
        (drop_in, "server: https://192.0.2.1:9345\n", "server", "control_plane_host"),
        (drop_in, "s: https://192.0.2.1:9345\n", "server", "control_plane_host"),
        (drop_in, "data-dir: /data\n", "data-dir", "config.data-dir"),
        (drop_in, "\n\nd: /data\n", "data-dir", "config.data-dir"),
        (drop_in, "data-dir+: /data\n", "data-dir", "config.data-dir"),
        ("etc/rancher/rke2/config.yaml.d/SITE.YML", "{\"token\": 1}\n", "token", "cluster_token"),
    ] {
        let refused = with(path, text, "").expect_err(text);
        let expected = format!(
            "{written}: stands in a file that RKE2 reads after the configuration of the cloud-config; remove it there, and write cluster.{key} (/{path} line "
        );
        assert!(refused.len() == 1 && refused[0].starts_with(&expected), "{refused:?}, not {expected}");
    }
}

#[test]
fn other_files_may_say_the_same_and_what_is_not_ours() {
    let sysconfig = "etc/sysconfig/rke2-server";
    let drop_in = "etc/rancher/rke2/config.yaml.d/10-site.yaml";
    let data_dir = "  config: |\n    data-dir: /data/rke2\n";
    for (path, text, more) in [
        (sysconfig, "RKE2_TOKEN=a-token-that-is-long-enough\nRKE2_URL='https://10.10.0.5:9345'\n", ""),
        (sysconfig, "RKE2_DATA_DIR=\"/var/lib/rancher/rke2\"\n", ""),
        (sysconfig, "RKE2_DATA_DIR=/data/rke2\n", data_dir),
        (sysconfig, "RKE2_DATA_DIR=/var/lib/rancher/rke2/\n", ""),
        (sysconfig, "#RKE2_TOKEN=stolen\n;RKE2_URL=x\nRKE2_TOKENS=1\nHTTP_PROXY=http://x\n", ""),
        ("etc/sysconfig/rke2-agent", "RKE2_TOKEN=stolen\n", ""),
        (drop_in, "token: a-token-that-is-long-enough\nserver: https://10.10.0.5:9345\nd: /var/lib/rancher/rke2\n", ""),
        (drop_in, "data-dir: /data/rke2\n", data_dir),
        (drop_in, "node-name: x\nnode-label: [a=b]\n", ""),
        ("etc/rancher/rke2/config.yaml.d/site.yaml.off", "token: stolen\n", ""),
        ("etc/rancher/rke2/config.yaml.d/broken.yaml", "token: [\n", ""),
    ] {
        assert_eq!(with(path, text, more), Ok(()), "{text}");
    }
}

#[test]
fn on_a_node_with_state_what_overrides_is_a_warning() {
    let files =
        [("etc/sysconfig/rke2-server", "RKE2_URL=https://192.0.2.1:9345\n"), ("var/lib/rancher/rke2/server/tls/x", "")];
    let node = planned("", &files);
    applied(&node);
    let log = node.read("var/log/provider-rke2.log").unwrap();
    assert!(
        log.contains(" warning config: RKE2_URL: stands in a file that RKE2 reads after ")
            && log.contains("(/etc/sysconfig/rke2-server line 1)"),
        "{log}"
    );
}

#[test]
fn other_files_that_cannot_be_read_are_told() {
    let warning = " warning config: cannot read /etc/sysconfig/rke2-server: it has more than 1048576 bytes, so RKE2 may read from it \
                   what the cloud-config does not say; mend or remove the file\n";
    let large = "#".repeat((1 << 20) + 1);
    for (path, text, warning) in [
        ("etc/sysconfig/rke2-server", &large[..], warning),
        // The service does not read what is no file.
        ("etc/sysconfig/rke2-server/file", "", ""),
        ("etc/sysconfig/other", &large, ""),
    ] {
        let node = planned("", &[(path, text)]);
        applied(&node);
        let log = node.read("var/log/provider-rke2.log").unwrap();
        assert!(log.contains(warning) && log.contains("so RKE2 may read") != warning.is_empty(), "{path}: {log}");
    }
}

// ---- for all texts ----

/// A new seed in every run; what fails is not written down.
fn line() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        vec(select(&support::ATOMS[..]), 0..8).prop_map(|atoms| atoms.concat()),
        any::<String>(),
        "[ -~]{0,30}",
        "[$`\\\\\"'a ]{0,12}",
    ];
    text.prop_map(|text| text.chars().filter(|c| !c.is_control()).collect())
}

/// The variables of a file as `sh` reads it.
fn as_sh_reads(text: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    let script = "set -a; . \"$0\"; exec /usr/bin/env -0";
    let output = Command::new("sh").args(["-c", script]).arg(file.path()).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {text}", String::from_utf8_lossy(&output.stderr));
    let pair = |variable: &[u8]| {
        let at = variable.iter().position(|byte| *byte == b'=').unwrap();
        (variable[..at].to_vec(), variable[at + 1..].to_vec())
    };
    output.stdout.split(|byte| *byte == 0).filter(|it| !it.is_empty()).map(pair).collect()
}

fn network() -> impl Strategy<Value = ipnet::IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(it, length)| ipnet::IpNet::new(it.into(), length).unwrap()),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(it, length)| ipnet::IpNet::new(it.into(), length).unwrap()),
        select(vec!["10.0.0.1/8", "10.0.0.2/8", "10.42.0.1/16", "192.0.2.1/32", "2001:db8::1/64", "fd00::1/128"])
            .prop_map(|it| it.parse().unwrap()),
    ]
}

fn interfaces() -> impl Strategy<Value = Vec<Interface>> {
    let name = select(vec!["eth0", "eth1", "bond0", "br0", "lo", "cni0", "docker0", "veth1"]);
    vec((name, network()).prop_map(|(name, address)| Interface { name: name.into(), address, age: None }), 0..8)
}

/// What people list: entries of every kind, with blanks and commas at will.
fn list() -> impl Strategy<Value = String> {
    let entry = prop_oneof![
        network().prop_map(|it| it.to_string()),
        network().prop_map(|it| it.addr().to_string()),
        select(vec![
            "*", ".Example.COM", "localhost", ".svc", "10.42.0.0/16", "host:8080", "[::1]:80", "2001:DB8::1",
            "Ä.example"
        ])
        .prop_map(str::to_owned),
        line(),
    ];
    vec((entry, select(vec![",", " ", ", ", ",,", "\t"])), 0..6)
        .prop_map(|it| it.into_iter().map(|(entry, separator)| entry + separator).collect())
}

fn networks() -> impl Strategy<Value = Networks> {
    let range =
        || prop_oneof![9 => network().prop_map(|it| it.to_string()), 1 => Just("10.0.0.0/8 fd00::/8".to_owned())];
    let ranges = || vec(range(), 0..3);
    (ranges(), ranges(), select(vec!["", "cluster.local", "Edge.Example.COM", "local", "a.b.c.", "a b.c"]))
        .prop_map(|(cluster, service, domain)| Networks { cluster, service, domain: domain.into() })
}

fn control_plane_host() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        network().prop_map(|it| Some(it.addr().to_string())),
        select(vec!["k8s.example.com", "10.0.0.1", "2001:db8::1", "10.0.0.1, 10.0.0.2", "a\n b,", " "])
            .prop_map(|it| Some(it.to_owned())),
    ]
}

proptest! {
    #![proptest_config(support::generated(120))]

    #[test]
    fn sh_reads_back_every_value(values in btree_map("[A-Z_][A-Za-z0-9_]{0,12}", line(), 1..40)) {
        // Names of the shell's own are not ours to prove.
        let values: BTreeMap<String, String> = values.into_iter().map(|(name, value)| (format!("V_{name}"), value)).collect();
        let text = environment::text(&values);
        prop_assert_eq!(text.lines().count(), values.len() + 1);
        let read = as_sh_reads(&text);
        for (name, value) in &values {
            let found = read.get(name.as_bytes()).map(|it| String::from_utf8_lossy(std::ffi::OsStr::from_bytes(it).as_bytes()).into_owned());
            prop_assert_eq!(found.as_ref(), Some(value), "{}", text);
        }
    }
}

proptest! {
    #![proptest_config(support::generated(400))]

    #[test]
    fn the_list_is_clean_a_fixed_point_and_the_same_for_any_order(
        (interfaces, shuffled) in interfaces().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        networks in networks(),
        host in control_plane_host(),
        user in vec(list(), 0..3),
    ) {
        let host = host.as_deref();
        let value = |interfaces: &[Interface], user: &[&str]| {
            no_proxy::value(&networks, host, &no_proxy::node_networks(interfaces, host), user)
        };
        let user: Vec<&str> = user.iter().map(String::as_str).collect();
        let all = value(&interfaces, &user);
        prop_assert_eq!(&value(&shuffled, &user), &all);

        let entries: Vec<&str> = all.split(',').collect();
        let mut distinct = entries.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), entries.len(), "{}", all);
        prop_assert!(entries.iter().all(|it| !it.is_empty() && !it.contains(char::is_whitespace)), "{}", all);

        // Fed back as the user's own list it changes nothing.
        prop_assert_eq!(&value(&interfaces, &[&all]), &all);
        // And what the user lists never moves what comes before it.
        let own = value(&interfaces, &[]);
        prop_assert!(all == "*" || all == own || all.starts_with(&format!("{own},")), "{} / {}", own, all);
    }
}
