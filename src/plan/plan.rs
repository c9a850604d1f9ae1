//! The plan: what this node will be. It travels to the steps on the node as `plan.yaml` and two drop-ins; that format is here and nowhere else.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::cluster::Cluster;
use crate::cluster::ca_certs::Certificate;
use crate::cluster::document_path;
use crate::cluster::host::Endpoint;
use crate::cluster::role::Role;
use crate::cluster::settings::Settings;
use crate::environment::{Asked, Networks};
use crate::images::request::Request;
use crate::rke2::Unit;
use crate::rke2::drop_in::{self, DropIn, Value};
use crate::text::collected;
use crate::text::emit::{self, Item};
use crate::text::paths::normalized;
use crate::text::yaml::{self, CLOUD_CONFIG, Key, Node, OPTIONS};

/// The key of the control plane host.
pub(super) const HOST: &str = "control_plane_host";

/// How many templates a plan may have: yip writes a file for each.
const MOST_TEMPLATES: usize = 1000;

/// What a node will be.
#[derive(Clone)]
pub struct Plan {
    /// What the node does.
    pub role: Role,
    /// Where RKE2 holds its state.
    pub data_dir: String,
    /// Where the document is.
    pub document_path: String,
    /// The control plane host, without brackets.
    pub control_plane_host: Option<String>,
    /// Prefix of scripts and content, without a `/` at the end; empty is none.
    pub root_path: String,
    /// Options of the user whose items add to what earlier drop-ins gave, where a list would otherwise replace it.
    pub append: Vec<String>,
    /// The networks of the cluster.
    pub networks: Networks,
    /// Texts of options that yip evaluates, each once, in the order of their files.
    pub templates: Vec<String>,
    /// Settings of this program.
    pub settings: Settings,
    /// Environment variables of RKE2's service, as the cloud-config has them.
    pub env: BTreeMap<String, String>,
    /// Certificates that the node trusts.
    pub ca_certs: Vec<Certificate>,
    /// Where local images are imported from, if they are.
    pub images: Option<String>,
    /// `90_userdata.yaml`: the user's options, as JSON.
    pub user: String,
    /// `99_userdata.yaml`: `token`, `server` of a joiner, `tls-san` of a server, RKE2's options of `providerConfig`, as JSON.
    pub provider: String,
    /// Tells one plan from another. It is a hash of the token too, so it stays in files that only root reads.
    pub id: String,
}

/// The places that a plan names; each is known on its own, because a plan may be torn.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Where RKE2 holds its state.
    pub data_dir: Option<String>,
    /// Prefix of scripts and content, as it is written.
    pub root_path: Option<String>,
    /// Where the document is, if not at the default path.
    pub document: Option<String>,
}

impl Places {
    /// Those of a `plan.yaml`; none if it is not YAML.
    pub(crate) fn of_yaml(text: &str) -> Places {
        yaml::read(text, CLOUD_CONFIG).map_or_else(|_| Places::default(), |document| Places::of(&document.root))
    }

    fn of(root: &Node) -> Places {
        let text = |key: &str| Some(root.get(key)?.scalar()?.text.clone()).filter(|text| !text.is_empty());
        Places {
            data_dir: text("data_dir").map(|path| normalized(&path)),
            root_path: text("cluster_root_path"),
            document: text("document").map(|path| normalized(&path)),
        }
    }
}

/// Nothing of the drop-ins, of `env`, and of the id: they are, or hold, secrets.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("role", &self.role).field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

impl Plan {
    /// Plans the node.
    ///
    /// Fails with a sentence if the options have more items than the steps would read, or more templates than yip should write files for.
    pub fn of(cluster: Cluster) -> Result<Plan, String> {
        let (user, provider) = (&cluster.options, provider_options(&cluster));
        let lists = user.iter().chain(&provider).filter_map(|(_, value)| value.list());
        if lists.map(<[String]>::len).sum::<usize>() > OPTIONS.nodes {
            return Err(format!("cluster: its options have more than {} items; write fewer", OPTIONS.nodes));
        }
        let host = cluster.endpoint.as_ref().map(Endpoint::host);
        let mut seen = HashSet::new();
        let found = templates(host.as_deref(), [Some(user), Some(&provider)], &cluster.networks);
        let texts: Vec<String> =
            found.into_iter().filter(|(_, text)| seen.insert(*text)).map(|(_, text)| text.to_owned()).collect();
        if texts.len() > MOST_TEMPLATES {
            return Err(format!("cluster: its options have more than {MOST_TEMPLATES} templates; write fewer"));
        }
        let mut plan = Plan {
            templates: texts,
            user: drop_in::to_json(user),
            provider: drop_in::to_json(&provider),
            id: String::new(),
            role: cluster.role,
            data_dir: cluster.data_dir,
            document_path: cluster.document_path,
            control_plane_host: host,
            root_path: cluster.root_path,
            append: cluster.appended,
            networks: cluster.networks,
            settings: cluster.settings,
            env: cluster.env,
            ca_certs: cluster.ca_certs,
            images: cluster.images,
        };
        let parts = [
            ("PLAN", plan.to_yaml()),
            ("USER_OPTIONS", plan.user.clone()),
            ("PROVIDER_OPTIONS", plan.provider.clone()),
        ];
        plan.id =
            emit::fnv(parts.iter().flat_map(|(name, text)| name.bytes().chain([0]).chain(text.bytes()).chain([0])));
        Ok(plan)
    }

    /// What the environment of RKE2's service is made of.
    pub fn environment(&self) -> Asked<'_> {
        let control_plane_host = self.control_plane_host.as_deref();
        Asked { unit: self.role.unit(), env: &self.env, networks: &self.networks, control_plane_host }
    }

    /// What images are imported, and how.
    pub(crate) fn images(&self) -> Request {
        Request {
            content: self.images.clone(),
            prefix: self.root_path.clone(),
            root_path: self.root_path.clone(),
            marker: self.settings.images_marker.0.clone(),
            budget: Some(self.settings.images_budget),
            wait: self.settings.images_wait,
            data_dir: self.data_dir.clone(),
            cnis: Some(self.cnis()),
            ..Request::default()
        }
    }

    /// The CNIs that were chosen, or RKE2's own choice; on an agent its server decides.
    fn cnis(&self) -> Vec<String> {
        let text = |node: &Node| node.scalar().map(|it| it.text.clone());
        let chosen = |options: &str| -> Option<Vec<String>> {
            let document = yaml::read(options, OPTIONS).ok()?;
            let cni = document.root.get("cni")?;
            let items: Vec<String> = cni.items().iter().filter_map(text).chain(text(cni)).collect();
            Some(items.iter().flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect())
        };
        let default = if self.role == Role::Worker { Vec::new() } else { vec!["canal".to_owned()] };
        chosen(&self.provider).or_else(|| chosen(&self.user)).unwrap_or(default)
    }

    /// The text of `plan.yaml`: everything but the drop-ins and the id.
    pub(crate) fn to_yaml(&self) -> String {
        let certificate = |it: &Certificate| match it {
            Certificate::Pem(pem) => Item::map([("pem", Item::text(pem))]),
            Certificate::Path(path) => Item::map([("path", Item::text(path))]),
        };
        let list = |texts: &[String]| Item::List(texts.iter().map(|text| Item::text(text)).collect());
        let map = |pairs: &mut dyn Iterator<Item = (&str, &str)>| {
            Item::Map(pairs.map(|(name, text)| (name.to_owned(), Item::text(text))).collect())
        };
        let text = |text: &str| (!text.is_empty()).then(|| Item::text(text));
        let document = Some(&self.document_path).filter(|path| *path != document_path::DEFAULT);
        let given = self.settings.given();
        let entries = [
            ("role", text(self.role.as_str())),
            ("unit", text(self.role.unit().name())),
            ("data_dir", text(&self.data_dir)),
            ("document", document.and_then(|path| text(path))),
            ("control_plane_host", self.control_plane_host.as_deref().and_then(text)),
            ("cluster_root_path", text(&self.root_path)),
            ("append", Some(list(&self.append))),
            ("templates", Some(list(&self.templates))),
            ("cluster_cidr", Some(list(&self.networks.cluster))),
            ("service_cidr", Some(list(&self.networks.service))),
            ("cluster_domain", text(&self.networks.domain)),
            ("settings", Some(map(&mut given.iter().map(|(name, text)| (*name, text.as_str()))))),
            ("env", Some(map(&mut self.env.iter().map(|(name, text)| (name.as_str(), text.as_str()))))),
            ("ca_certs", Some(Item::List(self.ca_certs.iter().map(certificate).collect()))),
            ("local_images_path", self.images.as_deref().and_then(text)),
        ];
        let is_given = |item: &Item| match item {
            Item::List(items) => !items.is_empty(),
            Item::Map(entries) => !entries.is_empty(),
            Item::Text(_) => true,
        };
        let entries = entries.into_iter().filter_map(|(key, item)| Some((key.to_owned(), item.filter(is_given)?)));
        emit::to_yaml(&Item::Map(entries.collect()))
    }

    /// Reads a `plan.yaml` of this version or an earlier one, with the drop-ins that belong to it. Keys that it does not know are passed over.
    ///
    /// Fails with what is missing.
    pub(crate) fn from_yaml(text: &str, user: String, provider: String, id: String) -> Result<Plan, String> {
        let document = yaml::read(text, CLOUD_CONFIG).map_err(|error| error.problem)?;
        let root = &document.root;
        let text = |key: &str| Some(root.get(key)?.scalar()?.text.clone()).filter(|text| !text.is_empty());
        let list = |key: &str| -> Vec<String> {
            let items = root.get(key).map(Node::items).unwrap_or_default();
            items.iter().filter_map(|it| Some(it.scalar()?.text.clone())).collect()
        };
        let map = |key: &str| -> BTreeMap<String, String> {
            let entries = root.get(key).map(Node::entries).unwrap_or_default();
            let pair = |(key, value): &(Key, Node)| Some((key.scalar.text.clone(), value.scalar()?.text.clone()));
            collected(entries.iter().filter_map(pair))
        };
        let certificate = |it: &Node| {
            let text = |key: &str| it.get(key).and_then(Node::scalar).map(|it| it.text.clone());
            text("pem").map(Certificate::Pem).or_else(|| text("path").map(Certificate::Path))
        };
        let mut settings = Settings::default();
        // Version 0.1.0 has swap beside the settings, and durations as a number of seconds.
        let swap = text("swap").map(|text| ("swap".to_owned(), text));
        for (name, text) in map("settings").into_iter().chain(swap) {
            if let Some(Err(_)) = settings.set(&name, &text) {
                let _ = settings.set(&name, &format!("{text}s"));
            }
        }
        let certificates = root.get("ca_certs").map(Node::items).unwrap_or_default();
        let places = Places::of(root);
        Ok(Plan {
            role: text("role").as_deref().and_then(Role::of).ok_or("names no role")?,
            data_dir: places.data_dir.ok_or("names no data directory")?,
            document_path: places.document.unwrap_or_else(|| document_path::DEFAULT.into()),
            control_plane_host: text("control_plane_host"),
            root_path: places.root_path.unwrap_or_default(),
            append: list("append"),
            templates: list("templates"),
            networks: Networks {
                cluster: list("cluster_cidr"),
                service: list("service_cidr"),
                domain: text("cluster_domain").unwrap_or_default(),
            },
            settings,
            env: map("env"),
            ca_certs: certificates.iter().filter_map(certificate).collect(),
            images: text("local_images_path"),
            user,
            provider,
            id,
        })
    }
}

/// Whether a text is an id: of a plan, or of the texts that yip evaluates.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The texts that yip evaluates, each with its option.
pub(super) fn templates<'a>(
    host: Option<&'a str>,
    drop_ins: [Option<&'a DropIn>; 2],
    networks: &'a Networks,
) -> Vec<(&'a str, &'a str)> {
    let of_options = drop_ins.into_iter().flatten().flatten().flat_map(|(name, value)| {
        let texts = value.texts().iter();
        texts.map(move |text| (name.as_str(), text.as_str()))
    });
    let Networks { cluster, service, domain } = networks;
    let of_networks = [("cluster-cidr", cluster.as_slice()), ("service-cidr", service)]
        .into_iter()
        .chain([("cluster-domain", std::slice::from_ref(domain))])
        .flat_map(|(name, texts)| texts.iter().map(move |text| (name, text.as_str())));
    let all = host.map(|text| (HOST, text)).into_iter().chain(of_options).chain(of_networks);
    all.filter(|(name, text)| drop_in::is_template(name, text)).collect()
}

/// What comes from the cluster section's own keys, and RKE2's options of `providerConfig`.
fn provider_options(cluster: &Cluster) -> DropIn {
    let mut options = DropIn::new();
    if let Some(token) = &cluster.token {
        options.push(("token".into(), Value::Text(token.secret().into())));
    }
    if let Some(server) = &cluster.joined {
        options.push(("server".into(), Value::Text(server.clone())));
    }
    if let Some(endpoint) = &cluster.endpoint {
        if cluster.role.joins() {
            options.push(("server".into(), Value::Text(endpoint.join_url())));
        }
        if cluster.role.unit() == Unit::Server {
            options.push(("tls-san".into(), Value::List(vec![endpoint.host()])));
        }
    }
    for (name, value) in cluster.provider_options.clone() {
        match (options.iter_mut().find(|(it, _)| *it == name), value) {
            (Some((_, Value::List(hosts))), Value::List(more)) => {
                let known = hosts.clone();
                hosts.extend(more.into_iter().filter(|it| !known.contains(it)));
            }
            (_, value) => options.push((name, value)),
        }
    }
    options
}
