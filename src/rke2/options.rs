//! RKE2's options: one table, `options.tsv`, whose first lines explain its columns.
//!
//! The facts come from the flag definitions in `pkg/cli/cmds` of rancher/rke2 and k3s; `tests/recorded_options.rs`
//! compares the table with what was recorded from them. RKE2 skips an option that it does not know with no more than
//! a warning in its log (k3s `pkg/configfilearg/parser.go`), so a typo is silent there: [`nearest`] names the option that was
//! meant.

use super::Unit;
use super::version::Version;

/// How several files that give an option are merged, and what its values must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Text that the cloud-config's own fields decide, whatever other files say.
    Owned,
    /// A list: the last file that names it wins.
    Replace,
    /// A list: the items of all files, in file order.
    Append,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A Go duration, such as `10m`.
    Duration,
    /// Any other single value.
    Text,
    /// Text that is an octal file mode.
    Mode,
    /// An option of K3s that RKE2 ignores.
    Dropped,
}

/// Which of RKE2's two commands accepts an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Only `rke2 server`.
    Server,
    /// Only `rke2 agent`.
    Agent,
    /// Both.
    Both,
}

/// The form of a value; of a list, of each of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IP address.
    Address,
    /// `NAME=VALUE` for a program that RKE2 starts.
    Argument,
    /// `true` or `false`.
    Boolean,
    /// The name of a chart that RKE2 installs.
    Chart,
    /// A cron line.
    Cron,
    /// The URL of a datastore.
    Datastore,
    /// A DNS name.
    Dns,
    /// The domain of a cluster.
    Domain,
    /// A Go duration.
    Duration,
    /// A host name or address, with or without a port.
    Host,
    /// The reference of a container image.
    Image,
    /// A label of a node, `KEY=VALUE`.
    Label,
    /// An octal file mode.
    Mode,
    /// `SOURCE:TARGET` for a pod.
    Mount,
    /// The name of a node.
    Node,
    /// A whole number.
    Number,
    /// A path on the node.
    Path,
    /// A range of ports.
    Ports,
    /// A setting of a health probe.
    Probe,
    /// The name of a cloud provider.
    Provider,
    /// The URL of a proxy.
    Proxy,
    /// A range of addresses.
    Range,
    /// The host of a registry.
    Registry,
    /// CPU or memory of a pod.
    Resource,
    /// A name or an address in a certificate.
    San,
    /// Anything, and never shown.
    Secret,
    /// The path of a socket.
    Socket,
    /// A taint of a node.
    Taint,
    /// Any text.
    Text,
    /// A URL.
    Url,
    /// `NAME=VALUE` for the environment of a pod.
    Variable,
    /// `PATTERN=NUMBER` for the log of single source files.
    Vmodule,
    /// One of the allowed words.
    Word,
}

impl Kind {
    /// What is expected, for a person: `an IP address`.
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Address => "an IP address",
            Kind::Argument | Kind::Variable => "NAME=VALUE",
            Kind::Boolean => "true or false",
            Kind::Chart => "the name of a chart of RKE2",
            Kind::Cron => "a cron line of five fields, such as 0 */12 * * *",
            Kind::Datastore => "a URL such as postgres://HOST:5432/rke2",
            Kind::Dns => "a DNS name",
            Kind::Domain => "a domain such as cluster.local",
            Kind::Duration => "a duration such as 10m",
            Kind::Host | Kind::Registry => "HOST or HOST:PORT",
            Kind::Image => "an image such as registry.example/rancher/pause:3.6",
            Kind::Label => "KEY=VALUE",
            Kind::Mode => "an octal mode such as \"0640\"",
            Kind::Mount => "SOURCE:TARGET or SOURCE:TARGET:ro",
            Kind::Node => "the name of a node, in lower case",
            Kind::Number => "a whole number",
            Kind::Path => "an absolute path",
            Kind::Ports => "FIRST-LAST",
            Kind::Probe => "COMPONENT-PROBE-SETTING=NUMBER, such as kube-apiserver-startup-timeout-seconds=30",
            Kind::Provider => "the name of a cloud provider",
            Kind::Proxy => "a URL with http:// or https://, or none",
            Kind::Range => "ADDRESS/LENGTH",
            Kind::Resource => "COMPONENT-cpu=QUANTITY or COMPONENT-memory=QUANTITY",
            Kind::San => "a DNS name or an IP address",
            Kind::Secret | Kind::Text => "text",
            Kind::Socket => "the absolute path of a socket",
            Kind::Taint => "KEY=VALUE:EFFECT",
            Kind::Url => "a URL",
            Kind::Vmodule => "PATTERN=NUMBER",
            Kind::Word => "one of a few words",
        }
    }
}

/// One option: a line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The long name, as it is written in config.yaml.
    pub name: &'static str,
    /// Merging and type.
    pub class: Class,
    /// Where it is accepted; of a dropped option: where K3s accepts it.
    pub roles: Roles,
    /// Whether one text may hold several items, separated by commas.
    pub comma_split: bool,
    /// Whether the value must never be shown; of `*-extra-env`, what follows each `NAME=`.
    pub secret: bool,
    /// Whether all servers of a cluster must agree on it.
    pub critical: bool,
    /// One-letter names that mean the same.
    pub aliases: &'static [&'static str],
    /// The form of a value, or of each item.
    pub kind: Kind,
    /// The words or numbers that are allowed, as the table has them; see [`Spec::words`] and [`Spec::numbers`].
    pub allowed: &'static str,
    /// What RKE2 does where it is not given, as the table has it; see [`Spec::default_in`].
    pub default: &'static str,
    /// From when on RKE2 has it, as [`Version::has`] reads it: `1.31.9|1.32.5|1.33.1`, `<=1.23`; empty for a dropped option.
    pub since: &'static str,
    /// From when on RKE2 would rather not have it; empty for nearly all.
    pub deprecated: &'static str,
    /// The environment variables that RKE2 reads it from.
    pub env: &'static [&'static str],
    /// What it does, for an operator; of a dropped option, what to know instead.
    pub meaning: &'static str,
}

impl Spec {
    /// Whether the option takes a list. False for dropped options: nothing reads them.
    pub fn is_list(&self) -> bool {
        matches!(self.class, Class::Replace | Class::Append)
    }

    /// Whether the option belongs to a unit. A dropped option belongs where K3s has it, so ask [`Class::Dropped`] first where the
    /// difference matters.
    pub fn takes(&self, unit: Unit) -> bool {
        match self.roles {
            Roles::Server => unit == Unit::Server,
            Roles::Agent => unit == Unit::Agent,
            Roles::Both => true,
        }
    }

    /// The words that a version knows; without one those that any version does.
    pub fn words(&self, version: Option<&Version>) -> impl Iterator<Item = &'static str> {
        words(self.allowed, version)
    }

    /// The least and the greatest number; nothing where either is not limited.
    pub fn numbers(&self) -> (Option<i128>, Option<i128>) {
        let (least, most) = self.allowed.split_once("..").unwrap_or_default();
        (least.parse().ok(), most.parse().ok())
    }

    /// What a version does where it is not given, without one the newest; empty where that is nothing, or no single value.
    pub fn default_in(&self, version: Option<&Version>) -> &'static str {
        words(self.default, version).last().unwrap_or_default()
    }
}

/// The words of a column that a version has; without one those that any version has.
fn words(column: &'static str, version: Option<&Version>) -> impl Iterator<Item = &'static str> {
    let words = column.split(',').filter(|word| !word.is_empty());
    words.filter_map(move |word| {
        let has = |since| version.is_none_or(|version| version.has(since));
        let is_gone = |until| version.is_some_and(|version| version.has(until));
        match (word.split_once('@'), word.split_once('<')) {
            (Some((word, since)), _) => has(since).then_some(word),
            (_, Some((word, until))) => (!is_gone(until)).then_some(word),
            _ => Some(word),
        }
    })
}

// `SPECS`, `NAMES`, `SECRETS`: the table as constants, which the build makes of it; one line with a mistake fails the build.
include!(concat!(env!("OUT_DIR"), "/options.rs"));

/// All options, sorted by name: RKE2's own, and those of K3s that RKE2 drops.
pub fn all() -> &'static [Spec] {
    SPECS
}

/// The option of this long name or one-letter alias, spelled exactly so; `None` if RKE2 and K3s know no such option.
pub fn find(name: &str) -> Option<&'static Spec> {
    let specs = all();
    match specs.binary_search_by(|spec| spec.name.cmp(name)) {
        Ok(index) => specs.get(index),
        Err(_) if name.len() == 1 => specs.iter().find(|spec| spec.aliases.contains(&name)),
        Err(_) => None,
    }
}

/// The option that a key of a file names, with or without a `+` at its end.
pub(crate) fn of_key(written: &str) -> Option<&'static Spec> {
    find(written.trim_end_matches('+'))
}

/// Whether the value of an option is a secret: by the table, and for a name that is not in it, if it looks like one of a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    find(name).map_or_else(
        || {
            let name = name.to_ascii_lowercase();
            ["token", "secret", "passw", "credential", "private", "extra-env"].iter().any(|word| name.contains(word))
                || nearest_of(&name, SECRETS).is_some()
        },
        |spec| spec.secret,
    )
}

/// The option that `name` is likely a typo of, by the rule of [`nearest_of`]. It may be a dropped one: a person who writes
/// `flannel_backend` means it, and must be told that it has no effect.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, NAMES)
}

/// The name in `known` that `name` is likely a typo of: the one with the fewest mistakes (a character added, left out,
/// changed, or two neighbours swapped), the first of several. Case and the separators `-`, `_`, `.` and blank do not
/// count. `None` when that takes too many mistakes, because then it is another word: none are allowed below three
/// characters of the longer name, else one, and one more for every ten characters, up to three.
pub(crate) fn nearest_of<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name: String = folded(name).collect();
    let length = name.chars().count();
    let mistakes = |candidate: &str| {
        let other: String = folded(candidate).collect();
        let other_length = other.chars().count();
        let longer = length.max(other_length);
        let allowed = if longer < 3 { 0 } else { (1 + longer / 10).min(3) };
        // A name may be as long as a file, and comparing is quadratic.
        let is_near = length.abs_diff(other_length) <= allowed;
        is_near.then(|| strsim::osa_distance(&name, &other)).filter(|mistakes| *mistakes <= allowed)
    };
    let near = known.iter().filter_map(|candidate| Some((mistakes(candidate)?, *candidate)));
    near.min_by_key(|(mistakes, _)| *mistakes).map(|(_, candidate)| candidate)
}

/// What is compared of a name: no separators, lower case.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|character| !matches!(character, '-' | '_' | '.' | ' ')).map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_table() {
        let lines = include_str!("options.tsv").lines().filter(|line| !line.starts_with('#'));
        let list = |words: &[&str]| if words.is_empty() { "-".to_owned() } else { words.join(",") };
        let of_spec = |spec: &Spec| {
            let marks = [(spec.comma_split, "comma"), (spec.secret, "secret"), (spec.critical, "critical")];
            let marks: Vec<&str> = marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
            let (class, roles) = (format!("{:?}", spec.class), format!("{:?}", spec.roles));
            let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
            let (aliases, env) = (list(spec.aliases), list(spec.env));
            let kind = if spec.class == Class::Dropped { "-".into() } else { format!("{:?}", spec.kind) };
            let [allowed, default, since, deprecated] =
                [spec.allowed, spec.default, spec.since, spec.deprecated].map(or_none);
            let words = [
                class.to_lowercase(),
                roles.to_lowercase(),
                list(&marks),
                aliases,
                kind.to_lowercase(),
                allowed,
                default,
                since,
                deprecated,
                env,
            ];
            format!("{}\t{}\t{}", spec.name, words.join("\t"), spec.meaning)
        };
        assert_eq!(lines.collect::<Vec<_>>(), all().iter().map(of_spec).collect::<Vec<_>>());
        assert_eq!(all().len(), 160);
        assert!(all().iter().map(|spec| spec.name).eq(NAMES.iter().copied()));
        assert!(all().iter().filter(|spec| spec.secret).map(|spec| spec.name).eq(SECRETS.iter().copied()));
    }

    #[test]
    fn names_are_sorted_and_no_two_look_alike() {
        for pair in NAMES.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        let mut alike: Vec<String> = NAMES.iter().map(|name| folded(name).collect()).collect();
        alike.sort_unstable();
        alike.dedup();
        assert_eq!(alike.len(), NAMES.len());
    }

    #[test]
    fn finds_every_option_by_name_and_alias() {
        for spec in all() {
            assert_eq!(find(spec.name), Some(spec));
            for alias in spec.aliases {
                assert_eq!(find(alias), Some(spec));
            }
        }
        for unknown in ["", "-", "x", "T", "tls_san", "TLS-SAN", "tls-san+", "zzz", "a", "é", "tls-san-"] {
            assert_eq!(find(unknown), None, "{unknown:?}");
        }
        assert_eq!(find("v").map(|spec| spec.class), Some(Class::Integer));
    }

    #[test]
    fn an_option_belongs_to_its_roles() {
        let takes = |name| find(name).map(|spec| (spec.takes(Unit::Server), spec.takes(Unit::Agent)));
        assert_eq!(takes("tls-san"), Some((true, false)));
        assert_eq!(takes("node-ip"), Some((true, true)));
        assert_eq!(takes("disable-apiserver-lb"), Some((false, true)));
    }

    #[test]
    fn lists_are_the_replaced_and_the_appended_ones() {
        let is_list = |name| find(name).map(Spec::is_list);
        assert_eq!(is_list("cni"), Some(true));
        assert_eq!(is_list("kubelet-arg"), Some(true));
        for single in ["token", "debug", "v", "etcd-s3-timeout", "profile", "write-kubeconfig-mode", "vpn-auth"] {
            assert_eq!(is_list(single), Some(false), "{single}");
        }
    }

    #[test]
    fn case_and_separators_never_hide_an_option() {
        for spec in all() {
            let camel: String = spec.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            for spelling in [
                spec.name.to_owned(),
                spec.name.replace('-', "_"),
                spec.name.replace('-', ""),
                spec.name.replace('-', "."),
                spec.name.to_uppercase(),
                format!("--{}", spec.name),
                camel,
            ] {
                assert_eq!(nearest(&spelling), Some(spec.name), "{spelling}");
            }
        }
    }

    #[test]
    fn names_the_option_of_a_typo() {
        for (typo, option) in [
            ("tls_san", "tls-san"),
            ("TLS-SAN", "tls-san"),
            ("tls-sna", "tls-san"),
            ("tls-sans", "tls-san"),
            ("tokn", "token"),
            ("tokens", "token"),
            ("sever", "server"),
            ("cnii", "cni"),
            ("cin", "cni"),
            ("cluster-cird", "cluster-cidr"),
            ("cluster-cdr", "cluster-cidr"),
            ("service-cidrs", "service-cidr"),
            ("node-labels", "node-label"),
            ("node-tain", "node-taint"),
            ("node_lable", "node-label"),
            ("kubelet-args", "kubelet-arg"),
            ("kube-api-server-args", "kube-apiserver-arg"),
            ("kube-controler-manger-arg", "kube-controller-manager-arg"),
            ("write-kubeconfig-mod", "write-kubeconfig-mode"),
            ("etcd-snapshot-retension", "etcd-snapshot-retention"),
            ("kube-controler-manger-args", "kube-controller-manager-arg"),
            ("disable-cloud-controler", "disable-cloud-controller"),
            ("systemDefaultRegistry", "system-default-registry"),
            ("privat-registry", "private-registry"),
            ("flanel-backend", "flannel-backend"),
            ("selinux ", "selinux"),
            ("dбbug", "debug"),
        ] {
            assert_eq!(nearest(typo), Some(option), "{typo}");
        }
    }

    #[test]
    fn another_word_is_no_typo() {
        let long = "tls-san".repeat(20_000);
        for word in [
            "", "-", "x", "ab", "foo", "dns", "host", "role", "cluster", "cluster-ip", "cluster-name", "node",
            "registry", "etcd-s3-url", "etcd-snapshot", "write-kubeconfig-path", "multi-cluster-cidr", "kube-vip",
            "hostname", "日本語", &long,
        ] {
            assert_eq!(nearest(word), None, "{word:.40}");
        }
    }

    #[test]
    fn the_fewest_mistakes_win_then_the_first() {
        assert_eq!(nearest_of("abcdefghij", &["xxcdefghij", "xbcdefghij", "ybcdefghij"]), Some("xbcdefghij"));
        assert_eq!(nearest_of("clusterToken", &["cluster_token", "control_plane_host"]), Some("cluster_token"));
        assert_eq!(nearest_of("anything", &[]), None);
    }
}
