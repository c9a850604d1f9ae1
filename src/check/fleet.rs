//! The nodes of a cluster against each other: what each file says alone may be right, and together be two clusters, or none.
//!
//! Files belong to one cluster if they name one `control_plane_host`. Of a token nothing is printed but that it differs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::seen::{Part, Seen};
use crate::cluster::Cluster;
use crate::cluster::cloud_config::{Options, Section};
use crate::cluster::role::Role;
use crate::findings::code::{Code, Severity};
use crate::findings::path::{At, Path};
use crate::identity::critical::{self, Critical};
use crate::identity::record::password;
use crate::rke2::Unit;
use crate::rke2::options;
use crate::text::escape::{escape, quoted};

/// How many options of a worker are named.
const NAMED: usize = 8;

/// What is compared of a node.
struct Member {
    /// Which of the files it is, and its name.
    index: usize,
    name: String,
    role: Role,
    host: Option<String>,
    /// Never printed.
    password: Option<String>,
    /// The one that is good for agents only.
    agent_password: Option<String>,
    critical: Critical,
    node_name: Option<String>,
    /// Whether the database is elsewhere, so that any number of servers will do.
    has_datastore: bool,
    /// Whether it runs etcd, if it is a server.
    has_etcd: bool,
    /// The names by which others reach it.
    names: Vec<String>,
}

/// What was found of one file.
type Found = (usize, Severity, Code, At, String);

/// Compares the nodes; what is found is added to the file in which it is to be changed.
pub(super) fn compare(seen: &mut [Seen]) {
    let mut members: Vec<Member> = Vec::new();
    let mut names = BTreeSet::new();
    for (index, it) in seen.iter().enumerate() {
        // A file that is named twice is one node.
        let is_first = names.insert(it.name.as_str());
        members.extend(it.judged.cluster.as_ref().filter(|_| is_first).map(|cluster| member(index, it, cluster)));
    }
    if members.len() < 2 {
        return;
    }
    let mut found = Vec::new();
    for group in groups(&members) {
        found.extend(Group::new(&group, seen).judged());
    }
    for (index, severity, code, at, rest) in found {
        if let Some(it) = seen.get_mut(index) {
            // Of a directory nobody knows the line: it is merged.
            let line = if it.part == Part::Directory { 1 } else { at.line };
            let at = At { line, ..at };
            it.judged.findings.push(severity, code, at, &rest);
            it.judged.findings.sort();
        }
    }
}

fn member(index: usize, seen: &Seen, cluster: &Cluster) -> Member {
    let text = |name: &str| {
        let text = cluster.given(name)?.texts().last().cloned()?;
        Some(text).filter(|it| !it.contains("{{"))
    };
    let names = ["tls-san", "node-ip", "node-external-ip", "advertise-address", "node-name"];
    let names = names.into_iter().filter_map(|name| cluster.given(name)).flat_map(|value| value.texts().to_vec());
    let hostname = seen.judged.hostname.clone().filter(|it| !it.contains("{{"));
    let has_id = cluster.is_on("with-node-id");
    Member {
        index,
        name: seen.name.clone(),
        role: cluster.role,
        host: cluster.endpoint.as_ref().map(|it| it.host().to_ascii_lowercase()),
        agent_password: text("agent-token").map(|it| password(&it).to_owned()),
        password: cluster.token.as_ref().map(|token| password(token.secret()).to_owned()),
        critical: critical::of(&[&cluster.options, &cluster.provider_options], &cluster.env),
        node_name: text("node-name").or_else(|| hostname.clone()).filter(|_| !has_id).map(|it| it.to_ascii_lowercase()),
        has_datastore: cluster.given("datastore-endpoint").is_some(),
        has_etcd: !cluster.is_on("disable-etcd"),
        names: names.chain(hostname).collect(),
    }
}

/// The members of each cluster, in the order of the files. A first server that names no host belongs to the one cluster that has none.
fn groups(members: &[Member]) -> Vec<Vec<&Member>> {
    let mut by_host: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members {
        if let Some(host) = &member.host {
            by_host.entry(host).or_default().push(member);
        }
    }
    let mut loose: Vec<&Member> = members.iter().filter(|it| it.host.is_none()).collect();
    let has_none = |group: &Vec<&Member>| group.iter().all(|it| it.role != Role::Init);
    if let ([one], [(_, group)]) = (loose.as_slice(), by_host.iter_mut().collect::<Vec<_>>().as_mut_slice())
        && has_none(group)
    {
        group.push(one);
        group.sort_by_key(|it| it.index);
        loose.clear();
    }
    by_host.into_values().filter(|group| group.len() > 1).collect()
}

/// The nodes of one cluster.
struct Group<'a> {
    members: &'a [&'a Member],
    inits: Vec<&'a Member>,
    servers: Vec<&'a Member>,
    seen: &'a [Seen],
    found: Vec<Found>,
}

impl<'a> Group<'a> {
    fn new(members: &'a [&'a Member], seen: &'a [Seen]) -> Group<'a> {
        let all = || members.iter().copied();
        let inits = all().filter(|it| it.role == Role::Init).collect();
        let servers = all().filter(|it| it.role.unit() == Unit::Server).collect();
        Group { members, inits, servers, seen, found: Vec::new() }
    }

    /// The rules, one a line.
    fn judged(mut self) -> Vec<Found> {
        self.first_server();
        self.tokens();
        self.options();
        self.certificate();
        self.node_names();
        self.worker_options();
        self.found
    }

    fn section(&self, member: &Member) -> Option<&'a Section> {
        self.seen.get(member.index).and_then(|it| it.judged.section.as_ref())
    }

    fn at_key(&self, member: &Member, key: &str) -> At {
        self.section(member).map_or_else(At::default, |it| key_of(it, key))
    }

    fn at_option(&self, member: &Member, name: &str) -> At {
        self.section(member).map_or_else(At::default, |it| option_of(it, name))
    }

    fn say(&mut self, member: &Member, severity: Severity, code: Code, at: At, rest: String) {
        self.found.push((member.index, severity, code, at, rest));
    }

    /// One node founds the cluster, and an odd number of servers is what etcd needs.
    fn first_server(&mut self) {
        let (inits, servers) = (self.inits.clone(), self.servers.clone());
        match (inits.as_slice(), servers.as_slice()) {
            ([first, others @ ..], _) => {
                for other in others {
                    let rest = format!(
                        "is init here and in {}, so there would be two clusters; write controlplane in all files but one",
                        escape(&first.name)
                    );
                    self.say(other, Severity::Error, Code::FleetInits, self.at_key(other, "role"), rest);
                }
                let has_datastore = servers.iter().any(|it| it.has_datastore);
                let count = servers.iter().filter(|it| it.has_etcd).count();
                if others.is_empty() && count.is_multiple_of(2) && count > 0 && !has_datastore {
                    let rest = format!(
                        "is one of {count} servers with etcd, and an even number survives no more losses than one server \
                         less; write one more or one less"
                    );
                    self.say(first, Severity::Warning, Code::FleetServers, self.at_key(first, "role"), rest);
                }
            }
            ([], [first, ..]) => {
                let rest = "is that of a server that joins, and none of the files is the first server; write role init in one, \
                            unless the cluster is there already";
                self.say(first, Severity::Warning, Code::FleetWithoutInit, self.at_key(first, "role"), rest.to_owned());
            }
            _ => {}
        }
    }

    /// All nodes have one token, of which the first server says which; agents may have that for agents in its place.
    fn tokens(&mut self) {
        let all = self.inits.iter().chain(self.servers.iter()).chain(self.members).copied();
        let Some(one) = all.into_iter().find(|it| it.password.is_some()) else { return };
        let of_agents: Vec<&str> = self.servers.iter().filter_map(|it| it.agent_password.as_deref()).collect();
        let is_right = |it: &Member| {
            let is_of_agents = || it.password.as_deref().is_some_and(|it| of_agents.contains(&it));
            it.password == one.password || (it.role == Role::Worker && is_of_agents())
        };
        for other in self.members.iter().filter(|it| it.password.is_some() && !is_right(it)) {
            let rest = format!(
                "is not the one of {}, which has the same control_plane_host; write one token in all files of a cluster",
                escape(&one.name)
            );
            self.say(other, Severity::Error, Code::FleetToken, self.at_key(other, "cluster_token"), rest);
        }
    }

    /// Servers have the critical options alike, by their meaning.
    fn options(&mut self) {
        let Some(one) = self.inits.first().or(self.servers.first()).copied() else { return };
        for other in self.servers.clone() {
            for (name, value) in &other.critical {
                let is_another = name == "agent-token" && one.agent_password != other.agent_password;
                let Some(expected) = one.critical.get(name).filter(|it| *it != value || is_another) else { continue };
                // It follows from the ranges of Services, which are told.
                if name == "cluster-dns" && one.critical.get("service-cidr") != other.critical.get("service-cidr") {
                    continue;
                }
                let shown =
                    |value: &str| if value.is_empty() { "not set".to_owned() } else { quoted(value).to_string() };
                let found = match options::is_secret(name) {
                    true => format!("differs from the one in {}", escape(&one.name)),
                    false => format!("is {} here and {} in {}", shown(value), shown(expected), escape(&one.name)),
                };
                let rest = format!("{found}, but all servers of a cluster must have it alike; write one value");
                self.say(other, Severity::Error, Code::FleetOption, self.at_option(other, name), rest);
            }
        }
    }

    /// The others join at a name that is in the first server's certificate.
    fn certificate(&mut self) {
        let host = self.members.iter().find_map(|it| it.host.as_ref());
        let (Some(first), Some(host)) = (self.inits.first().copied(), host) else { return };
        // Whether the version takes names with a `*` is said of each file.
        let is_it = |name: &String| match name.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
            None => name.eq_ignore_ascii_case(host),
        };
        if first.host.is_some() || first.names.iter().any(is_it) {
            return;
        }
        // An address may be the server's own, which is in its certificate by itself.
        let severity = if host.parse::<IpAddr>().is_ok() { Severity::Note } else { Severity::Warning };
        let rest = format!(
            "is missing, and the others join at {}, which is in no tls-san of this server; write it here too",
            quoted(host)
        );
        self.say(first, severity, Code::FleetHost, self.at_key(first, "control_plane_host"), rest);
    }

    /// Each node name is there once.
    fn node_names(&mut self) {
        let mut names: BTreeMap<&str, &Member> = BTreeMap::new();
        for member in self.members {
            let Some(name) = &member.node_name else { continue };
            let Some(other) = names.insert(name, member) else { continue };
            let rest = format!(
                "is {} here and in {}, but a cluster takes each name once; choose another",
                quoted(name),
                escape(&other.name)
            );
            self.say(member, Severity::Error, Code::FleetNodeName, self.at_option(member, "node-name"), rest);
        }
    }

    /// What a worker's file says of servers, the servers' files say too.
    fn worker_options(&mut self) {
        let Some(server) = self.servers.first().copied() else { return };
        let theirs: Vec<&Section> = self.servers.iter().filter_map(|it| self.section(it)).collect();
        for worker in self.members.iter().filter(|it| it.role == Role::Worker) {
            let Some(here) = self.section(worker) else { continue };
            let is_alone = |name: &&str| !theirs.iter().any(|it| same(here, it, name));
            let mut names: Vec<&str> = server_options(here).into_iter().filter(is_alone).collect();
            let Some(name) = names.first().copied() else { continue };
            names.truncate(NAMED);
            let rest = format!(
                "is for servers, which take nothing from a worker's file, and {} does not say the same; write {} there",
                escape(&server.name),
                names.join(", ")
            );
            self.say(worker, Severity::Warning, Code::FleetWorkerOptions, self.at_option(worker, name), rest);
        }
    }
}

/// Where a key of the section stands.
fn key_of(section: &Section, key: &str) -> At {
    let line = section.node.entry(key).map_or(section.line, |(key, _)| key.line);
    Path::of("cluster").key(key).at(line)
}

/// Where an option of `config` stands.
fn option_of(section: &Section, name: &str) -> At {
    let path = Path::of("cluster").key("config").key(name);
    match &section.options {
        Options::Read(place, document) => match document.root.entry(name) {
            Some((key, _)) => place.at(&path, key.line),
            None => path.at(section.line),
        },
        _ => path.at(section.line),
    }
}

/// The options of servers in the file of a worker, in their order.
fn server_options(section: &Section) -> Vec<&str> {
    let Options::Read(_, document) = &section.options else { return Vec::new() };
    let names = document.root.entries().iter().map(|(key, _)| key.scalar.text.trim_end_matches('+'));
    let is_servers = |name: &&str| {
        options::find(name).is_some_and(|spec| {
            spec.takes(Unit::Server) && !spec.takes(Unit::Agent) && spec.class != options::Class::Dropped
        })
    };
    names.filter(is_servers).collect()
}

/// Whether two files say the same about an option, as written.
fn same(one: &Section, other: &Section, name: &str) -> bool {
    let texts = |section: &Section| -> Option<Vec<String>> {
        let Options::Read(_, document) = &section.options else { return None };
        let node = document.root.get(name).or_else(|| document.root.get(&format!("{name}+")))?;
        let items = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
        Some(items.iter().filter_map(|it| Some(it.scalar()?.yaml11().printed())).collect())
    };
    let (one, other) = (texts(one), texts(other));
    one.is_none() || one == other
}
