//! No secret leaves the files that are meant for it: every verb runs over configurations full of them, good and bad.
//!
//! A text of a test says `<secret>` where [`CORE`] stands in what the program reads, and `<any secret>` where a YAML value of any of the
//! [`SHAPES`] stands. The place "token in a list" with the shape "tab" is the cloud-config
//!
//! ```yaml
//! cluster:
//!   role: init
//!   cluster_token: ["a\thUsh7Zx9qpLw2Kd5"]
//! ```

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{self, CONFIG, DOCUMENT, Node, REFUSED, Ran, event, inner_room, inside};

/// What every secret here has in it: letters and digits, so that no escaping changes it.
const CORE: &str = "hUsh7Zx9qpLw2Kd5";

/// So much of it is not to be seen either.
const PART: usize = 8;

/// Files that may hold secrets, by their beginning, and must be nobody else's.
const MEANT_FOR_IT: &[&str] = &[
    "usr/local/cloud-config/cluster.kairos.yaml",
    "run/provider-rke2/plan.yaml",
    "run/provider-rke2/config.d/",
    "run/provider-rke2/applied/",
    "run/provider-rke2/started/",
    "etc/rancher/rke2/config.d/",
    "etc/rancher/rke2/config.yaml",
    "etc/default/rke2-",
    // Those that the test itself lays out.
    "oem/",
];

/// Where none may be, whoever may read them.
const TOLD: &[&str] = &[
    "var/log/provider-rke2.log", "run/provider-rke2/status.yaml", "run/provider-rke2/refused",
    "etc/issue.d/50-provider-rke2.issue",
];

fn hexadecimal_digit(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap()
}

/// The part of the secret that a text holds: as it is, in another case, in hexadecimal, in base64 wherever it begins.
fn secret_in(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let core = CORE.to_lowercase();
    let parts = (0..=CORE.len() - PART).map(|at| core[at..at + PART].to_owned());
    let hexadecimal = CORE.bytes().flat_map(|byte| [byte >> 4, byte & 15].map(hexadecimal_digit)).collect::<String>();
    let encoded = (0..3).map(|at| support::base64(&CORE.as_bytes()[at..at + 12], *b"+/"));
    let mut hidden = encoded.map(|it| (text, it)).chain([(lower.as_str(), hexadecimal[..2 * PART].to_owned())]);
    let plain = parts.map(|it| (lower.as_str(), it)).find(|(text, it)| text.contains(it.as_str()));
    plain.or_else(|| hidden.find(|(text, it)| text.contains(it.as_str()))).map(|(_, it)| it)
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    for text in [
        format!("found \"{CORE}\""),
        CORE.to_uppercase(),
        CORE[..12].to_owned(),
        CORE[5..].to_owned(),
        support::base64(CORE.as_bytes(), *b"+/"),
        support::base64(format!("x{CORE}yz").as_bytes(), *b"+/"),
        support::base64(format!("xy{CORE}z12").as_bytes(), *b"+/"),
        "68557368375a783971704c77324b6435".to_owned(),
    ] {
        assert!(secret_in(&text).is_some(), "{text}");
    }
    assert_eq!(secret_in("cluster.cluster_token: found a number"), None);
}

/// What a cloud-config holds and what becomes of it.
struct Case {
    name: String,
    text: String,
}

/// Secrets as people make them: the secret, and around it what is hard to quote.
const SHAPES: &[(&str, &str)] = &[
    ("plain", "'<secret>'"),
    ("quotes", r#"'a"<secret>"''b'"#),
    ("line break", r#""a\n<secret>\nb""#),
    ("tab", r#""a\t<secret>""#),
    ("backslash", r"'a\<secret>\n'"),
    ("unicode", "'é<secret>ü\u{1f511}'"),
    ("percent", "'%s%20<secret>%n'"),
    ("template", "'{{ .Values.<secret> }}{{<secret>}}'"),
    ("shell", "'$(`<secret>`)${<secret>};&|'"),
    ("url", "'https://u:<secret>@h/<secret>?<secret>#<secret>'"),
    ("colon", "'a: <secret>: b # <secret>'"),
    ("control", r#""a\u0007<secret>\u0085""#),
    ("bidi", r#""a\u202e<secret>""#),
    ("K10", "K10<secret>::server:<secret>"),
    (
        "many",
        "'\
            <secret><secret><secret><secret><secret><secret><secret><secret><secret><secret><secret>\
            <secret><secret><secret><secret><secret><secret><secret><secret><secret><secret>\
            <secret>'",
    ),
    ("after 70", "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx<secret>'"),
];

/// Cluster sections that hold secrets of any shape.
const PLACES: &[(&str, &str)] = &[
    ("token", "  role: init\n  cluster_token: <any secret>\n"),
    ("token of a joiner", "  role: worker\n  cluster_token: <any secret>\n  control_plane_host: 10.0.0.1\n"),
    ("token of a joiner without a host", "  role: worker\n  cluster_token: <any secret>\n"),
    ("token and a wrong role", "  role: master\n  cluster_token: <any secret>\n"),
    ("token in a list", "  role: init\n  cluster_token: [<any secret>]\n"),
    ("token in a mapping", "  role: init\n  cluster_token: {value: <any secret>}\n"),
    ("token among options", "  role: init\n  config: |\n    token: <any secret>\n    agent-token: <any secret>\n"),
    (
        "token among options, aliased",
        "  role: worker\n  control_plane_host: a\n  config:\n    t: <any secret>\n    token+: <any secret>\n",
    ),
    (
        "secret options",
        concat!(
            "  role: init\n  config:\n    agent-token: <any secret>\n    etcd-s3-access-key: <any secret>\n",
            "    etcd-s3-secret-key: <any secret>\n    etcd-s3-session-token: <any secret>\n    datastore-endpoint: <any secret>\n",
            "    vpn-auth: <any secret>\n",
        ),
    ),
    (
        "secret options in providerConfig",
        concat!(
            "  role: init\n  providerConfig:\n    token: <any secret>\n    agent-token: <any secret>\n",
            "    etcd-s3-secret-key: <any secret>\n    vpn-auth: <any secret>\n    datastore-endpoint: <any secret>\n",
        ),
    ),
    (
        "secret options of servers, on an agent",
        concat!(
            "  role: worker\n  cluster_token: <any secret>\n  control_plane_host: a\n  config:\n",
            "    agent-token: <any secret>\n    etcd-s3-secret-key: <any secret>\n",
        ),
    ),
    (
        "extra env",
        concat!(
            "  role: init\n  config:\n    kube-apiserver-extra-env: [<any secret>, 'A=<secret>']\n",
            "    etcd-extra-env: <any secret>\n    kube-proxy-extra-env:\n    - <any secret>\n",
        ),
    ),
    ("extra env in a mapping", "  role: init\n  config:\n    kube-apiserver-extra-env: {PASSWORD: <any secret>}\n"),
    ("extra env in lists", "  role: init\n  config:\n    etcd-extra-env: [[<any secret>], {a: <any secret>}]\n"),
    (
        "secret options in lists",
        "  role: init\n  config:\n    agent-token: [<any secret>, <any secret>]\n    datastore-endpoint: {a: <any secret>}\n",
    ),
    (
        "secret options twice",
        "  role: init\n  config: |\n    agent-token: <any secret>\n    agent-token: <any secret>\n    etcd-s3-secret-key+: <any secret>\n",
    ),
    (
        "env",
        concat!(
            "  role: init\n  env:\n    PASSWORD: <any secret>\n    1BAD: <any secret>\n    RKE2_TOKEN: <any secret>\n",
            "    RKE2_URL: <any secret>\n    LIST: [<any secret>]\n    HTTP_PROXY: <any secret>\n",
        ),
    ),
    ("env as text", "  role: init\n  env: <any secret>\n"),
    ("env as a list", "  role: init\n  env: [<any secret>]\n"),
    (
        "env in RKE2's way",
        concat!(
            "  role: init\n  env:\n    RKE2_AGENT_TOKEN: <any secret>\n    AWS_SECRET_ACCESS_KEY: <any secret>\n",
            "    RKE2_DATASTORE_ENDPOINT: <any secret>\n",
        ),
    ),
    ("broken around it", "  role: init\n  cluster_token: <any secret>\n  config: [\n"),
    ("broken before it", "  role: [init\n  cluster_token: <any secret>\n"),
    ("broken options around it", "  role: init\n  config: |\n    agent-token: <any secret>\n     x: [<any secret>\n"),
    ("twice", "  role: init\n  cluster_token: <any secret>\n  cluster_token: <any secret>\n"),
    ("too little indented", "  role: init\ncluster_token: <any secret>\n  env: {A: <any secret>}\n"),
    ("no space after the colon", "  role: init\n  cluster_token:<any secret>\n"),
    ("no colon", "  role: init\n  config: |\n    token <any secret>\n"),
    ("options as text", "  role: init\n  config: <any secret>\n"),
    ("options as a list", "  role: init\n  config: [<any secret>]\n"),
    ("second document", "  role: init\n---\ncluster_token: <any secret>\n"),
    (
        "misspelt options",
        concat!(
            "  role: init\n  config:\n    agent_token: <any secret>\n    agenttoken: <any secret>\n    Token: <any secret>\n",
            "    etcd-s3-secretkey: <any secret>\n    datastore_endpoint: <any secret>\n",
            "    kube-apiserver-extra-envs: [<any secret>]\n",
        ),
    ),
    (
        "misspelt keys",
        "  role: init\n  cluster_tokn: <any secret>\n  token: <any secret>\n  providerConfig: {agent_token: <any secret>, tokne: <any secret>}\n",
    ),
    ("own path", "  role: init\n  cluster_token: <any secret>\n  cluster_config_path: relative\n"),
];

/// Cluster sections where the secret stands in the syntax itself.
const WRITTEN: &[(&str, &str)] = &[
    ("alias", "  role: init\n  cluster_token: *<secret>\n"),
    ("alias among options", "  role: init\n  config: |\n    agent-token: *<secret>\n"),
    ("anchor", "  role: init\n  cluster_token: &<secret>\n"),
    ("anchor twice", "  role: init\n  config: |\n    agent-token: &<secret> a\n    token: &<secret> a\n"),
    ("tag", "  role: init\n  cluster_token: !<secret> a\n"),
    ("tag handle", "  role: init\n  cluster_token: !<secret>!a b\n"),
    ("percent", "  role: init\n  cluster_token: %<secret>\n"),
    ("at sign", "  role: init\n  cluster_token: @<secret>\n"),
    ("back quote", "  role: init\n  cluster_token: `<secret>`\n"),
    ("bar", "  role: init\n  cluster_token: |<secret>\n"),
    ("open quote", "  role: init\n  cluster_token: \"<secret>\n"),
    ("quote inside", "  role: init\n  cluster_token: \"a\"<secret>\"\n"),
    ("escape", "  role: init\n  cluster_token: \"\\q<secret>\"\n"),
    ("mapping", "  role: init\n  cluster_token: a: <secret>\n"),
    ("braces", "  role: init\n  cluster_token: {<secret>\n"),
    ("template", "  role: init\n  cluster_token: {{ <secret> }}\n"),
    ("question mark", "  role: init\n  cluster_token: ? <secret>\n"),
    ("directive", "  role: init\n%<secret> 1\n"),
    ("block", "  role: init\n  cluster_token: |\n    a\n    <secret>\n"),
    ("tab", "  role: init\n  cluster_token:\t<secret>\n\tenv: <secret>\n"),
    ("comment", "  role: init # <secret>\n  cluster_token: 12345 # <secret>\n  # <secret>\n"),
    ("role K10", "  role: K10<secret>::server:<secret>\n"),
    ("role with a token beside it", "  role: init cluster_token <secret>\n"),
    ("userinfo in the host", "  role: worker\n  cluster_token: a\n  control_plane_host: https://u:<secret>@h:9345\n"),
    ("userinfo without a scheme", "  role: worker\n  cluster_token: a\n  control_plane_host: u:<secret>@h\n"),
    ("userinfo in server", "  role: worker\n  cluster_token: a\n  config: |\n    server: https://u:<secret>@h/p\n"),
    (
        "userinfo in options",
        concat!(
            "  role: init\n  config:\n    system-default-registry: https://u:<secret>@h\n",
            "    profile: http://u:<secret>@h\n",
            "    kube-apiserver-arg: ['oidc-issuer-url=https://u:<secret>@h']\n",
            "    etcd-s3-proxy: http://u:<secret>@h\n    etcd-s3-timeout: http://u:<secret>@h\n",
            "    debug: http://u:<secret>@h\n    etcd-s3-retention: http://u:<secret>@h\n",
            "    write-kubeconfig-mode: http://u:<secret>@h\n    tls-san: [http://u:<secret>@h, u:<secret>@h]\n",
            "    x-unknown: https://u:<secret>@h\n",
        ),
    ),
    (
        "userinfo in paths",
        concat!(
            "  role: init\n  cluster_config_path: http://u:<secret>@h\n",
            "  local_images_path: http://u:<secret>@h\n  import_local_images: http://u:<secret>@h\n",
            "  ca_certs: ['https://u:<secret>@h/ca.pem']\n  providerConfig:\n",
            "    cluster_root_path: http://u:<secret>@h\n    swap: http://u:<secret>@h\n",
        ),
    ),
    (
        "userinfo in env",
        "  role: init\n  env:\n    HTTPS_PROXY: http://u:<secret>@proxy:3128\n    http_proxy: http://u:<secret>@proxy:3128\n",
    ),
    (
        "private key",
        concat!(
            "  role: init\n  ca_certs:\n  - |\n    -----BEGIN PRIVATE KEY-----\n    <secret>\n",
            "    -----END PRIVATE KEY-----\n  - <secret>\n",
        ),
    ),
    (
        "datastore",
        "  role: init\n  config:\n    datastore-endpoint: postgres://u:<secret>@h:5432/k?sslpassword=<secret>\n",
    ),
    (
        "numbers",
        "  role: init\n  cluster_token: 1234567890\n  config:\n    agent-token: 0x1f\n    etcd-s3-secret-key: <secret>\n",
    ),
];

/// A text of a test as the program reads it.
fn filled(text: &str) -> String {
    text.replace("<secret>", CORE)
}

fn cases() -> Vec<Case> {
    let whole = |section: &str| filled(&format!("#cloud-config\ncluster:\n{section}"));
    let mut cases = Vec::new();
    for (at, (place, section)) in PLACES.iter().enumerate() {
        // Every place with the plain one, and each with its share of the others.
        let others = SHAPES.iter().skip(1).enumerate().filter(|(number, _)| (number + at) % 4 == 0).map(|(_, it)| it);
        for (shape, secret) in SHAPES.iter().take(1).chain(others) {
            cases.push(Case {
                name: format!("{place}, {shape}"),
                text: whole(&section.replace("<any secret>", secret)),
            });
        }
    }
    cases.extend(WRITTEN.iter().map(|(name, section)| Case { name: (*name).into(), text: whole(section) }));
    cases
}

/// Nothing of the secret in what a run has said.
fn silent(ran: &Ran, case: &str) {
    for (stream, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        let found = secret_in(text);
        assert!(found.is_none(), "{case}: {found:?} in {stream}:\n{text}");
    }
}

/// Nothing of the secret in a file that is not meant for it, or that others may read.
fn kept(node: &Node, case: &str) {
    for (path, (mode, bytes)) in node.files("") {
        let text = String::from_utf8_lossy(&bytes);
        let Some(found) = secret_in(&text) else { continue };
        let meant = MEANT_FOR_IT.iter().any(|it| path.starts_with(it)) && !TOLD.contains(&path.as_str());
        assert!(meant, "{case}: {found:?} in {path}:\n{text}");
        assert_eq!(mode & 0o177, 0, "{case}: {path} has mode {mode:o}");
    }
    for directory in [
        "run/provider-rke2", "run/provider-rke2/config.d", "run/provider-rke2/applied", "run/provider-rke2/started",
        "etc/rancher/rke2/config.d",
    ] {
        if node.exists(directory) {
            assert_eq!(node.mode(directory), 0o700, "{case}: {directory}");
        }
    }
    for directory in ["etc/rancher", "etc/rancher/rke2"] {
        if node.exists(directory) {
            assert_eq!(node.mode(directory), 0o755, "{case}: {directory}");
        }
    }
}

/// Every verb, as a boot and a person run them.
fn every_verb(node: &Node, text: &str, case: &str) {
    let file = node.path("oem/90_custom.yaml");
    node.write("oem/90_custom.yaml", text, 0o600);
    let name = file.to_str().unwrap();
    let say = |arguments: &[&str], stdin: &[u8]| {
        let ran = support::run(&mut node.program(arguments), stdin);
        silent(&ran, &format!("{case}: {arguments:?}"));
        ran
    };
    say(&["render", name], b"");
    for format in ["text", "json", "github", "sarif"] {
        say(&["check", "--strict", "--format", format, name], b"");
    }
    say(&["check"], text.as_bytes());
    say(&["cluster.reset"], &event("cluster.reset", text));
    say(&["init.provider.info"], &event("init.provider.info", text));
    say(&["init.provider.install"], text.as_bytes());
    say(&["agent.install"], &event("agent.install", text));
    say(&["agent.boot"], text.as_bytes());
    let collected = text.replacen("#cloud-config\n", "#cloud-config\n\n# Sources:\n# - /oem/90_custom.yaml\n\n", 1);
    let boot = |config: &str| support::answer(&say(&["agent.boot"], &event("agent.boot", config)));
    boot(&collected);
    let again = |node: &Node| {
        for arguments in [
            &["apply", "swap"][..],
            &["apply", "config"],
            &["prestart", "rke2-server"],
            &["prestart", "rke2-agent"],
            &["apply", "service"],
            &["status"],
            &["status", "--format", "json"],
        ] {
            say(arguments, b"");
        }
        kept(node, case);
    };
    if node.exists(DOCUMENT) {
        node.stage();
    }
    // The hash of a secret is none, but it tells one from another.
    if let Some(plan) = node.read("run/provider-rke2/plan.yaml") {
        let id = plan.trim_end().rsplit(' ').next().unwrap().to_owned();
        for path in TOLD {
            assert!(!node.read(path).unwrap_or_default().contains(&id), "{case}: the plan id in {path}");
        }
    }
    again(node);
    // Without the section, and with only the source, which may be broken.
    boot("#cloud-config\n\n# Sources:\n# - /oem/90_custom.yaml\n\nhostname: a\n");
    kept(node, case);
    boot("#cloud-config\nhostname: a\n");
    kept(node, case);
}

#[test]
fn no_verb_tells_a_secret() {
    let cases = cases();
    support::each(cases.len(), |at| {
        let (case, node) = (&cases[at], Node::new());
        every_verb(&node, &case.text, &case.name);
    });
}

/// On a node that already is a server, what would be refused elsewhere gets as far as config.yaml.
#[test]
fn no_verb_tells_a_secret_on_a_node_with_state() {
    let cases = cases();
    support::each(cases.len(), |at| {
        let (case, node) = (&cases[at], Node::new());
        node.write("var/lib/rancher/rke2/server/db/state.db", "", 0o600);
        every_verb(&node, &case.text, &format!("{}, on a server", case.name));
    });
}

/// Without secrets in the files that are meant for them, this file would prove nothing.
#[test]
fn secrets_reach_the_files_that_are_meant_for_them() {
    const ALL: &str = "#cloud-config
cluster:
  role: controlplane
  cluster_token: '1<secret>'
  control_plane_host: 10.0.0.1
  env: {PASSWORD: '2<secret>'}
  config:
    agent-token: '3<secret>'
    etcd-s3-secret-key: '4<secret>'
    kube-apiserver-extra-env: ['A=5<secret>']
";
    let text = filled(ALL);
    let node = Node::new();
    node.write("cloud-config.yaml", &text, 0o600);
    let file = node.path("cloud-config.yaml");
    let shown = node.run(&["render", "--show-secrets", file.to_str().unwrap()]);
    assert_eq!(node.boot(&text)["error"], "");
    node.stage();
    assert_eq!(node.run(&["apply", "config"]).code, Some(0));
    assert_eq!(node.run(&["prestart", "rke2-server"]).code, Some(0));
    let config = node.read(CONFIG).unwrap();
    assert_eq!(node.read("run/provider-rke2/started/rke2-server/config.yaml").as_ref(), Some(&config));
    for number in 1..=5 {
        let secret = format!("{number}{CORE}");
        assert!(shown.stdout.contains(&secret) && node.read(DOCUMENT).unwrap().contains(&secret), "{secret}");
        // The environment has a file of its own.
        assert_eq!(config.contains(&secret), number != 2, "{secret}");
    }
    for (path, mode) in [
        (CONFIG, 0o600),
        (DOCUMENT, 0o600),
        ("etc/rancher/rke2/config.d/90_userdata.yaml", 0o400),
        ("etc/rancher/rke2/config.d/99_userdata.yaml", 0o400),
        ("run/provider-rke2/started/rke2-server/config.yaml", 0o600),
        ("var/log/provider-rke2.log", 0o600),
    ] {
        assert_eq!(node.mode(path), mode, "{path}");
    }
}

/// Modes that a former program, or a person, has left are put right before anything new is in the file.
#[test]
fn a_file_that_others_could_read_becomes_private() {
    const TOKEN: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: '<secret>'\n";
    let text = filled(TOKEN);
    for (directory, mode) in [(0o500, 0o644), (0o777, 0o666)] {
        let node = Node::new();
        for path in [
            DOCUMENT,
            CONFIG,
            "etc/rancher/rke2/config.d/90_userdata.yaml",
            "etc/rancher/rke2/config.d/99_userdata.yaml",
        ] {
            node.write(path, if path == DOCUMENT { "name: RKE2 Kairos Cluster Provider\n" } else { "{}\n" }, mode);
        }
        for path in [
            "run/provider-rke2/config.d", "run/provider-rke2", "etc/rancher/rke2/config.d", "etc/rancher/rke2",
            "etc/rancher",
        ] {
            fs::create_dir_all(node.path(path)).unwrap();
            fs::set_permissions(node.path(path), fs::Permissions::from_mode(directory)).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(node.boot(&text)["error"], "");
            node.stage();
            assert_eq!(node.run(&["apply", "config"]).code, Some(0));
            kept(&node, "modes of others");
            assert!(node.read(CONFIG).unwrap().contains(CORE));
            // The same bytes, but readable by all.
            for path in [DOCUMENT, CONFIG, "etc/rancher/rke2/config.d/99_userdata.yaml"] {
                fs::set_permissions(node.path(path), fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
    }
}

/// Drop-ins of other authors hold secrets too, and mistakes.
#[test]
fn no_secret_of_another_drop_in_is_told() {
    const OURS: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: '<secret>'\n  config:\n    x-list: [a]\n    x-text: '<secret>'\n";
    for (name, text) in [
        ("token", "token: '<secret>'\nserver: https://u:<secret>@h\n"),
        ("options", "agent-token: '<secret>'\ndatastore-endpoint: '<secret>'\netcd-extra-env: ['A=<secret>']\n"),
        ("lists", "agent-token: ['<secret>']\n"),
        ("mappings", "datastore-endpoint: {a: '<secret>'}\n"),
        ("clash", "x-list: '<secret>'\nx-text: ['<secret>']\n"),
        ("list", "- '<secret>'\n"),
        ("text", "<secret>\n"),
        ("text with a blank", "token <secret>\n"),
        ("broken", "token: '<secret>\n"),
        ("broken alias", "token: *<secret>\n"),
        ("anchor twice", "token: &<secret> a\nagent-token: &<secret> a\n"),
        ("tab", "token:\t'<secret>'\n\tagent-token: '<secret>'\n"),
        ("twice", "agent-token: '<secret>'\nagent-token: 'a<secret>'\n"),
        ("typed", "debug: http://u:<secret>@h\netcd-s3-timeout: http://u:<secret>@h\ntls-san: http://u:<secret>@h\n"),
        ("template", "agent-token: '{{ .Values.<secret> }}'\nnode-name: '{{ .Values.node.hostname | <secret> }}'\n"),
        ("misspelt", "agent_token: ['<secret>']\nagenttoken: {a: '<secret>'}\n"),
    ] {
        for state in [false, true] {
            let node = Node::new();
            if state {
                node.write("var/lib/rancher/rke2/server/db/state.db", "", 0o600);
            }
            node.boot(&filled(OURS));
            node.stage();
            node.write("etc/rancher/rke2/config.d/95_other.yaml", "", 0o600);
            fs::set_permissions(node.path("etc/rancher/rke2/config.d"), fs::Permissions::from_mode(0o700)).unwrap();
            node.write("etc/rancher/rke2/config.d/95_other.yaml", filled(text), 0o600);
            for arguments in [&["apply", "config"][..], &["apply"], &["status"], &["status", "--format", "json"]] {
                silent(&node.run(arguments), &format!("{name}: {arguments:?}"));
            }
            kept(&node, name);
        }
    }
}

/// Events that are no JSON, or not that of the agent.
#[test]
fn no_secret_of_a_garbled_event_is_told() {
    let node = Node::new();
    let data = |data: &str| serde_json::json!({"name": "agent.boot", "data": data, "file": ""}).to_string();
    let good = serde_json::json!({"config": "cluster:\n  role: init\n  cluster_token: '<secret>'\n"}).to_string();
    for input in [
        "<secret>".to_owned(),
        "{\"<secret>\": ".into(),
        "{\"data\": \"<secret>".into(),
        "{\"data\": [\"<secret>\"]}".into(),
        "{\"data\": {\"config\": \"<secret>\"}}".into(),
        "{\"file\": [\"<secret>\"]}".into(),
        "cluster: {cluster_token: <secret>}\n".into(),
        data("<secret>"),
        data("{\"config\": [\"<secret>\"]}"),
        data("{\"config\": \"<secret>"),
        data("{\"config\": \"\\u0000<secret>\"}"),
        data("{\"config\": \"[<secret>\"}"),
        data(&good).replace("\\n", "\\u0007"),
        data(&good)[..60].to_owned(),
        data(&format!("{good}<secret>")),
    ] {
        let input = filled(&input);
        for name in ["agent.boot", "init.provider.install", "cluster.reset", "agent.install", "init.provider.info"] {
            let ran = support::run(&mut node.program(&[name]), input.as_bytes());
            support::answer(&ran);
            silent(&ran, &format!("{name} {input}"));
            kept(&node, &input);
        }
    }
    assert!(node.exists("var/log/provider-rke2.log") && !node.exists(REFUSED));
}

/// On the machine itself children are started: systemctl and swapoff, in place of which a script writes down what it
/// gets.
#[test]
fn no_child_is_given_a_secret() {
    // The room is a root of its own, with the system's programs and libraries in it.
    const MOUNTS: &str = "
        mount -t tmpfs none \"$1\"
        for directory in bin lib lib32 lib64 libx32 usr/bin usr/lib usr/lib32 usr/lib64 usr/libx32; do
            if [ -L /$directory ]; then
                cp -P /$directory \"$1/$directory\"
            elif [ -d /$directory ]; then
                mkdir -p \"$1/$directory\"
                mount --rbind /$directory \"$1/$directory\"
            fi
        done
        mkdir -p \"$1/usr/sbin\" \"$1/proc\" \"$1/dev\" \"$1/tmp\" \"$1/run/systemd/system\" \"$1/system\"
        touch \"$1/dev/null\"
        mount --bind /dev/null \"$1/dev/null\"
        printf 'Filename Type\\n/swap file\\n' > \"$1/swaps\"
        mkdir \"$1/proc/self\"
        cp \"$1/swaps\" \"$1/proc/swaps\"";
    const CHILD: &str = "#!/bin/sh
{ echo \"$0 $*\"; /usr/bin/env; /usr/bin/cat; } >> /tmp/children
case $* in
*show*agent*) printf 'LoadState=loaded\\nActiveState=inactive\\n';;
*show*) printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\n';;
esac
echo 'a child says something' >&2
";
    const ALL: &str = "#cloud-config
cluster:
  role: init
  cluster_token: '<secret>'
  env: {PASSWORD: '<secret>'}
  config: {agent-token: '<secret>', etcd-extra-env: ['A=<secret>']}
";
    let Some(room) = inner_room() else {
        let room = tempfile::tempdir().unwrap();
        return inside("secrets::no_child_is_given_a_secret", MOUNTS, room.path());
    };
    for name in ["systemctl", "swapoff"] {
        let path = room.join("usr/sbin").join(name);
        fs::write(&path, CHILD).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::copy(support::BINARY, room.join("system/agent-provider-rke2")).unwrap();
    let text = filled(ALL);
    fs::write(room.join("tmp/cloud-config.yaml"), &text).unwrap();
    let program = |arguments: &[&str], stdin: &[u8]| {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(&room).arg("/system/agent-provider-rke2").args(arguments);
        // A token in the environment of the program is none of its children's.
        let ran = support::run(command.env("RKE2_TOKEN", CORE), stdin);
        silent(&ran, &format!("{arguments:?}"));
        ran
    };
    support::answer(&program(&["agent.boot"], &event("agent.boot", &text)));
    let mut ran = Vec::new();
    for arguments in [
        &["apply"][..],
        &["prestart", "rke2-server"],
        &["apply", "service"],
        &["status"],
        &["render", "/tmp/cloud-config.yaml"],
    ] {
        ran.push(program(arguments, b""));
    }
    let children = fs::read_to_string(room.join("tmp/children")).unwrap_or_default();
    assert!(children.contains("/systemctl show") && children.contains("/swapoff -a"), "{children}\n{ran:?}");
    assert!(children.contains("enable --runtime"), "{children}\n{ran:?}");
    assert_eq!(secret_in(&children), None, "{children}");
    assert!(!children.contains("RKE2_TOKEN"), "{children}");
}

/// With another root nothing is started at all.
#[test]
fn below_another_root_nothing_is_started() {
    const ALL: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: '<secret>'\n";
    if !support::can_trace() {
        return;
    }
    let (node, log) = (Node::new(), tempfile::NamedTempFile::new().unwrap());
    let options = ["-etrace=execve,execveat".to_owned()];
    let event = event("agent.boot", &filled(ALL));
    for arguments in [&["agent.boot"][..], &["apply"], &["apply", "service"], &["prestart", "rke2-server"], &["status"]]
    {
        let ran = support::run(&mut support::traced(&node, log.path(), &options, arguments), &event);
        let trace = fs::read_to_string(log.path()).unwrap();
        assert_eq!((ran.code, trace.matches("execve").count()), (Some(0), 1), "{arguments:?} {ran:?}\n{trace}");
        assert_eq!(secret_in(&trace), None, "{trace}");
    }
}

/// A core file would hold everything.
#[test]
fn no_core_is_dumped() {
    for arguments in [&["agent.boot"][..], &["check"], &["render"]] {
        let node = Node::new();
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -S -c unlimited && exec \"$0\" \"$@\"", support::BINARY, "--root"])
            .arg(node.root());
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let limit = |id: u32| {
            let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap_or_default();
            let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
            line.split_whitespace().nth(4).unwrap_or_default().to_owned()
        };
        let is_ours = |id: u32| {
            fs::read_link(format!("/proc/{id}/exe"))
                .is_ok_and(|it| it == Path::new(support::BINARY).canonicalize().unwrap())
        };
        // It waits for stdin now, or is about to.
        let end = Instant::now() + Duration::from_secs(5);
        while !(is_ours(child.id()) && limit(child.id()) == "0") && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        let found = (is_ours(child.id()), limit(child.id()));
        let running = child.try_wait().unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!((running, found), (None, (true, "0".to_owned())), "{arguments:?}");
    }
    // Nor through a pipe to a handler, which no limit stops; other users than root have no secrets of the node.
    if support::can_trace() && rustix::process::geteuid().is_root() {
        let (node, log) = (Node::new(), tempfile::NamedTempFile::new().unwrap());
        support::run(&mut support::traced(&node, log.path(), &["-etrace=prctl".to_owned()], &["status"]), b"");
        let trace = fs::read_to_string(log.path()).unwrap();
        assert!(trace.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0"), "{trace}");
    }
    // The limit before must be another one for this to mean anything.
    let before = Command::new("sh").args(["-c", "ulimit -S -c unlimited && ulimit -S -c"]).output().unwrap();
    if String::from_utf8_lossy(&before.stdout).trim() != "unlimited" {
        eprintln!("left out: core files (they are forbidden here anyway)");
    }
}
