//! The command line as a person or a pipeline meets it: exit statuses, which stream says what, and what it looks like.

use crate::support::{self, BINARY, Ran};
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const SECRET: &str = "hUsh7hush-Zx9qpLw2";

const CLEAN: &str = "\
#cloud-config
cluster:
  role: init
  cluster_token: hUsh7hush-Zx9qpLw2
  control_plane_host: 10.10.0.5
  config: |
    node-name: server-1
  env:
    PASSWORD: hUsh7hush-Zx9qpLw2
";
/// A note only: RKE2 makes a token.
const NOTED: &str = "#cloud-config\ncluster:\n  role: init\n";
const WARNED: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: hUsh7hush-Zx9qpLw2\n  colour: red\n";
/// RKE2 will not start with such a token, but says so itself.
const ERROR: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: K10hUsh7hush-Zx9qpLw2\n";
const REFUSED: &str = "#cloud-config\ncluster:\n  role: master\n  cluster_token: hUsh7hush-Zx9qpLw2\n";
const UNREADABLE: &str = "#cloud-config\ncluster:\n  role: init\n  role: init\n  cluster_token: hUsh7hush-Zx9qpLw2\n";
const SYNTAX: &str = "#cloud-config\ncluster:\n  role: [init\n";
const NO_SECTION: &str = "#cloud-config\nhostname: a\n";

/// A directory with files of cloud-configs, and in `node` an empty node.
struct Place(TempDir);

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Place {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("node")).unwrap();
        for (name, content) in files {
            fs::write(place.path().join(name), content).unwrap();
        }
        Place(place)
    }

    fn all() -> Place {
        Place::new(&[
            ("clean", CLEAN.as_bytes()),
            ("noted", NOTED.as_bytes()),
            ("warned", WARNED.as_bytes()),
            ("error", ERROR.as_bytes()),
            ("refused", REFUSED.as_bytes()),
            ("unreadable", UNREADABLE.as_bytes()),
            ("syntax", SYNTAX.as_bytes()),
            ("no-section", NO_SECTION.as_bytes()),
            ("null", b"#cloud-config\ncluster:\n"),
            ("empty", b""),
            ("comments", b"#cloud-config\n# cluster: {}\n"),
            ("not-utf-8", b"#cloud-config\nhostname: caf\xe9\n"),
        ])
    }

    fn node(&self) -> std::path::PathBuf {
        self.0.path().join("node")
    }

    /// The program on the node, in the directory of the files.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("--root").arg(self.node()).args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("NO_COLOR");
        command
    }

    /// The same with streams that a shell has redirected.
    fn redirected(&self, arguments: &[&str], redirection: &str) -> Ran {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("exec \"$0\" \"$@\" {redirection}"), BINARY, "--root"])
            .arg(self.node())
            .args(arguments)
            .current_dir(self.0.path());
        support::run(&mut shell, b"")
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        support::run(&mut self.command(arguments), b"")
    }

    fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        support::run(&mut self.command(arguments), stdin)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(untouched(&self.node()), "", "render and check change nothing on the node");
        }
    }
}

/// What is on the node that no test has put there.
fn untouched(node: &Path) -> String {
    support::tree(node).lines().filter(|line| !line.contains("/var")).collect::<Vec<_>>().join("\n")
}

// --- exit status and streams --------------------------------------------------------------------------------------

#[test]
fn check_ends_with_the_status_of_the_worst_file() {
    let place = Place::all();
    for (files, code, strict) in [
        (&["clean"][..], 0, 0),
        (&["noted"], 0, 0),
        (&["warned"], 0, 1),
        (&["error"], 1, 1),
        (&["refused"], 1, 1),
        (&["unreadable"], 1, 1),
        (&["syntax"], 1, 1),
        (&["no-section"], 0, 1),
        (&["null"], 0, 1),
        (&["empty"], 0, 1),
        (&["comments"], 0, 1),
        (&["not-utf-8"], 2, 2),
        (&["missing"], 2, 2),
        (&["node"], 0, 1),
        (&["clean", "warned"], 0, 1),
        (&["warned", "clean"], 0, 1),
        (&["refused", "clean"], 1, 1),
        (&["clean", "error", "warned"], 1, 1),
        (&["missing", "refused", "clean"], 2, 2),
        (&["refused", "missing"], 2, 2),
        (&["unreadable", "refused"], 1, 1),
        (&["clean", "clean"], 0, 0),
    ] {
        for format in ["text", "json", "github", "sarif"] {
            let arguments = [&["check", "--format", format][..], files].concat();
            let ran = place.run(&arguments);
            assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
            let strict_ran = place.run(&[&["check", "--strict", "--format", format][..], files].concat());
            assert_eq!(strict_ran.code, Some(strict), "{arguments:?} --strict: {strict_ran:?}");
            assert_eq!(strict_ran.stdout, ran.stdout, "{arguments:?}: --strict changes the status only");
        }
    }
}

#[test]
fn check_prints_findings_to_stdout_and_troubles_to_stderr() {
    let place = Place::all();
    let check = |file: &str| {
        let ran = place.run(&["check", file]);
        assert_eq!(ran.stderr, "", "{ran:?}");
        let (sentence, rest) = ran.stdout.split_once('\n').unwrap();
        (sentence.to_owned(), rest.to_owned())
    };
    let clean = "clean: init, rke2-server, others join at https://10.10.0.5:9345, no findings\n";
    assert_eq!(place.run(&["check", "clean"]).outcome(), (Some(0), clean, ""));
    for file in ["no-section", "null", "empty", "comments"] {
        let (found, rest) = check(file);
        assert!(found.starts_with("warning: no cluster section"), "{found}");
        assert!(rest.ends_with(&format!("\n{file}: no cluster section, 1 warning\n")), "{rest}");
    }
    let (found, rest) = check("noted");
    assert!(found.starts_with("note: cluster.cluster_token: ") && found.ends_with(" [token-generated]"), "{found}");
    assert!(rest.starts_with(" --> noted:2:1\n"), "{rest}");
    assert_eq!(
        check("warned").1,
        " --> warned:5:3

more about a code: agent-provider-rke2 explain unknown-key
warned: init, rke2-server, 1 warning
"
    );
    let (found, rest) = check("error");
    assert!(found.starts_with("error: cluster.cluster_token: "), "{found}");
    assert!(rest.starts_with(" --> error:4:18\n  |\n4 |   cluster_token: …\n  |                  ^\n"), "{rest}");
    let (found, rest) = check("refused");
    assert!(["init", "controlplane", "master"].iter().all(|word| found.contains(word)), "{found}");
    assert!(rest.starts_with(" --> refused:3:9\n  |\n3 |   role: master\n  |         ^^^^^^\n"), "{rest}");
    let (found, rest) = check("unreadable");
    assert!(found.contains("\"role\"") && found.ends_with(" [cloud-config-unreadable]"), "{found}");
    assert!(rest.starts_with(" --> unreadable:4:3\n"), "{rest}");
    let (found, rest) = check("syntax");
    assert!(found.contains("`]` is expected"), "{found}");
    assert!(rest.starts_with(" --> syntax:3:14\n\n"), "nothing is shown of what does not parse: {rest}");

    for (file, reason) in
        [("missing", "no such file or directory"), ("node", "directory"), ("not-utf-8", "is not UTF-8 from byte 27 on")]
    {
        // check merges a directory.
        for verb in ["check", "render"].into_iter().filter(|verb| (*verb, file) != ("check", "node")) {
            let ran = place.run(&[verb, file]);
            let told = if verb == "check" { format!("{file}: cannot be read\n") } else { String::new() };
            assert_eq!((ran.code, &*ran.stdout), (Some(2), &*told), "{verb} {file}");
            assert_eq!(ran.stderr.lines().count(), 1, "{verb}: {ran:?}");
            assert!(ran.stderr.contains(file) && ran.stderr.contains(reason), "{verb}: {ran:?}");
        }
    }
    // One that cannot be read does not hide the others.
    let ran = place.run(&["check", "refused", "missing", "warned"]);
    assert_eq!(places(&ran), ["refused:3:9", "warned:5:3"]);
    let last: Vec<&str> = ran.stdout.lines().rev().take(3).collect();
    assert!(last[0] == "missing: cannot be read" && last[2].starts_with("refused: no role, 1 refused"), "{ran:?}");
    assert!(ran.stderr.contains("missing"), "{ran:?}");
}

/// Where findings are said to stand.
fn places(ran: &Ran) -> Vec<&str> {
    ran.stdout.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect()
}

/// The sentences of findings.
fn sentences(ran: &Ran) -> Vec<&str> {
    ran.stdout.lines().filter(|line| line.ends_with(']') && line.contains(" [")).collect()
}

/// What the Kairos collector leaves out (measured with its `HasValidHeader`), and its neighbours that it reads.
#[test]
fn a_file_that_kairos_leaves_out_is_refused() {
    let section = CLEAN.strip_prefix("#cloud-config\n").unwrap();
    let size = |bytes: usize| {
        format!("#cloud-config\n{section}#{}", "x".repeat(bytes - "#cloud-config\n#".len() - section.len()))
    };
    for (text, code) in [
        (CLEAN.to_owned(), None),
        (format!("#cloud-cfg\n{section}"), Some("header-missing")),
        (section.to_owned(), Some("header-missing")),
        (format!("# cloud-config\n{section}"), Some("header-missing")),
        (format!(" #cloud-config\n{section}"), Some("header-missing")),
        (format!("#cloud-config: \n{section}"), Some("header-missing")),
        (format!("#cloud-config \t\r\n{section}"), None),
        (format!("#kairos-config\n{section}"), None),
        (format!("#node-config\n{section}"), None),
        (format!("{}#cloud-config\n{section}", "# x\n".repeat(8)), None),
        (format!("{}#cloud-config\n{section}", "\n".repeat(8)), None),
        (format!("{}#cloud-config\n{section}", "# x\n".repeat(9)), Some("header-missing")),
        (format!("\u{feff}{CLEAN}"), Some("byte-order-mark")),
        (format!("\u{feff}\n{CLEAN}"), Some("byte-order-mark")),
        (size((2 << 20) - 1), None),
        (size(2 << 20), Some("file-too-large")),
        // Whatever else is wrong with it, nobody will read it.
        (format!("#cloud-cfg\n{section}\t:\n"), Some("header-missing")),
        // Without a cluster section it may be a file of anybody.
        ("stages:\n  boot: []\n".to_owned(), None),
    ] {
        let place = Place::new(&[("file", text.as_bytes())]);
        let shown = text.chars().take(60).collect::<String>();
        let ran = place.run(&["check", "file"]);
        let found: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("Kairos leaves it out")).collect();
        assert_eq!(
            (ran.code, found.len()),
            (Some(i32::from(code.is_some())), usize::from(code.is_some())),
            "{shown:?}"
        );
        assert!(
            found.iter().all(|line| line.starts_with("refused: ") && line.ends_with(&format!("[{}]", code.unwrap()))),
            "{found:?}"
        );
        assert_eq!(place.run(&["render", "file"]).code, ran.code, "{shown:?}");
    }
}

#[test]
fn what_cannot_be_read_in_a_directory_is_named_as_it_was_given() {
    let place = Place::all();
    let directory = place.0.path().join("oem");
    fs::create_dir_all(directory.join("deeper")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.join("a.yaml")).unwrap();
    support::fifo(&directory.join("deeper/b.yaml"));
    for argument in ["oem", "oem/", "./oem"] {
        let ran = place.run(&["check", argument]);
        let name = argument.trim_end_matches('/');
        assert!(ran.stdout.contains(&format!("cannot read {name}/a.yaml: ")), "{ran:?}");
        assert!(ran.stdout.contains(&format!("cannot read {name}/deeper/b.yaml: ")), "{ran:?}");
    }
}

#[test]
fn standard_input_is_a_file_too() {
    let place = Place::all();
    for arguments in [&["check"][..], &["check", "-"]] {
        let ran = place.run_with(arguments, REFUSED.as_bytes());
        assert_eq!(ran.code, Some(1));
        assert_eq!(places(&ran), ["-:3:9"]);
    }
    let ran = place.run_with(&["check", "warned", "-", "clean"], REFUSED.as_bytes());
    assert_eq!(ran.code, Some(1));
    assert_eq!(places(&ran), ["warned:5:3", "-:3:9"]);
    let of_file = place.run(&["render", "clean"]);
    assert_eq!(of_file.code, Some(0));
    for arguments in [&["render"][..], &["render", "-"]] {
        assert_eq!(place.run_with(arguments, CLEAN.as_bytes()).outcome(), of_file.outcome());
        assert_eq!(place.run_with(arguments, b"").code, Some(0));
        let ran = place.run_with(arguments, b"cluster: \xff\n");
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
        assert!(ran.stderr.contains("byte 9"), "{ran:?}");
    }
    for verb in ["check", "render"] {
        let large = format!("{CLEAN}#{}", "x".repeat(17 << 20));
        let ran = place.run_with(&[verb], large.as_bytes());
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("standard input") && ran.stderr.contains("16 MiB"), "{ran:?}");
        fs::write(place.0.path().join("large"), large).unwrap();
        let ran = place.run(&[verb, "large"]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("large"), "{ran:?}");
    }
    // What a shell makes of <(...).
    support::fifo(&place.0.path().join("fifo"));
    let fifo = place.0.path().join("fifo");
    let writer = std::thread::spawn(move || fs::write(fifo, REFUSED));
    assert_eq!(place.run(&["check", "fifo"]).code, Some(1));
    writer.join().unwrap().unwrap();
}

#[test]
fn render_prints_the_whole_document_or_nothing() {
    let place = Place::all();
    for (file, code) in [
        ("no-section", 0),
        ("null", 0),
        ("empty", 0),
        ("comments", 0),
        ("refused", 1),
        ("unreadable", 1),
        ("syntax", 1),
    ] {
        for arguments in [&["render", file][..], &["render", "--show-secrets", file]] {
            let ran = place.run(arguments);
            assert_eq!((ran.code, &*ran.stdout), (Some(code), ""), "{file}: {ran:?}");
            assert_eq!(ran.stderr.is_empty(), code == 0, "{file}: {ran:?}");
        }
    }
    for file in ["clean", "noted", "warned", "error"] {
        let ran = place.run(&["render", file]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{file}");
        assert!(ran.stdout.starts_with("#cloud-config\nname: RKE2 Kairos Cluster Provider\n"), "{file}: {ran:?}");
        assert!(ran.stdout.ends_with('\n'), "{file}");
        assert_eq!(place.run(&["render", file]).outcome(), ran.outcome(), "{file}: the same input, the same bytes");
    }
    // The same words on each of the ways to a person.
    let checked = place.run(&["check", "refused"]);
    let sentence = sentences(&checked)[0].strip_prefix("refused: ").unwrap().strip_suffix(" [role-unknown]").unwrap();
    assert!(place.run(&["render", "refused"]).stderr.contains(sentence));
    let node = tempfile::tempdir().unwrap();
    assert_eq!(support::boot(node.path(), REFUSED).error, sentence);
    let duplicate = place.run(&["render", "unreadable"]).stderr;
    assert!(duplicate.contains("\"role\"") && duplicate.contains("lines 3 and 4"), "{duplicate}");
}

#[test]
fn render_shows_what_boot_writes_and_masks_what_is_secret() {
    let place = Place::all();
    let shown = place.run(&["render", "--show-secrets", "--program", BINARY, "clean"]).stdout;
    let node = tempfile::tempdir().unwrap();
    let event = support::event("agent.boot", CLEAN);
    let output = Command::new(BINARY)
        .arg("--root")
        .arg(node.path())
        .arg("agent.boot")
        .stdin(support::stdin(&event))
        .output()
        .unwrap();
    assert!(output.status.success());
    let written = fs::read_to_string(node.path().join("usr/local/cloud-config/cluster.kairos.yaml")).unwrap();
    // The hash of the event is all that it has more: of a token, and so for root alone.
    let (first, rest) = written.split_once("\n# payload ").unwrap();
    assert_eq!(shown, format!("{first}\n{}", rest.split_once('\n').unwrap().1));
    assert_eq!(shown.matches(SECRET).count(), 2, "the token and the variable: {shown}");

    let masked = place.run(&["render", "--program", BINARY, "clean"]).stdout;
    assert!(!masked.contains(SECRET), "{masked}");
    assert!(masked.contains("***") && !shown.contains("***"));
    assert_eq!(masked.lines().count(), shown.lines().count());
    for (masked, shown) in masked.lines().zip(shown.lines()) {
        assert!(masked == shown || masked.contains("***") || shown.contains("# plan "), "{masked:?} for {shown:?}");
    }
    // Nothing in it depends on a secret: not a length, not a hash (the plan id).
    let other = CLEAN.replace(SECRET, "another-and-a-longer-one");
    assert_eq!(place.run_with(&["render", "--program", BINARY], other.as_bytes()).stdout, masked);
}

/// So that it is the same on every machine, whatever is installed there and whatever its name and its addresses are.
#[test]
fn render_reads_nothing_of_the_machine_unless_it_is_named() {
    if !support::can_trace() {
        return;
    }
    let asking = format!("{CLEAN}  providerConfig:\n    profile: cis\n    selinux: \"true\"\n");
    let place = Place::new(&[("asking", asking.as_bytes())]);
    let (file, log) = (place.0.path().join("asking"), place.0.path().join("log"));
    let ran = |arguments: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=%file,%network,uname", "-o"]).arg(&log).arg(BINARY).args(arguments).arg(&file);
        let ran = support::run(&mut command, b"");
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        let log = fs::read_to_string(&log).unwrap();
        // Before it are the loader and the standard library, behind it the program.
        let (_, own) = log.split_once("\"/proc/self/exe\"").expect(&log);
        let calls = own.lines().skip(1).filter(|line| !line.contains("+++"));
        let paths: Vec<String> =
            calls.map(|line| line.split('"').nth(1).unwrap_or(line).to_owned()).filter(|it| it != "/").collect();
        (ran.stdout, paths)
    };
    let (fresh, paths) = ran(&["render"]);
    assert_eq!(paths, [file.to_str().unwrap()]);
    assert_eq!(ran(&["--root", place.node().to_str().unwrap(), "render"]).0, fresh, "a node without RKE2");
    let (_, paths) = ran(&["render", "--root", "/"]);
    assert!(paths.iter().any(|path| path.starts_with("/var/lib/rancher/rke2/")), "{paths:?}");
    assert!(paths.iter().any(|path| path == "/usr/bin/rke2"), "{paths:?}");
}

#[test]
fn render_is_for_the_node_that_is_named() {
    let place = Place::new(&[]);
    fs::create_dir_all(place.node().join("var/lib/rancher/rke2/server/db")).unwrap();
    let text = format!("{REFUSED}  control_plane_host: 10.10.0.5\n");
    // A server that runs keeps what the Go provider made of its role.
    let named = place.run_with(&["render"], text.as_bytes());
    assert_eq!(named.code, Some(0), "{named:?}");
    let unnamed = support::run(Command::new(BINARY).arg("render"), text.as_bytes());
    assert_eq!((unnamed.code, &*unnamed.stdout), (Some(1), ""), "{unnamed:?}");
}

#[test]
fn neither_verb_tells_a_secret() {
    let place = Place::new(&[]);
    for section in [
        "  role: init\n  cluster_token: [SECRET]\n",
        "  role: init\n  cluster_token: {SECRET: SECRET}\n",
        "  role: init\n  cluster_token: K10SECRET\n",
        "  role: init\n  cluster_token: \"SECRET\n",
        "  role: init\n  cluster_token: SECRET: SECRET\n",
        "  role: init\n  cluster_token: SECRET\n  cluster_token: SECRET\n",
        "  role: init\n  cluster_tokn: SECRET\n",
        "  role: init\n  env: {A: \"SECRET\\nSECRET\", B: SECRET, HTTP_PROXY: \"http://u:SECRET@h\"}\n",
        "  role: init\n  env: A=SECRET\n",
        "  role: init\n  env: {A: SECRET, HTTP_PROXY: \"http://u:SECRET@h\"}\n",
        "  role: init
  config: |
    token: SECRET
    agent-token: SECRET
    t: SECRET
    server: https://u:SECRET@h:9345
",
        "  role: init\n  config: |\n    token: \"SECRET\n",
        "  role: init\n  config: |\n    agent-token: {a: SECRET}\n    vpn-auth: [SECRET, SECRET]\n",
        "  role: init\n  config: |\n    agent-token: [SECRET]\n    etcd-s3-secret-key: [SECRET]\n",
        "  role: init
  config: |
    etcd-s3-access-key: SECRET
    etcd-s3-secret-key: SECRET
    etcd-s3-session-token: SECRET
",
        "  role: init
  config: |
    datastore-endpoint: postgres://u:SECRET@db/rke2
    vpn-auth: name=t,joinKey=SECRET
",
        "  role: init
  config: |
    etcd-extra-env: A=SECRET
    kube-apiserver-extra-env: [A=SECRET, B=SECRET=SECRET]
",
        "  role: init\n  config: |\n    agent-token: '{{ .Values.a }}SECRET'\n    token: \"{{ bad SECRET }}\"\n",
        "  role: init
  config: |
    private-registry: https://u:SECRET@h/r.yaml
    node-name: http://u:SECRET@h
",
        "  role: init\n  config: |\n    kubelet-arg: [\"endpoint=https://u:SECRET@h\"]\n",
        "  role: init\n  providerConfig: {agent-token: SECRET, etcd-s3-secret-key: SECRET}\n",
        "  role: init\n  providerConfig: {agent-token: [SECRET]}\n",
        "  role: worker\n  cluster_token: x\n  control_plane_host: https://u:SECRET@h\n",
        "  role: worker\n  cluster_token: x\n  control_plane_host: u:SECRET@h\n",
        "  role: init\n  ca_certs: [\"-----BEGIN PRIVATE KEY-----\\nSECRET\\n-----END PRIVATE KEY-----\\n\"]\n",
    ] {
        let text = format!("#cloud-config\ncluster:\n{section}").replace("SECRET", SECRET);
        for arguments in [
            &["render"][..],
            &["check"],
            &["check", "--format", "json"],
            &["check", "--format", "github"],
            &["check", "--format", "sarif"],
        ] {
            let ran = place.run_with(arguments, text.as_bytes());
            assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{arguments:?} {section:?}: {ran:?}");
        }
    }
}

// --- formats ------------------------------------------------------------------------------------------------------

#[test]
fn json_is_one_array_whatever_was_found() {
    let place = Place::all();
    let array = |arguments: &[&str]| -> Vec<Value> {
        let ran = place.run(arguments);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {ran:?}"))
    };
    assert_eq!(array(&["check", "--format", "json", "clean"]), [Value::Null; 0]);
    for file in ["missing", "not-utf-8"] {
        let found = array(&["check", "--format", "json", "clean", file]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&found[0]["code"], &found[0]["file"]), (&"input-unreadable".into(), &file.into()));
    }
    let found = array(&["check", "--format=json", "refused", "warned", "unreadable", "noted"]);
    assert_eq!(found.iter().map(|it| it["column"].as_u64().unwrap()).collect::<Vec<_>>(), [9, 3, 3, 1]);
    assert_eq!(found[0]["end"], serde_json::json!({"line": 3, "column": 15}));
    assert_eq!(found[0]["explain"], "docs/findings.md#role-unknown");
    let field = |key: &str| found.iter().map(|it| it[key].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(field("file"), ["refused", "warned", "unreadable", "noted"]);
    assert_eq!(field("severity"), ["refused", "warning", "refused", "note"]);
    assert_eq!(field("code"), ["role-unknown", "unknown-key", "cloud-config-unreadable", "token-generated"]);
    assert_eq!(field("path"), ["cluster.role", "cluster.colour", "", "cluster.cluster_token"]);
    assert_eq!(found.iter().map(|it| it["line"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 5, 4, 2]);
    assert!(field("help").iter().all(|help| !help.is_empty()));
    for (found, file) in found.iter().zip(["refused", "warned", "unreadable", "noted"]) {
        let text = place.run(&["check", file]).stdout;
        assert!(text.contains(found["message"].as_str().unwrap()), "{text}: the same sentence");
    }
}

#[test]
fn github_gets_a_workflow_command_for_each_finding() {
    let place = Place::all();
    let ran = place.run(&["check", "--format", "github", "refused", "warned", "noted", "error", "clean"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ran:?}");
    for (line, start) in lines.iter().zip([
        "::error file=refused,line=3,col=9,endColumn=14,title=role-unknown::cluster.role: ",
        "::warning file=warned,line=5,col=3,endColumn=3,title=unknown-key::cluster.colour: ",
        "::notice file=noted,line=2,col=1,endColumn=7,title=token-generated::cluster.cluster_token: ",
        "::error file=error,line=4,col=18,endColumn=18,title=token-malformed::cluster.cluster_token: ",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
    // A name or a key cannot end the command or begin another.
    let hostile = "a,line=9::x%0A\n::error ::b";
    let config = "#cloud-config\ncluster:\n  role: init\n  cluster_token: hUsh7hush-Zx9qpLw2\n  \"100%\\n::stop\": 1\n";
    let place = Place::new(&[(hostile, config.as_bytes())]);
    let ran = place.run(&["check", "--format", "github", hostile]);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let properties = ran.stdout.strip_prefix("::warning ").unwrap().split_once("::").unwrap().0;
    assert_eq!(properties.matches(',').count(), 4, "{properties}");
    assert!(
        properties.ends_with(",line=5,col=3,endColumn=3,title=unknown-key") && !properties.contains("x%0A"),
        "{properties}"
    );
    assert!(ran.stdout.contains("100%25"), "{ran:?}");
}

#[test]
fn more_than_twenty_of_a_code_are_counted() {
    let keys = |count: usize| -> String { (0..count).map(|number| format!("  key-{number}: x\n")).collect() };
    let text = |count| format!("{}{}", CLEAN, keys(count));
    let place = Place::new(&[("twenty", text(20).as_bytes()), ("many", text(33).as_bytes())]);
    let twenty = place.run(&["check", "twenty"]);
    assert_eq!(sentences(&twenty).len(), 20, "{twenty:?}");
    assert!(!twenty.stdout.contains(" more of "), "{twenty:?}");
    let many = place.run(&["check", "many"]);
    assert_eq!(places(&many).len(), 20, "{many:?}");
    assert_eq!(many.stdout.matches("\nmany: 13 more of [unknown-key]\n").count(), 1, "{many:?}");
    assert!(many.stdout.ends_with("many: init, rke2-server, others join at https://10.10.0.5:9345, 33 warnings\n"));
    // Another code is not counted with them, and a file not with the one before.
    let other = format!("{REFUSED}{}", keys(33));
    let ran = place.run_with(&["check", "many", "-"], other.as_bytes());
    assert_eq!(places(&ran).len(), 20 + 21, "{ran:?}");
    assert_eq!(ran.stdout.lines().filter(|line| line.contains("13 more")).count(), 2);

    let array: Vec<Value> = serde_json::from_str(&place.run(&["check", "--format", "json", "many"]).stdout).unwrap();
    assert_eq!(array.len(), 33, "a machine gets all of them");
    let github = place.run(&["check", "--format", "github", "many"]).stdout;
    assert_eq!(github.lines().count(), 33);
}

#[test]
fn render_counts_them_too() {
    let place = Place::all();
    let bad: String = (0..30).map(|number| format!("    BAD_{number}: \"x\\ty\"\n")).collect();
    let refused = place.run_with(&["render"], format!("{NOTED}  env:\n{bad}").as_bytes());
    assert_eq!((refused.code, &*refused.stdout), (Some(1), ""));
    assert_eq!(refused.stderr.lines().count(), 21, "the same limit wherever findings are printed: {refused:?}");
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let config = "#cloud-config\ncluster:\n  role: \"\\e[31mred\\u202e\\u0007\\x9b\\r\"\n  \"\\e]0;x\\a\": 1\n";
    let name = "a\u{1b}[31m\u{202e}b\n";
    let place = Place::new(&[(name, config.as_bytes())]);
    let missing = format!("{name}missing");
    for arguments in [&["check", name][..], &["render", name], &["check", &missing], &["render", &missing]] {
        assert_plain(&place, arguments);
    }
    // A program that reads JSON wants the name as it is; a terminal is safe from it all the same.
    let ran = place.run(&["check", "--format", "json", name]);
    assert!(!ran.stdout.chars().any(|c| c != '\n' && c.is_ascii_control()), "{ran:?}");
    let found: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert!(found.iter().all(|it| it["file"] == name), "{found:?}");
}

#[test]
fn what_a_log_viewer_would_obey_is_escaped_too() {
    let name = "a\u{1b}[31m\u{202e}b\n";
    let place = Place::new(&[(name, REFUSED.as_bytes())]);
    assert_plain(&place, &["check", "--format", "github", name]);
}

fn assert_plain(place: &Place, arguments: &[&str]) {
    let ran = place.run(arguments);
    assert_ne!(ran.code, Some(0));
    for text in [&ran.stdout, &ran.stderr] {
        let bad = text.chars().find(|&c| c != '\n' && (c.is_control() || c == '\u{202e}'));
        assert_eq!(bad, None, "{arguments:?}: {text:?}");
    }
}

/// Runs a command on a terminal of its own, by script(1), and gives what the terminal got.
fn on_a_terminal(place: &Place, set: &str, arguments: &str) -> String {
    let line = format!("{set} {BINARY} --root {} {arguments}; echo status $?", place.node().display());
    let output = Command::new("script")
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .current_dir(place.0.path())
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn colour_is_for_terminals() {
    let place = Place::all();
    for (name, value) in [("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1"), ("NO_COLOR", ""), ("NO_COLOR", "1")] {
        for arguments in
            [&["check", "refused", "warned"][..], &["render", "clean"], &["render", "refused"], &["--help"], &["bogus"]]
        {
            let ran = support::run(place.command(arguments).env(name, value), b"");
            assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{name}={value}: {ran:?}");
        }
    }
    if Command::new("script").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "script(1) is missing");
        eprintln!("left out for want of script(1): colour on a terminal");
        return;
    }
    for (set, colored) in
        [("", true), ("NO_COLOR=", true), ("NO_COLOR=1", false), ("NO_COLOR=0", false), ("TERM=dumb", false)]
    {
        let text = on_a_terminal(&place, set, "check refused");
        assert!(text.contains("cluster.role") && text.contains("status 1"), "{set}: {text:?}");
        assert_eq!(text.contains("\u{1b}["), colored, "{set}: {text:?}");
    }
    for arguments in
        ["check --format sarif refused", "check --format json refused", "check --format github refused", "render clean"]
    {
        let text = on_a_terminal(&place, "", arguments);
        assert!(!text.contains('\u{1b}'), "{arguments}: {text:?}");
    }
    // A person who types the name of an event gets help, not a program that waits for input.
    let text = on_a_terminal(&place, "", "agent.boot");
    assert!(text.contains("Usage: agent-provider-rke2") && text.contains("status 2"), "{text:?}");
}

// --- usage --------------------------------------------------------------------------------------------------------

#[test]
fn wrong_usage_ends_with_2_and_says_so_on_stderr() {
    let place = Place::all();
    for arguments in [
        &[][..],
        &["bogus"],
        &["check", "--bogus", "clean"],
        &["--bogus", "check", "clean"],
        &["check", "--format", "xml", "clean"],
        &["check", "--format"],
        &["render", "clean", "clean"],
        &["render", "--strict", "clean"],
        &["check", "--show-secrets", "clean"],
        &["--root"],
        &["apply", "bogus"],
        &["apply", "config", "service"],
        &["prestart"],
        &["prestart", "sshd"],
        &["status", "--format", "github"],
        &["agent.boot", "more"],
        &["--x.y"],
        &[""],
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
    assert!(place.run(&["bogus"]).stderr.contains("bogus"));
    assert!(place.run(&["chekc"]).stderr.contains("check"), "the nearest verb is named");
    let hint = "is the name of an event";
    for arguments in [&["check", "--format", "xml", "i.yaml"][..], &["render", "a.yaml", "i.yaml"]] {
        let ran = place.run(arguments);
        assert!(!ran.stderr.contains(hint), "a file is no event: {ran:?}");
    }
    let ran = place.run(&["agent.boot", "more"]);
    assert!(ran.stderr.contains(&format!("agent.boot: {hint}")), "{ran:?}");
}

#[test]
fn a_root_that_is_no_directory_is_wrong_usage() {
    let place = Place::all();
    for root in ["nowhere", "clean", "clean/below", ""] {
        for verb in ["check", "render"] {
            let ran = support::run(
                Command::new(BINARY).args(["--root", root, verb, "clean"]).current_dir(place.0.path()),
                b"",
            );
            assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{root:?}: {ran:?}");
            assert!(ran.stderr.contains(root) && ran.stderr.contains("root"), "{root:?}: {ran:?}");
        }
    }
}

#[test]
fn the_root_tells_whether_the_node_has_state() {
    let place = Place::all();
    assert_eq!(place.run(&["check", "refused"]).code, Some(1));
    fs::create_dir_all(place.node().join("var/lib/rancher/rke2/server/db")).unwrap();
    // A server that the Go provider brought up: master meant a joining server, which has a token but no host here.
    let joined = REFUSED.to_owned() + "  control_plane_host: 10.0.0.1\n";
    let ran = place.run_with(&["check"], joined.as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("warning: cluster.role: "), "{ran:?}");
    let ran = place.run_with(&["render"], joined.as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("role: controlplane"), "{ran:?}");
}

#[test]
fn the_version_names_the_revision() {
    for argument in ["--version", "-V"] {
        let ran = support::run(Command::new(BINARY).arg(argument), b"");
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        let rest = ran.stdout.strip_prefix("agent-provider-rke2 ").unwrap().strip_suffix(")\n").unwrap();
        let (version, revision) = rest.split_once(" (").unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        let numbers: Vec<&str> = version.split('.').collect();
        assert!(numbers.len() == 3 && numbers.iter().all(|it| it.parse::<u32>().is_ok()), "{version}");
        let is_hex = revision.len() >= 7 && revision.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        assert!(is_hex || revision == "unknown", "{revision}");
    }
}

#[test]
fn help_goes_to_stdout() {
    let place = Place::all();
    for arguments in
        [&["--help"][..], &["-h"], &["help"], &["render", "--help"], &["check", "--help"], &["help", "check"]]
    {
        let ran = place.run(arguments);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{arguments:?}");
        assert!(ran.stdout.contains("Usage: agent-provider-rke2"), "{ran:?}");
    }
}

/// What a pipeline keeps of an output that did not fit on the disk is not the output.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::all();
    for (arguments, code) in [
        (&["check", "clean"][..], 1),
        (&["check", "--format", "json", "clean"], 1),
        (&["check", "missing"], 2),
        (&["render", "clean"], 1),
        (&["migrate", "clean"], 1),
        (&["diff", "clean", "warned"], 1),
        (&["schema"], 1),
        (&["explain", "role"], 1),
        (&["completions", "bash"], 1),
        (&["man"], 1),
        (&["--version"], 1),
        (&["--help"], 1),
    ] {
        for redirection in [">/dev/full", ">/dev/full 2>/dev/full", ">/dev/full 2>&-"] {
            let ran = place.redirected(arguments, redirection);
            assert_eq!(ran.code, Some(code), "{arguments:?} {redirection}: {ran:?}");
            let is_told = ran.stderr.contains("cannot write to standard output: no space left on device");
            assert_eq!(is_told, redirection == ">/dev/full", "{arguments:?} {redirection}: {ran:?}");
        }
    }
    // What prints nothing loses nothing.
    assert_eq!(place.redirected(&["render"], ">/dev/full").code, Some(0));
}

#[test]
fn a_closed_stream_is_no_error() {
    let place = Place::all();
    for (arguments, code) in [
        (&["check", "clean"][..], 0),
        (&["check", "warned"], 0),
        (&["check", "--strict", "warned"], 1),
        (&["check", "refused"], 1),
        (&["check", "missing"], 2),
        (&["check", "--format", "json", "refused"], 1),
        (&["check", "--format", "github", "refused"], 1),
        (&["render", "clean"], 0),
        (&["render", "refused"], 1),
        (&["render", "missing"], 2),
        (&["--version"], 0),
        (&["--help"], 0),
        (&["bogus"], 2),
    ] {
        for redirection in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"] {
            assert_eq!(place.redirected(arguments, redirection).code, Some(code), "{arguments:?} {redirection}");
        }
        // A reader that has gone: `check … | head -0`.
        for stderr_too in [false, true] {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            let mut command = place.command(arguments);
            if stderr_too {
                command.stderr(writer.try_clone().unwrap());
            } else {
                command.stderr(Stdio::null());
            }
            let status = command.stdout(writer).status().unwrap();
            assert_eq!((status.code(), status.signal()), (Some(code), None), "{arguments:?}");
        }
    }
    // Without stdin there is an empty file.
    for (verb, lines) in [("check", 5), ("render", 0)] {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec \"$0\" \"$@\" <&-", BINARY, "--root"]).arg(place.node()).arg(verb);
        let ran = support::run(&mut shell, b"");
        assert_eq!((ran.code, ran.stdout.lines().count(), &*ran.stderr), (Some(0), lines, ""), "{verb}");
    }
}
