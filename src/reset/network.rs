//! What Kubernetes and its CNI leave in the network: interfaces, rules, tables, virtual servers. From what the host's tools
//! print to what is to be taken away, and nothing of anybody else.
//!
//! The names are those of RKE2's own `bundle/bin/rke2-killall.sh`, and of what it leaves behind: calico's veths
//! (projectcalico/calico `felix/config`, `InterfacePrefix`), `wireguard.cali`, `cilium_host`, and tables of nftables
//! (kubernetes `pkg/proxy/nftables`, flannel `pkg/trafficmngr/nftables`, containernetworking/plugins `pkg/utils`).

use std::collections::HashSet;
use std::time::Duration;

use super::action::Action;
use crate::host::{Error, Host};

/// How long a tool may take to tell.
const TELLS: Duration = Duration::from_secs(20);

/// A node with thousands of services has megabytes of rules.
const TOLD: usize = 256 << 20;

/// What a tool of the host says; nothing if there is no such tool, or with a note if it fails.
fn ask(host: &Host, program: &str, arguments: &[&str], notes: &mut Vec<String>) -> Option<String> {
    match host.run_with(program, arguments, b"", TOLD, TELLS) {
        Ok(output) => Some(output),
        Err(Error::NoProgram { .. }) => None,
        Err(error) => {
            notes.push(format!("{error}, so what it would tell was not looked at"));
            None
        }
    }
}

/// The actions that take interfaces and rules of Kubernetes and the CNI away.
pub(super) fn actions(host: &Host) -> (Vec<Action>, Vec<String>) {
    let (mut actions, mut notes) = (Vec::new(), Vec::new());
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let output = ask(host, "ip", &["-o", "link", "show"], &mut notes);
    if output.is_none() && notes.is_empty() {
        notes.push("ip is not installed, so network interfaces were not looked at".to_owned());
    }
    let found = links(&output.unwrap_or_default());
    if found.iter().any(|link| link == "kube-ipvs0")
        && let Some(saved) = ask(host, "ipvsadm", &["-S", "-n"], &mut notes)
    {
        let addresses = ask(host, "ip", &["-o", "address", "show", "dev", "kube-ipvs0"], &mut notes);
        for [protocol, server] in virtual_servers(&saved, &addresses.unwrap_or_default()) {
            let what = format!("delete the virtual server {server}");
            actions.push(Action::Run {
                what,
                command: command(&["ipvsadm", "-D", &protocol, &server]),
                input: String::new(),
            });
        }
    }
    for link in found {
        actions.push(Action::DeleteLink { name: link });
    }
    for (tool, rules) in saved_rules(host, &mut notes) {
        let what = format!("delete {} rules and {} chains of {tool}", rules.rules, rules.chains);
        let command = command(&[&format!("{tool}-restore"), "--noflush"]);
        actions.push(Action::Run { what, command, input: rules.input });
    }
    let sets = ask(host, "ipset", &["list", "-n"], &mut notes).map(|output| sets(&output)).unwrap_or_default();
    for set in sets {
        let what = format!("destroy the address set {set}");
        actions.push(Action::Run { what, command: command(&["ipset", "destroy", &set]), input: String::new() });
    }
    let tables = ask(host, "nft", &["list", "tables"], &mut notes).map(|output| tables(&output)).unwrap_or_default();
    for (family, name) in tables {
        let what = format!("delete the table {family} {name} of nftables");
        let command = command(&["nft", "delete", "table", &family, &name]);
        actions.push(Action::Run { what, command, input: String::new() });
    }
    (actions, notes)
}

/// Deletes an interface; false if it is gone already: that of a pod goes with the pod's network, which the kernel takes away when it comes to it.
pub(super) fn delete_link(host: &Host, name: &str, limit: Duration) -> Result<bool, Error> {
    let ip = |verb| host.run("ip", &["link", verb, "dev", name], limit).map(drop);
    match ip("delete") {
        Err(_) if ip("show").is_err() => Ok(false),
        deleted => deleted.map(|()| true),
    }
}

/// The rules of both families in both kernels' tables, by the tool that knows them.
fn saved_rules(host: &Host, notes: &mut Vec<String>) -> Vec<(String, Removal)> {
    let mut found = Vec::new();
    for (family, names) in [("iptables", "ip_tables_names"), ("ip6tables", "ip6_tables_names")] {
        let mut told = false;
        for variant in ["-nft", "-legacy", ""] {
            // Of the plain one nobody knows which it is; it counts where the others are not.
            if variant.is_empty() && told {
                continue;
            }
            // Asking for tables that are not there would load them.
            let is_loaded = || host.read(&format!("/proc/self/net/{names}"), 1 << 16).is_ok_and(|it| !it.is_empty());
            if variant == "-legacy" && !is_loaded() {
                continue;
            }
            let tool = format!("{family}{variant}");
            let Some(saved) = ask(host, &format!("{tool}-save"), &[], notes) else { continue };
            told = true;
            let rules = rules(&saved);
            if !rules.input.is_empty() {
                found.push((tool, rules));
            }
        }
    }
    found
}

/// Interfaces with these names are the CNI's, or kube-proxy's.
const LINKS: [&str; 19] = [
    "cni0", "flannel.1", "flannel.4096", "flannel-v6.1", "flannel-v6.4096", "flannel-wg", "flannel-wg-v6",
    "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali", "cilium_vxlan", "cilium_geneve", "cilium_host",
    "cilium_net", "cilium_wg0", "lxc_health", "kube-ipvs0", "nodelocaldns",
];

/// The bridge whose members are pods.
const BRIDGE: &str = "cni0";

/// Chains that start so are Kubernetes', the CNI plugins', calico's, cilium's or flannel's.
const CHAINS: [&str; 6] = ["KUBE-", "CNI-", "cali-", "CILIUM_", "OLD_CILIUM_", "FLANNEL-"];

/// Comments of their rules in chains of others that lead to no chain of theirs.
const COMMENTS: [&str; 5] = ["cali:", "flanneld ", "cilium: ", "cilium-feeder: ", "NodeLocal DNS Cache:"];

/// Tables of nftables that are theirs: family and name.
const TABLES: [(&str, &str); 9] = [
    ("ip", "kube-proxy"),
    ("ip6", "kube-proxy"),
    ("ip", "flannel-ipv4"),
    ("ip6", "flannel-ipv6"),
    ("ip", "calico"),
    ("ip6", "calico"),
    ("inet", "cni_hostport"),
    ("inet", "cni_plugins_masquerade"),
    ("ip", "cilium"),
];

/// The interfaces to delete, from `ip -o link show`. Either end of a veth pair takes the other with it.
pub(super) fn links(output: &str) -> Vec<String> {
    output.lines().filter_map(link).collect()
}

fn link(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let name = words.nth(1)?.trim_end_matches(':');
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let words: Vec<&str> = words.collect();
    let master =
        words.windows(2).find_map(|pair| matches!(pair, ["master", _]).then(|| pair.last().copied())).flatten();
    // calico and cilium name the host's end of a pod by a hash of the pod.
    let is_hash = |prefix, lengths: [usize; 2]| {
        name.strip_prefix(prefix).is_some_and(|it| lengths.contains(&it.len()) && is_hex(it))
    };
    let is_ours =
        LINKS.contains(&name) || master == Some(BRIDGE) || is_hash("cali", [11, 11]) || is_hash("lxc", [10, 12]);
    is_ours.then(|| name.to_owned())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

/// What is to be taken out of the rules of one tool.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Removal {
    /// Input for `iptables-restore --noflush`: rules of others stay as they are, with their counters.
    pub input: String,
    /// Rules in chains of others.
    pub rules: usize,
    /// Chains, with all their rules.
    pub chains: usize,
}

/// What to take out, from `iptables-save` or `ip6tables-save`; nothing if nothing is theirs.
///
/// Of a chain that is theirs all goes; of other chains the rules that lead to one that is theirs, and those with a comment that only
/// they write. A word of theirs elsewhere in a rule means nothing.
pub(super) fn rules(saved: &str) -> Removal {
    let mut found = Removal::default();
    let (mut table, mut chains, mut deletions) = ("", Vec::new(), Vec::new());
    for line in saved.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            (table, chains, deletions) = (name, Vec::new(), Vec::new());
        } else if let Some(chain) = line.strip_prefix(':').and_then(|rest| rest.split_whitespace().next()) {
            chains.extend(is_theirs(chain).then_some(chain));
        } else if let Some(rule) = rule(line) {
            if !is_theirs(rule.chain) && rule.is_theirs() {
                deletions.push(format!("-D {} {}\n", rule.chain, rule.rest));
            }
        } else if line == "COMMIT" && !(chains.is_empty() && deletions.is_empty()) {
            let all = |order: &str| chains.iter().flat_map(|chain| [order, " ", chain, "\n"]).collect::<String>();
            // A chain can be deleted once nothing leads to it.
            let parts = [format!("*{table}\n"), deletions.concat(), all("-F"), all("-X"), "COMMIT\n".to_owned()];
            found.input.push_str(&parts.concat());
            found.rules += deletions.len();
            found.chains += chains.len();
            (chains, deletions) = (Vec::new(), Vec::new());
        }
    }
    found
}

fn is_theirs(chain: &str) -> bool {
    CHAINS.iter().any(|prefix| chain.starts_with(prefix))
}

/// A line of a saved table: `[packets:bytes] -A CHAIN REST`.
struct Rule<'l> {
    chain: &'l str,
    rest: &'l str,
}

fn rule(line: &str) -> Option<Rule<'_>> {
    let line = if line.starts_with('[') { line.split_once("] ")?.1 } else { line };
    let (chain, rest) = line.strip_prefix("-A ")?.split_once(' ')?;
    Some(Rule { chain, rest })
}

impl Rule<'_> {
    fn is_theirs(&self) -> bool {
        let words = words(self.rest);
        words.windows(2).any(|pair| match pair {
            [option, chain] if matches!(option.as_str(), "-j" | "--jump" | "-g" | "--goto") => is_theirs(chain),
            [option, text] if option == "--comment" => COMMENTS.iter().any(|prefix| text.starts_with(prefix)),
            _ => false,
        })
    }
}

/// The words of a rule; iptables-save puts those with blanks in double quotes, with backslashes before quotes and backslashes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut is_word, mut is_quoted) = (Vec::new(), String::new(), false, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => word.extend(characters.next()),
            '"' => (is_quoted, is_word) = (!is_quoted, true),
            ' ' if !is_quoted => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => {
                word.push(other);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// The tables of nftables to delete, from `nft list tables`: family and name.
pub(super) fn tables(output: &str) -> Vec<(String, String)> {
    let table = |line: &str| {
        let mut words = line.split_whitespace();
        let (Some("table"), Some(family), Some(name)) = (words.next(), words.next(), words.next()) else { return None };
        TABLES.contains(&(family, name)).then(|| (family.to_owned(), name.to_owned()))
    };
    output.lines().filter_map(table).collect()
}

/// The sets of addresses to destroy, from `ipset list -n`.
pub(super) fn sets(output: &str) -> Vec<String> {
    let is_theirs =
        |name: &&str| ["KUBE-", "cali40", "cali60", "CILIUM_"].iter().any(|prefix| name.starts_with(prefix));
    output.lines().map(str::trim).filter(is_theirs).map(ToOwned::to_owned).collect()
}

/// The virtual servers to delete, from `ipvsadm -S -n` and `ip -o address show dev kube-ipvs0`: arguments of `ipvsadm -D`. kube-proxy
/// binds the address of each of its services to that interface; virtual servers on other addresses are somebody else's.
pub(super) fn virtual_servers(saved: &str, addresses: &str) -> Vec<[String; 2]> {
    let address = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| !matches!(*word, "inet" | "inet6")).skip(1);
        words.next().map(|word| word.split_once('/').map_or(word, |(address, _)| address).to_owned())
    };
    let bound: HashSet<String> = addresses.lines().filter_map(address).collect();
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let (Some("-A"), Some(protocol), Some(server)) = (words.next(), words.next(), words.next()) else {
            return None;
        };
        let (address, _) = server.rsplit_once(':')?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        bound.contains(address).then(|| [protocol.to_owned(), server.to_owned()])
    };
    saved.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_of_the_cni_are_deleted() {
        let output = r"1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq master br0 state UP mode DEFAULT group default qlen 1000\    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff
3: tunl0@NONE: <NOARP> mtu 1480 qdisc noop state DOWN mode DEFAULT group default qlen 1000\    link/ipip 0.0.0.0 brd 0.0.0.0
5: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP mode DEFAULT group default qlen 1000\    link/ether 1e:2f:aa:bb:cc:dd brd ff:ff:ff:ff:ff:ff
6: veth1a2b3c4d@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master cni0 state UP mode DEFAULT group default\    link/ether aa:bb:cc:dd:ee:01 brd ff:ff:ff:ff:ff:ff link-netns cni-0a1b
7: veth9@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master docker0 state UP mode DEFAULT group default\    link/ether aa:bb:cc:dd:ee:02 brd ff:ff:ff:ff:ff:ff
8: cali12d4a061371@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP mode DEFAULT group default\    link/ether ee:ee:ee:ee:ee:ee brd ff:ff:ff:ff:ff:ff
9: cali0: <BROADCAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default
10: california1: <BROADCAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default
11: lxc0a1b2c3d4e5f@if12: <BROADCAST> mtu 1500 qdisc noqueue state UP mode DEFAULT group default
12: lxcbr0: <BROADCAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default
13: cilium_net@cilium_host: <BROADCAST> mtu 1500 qdisc noqueue state UP mode DEFAULT group default
14: flannel.1: <BROADCAST> mtu 1450 qdisc noqueue state UNKNOWN mode DEFAULT group default
15: flannel.100: <BROADCAST> mtu 1450 qdisc noqueue state UNKNOWN mode DEFAULT group default
16: cni0.5@cni0: <BROADCAST> mtu 1450 qdisc noqueue state UP mode DEFAULT group default

torn
";
        let found = ["cni0", "veth1a2b3c4d", "cali12d4a061371", "lxc0a1b2c3d4e5f", "cilium_net", "flannel.1"];
        assert_eq!(links(output), found);
        // As busybox prints it.
        let short = "4: veth7@if2: <BROADCAST,MULTICAST,UP> mtu 1450 qdisc noqueue master cni0 state UP qlen 1000";
        assert_eq!(links(short), ["veth7"]);
    }

    #[test]
    fn rules_of_others_stay() {
        let saved = r#"# Generated by iptables-save v1.8.9 (nf_tables) on Mon Jun  2 10:00:00 2025
*mangle
:PREROUTING ACCEPT [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:INPUT DROP [10:600]
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-FIREWALL - [0:0]
:cali-INPUT - [0:0]
:MY-KUBE-API - [0:0]
-A INPUT -m comment --comment "cali:Cz_u1IQiXIMmKD4c" -j cali-INPUT
[3:180] -A INPUT -j KUBE-FIREWALL
-A INPUT -p tcp -m tcp --dport 6443 -m comment --comment "allow KUBE-API and CNI- for flannel" -j ACCEPT
-A INPUT -m comment --comment "he said \"-j KUBE-X\" \\" -j MY-KUBE-API
-A FORWARD -s 10.42.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "Policy explicitly accepted packet." -j ACCEPT
-A FORWARD -o lxc+ -m comment --comment "cilium: any->cluster on lxc+ forward accept" -j ACCEPT
-A FORWARD -p tcp --dport 4240 -m comment --comment "cilium health from monitoring, ops rule 7" -j ACCEPT
-A DOCKER -i KUBE-x -j RETURN
-A DOCKER -g KUBE-FIREWALL
-A KUBE-FIREWALL -j DROP
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"#;
        let found = rules(saved);
        assert_eq!(
            found.input,
            r#"*mangle
-F KUBE-KUBELET-CANARY
-X KUBE-KUBELET-CANARY
COMMIT
*filter
-D INPUT -m comment --comment "cali:Cz_u1IQiXIMmKD4c" -j cali-INPUT
-D INPUT -j KUBE-FIREWALL
-D FORWARD -s 10.42.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-D FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "Policy explicitly accepted packet." -j ACCEPT
-D FORWARD -o lxc+ -m comment --comment "cilium: any->cluster on lxc+ forward accept" -j ACCEPT
-D DOCKER -g KUBE-FIREWALL
-F KUBE-FIREWALL
-F cali-INPUT
-X KUBE-FIREWALL
-X cali-INPUT
COMMIT
"#
        );
        assert_eq!((found.rules, found.chains), (6, 3));
        assert_eq!(rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DOCKER\nCOMMIT\n"), Removal::default());
        // Cut off before COMMIT: nothing of that table.
        assert_eq!(rules("*filter\n:KUBE-X - [0:0]\n"), Removal::default());
    }

    #[test]
    fn tables_and_sets_are_theirs_by_their_whole_name() {
        let output = "table inet firewalld\ntable ip kube-proxy\ntable ip6 kube-proxy\ntable inet kube-proxy-mine\n\
            table ip filter\ntable inet cni_hostport\ntable arp kube-proxy\n";
        let pair = |family: &str, name: &str| (family.to_owned(), name.to_owned());
        assert_eq!(tables(output), [pair("ip", "kube-proxy"), pair("ip6", "kube-proxy"), pair("inet", "cni_hostport")]);
        assert_eq!(
            sets("blacklist\nKUBE-CLUSTER-IP\ncali40all-ipam-pools\nmy-KUBE-\n"),
            ["KUBE-CLUSTER-IP", "cali40all-ipam-pools"]
        );
    }

    #[test]
    fn virtual_servers_on_other_addresses_stay() {
        let addresses = r"9: kube-ipvs0    inet 10.43.0.1/32 scope global kube-ipvs0\       valid_lft forever preferred_lft forever
9: kube-ipvs0    inet 10.43.0.10/32 scope global kube-ipvs0\       valid_lft forever preferred_lft forever
9: kube-ipvs0    inet6 fd00:43::a/128 scope global \       valid_lft forever preferred_lft forever
";
        let saved = "-A -t 10.43.0.1:443 -s rr\n-a -t 10.43.0.1:443 -r 192.168.7.2:6443 -m -w 1\n\
            -A -u 10.43.0.10:53 -s rr\n-A -t [fd00:43::a]:53 -s rr\n-A -t 192.168.7.100:80 -s wlc -p 300\n\
            -A -f 3 -s rr\n-A -t 110.43.0.1:443 -s rr\n";
        let found = virtual_servers(saved, addresses);
        assert_eq!(found, [["-t", "10.43.0.1:443"], ["-u", "10.43.0.10:53"], ["-t", "[fd00:43::a]:53"]]);
        assert_eq!(virtual_servers(saved, ""), [["", ""]; 0]);
    }
}
