//! `apply trust` on nodes in temporary directories: the certificates are where each distribution expects them, and nothing else changes.
//! The real tools run in the lab (`tests/lab`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::{self, Node, Stamp};

const ONE: &str = include_str!("../../testdata/trust/ca-one.pem");
const TWO: &str = include_str!("../../testdata/trust/ca-two.pem");
const THREE: &str = include_str!("../../testdata/trust/ca-three.pem");

const RECORD: &str = "usr/local/lib/provider-rke2/trust";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// A distribution: what makes it one, where its anchors are, what it would run.
struct Distribution {
    name: &'static str,
    files: &'static [&'static str],
    anchors: &'static str,
    runs: &'static str,
}

const DISTRIBUTIONS: [Distribution; 6] = [
    Distribution {
        name: "Debian",
        files: &[
            "etc/ca-certificates.conf",
            "usr/share/ca-certificates/mozilla/a.crt",
            "usr/sbin/update-ca-certificates",
        ],
        anchors: "usr/local/share/ca-certificates",
        runs: "update-ca-certificates",
    },
    Distribution {
        name: "Fedora",
        files: &["etc/pki/ca-trust/source/README", "usr/bin/update-ca-trust", "usr/bin/trust"],
        anchors: "etc/pki/ca-trust/source/anchors",
        runs: "update-ca-trust extract",
    },
    Distribution {
        name: "Fedora, p11-kit alone",
        files: &["etc/pki/ca-trust/source/README", "usr/bin/trust"],
        anchors: "etc/pki/ca-trust/source/anchors",
        runs: "trust extract --format=pem-bundle --filter=ca-anchors --purpose=server-auth --overwrite /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    },
    Distribution {
        name: "SUSE",
        files: &["etc/pki/trust/README", "usr/sbin/update-ca-certificates", "usr/bin/trust"],
        anchors: "etc/pki/trust/anchors",
        runs: "update-ca-certificates --fresh",
    },
    Distribution {
        name: "Arch",
        files: &["etc/ca-certificates/trust-source/README", "usr/bin/update-ca-trust", "usr/bin/trust"],
        anchors: "etc/ca-certificates/trust-source/anchors",
        runs: "update-ca-trust extract",
    },
    Distribution {
        name: "Arch, p11-kit alone",
        files: &["etc/ca-certificates/trust-source/README", "usr/bin/trust"],
        anchors: "etc/ca-certificates/trust-source/anchors",
        runs: "trust extract --format=pem-bundle --filter=ca-anchors --purpose=server-auth --overwrite /etc/ca-certificates/extracted/tls-ca-bundle.pem",
    },
];

fn node(files: &[&str]) -> Node {
    let node = Node::new();
    for path in files {
        node.write(path, "of the image\n", 0o755);
    }
    node
}

/// Plans a server that trusts these, a PEM text or a path each, and lays out what yip lays out.
fn plan(node: &Node, given: &[&str]) {
    let mut config = "#cloud-config\ncluster:\n  role: init\n  cluster_token: a-token-that-is-long-enough\n".to_owned();
    if !given.is_empty() {
        writeln!(config, "  ca_certs: {}", serde_json::to_string(given).unwrap()).unwrap();
    }
    let answer = node.boot(&config);
    assert_eq!(answer["error"], "", "{answer:?}");
    node.stage();
}

/// Takes the step: its exit status and what it says, without its name.
fn apply(node: &Node) -> (Option<i32>, Vec<String>) {
    let ran = node.run(&["apply", "trust"]);
    (ran.code, ran.said())
}

/// Everything on the node but the records of this boot: content, mode, and when it was changed at all.
fn facts(node: &Node) -> BTreeMap<String, Stamp> {
    const RECORDS: [&str; 3] = ["run/provider-rke2", "var/log", "etc/issue.d"];
    let mut facts = node.stamps("");
    facts.retain(|path, _| !RECORDS.into_iter().any(|record| path.starts_with(record)));
    facts
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_distribution_finds_them_where_it_looks() {
    for Distribution { name, files, anchors, runs } in DISTRIBUTIONS {
        let node = node(files);
        let foreign = format!("{anchors}/provider-rke2-site.crt");
        for foreign in [foreign.as_str(), "usr/local/share/ca-certificates/site.crt"] {
            node.write(foreign, THREE, 0o640);
        }
        let crt = |number: u32| format!("{anchors}/provider-rke2-{number}.crt");
        let would = format!("would run {runs}");

        // Without any, nothing is done.
        plan(&node, &[]);
        let before = facts(&node);
        assert_eq!(apply(&node), (Some(0), vec![]), "{name}");
        assert_eq!(facts(&node), before, "{name}");

        // A text with two, text around them, one of them once more in a file.
        node.write("etc/ssl/site/both.pem", format!("THREE\n{THREE}\r\nONE\n{ONE}"), 0o600);
        plan(&node, &[&format!("the site's\n{ONE}and\n{TWO}"), "/etc/ssl/site/both.pem"]);
        let mut said: Vec<String> = (1..=3).map(|number| format!("/{}: written", crt(number))).collect();
        said.push(would.clone());
        assert_eq!(apply(&node), (Some(0), said), "{name}");
        for (number, pem) in [(1, ONE), (2, TWO), (3, THREE)] {
            assert_eq!(node.read(&crt(number)).as_deref(), Some(pem), "{name}");
            assert_eq!(node.mode(&crt(number)), 0o644, "{name}");
        }

        // Once more: nothing is touched.
        let before = facts(&node);
        assert_eq!(apply(&node), (Some(0), vec![would.clone()]), "{name}");
        assert_eq!(facts(&node), before, "{name}");

        // One less: the numbers close up.
        plan(&node, &[ONE, THREE]);
        let said = vec![format!("/{}: written", crt(2)), format!("/{}: removed", crt(3)), would.clone()];
        assert_eq!(apply(&node), (Some(0), said), "{name}");
        assert_eq!(node.read(&crt(2)).as_deref(), Some(THREE), "{name}");
        assert!(!node.exists(&crt(3)), "{name}");

        // None: ours are gone, those of others are as they were.
        plan(&node, &[]);
        let (code, said) = apply(&node);
        assert_eq!((code, said.len(), said.last()), (Some(0), 3, Some(&would)), "{name}");
        assert!(!node.exists(&crt(1)) && !node.exists(&crt(2)), "{name}");
        for path in [foreign.as_str(), "usr/local/share/ca-certificates/site.crt"] {
            assert_eq!(node.read(path).as_deref(), Some(THREE), "{name}");
            assert_eq!(node.mode(path), 0o640, "{name}");
        }
        assert!(node.left_over().is_empty(), "{name}");
    }
}

#[test]
fn what_another_distribution_had_on_this_node_goes() {
    let node = node(DISTRIBUTIONS[1].files);
    let old = "usr/local/share/ca-certificates/provider-rke2-1.crt";
    node.write(old, ONE, 0o644);
    plan(&node, &[ONE]);
    assert_eq!(apply(&node).0, Some(0));
    assert!(!node.exists(old) && node.exists("etc/pki/ca-trust/source/anchors/provider-rke2-1.crt"));
}

#[test]
fn a_mode_is_mended_and_a_changed_file_put_right() {
    let node = node(DISTRIBUTIONS[0].files);
    let path = "usr/local/share/ca-certificates/provider-rke2-1.crt";
    plan(&node, &[ONE]);
    apply(&node);
    for (bytes, mode) in [(ONE, 0o600), (TWO, 0o644), ("", 0o644)] {
        node.write(path, bytes, mode);
        assert_eq!(apply(&node).0, Some(0));
        assert_eq!((node.read(path).as_deref(), node.mode(path)), (Some(ONE), 0o644));
    }
    // A link is replaced, not followed.
    node.write("etc/victim", "untouched", 0o644);
    node.clear(path);
    symlink("/etc/victim", node.path(path)).unwrap();
    assert_eq!(apply(&node).0, Some(0));
    assert_eq!((node.read(path).as_deref(), node.read("etc/victim").as_deref()), (Some(ONE), Some("untouched")));
}

#[test]
fn a_bad_file_is_told_and_the_others_are_trusted() {
    let node = node(DISTRIBUTIONS[0].files);
    let key = "-----BEGIN EC PRIVATE KEY-----\nU0VDUkVULWtleQ==\n-----END EC PRIVATE KEY-----\n";
    node.write("etc/bad/key.pem", format!("{ONE}{key}"), 0o600);
    node.write("etc/bad/cut.pem", &TWO[..300], 0o644);
    node.write("etc/bad/words.pem", TWO.replacen("MII", "M!I", 1), 0o644);
    node.write("etc/bad/der.crt", include_bytes!("../../testdata/trust/ca-two.der"), 0o644);
    node.write("etc/bad/request.pem", include_str!("../../testdata/trust/request.pem"), 0o644);
    node.write("etc/bad/large.pem", TWO.repeat(2000), 0o644);
    node.fifo("etc/bad/fifo.pem");
    fs::create_dir(node.path("etc/bad/directory")).unwrap();
    symlink("/etc/bad/nowhere", node.path("etc/bad/link.pem")).unwrap();
    let bad =
        ["key.pem", "cut.pem", "words.pem", "der.crt", "request.pem", "large.pem", "fifo.pem", "directory", "link.pem"];
    let paths: Vec<String> = bad.iter().map(|name| format!("/etc/bad/{name}")).collect();
    let mut given = vec![ONE, "/etc/bad/none.pem"];
    given.extend(paths.iter().map(String::as_str));
    given.extend(["/https://user:SECRET-password@host/ca.pem", THREE]);
    plan(&node, &given);
    let put = "put a certificate there, or remove the entry";
    let accepted = "put whole certificates in PEM form there";
    let said = [
        format!("cannot read /etc/bad/none.pem: no such file or directory; {put}"),
        format!("/etc/bad/key.pem: holds a private key; {accepted}"),
        format!("/etc/bad/cut.pem: holds no whole certificate in PEM form; {accepted}"),
        format!("/etc/bad/words.pem: holds a certificate (number 1) that is not base64; {accepted}"),
        format!("/etc/bad/der.crt: holds a certificate in DER form; {accepted}"),
        format!("/etc/bad/request.pem: holds a PEM block other than BEGIN CERTIFICATE; {accepted}"),
        format!("cannot read /etc/bad/large.pem: it has more than 1048576 bytes; {put}"),
        format!("cannot read /etc/bad/fifo.pem: it is a named pipe, not a regular file; {put}"),
        format!("cannot read /etc/bad/directory: it is a directory, not a regular file; {put}"),
        format!("cannot read /etc/bad/link.pem: no such file or directory; {put}"),
        format!("cannot read ***@host/ca.pem: no such file or directory; {put}"),
    ];
    let said: Vec<String> = said.iter().map(|sentence| format!("cluster.ca_certs: {sentence}")).collect();
    let (code, mut told) = apply(&node);
    // What was done is said before.
    assert_eq!((code, told.split_off(3)), (Some(1), said.clone()));
    let anchors = "usr/local/share/ca-certificates";
    assert_eq!(node.read(&format!("{anchors}/provider-rke2-1.crt")).as_deref(), Some(ONE));
    assert_eq!(node.read(&format!("{anchors}/provider-rke2-2.crt")).as_deref(), Some(THREE));
    assert!(!node.exists(&format!("{anchors}/provider-rke2-3.crt")));
    // The status names the step, until it is mended.
    let status = node.read("run/provider-rke2/status.yaml").unwrap();
    assert!(said.iter().all(|sentence| status.contains(sentence)) && status.contains("trust:"), "{status}");
    let told = [status, node.read("var/log/provider-rke2.log").unwrap()].concat();
    assert!(!told.contains("SECRET-") && !told.contains("U0VDUkVU"), "{told}");
    plan(&node, &[ONE]);
    assert_eq!(apply(&node).0, Some(0));
    let status = node.read("run/provider-rke2/status.yaml").unwrap();
    assert!(status.contains("  trust:\n    state: done\n"), "{status}");
}

#[test]
fn a_bundle_without_a_tool_gets_them_at_its_end_and_loses_them_again() {
    let of_image = format!("# the image's, caf\u{e9}\n{THREE}");
    for (files, bytes) in [
        // A tool without what it makes the bundle of would leave ours alone in it.
        (&["usr/sbin/update-ca-certificates", "etc/ca-certificates.conf"][..], of_image.clone().into_bytes()),
        (&[], of_image.trim_end().as_bytes().to_vec()),
        (&[], [of_image.as_bytes(), b"\xff\xfe"].concat()),
        (&[], Vec::new()),
    ] {
        let node = node(files);
        node.write(BUNDLE, &bytes, 0o444);
        let old = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        fs::File::open(node.path(BUNDLE)).unwrap().set_modified(old).unwrap();
        let modified = || fs::metadata(node.path(BUNDLE)).unwrap().modified().unwrap();
        let holds = |certificates: &[&str]| {
            let block = format!(
                "\n# written by provider-rke2: certificates of cluster.ca_certs\n{}# written by provider-rke2: end of cluster.ca_certs\n",
                certificates.concat()
            );
            let block = if certificates.is_empty() { Vec::new() } else { block.into_bytes() };
            assert!(fs::read(node.path(BUNDLE)).unwrap() == [bytes.clone(), block].concat());
            // Kairos puts the bundle of the image back by its time.
            assert_eq!((modified(), node.mode(BUNDLE)), (old, 0o444));
            assert!(node.left_over().is_empty());
        };

        plan(&node, &[]);
        assert_eq!(apply(&node), (Some(0), vec![]));
        holds(&[]);
        plan(&node, &[ONE, TWO]);
        let said = |what: &str| vec![format!("/{BUNDLE}: cluster.ca_certs {what} its end")];
        assert_eq!(apply(&node), (Some(0), said("written at")));
        holds(&[ONE, TWO]);
        let before = facts(&node);
        assert_eq!(apply(&node), (Some(0), vec![]));
        assert_eq!(facts(&node), before);
        plan(&node, &[TWO]);
        assert_eq!(apply(&node), (Some(0), said("written at")));
        holds(&[TWO]);
        // What somebody adds behind ours stays.
        let more = [fs::read(node.path(BUNDLE)).unwrap(), ONE.into()].concat();
        node.clear(BUNDLE);
        node.write(BUNDLE, more, 0o444);
        plan(&node, &[]);
        assert_eq!(apply(&node), (Some(0), said("removed from")));
        assert!(fs::read(node.path(BUNDLE)).unwrap() == [bytes.clone(), ONE.into()].concat());
        assert!(!node.exists(RECORD) && !node.exists("usr/local/share"));
    }
}

#[test]
fn without_a_tool_and_a_bundle_it_is_said_what_to_do() {
    let sentence = "cluster.ca_certs: are not trusted, because this host has neither a tool that makes a bundle of them nor a \
                    bundle; build the certificates into the image, or name them in registries.yaml (ca_file)";
    let node = node(&[]);
    plan(&node, &[ONE]);
    assert_eq!(apply(&node), (Some(1), strings(&[sentence])));
    // A link into the image is not one that could be put back.
    node.write("usr/share/bundle.pem", THREE, 0o644);
    fs::create_dir_all(node.path("etc/ssl/certs")).unwrap();
    symlink("/usr/share/bundle.pem", node.path(BUNDLE)).unwrap();
    assert_eq!(apply(&node), (Some(1), strings(&[sentence])));
    assert_eq!(node.read("usr/share/bundle.pem").as_deref(), Some(THREE));
    assert!(fs::symlink_metadata(node.path(BUNDLE)).unwrap().is_symlink());
    // But the next in the list is taken.
    node.write("etc/pki/tls/certs/ca-bundle.crt", THREE, 0o644);
    assert_eq!(apply(&node).0, Some(0));
    assert!(node.read("etc/pki/tls/certs/ca-bundle.crt").unwrap().contains(ONE));
    plan(&node, &[]);
    assert_eq!(apply(&node).0, Some(0));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    for (files, directory, target, rest) in [
        (
            DISTRIBUTIONS[1].files,
            "etc/pki",
            "/etc/pki/ca-trust/source/anchors/provider-rke2-1.crt",
            ", so cluster.ca_certs are not trusted; make it writable, or build the certificates into the image",
        ),
        (
            &[BUNDLE][..],
            "etc/ssl",
            "/etc/ssl/certs/ca-certificates.crt",
            "; build the certificates into the image, or name them in registries.yaml (ca_file)",
        ),
    ] {
        let node = node(files);
        plan(&node, &[ONE]);
        let Some(said) = read_only(&node, directory) else { return };
        assert_eq!(said, format!("agent-provider-rke2: cannot write {target}: read-only file system{rest}\n"));
        assert!(node.left_over().is_empty());
        // Written again, it is trusted.
        assert_eq!(apply(&node).0, Some(0));
    }
}

/// What the step says where a directory of the node is read-only: in a mount namespace of its own. Nothing where there are none.
fn read_only(node: &Node, directory: &str) -> Option<String> {
    let mount = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    for launcher in [&["--user", "--map-root-user", "--mount", "--"][..], &["--mount", "--"]] {
        let mut command = std::process::Command::new("unshare");
        command
            .args(launcher)
            .args(["sh", "-c", mount, "sh"])
            .arg(node.path(directory))
            .arg(Path::new(support::BINARY));
        let ran = support::run(command.arg("--root").arg(node.root()).args(["apply", "trust"]), b"");
        if ran.stderr.starts_with("agent-provider-rke2: ") {
            assert_eq!(ran.code, Some(1), "{ran:?}");
            return Some(ran.stderr);
        }
    }
    assert!(std::env::var_os("CI").is_none(), "there are no mount namespaces here");
    None
}

#[test]
fn what_cannot_be_read_for_now_stays_trusted() {
    let debian = ["etc/ca-certificates.conf", "usr/share/ca-certificates/README", "usr/sbin/update-ca-certificates"];
    let bundle = ["etc/ssl/certs/ca-certificates.crt"];
    for files in [&debian[..], &bundle[..]] {
        let node = node(files);
        node.write("mnt/site.pem", ONE, 0o644);
        plan(&node, &["/mnt/site.pem", TWO]);
        assert_eq!(apply(&node).0, Some(0));
        let trusted = |pem: &str| {
            let files = node.files("");
            let inside = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(pem.trim());
            files.iter().any(|(path, (_, bytes))| !path.starts_with("mnt") && path.ends_with(".crt") && inside(bytes))
        };
        assert!(trusted(ONE) && trusted(TWO));
        fs::rename(node.path("mnt/site.pem"), node.path("mnt/elsewhere")).unwrap();
        assert_eq!(apply(&node).0, Some(1));
        assert!(trusted(ONE) && trusted(TWO), "{files:?}");
        // No longer asked for, it goes.
        plan(&node, &[TWO]);
        assert_eq!(apply(&node).0, Some(0));
        assert!(!trusted(ONE) && trusted(TWO), "{files:?}");
    }
}
