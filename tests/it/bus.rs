//! The program on the plugin bus: a client that speaks like the Kairos agent (github.com/mudler/go-pluggable
//! `plugin.go`, `events.go`) gets one JSON line and exit status 0, in bounded time, whatever it sends and whatever
//! state its pipes are in.

use crate::support::{self, AT_ONCE, BINARY, BOUND, DOCUMENT, GATES, ISSUE, LOG, Node, REFUSED, envelope};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use provider_rke2::bus::{self, Deadline, Response};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde_json::{Value, json};

/// From this size on go-pluggable moves a payload into a file.
const INLINE: usize = 8192;

const GOOD: &str = "\
#cloud-config
cluster:
  role: init
  cluster_token: a-token-that-is-long-enough
  control_plane_host: 10.10.0.5
  config: |
    node-name: server-1
";

// --- the client ---------------------------------------------------------------------------------------------------

/// What the agent got.
#[derive(Debug)]
struct Answer {
    state: String,
    data: String,
    error: String,
    log: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    took: Duration,
}

impl Answer {
    fn fields(&self) -> [&str; 4] {
        [&self.state, &self.data, &self.error, &self.log]
    }
}

/// The program as the agent starts it: its directory and its one variable are those of a boot.
fn program(root: Option<&Path>, event: &str) -> Command {
    let mut command = Command::new(BINARY);
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    command.arg(event).env_clear().env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin").current_dir("/");
    command
}

/// Sends an event with its payload as the agent does: a large one goes into a file, which must be there afterwards.
fn publish(root: Option<&Path>, name: &str, data: &str) -> Answer {
    if data.len() <= INLINE {
        return send(root, name, &envelope(name, data, ""));
    }
    let mut payload = tempfile::Builder::new().prefix("pluggable").tempfile().unwrap();
    payload.write_all(data.as_bytes()).unwrap();
    assert_eq!(payload.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let answer = send(root, name, &envelope(name, "", payload.path().to_str().unwrap()));
    assert!(fs::read_to_string(payload.path()).unwrap() == data, "the agent removes its file, nobody else");
    answer
}

fn config(text: &str) -> String {
    json!({ "config": text }).to_string()
}

fn boot(root: &Path, cloud_config: &str) -> Answer {
    publish(Some(root), "agent.boot", &config(cloud_config))
}

/// Sends bytes, closes stdin, and holds the program to the protocol.
fn send(root: Option<&Path>, name: &str, stdin: &[u8]) -> Answer {
    let start = Instant::now();
    let mut child = program(root, name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut pipe = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // A program that does not read to the end is fine with the agent.
        scope.spawn(move || drop(pipe.write_all(stdin)));
        answer(child, name, start)
    })
}

/// Reads the answer to its end, as the agent does, and judges it as the agent does.
fn answer(mut child: Child, name: &str, start: Instant) -> Answer {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(move || drain(stdout));
        let stderr = scope.spawn(move || drain(stderr));
        let status = end(&mut child);
        (status, stdout.join().unwrap(), stderr.join().unwrap())
    });
    let took = start.elapsed();
    let shown = String::from_utf8_lossy(&stdout).into_owned();
    assert!(took < BOUND, "{name}: took {took:?}");
    assert_eq!(status.code(), Some(0), "{name}: {status}, {shown}");
    let line = shown.strip_suffix('\n').unwrap_or_else(|| panic!("{name}: no line break at the end of {shown:?}"));
    assert!(!line.contains('\n'), "{name}: more than one line: {shown:?}");
    let fields: BTreeMap<String, String> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {shown:?}"));
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["data", "error", "log", "state"], "{name}");
    assert!(line.starts_with(r#"{"state":""#), "{name}: {line}");
    assert!(fields["error"].len() <= 1024, "{name}: an error of {} bytes", fields["error"].len());
    let field = |key: &str| fields[key].clone();
    let (state, data, error, log) = (field("state"), field("data"), field("error"), field("log"));
    Answer { state, data, error, log, stdout, stderr, took }
}

fn drain(pipe: Option<impl io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).unwrap();
    }
    bytes
}

/// Waits for a program, a bit longer than it may take; one that hangs is killed and fails the test.
fn end(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + BOUND + Duration::from_secs(5);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

// --- the node -----------------------------------------------------------------------------------------------------

fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// The word of status.yaml and its reasons.
fn status(root: &Path) -> (String, Vec<String>) {
    let status: serde_yaml::Value = serde_yaml::from_str(&text(root, "run/provider-rke2/status.yaml")).unwrap();
    let reasons = status["reasons"].as_sequence().cloned().unwrap_or_default();
    let reasons = reasons.iter().map(|it| it["message"].as_str().unwrap().to_owned()).collect();
    (status["plan"].as_str().unwrap_or_default().to_owned(), reasons)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).map_or_else(|_| Vec::new(), Iterator::collect);
    let mut names: Vec<String> = entries.into_iter().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A node in its second boot: the document of the first, and what must go away.
fn booted() -> (Node, String) {
    let node = Node::new();
    let answer = boot(node.root(), GOOD);
    assert_eq!(answer.error, "");
    let document = text(node.root(), DOCUMENT);
    assert!(document.starts_with("#cloud-config\n"), "{document:?}");
    fs::remove_dir_all(node.path("run")).unwrap();
    fs::remove_file(node.path(LOG)).unwrap();
    fs::create_dir_all(node.path("run/provider-rke2")).unwrap();
    fs::write(node.path(REFUSED), "an older sentence\n").unwrap();
    (node, document)
}

/// Judges an event from which nobody can tell whether there is a cluster section.
fn assert_unreadable(name: &str, root: &Path, answer: &Answer) {
    assert_eq!([&*answer.state, &*answer.data, &*answer.error], ["", "", ""], "{name}");
    assert!(!answer.log.is_empty(), "{name}: no sentence");
    assert!(!root.join(REFUSED).exists(), "{name}: refused");
    assert_eq!(status(root), ("unreadable".to_owned(), vec![answer.log.clone()]), "{name}");
    assert!(text(root, LOG).lines().any(|line| line.ends_with(&format!(": {}", answer.log))), "{name}: log");
    let issue = text(root, ISSUE).replace("\\\\", "\\");
    assert_eq!(issue, format!("provider-rke2: {}\n", answer.log), "{name}: issue");
}

/// Sends one unreadable event to a fresh node and to one with a document of ours, and gives the longest time.
fn unreadable_everywhere(name: &str, send: impl Fn(&Path) -> Answer) -> Duration {
    let fresh = Node::new();
    let answer = send(fresh.root());
    assert_unreadable(name, fresh.root(), &answer);
    assert_eq!(names(&fresh.path("usr/local/cloud-config")), [""; 0], "{name}: a document from nothing");
    for gate in GATES {
        assert!(fresh.path(gate).exists(), "{name}: no gate where nobody knows what is asked for");
    }
    let (old, document) = booted();
    let again = send(old.root());
    assert_unreadable(name, old.root(), &again);
    // The reason is the same; what becomes of the node follows it.
    let reason = |log: &str| log.rsplit_once("; ").map_or(log, |(reason, _)| reason).to_owned();
    assert_eq!(reason(&again.log), reason(&answer.log), "{name}");
    assert_eq!(text(old.root(), DOCUMENT), document, "{name}: the last plan stays in force");
    assert_eq!(names(&old.path("usr/local/cloud-config")), ["cluster.kairos.yaml"], "{name}");
    for gate in GATES {
        assert!(old.path(gate).exists(), "{name}: the last plan stays behind its gate");
    }
    answer.took.max(again.took)
}

// --- the events ---------------------------------------------------------------------------------------------------

/// The events that the agent sends to every plugin, with a payload as it has (kairos `sdk/bus/events.go`), and others.
const NOT_OURS: [(&str, &str); 16] = [
    ("agent.install", r#"{"token":"","config":""}"#),
    ("agent.install.challenge", r#"{"config":""}"#),
    ("agent.recovery", r#"{"config":""}"#),
    ("agent.recovery.stop", r#"{"config":""}"#),
    ("agent.reset.before", r#"{"config":""}"#),
    ("agent.reset.after", r#"{"config":""}"#),
    ("agent.available_releases", r#"{"config":"IncludePreReleases: true"}"#),
    ("agent.interactive-install", "null"),
    ("agent.version_image", "null"),
    ("agent.installprompt", "null"),
    ("init.provider.configure", "null"),
    ("some.new.event", r#"{"config":"cluster: {role: init}"}"#),
    ("agent.boot.after", r#"{"config":"cluster: {role: init}"}"#),
    ("a.", ""),
    (".x", ""),
    (".", ""),
];

#[test]
fn an_event_that_is_not_ours_gets_the_empty_answer_and_changes_nothing() {
    let node = Node::new();
    let large = config(&format!("{GOOD}# {}\n", "x".repeat(2 * INLINE)));
    for (name, data) in NOT_OURS {
        for answer in [
            publish(Some(node.root()), name, data),
            publish(Some(node.root()), name, &large),
            send(Some(node.root()), name, b"\xff not JSON {"),
            send(Some(node.root()), name, b""),
        ] {
            assert_eq!(answer.fields(), [""; 4], "{name}");
            assert_eq!(answer.stderr, b"", "{name}");
            assert!(answer.took < AT_ONCE, "{name}: {:?}", answer.took);
        }
    }
    assert_eq!(support::tree(node.root()), "");
}

/// The event of the running system, as `kairos-agent start` sends it.
fn bootstrap(root: &Path, cloud_config: &str) -> Answer {
    let data = json!({
        "api": "http://127.0.0.1:8080", "config": cloud_config, "logfile": "/var/log/kairos/agent-provider.log"
    });
    let answer = publish(Some(root), "agent.bootstrap", &data.to_string());
    assert_eq!([&*answer.state, &*answer.data, &*answer.error], [""; 3], "kairos-agent would repeat it for ever");
    answer
}

#[test]
fn agent_bootstrap_does_nothing_after_agent_boot_and_where_nothing_is_asked() {
    let node = Node::new();
    for config in ["", "#cloud-config\nhostname: a\n", "not: [yaml"] {
        assert_eq!(bootstrap(node.root(), config).log, "", "{config:?}");
    }
    assert_eq!(support::tree(node.root()), "");
    for (config, asked) in [(GOOD, GOOD.replace("server-1", "server-2")), (GOOD, GOOD.replace("init", "master"))] {
        let node = Node::new();
        boot(node.root(), config);
        let before = support::tree(node.root());
        assert_eq!(bootstrap(node.root(), &asked).log, "");
        assert_eq!(support::tree(node.root()), before, "agent.boot has decided");
    }
    for mode in ["recovery_mode", "live_mode", "autoreset_mode", "uki_install_mode"] {
        let node = Node::new();
        node.write(&format!("run/cos/{mode}"), "", 0o644);
        let before = support::tree(node.root());
        assert_eq!(bootstrap(node.root(), GOOD).log, "", "{mode}");
        assert_eq!(support::tree(node.root()), before, "{mode}");
    }
}

#[test]
fn agent_bootstrap_plans_and_applies_where_no_agent_boot_came() {
    // The first boot of a provider that came with a system extension.
    let node = Node::new();
    let large = format!("{GOOD}# {}\n", "x".repeat(2 * INLINE));
    let answer = bootstrap(node.root(), &large);
    assert!(answer.log.starts_with("planned role init for rke2-server"), "{answer:?}");
    assert!(answer.log.contains("; would start /") && answer.log.ends_with(" apply"), "{answer:?}");
    assert_eq!(status(node.root()), ("planned".to_owned(), Vec::new()));
    for gate in GATES {
        assert!(node.exists(gate), "{gate}");
    }
    assert!(!node.exists(REFUSED));
    // What it started is the whole of the boot stages.
    let applied = Command::new(BINARY).arg("--root").arg(node.root()).arg("apply").output().unwrap();
    assert!(applied.status.success(), "{applied:?}");
    assert!(node.read(support::CONFIG).unwrap().contains("server-1"));
    let once = support::tree(node.root());
    assert_eq!(bootstrap(node.root(), &large).log, "", "kairos-agent starts again");
    assert_eq!(support::tree(node.root()), once);

    // A later boot: the boot stages ran with the last plan, and the event brings another, or none that can be read.
    for (config, name) in [(GOOD.replace("server-1", "server-2"), "server-2"), ("not: [yaml".to_owned(), "server-1")] {
        let (node, _) = booted();
        fs::remove_file(node.path(REFUSED)).unwrap();
        let answer = bootstrap(node.root(), &config);
        assert!(answer.log.ends_with(" apply"), "{answer:?}");
        let applied = Command::new(BINARY).arg("--root").arg(node.root()).arg("apply").output().unwrap();
        assert!(applied.status.success(), "{applied:?}");
        assert!(node.read(support::CONFIG).unwrap().contains(name), "{name}");
    }
}

#[test]
fn agent_bootstrap_that_is_refused_starts_nothing() {
    let (node, document) = booted();
    fs::remove_file(node.path(REFUSED)).unwrap();
    let answer = bootstrap(node.root(), &GOOD.replace("role: init", "role: master"));
    assert_eq!(answer.log, "the cluster section is refused");
    assert_eq!(status(node.root()).0, "refused");
    assert!(node.read(REFUSED).unwrap().contains("master"));
    assert_eq!(text(node.root(), DOCUMENT), document);
}

#[test]
fn the_only_argument_is_the_event() {
    // Without --root this is the machine that runs the tests: only events that never change anything.
    for name in ["some.new.event", "a.", ".x"] {
        assert_eq!(publish(None, name, "null").fields(), [""; 4], "{name}");
    }
}

#[test]
fn an_event_whose_name_is_not_text_is_answered_all_the_same() {
    use std::os::unix::ffi::OsStrExt as _;
    let node = Node::new();
    let output = Command::new(BINARY)
        .arg("--root")
        .arg(node.root())
        .arg(std::ffi::OsStr::from_bytes(b"some.\xff"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer, json!({"state": "", "data": "", "error": "", "log": ""}));
}

#[test]
fn a_reset_of_nothing_says_so_and_leaves_nothing_behind() {
    let node = Node::new();
    let good = config(GOOD);
    for event in [envelope("cluster.reset", &good, ""), Vec::new(), b"garbage".to_vec(), b"{}".to_vec()] {
        let reset = send(Some(node.root()), "cluster.reset", &event);
        assert_eq!([&*reset.state, &*reset.data, &*reset.error], [""; 3]);
        assert!(reset.log.contains("nothing of RKE2"), "never an empty success: {reset:?}");
    }
    assert_eq!(support::tree(node.root()), "");
}

#[test]
fn an_installation_that_is_not_of_rke2_is_not_applicable() {
    let node = Node::new();
    for data in [
        r#"{"provider":"k3s","version":"","logLevel":"info","config":"","family":"debian"}"#,
        r#"{"provider":"RKE2"}"#,
        r#"{"provider":"rke2 "}"#,
        r#"{"provider":""}"#,
        r#"{"provider":null}"#,
        r#"{"provider":["rke2"]}"#,
        "{}",
        "null",
        "garbage",
        "",
    ] {
        let answer = publish(Some(node.root()), "init.provider.install", data);
        assert_eq!(answer.fields(), ["non-applicable", "", "", ""], "{data}");
    }
    let large = json!({"provider": "k3s", "config": "x".repeat(2 * INLINE)}).to_string();
    assert_eq!(publish(Some(node.root()), "init.provider.install", &large).state, "non-applicable");
    assert_eq!(support::tree(node.root()), "");
}

#[test]
fn an_installation_whose_texts_are_none_is_an_error_and_says_which() {
    let node = Node::new();
    for (data, error) in [
        (r#"{"provider":"rke2","version":1.33}"#, "version: expected a text; write it in quotes"),
        (r#"{"provider":"rke2","version":["v1.33.4+rke2r1"]}"#, "version: expected a text; write it in quotes"),
        (r#"{"provider":"rke2","version":null,"config":7}"#, "config: expected a text; write it in quotes"),
    ] {
        let answer = publish(Some(node.root()), "init.provider.install", data);
        assert_eq!(answer.fields(), ["error", "", error, ""], "{data}");
    }
    assert_eq!(support::tree(node.root()), "");
}

#[test]
fn what_an_event_does_not_use_may_be_anything() {
    let section = "#cloud-config\ncluster: {role: init, cluster_token: a-token-that-is-long}\n";
    for rest in [r#""version":7"#, r#""provider":["rke2"]"#, r#""logLevel":{}"#] {
        let node = Node::new();
        let data = format!("{{\"config\":{},{rest}}}", json!(section));
        let answer = publish(Some(node.root()), "agent.boot", &data);
        assert_eq!((answer.fields()[0], answer.fields()[2]), ("", ""), "{data}");
        assert!(node.exists("usr/local/cloud-config/cluster.kairos.yaml"), "{data}: {:?}", answer.fields());
    }
}

#[test]
fn info_tells_the_version_of_rke2_and_starts_nothing_under_another_root() {
    let bare = Node::new();
    assert_eq!(publish(Some(bare.root()), "init.provider.info", "null").fields(), ["non-applicable", "", "", ""]);
    assert_eq!(support::tree(bare.root()), "");

    for place in ["usr/bin/rke2", "usr/local/bin/rke2", "opt/rke2/bin/rke2"] {
        let node = Node::new();
        let (binary, mark) = (node.path(place), node.path("was-started"));
        fs::create_dir_all(binary.parent().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\n: >'{}'\necho 'rke2 version v1.33.4+rke2r1 (0123456789abcdef)'\necho 'go version go1.24.5'\n",
            mark.display()
        );
        fs::write(&binary, script).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        // The script does leave its mark, when somebody runs it.
        assert!(Command::new(&binary).output().unwrap().status.success());
        fs::remove_file(&mark).unwrap();

        for stdin in [&envelope("init.provider.info", "null", "")[..], b"", b"garbage"] {
            let answer = send(Some(node.root()), "init.provider.info", stdin);
            assert_eq!(answer.fields(), ["success", r#"{"provider":"rke2","version":"v1.33.4+rke2r1"}"#, "", ""]);
            assert!(!mark.exists(), "{place} was started");
        }
    }
}

// --- agent.boot ---------------------------------------------------------------------------------------------------

#[test]
fn a_payload_is_taken_inline_and_from_a_file() {
    let small = config(GOOD);
    assert!(small.len() <= INLINE);
    // A comment at the end changes the way, not the plan.
    let exact = INLINE - config(&format!("{GOOD}#")).len();
    let mut documents = Vec::new();
    for padding in [0, exact, exact + 1, 100_000, 8 << 20] {
        let text = if padding == 0 { GOOD.to_owned() } else { format!("{GOOD}#{}", "x".repeat(padding)) };
        let node = Node::new();
        let answer = boot(node.root(), &text);
        eprintln!("padding of {padding} bytes: {:?}", answer.took);
        assert_eq!([&*answer.state, &*answer.data, &*answer.error], [""; 3], "{padding}");
        assert_eq!(status(node.root()), ("planned".to_owned(), vec![]), "{padding}: {}", answer.log);
        documents.push(without_payload(&text_of_document(node.root())));
    }
    assert!(documents.iter().all(|it| it == &documents[0]), "{documents:?}");

    // The file is the payload where both are given (go-pluggable factory.go).
    let node = Node::new();
    let mut payload = tempfile::NamedTempFile::new().unwrap();
    payload.write_all(small.as_bytes()).unwrap();
    let event = envelope("agent.boot", "garbage", payload.path().to_str().unwrap());
    assert_eq!(send(Some(node.root()), "agent.boot", &event).error, "");
    assert_eq!(without_payload(&text_of_document(node.root())), documents[0]);
}

/// A document but for what tells one event from another.
fn without_payload(document: &str) -> String {
    document.lines().filter(|line| !line.starts_with("# payload ")).collect::<Vec<_>>().join("\n")
}

fn text_of_document(root: &Path) -> String {
    fs::read_to_string(root.join(DOCUMENT)).expect("there is a document")
}

#[test]
fn without_a_cluster_section_the_document_is_retired() {
    // The counterpart of all that is unreadable: here the answer is known.
    for text in ["#cloud-config\n", "#cloud-config\nhostname: a\n", "cluster:\n", "cluster: ~\n", "\n"] {
        let (node, document) = booted();
        let unlisted = boot(node.root(), text);
        assert_unreadable(text, node.root(), &unlisted);
        assert_eq!(fs::read_to_string(node.path(DOCUMENT)).unwrap(), document, "{text:?}: no word of sources");
        let answer = boot(node.root(), &format!("# Sources:\n# - cmdline\n\n{text}"));
        assert_eq!([&*answer.state, &*answer.data, &*answer.error], [""; 3], "{text:?}");
        assert_eq!(status(node.root()), ("absent".to_owned(), vec![]), "{text:?}: {}", answer.log);
        assert_eq!(names(&node.path("usr/local/cloud-config")), ["cluster.kairos.yaml.retired"], "{text:?}");
        assert_eq!(fs::read_to_string(node.path(&format!("{DOCUMENT}.retired"))).unwrap(), document, "{text:?}");
        assert!(!node.path(REFUSED).exists(), "{text:?}");
    }
}

#[test]
fn garbage_on_stdin_is_unreadable() {
    let inline = |data: &str| envelope("agent.boot", data, "");
    let deep = |open: &str| open.repeat(100_000);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("blanks", b" \n\t\r\n".to_vec()),
        ("garbage", b"garbage".to_vec()),
        ("a cloud-config", GOOD.into()),
        ("half an event", inline(&config(GOOD))[..60].to_vec()),
        ("not UTF-8", b"{\"name\":\"agent.boot\",\"data\":\"{\\\"config\\\":\\\"\xff\\\"}\",\"file\":\"\"}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("zeros", vec![0; 100_000]),
        ("a number", b"7".to_vec()),
        ("a text", b"\"agent.boot\"".to_vec()),
        ("null", b"null".to_vec()),
        ("true", b"true".to_vec()),
        ("a list", b"[]".to_vec()),
        ("half a surrogate pair", br#"{"data":"{\"config\":\"\ud800\"}"}"#.to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("data is missing", br#"{"name":"agent.boot","file":""}"#.to_vec()),
        ("data is null", br#"{"name":"agent.boot","data":null,"file":""}"#.to_vec()),
        ("data is an object", br#"{"name":"agent.boot","data":{"config":"cluster: {role: init}"},"file":""}"#.to_vec()),
        ("data is empty", inline("")),
        ("data is not JSON", inline("cluster: {role: init}")),
        ("data is the text null", inline("null")),
        ("data is a list", inline("[]")),
        ("data has no config", inline("{}")),
        ("data goes on after its object", inline(&format!("{}x", config(GOOD)))),
        ("config is null", inline(r#"{"config":null}"#)),
        ("config is a number", inline(r#"{"config":7}"#)),
        ("config is an object", inline(r#"{"config":{"cluster":{"role":"init"}}}"#)),
        ("config is empty", inline(r#"{"config":""}"#)),
        ("config twice", inline(r##"{"config":"#cloud-config\n","config":"#cloud-config\n"}"##)),
        ("file is a number", br#"{"name":"agent.boot","data":"","file":7}"#.to_vec()),
        ("file has a zero byte", br#"{"name":"agent.boot","data":"","file":"/tmp/a\u0000b"}"#.to_vec()),
        ("nested lists", deep("[").into()),
        ("nested objects", deep("{\"a\":").into()),
        ("nested lists in data", inline(&deep("["))),
        ("nested lists that end, in data", inline(&format!("{}{}", deep("["), deep("]")))),
        ("nested lists in config", inline(&format!("{{\"config\":{}", deep("[")))),
        ("nested lists in another key", inline(&format!("{{\"a\":{}", deep("[")))),
        ("17 MiB", inline(&config(&format!("{GOOD}#{}", "x".repeat(17 << 20))))),
        ("17 MiB of blanks before the event", [vec![b' '; 17 << 20], inline(&config(GOOD))].concat()),
    ];
    for (name, stdin) in rows {
        let took = unreadable_everywhere(name, |root| send(Some(root), "agent.boot", &stdin));
        assert!(took < AT_ONCE, "{name}: {took:?}");
    }
}

#[test]
fn a_list_is_no_event() {
    let payload = Value::from(config(GOOD));
    let inner = json!([GOOD]).to_string();
    for (name, stdin) in [
        ("an event as a list", json!([payload, ""]).to_string().into_bytes()),
        ("data as a list", envelope("agent.boot", &inner, "")),
    ] {
        unreadable_everywhere(name, |root| send(Some(root), "agent.boot", &stdin));
    }
}

#[test]
fn a_payload_file_that_is_none_is_unreadable() {
    let place = Node::new();
    let at = |name: &str| place.path(name);
    let good = config(GOOD);
    fs::write(at("good"), &good).unwrap();
    symlink(at("good"), at("symlink")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    symlink("loop", at("loop")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    for fifo in ["fifo", "fifo with a writer"] {
        support::fifo(&at(fifo));
    }
    // Open for both, it has a writer that never writes.
    let _writer = File::options().read(true).write(true).open(at("fifo with a writer")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    fs::write(at("empty"), "").unwrap();
    fs::write(at("garbage"), "garbage").unwrap();
    fs::write(at("not UTF-8"), b"{\"config\":\"\xff\"}").unwrap();
    fs::write(at("17 MiB"), config(&format!("{GOOD}#{}", "x".repeat(17 << 20)))).unwrap();
    let before: Vec<_> = names(place.root());

    let mut rows: Vec<PathBuf> = [
        "missing", "missing/too", "good/", "good/below", "symlink", "dangling", "loop", "directory", "fifo",
        "fifo with a writer", "socket", "empty", "garbage", "not UTF-8", "17 MiB",
    ]
    .map(at)
    .into();
    rows.extend(["/dev/zero", "/dev/null", "/proc/self/fd/0", "relative/path"].map(PathBuf::from));
    rows.push(at(&"x".repeat(5000)));
    for file in rows {
        let file = file.to_str().unwrap();
        let took =
            unreadable_everywhere(file, |root| send(Some(root), "agent.boot", &envelope("agent.boot", "", file)));
        assert!(took < AT_ONCE, "{file}: {took:?}");
        // Not even with a good payload beside it: the file is the one that counts.
        unreadable_everywhere(file, |root| send(Some(root), "agent.boot", &envelope("agent.boot", &good, file)));
    }
    assert_eq!(names(place.root()), before, "payload files stay where they are");

    let node = Node::new();
    let answer = send(Some(node.root()), "agent.boot", &envelope("agent.boot", "", at("good").to_str().unwrap()));
    assert_eq!((&*answer.error, &*status(node.root()).0), ("", "planned"), "the same file without its symlink");
    assert_eq!(fs::read_to_string(at("good")).unwrap(), good);
}

/// `[{a: ` without end: quadratic in libyaml, which looks through all open brackets at each token.
fn unclosed() -> String {
    "[{a: ".repeat((1 << 20) / 5)
}

/// Nine mappings of nine aliases of the one before: 9⁹ values.
fn bomb(indent: &str) -> String {
    let mut text = format!("{indent}a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text += &format!("{indent}a{level}: &a{level} [{aliases}]\n");
    }
    text
}

fn within(section: &str, config: &str) -> String {
    format!("{GOOD_WITHOUT_CONFIG}{section}  config: |\n{config}")
}

const GOOD_WITHOUT_CONFIG: &str = "\
#cloud-config
cluster:
  role: init
  cluster_token: a-token-that-is-long-enough
  control_plane_host: 10.10.0.5
";

#[test]
fn a_cloud_config_that_costs_too_much_to_read_is_unreadable() {
    let deep = "[".repeat(100_000);
    for (name, text) in [
        ("[{a: as the cloud-config", unclosed()),
        ("[{a: after the first line", format!("#cloud-config\n{}", unclosed())),
        ("[{a: below another key", format!("{GOOD}other: {}", unclosed())),
        ("[[[[ as the cloud-config", deep.clone()),
        ("{{{{ as the cloud-config", "{".repeat(1 << 20)),
        ("- - - as the cloud-config", "- ".repeat(1 << 19)),
        ("? ? ? as the cloud-config", "? ".repeat(1 << 19)),
        ("a: a: as the cloud-config", "a:\n ".repeat(1000)),
        ("an alias bomb", format!("{GOOD}{}", bomb(""))),
        ("an alias bomb of merges", {
            let step = |level: usize| format!("m{level}: &m{level} {{<<: [*m{0}, *m{0}, *m{0}]}}\n", level - 1);
            format!("{GOOD}m0: &m0 {{k: v}}\n{}", (1..30).map(step).collect::<String>())
        }),
        ("an alias inside its anchor", format!("{GOOD}a: &a [*a]\n")),
        ("a key of 1 MiB", format!("{GOOD}? {}\n", "k".repeat(1 << 20)) + "\t: v\n"),
        ("a quote that is never closed", format!("{GOOD}a: \"{}", "x\n".repeat(1 << 19))),
    ] {
        let took = unreadable_everywhere(name, |root| boot(root, &text));
        eprintln!("{name}: {took:?}");
    }
}

#[test]
fn options_that_cost_too_much_to_read_are_refused() {
    let deep = "[".repeat(100_000);
    let quoted = Value::from(unclosed()).to_string();
    for (name, text) in [
        ("[{a: as config", within("", &format!("    {}\n", unclosed()))),
        ("[{a: as quoted config", format!("{GOOD_WITHOUT_CONFIG}  config: {quoted}\n")),
        ("[{a: below an option", within("", &format!("    node-label: {}\n", unclosed()))),
        ("[[[[ as config", within("", &format!("    {deep}\n"))),
        ("an alias bomb", within("", &bomb("    "))),
        ("longer than 1 MiB", within("", &format!("    node-name: {}\n", "x".repeat(1 << 20)))),
        ("10 000 variables with a bad value", {
            let names: String = (0..10_000).map(|number| format!("    BAD_{number}: \"a\\tb\"\n")).collect();
            format!("{GOOD}  env:\n{names}")
        }),
    ] {
        let (node, document) = booted();
        let answer = boot(node.root(), &text);
        eprintln!("{name}: {:?}", answer.took);
        assert!(answer.error.starts_with("cluster."), "{name}: {}", answer.error);
        let (word, reasons) = status(node.root());
        assert_eq!(word, "refused", "{name}");
        assert!(answer.error.starts_with(&reasons[0]), "{name}: {reasons:?}");
        assert_eq!(text_at(&node, REFUSED).lines().collect::<Vec<_>>(), reasons, "{name}");
        assert_eq!(text_of_document(node.root()), document, "{name}");
        for gate in GATES {
            assert!(node.path(gate).exists(), "{name}: no gate");
        }
    }
}

fn text_at(node: &Node, path: &str) -> String {
    fs::read_to_string(node.path(path)).unwrap()
}

#[test]
fn a_section_with_ten_thousand_options_is_planned() {
    let options: String = (0..10_000).map(|number| format!("    option-{number}: value\n")).collect();
    let keys: String = (0..10_000).map(|number| format!("  key-{number}: value\n")).collect();
    let variables: String = (0..10_000).map(|number| format!("    NAME_{number}: value\n")).collect();
    let labels: String = (0..10_000).map(|number| format!("      - label-{number}=value\n")).collect();
    for (name, section, expected) in [
        ("options", within("", &options), r#""option-9999": "value""#),
        ("keys", format!("{GOOD}{keys}"), r#""node-name": "server-1""#),
        ("variables", format!("{GOOD}  env:\n{variables}"), "NAME_9999: value"),
        ("labels", within("", &format!("    node-label:\n{labels}")), "label-9999=value"),
    ] {
        // Once as it comes, once with the file that it was collected from.
        for source in [false, true] {
            let node = Node::new();
            let text = if source {
                fs::create_dir(node.path("oem")).unwrap();
                fs::write(node.path("oem/90_custom.yaml"), &section).unwrap();
                section.replacen("#cloud-config\n", "#cloud-config\n\n# Sources:\n# - /oem/90_custom.yaml\n\n", 1)
            } else {
                section.clone()
            };
            let answer = boot(node.root(), &text);
            eprintln!("10 000 {name}, source {source}: {:?}, log of {} bytes", answer.took, text_at(&node, LOG).len());
            assert_eq!(answer.error, "", "{name}");
            assert_eq!(status(node.root()).0, "planned", "{name}");
            assert!(text_of_document(node.root()).contains(expected), "{name}");
        }
    }
}

#[test]
fn a_megabyte_of_keys_takes_no_quadratic_time() {
    // Each of them is a finding, which is looked up in the file that it came from.
    let keys: String = (0..60_000).map(|number| format!("  key-{number}: value\n")).collect();
    let section = format!("{GOOD}{keys}");
    let node = Node::new();
    fs::create_dir(node.path("oem")).unwrap();
    fs::write(node.path("oem/90_custom.yaml"), &section).unwrap();
    let text = section.replacen("#cloud-config\n", "#cloud-config\n\n# Sources:\n# - /oem/90_custom.yaml\n\n", 1);
    let answer = boot(node.root(), &text);
    eprintln!("60 000 keys: {:?}", answer.took);
    assert_eq!(answer.error, "");
    assert_eq!(status(node.root()).0, "planned");
}

#[test]
fn a_log_holds_twenty_findings_of_a_code_and_counts_the_rest() {
    let keys: String = (0..50).map(|number| format!("  key-{number}: value\n")).collect();
    let node = Node::new();
    assert_eq!(boot(node.root(), &format!("{GOOD}{keys}")).error, "");
    let log = text_at(&node, LOG);
    let found = log.lines().filter(|line| line.contains(": cluster.key-")).count();
    assert_eq!(found, 20, "{log}");
    assert!(log.lines().any(|line| line.contains("30 more")), "{log}");
}

#[test]
fn an_error_is_cut_at_1_kib_and_at_a_character() {
    let items: String = (0..200).map(|number| format!("    - ключ-{number}\n")).collect();
    let node = Node::new();
    let answer = boot(node.root(), &format!("{GOOD}  ca_certs:\n{items}"));
    assert!((1000..=1024).contains(&answer.error.len()), "{} bytes", answer.error.len());
    assert!(answer.error.contains("; ") && !answer.error.contains('\u{fffd}'), "{}", answer.error);
}

// --- pipes --------------------------------------------------------------------------------------------------------

/// Runs `agent.boot` for a good cloud-config through a shell that closes what `redirection` says.
fn boot_with(redirection: &str, root: &Path) -> (ExitStatus, Vec<u8>, Vec<u8>) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("exec \"$0\" \"$@\" {redirection}"), BINARY, "--root"])
        .arg(root)
        .arg("agent.boot")
        .stdin(support::stdin(&envelope("agent.boot", &config(GOOD), "")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = end(&mut child);
    (status, drain(stdout), drain(stderr))
}

/// Whether the node is as it is after an undisturbed boot: byte for byte the same document, no less and no more.
fn assert_booted(name: &str, root: &Path) {
    let undisturbed = Node::new();
    assert_eq!(boot(undisturbed.root(), GOOD).error, "");
    assert_eq!(support::tree(root), support::tree(undisturbed.root()), "{name}");
}

#[test]
fn a_closed_stream_changes_nothing_but_itself() {
    for redirection in
        ["", ">&-", "2>&-", ">&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full", "2>/dev/full", "> /dev/null"]
    {
        let node = Node::new();
        let (status, stdout, stderr) = boot_with(redirection, node.root());
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{redirection}");
        assert_eq!(String::from_utf8_lossy(&stderr), "", "{redirection}");
        let answered = redirection.is_empty() || redirection.starts_with("2>");
        assert_eq!(stdout.is_empty(), !answered, "{redirection}: {}", String::from_utf8_lossy(&stdout));
        assert_booted(redirection, node.root());
    }
    // No stdin: no event.
    for (redirection, answered) in [
        ("<&-", true),
        ("<&- 2>&-", true),
        ("<&- >&-", false),
        ("<&- >&- 2>&-", false),
        ("</", true),
        ("0>/dev/null", true),
    ] {
        let node = Node::new();
        let (code, stdout, _) = boot_with(redirection, node.root());
        assert_eq!((code.code(), code.signal()), (Some(0), None), "{redirection}");
        assert_eq!(!stdout.is_empty(), answered, "{redirection}");
        if answered {
            let answer: BTreeMap<String, String> = serde_json::from_slice(&stdout).unwrap();
            assert_eq!((&*answer["error"], answer["log"].is_empty()), ("", false), "{redirection}");
        }
        assert_eq!(status(node.root()).0, "unreadable", "{redirection}");
        assert!(!node.path(DOCUMENT).exists(), "{redirection}");
    }
}

#[test]
fn an_agent_that_is_gone_is_no_reason_to_stop() {
    let node = Node::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut child = program(Some(node.root()), "agent.boot")
        .stdin(support::stdin(&envelope("agent.boot", &config(GOOD), "")))
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take();
    let status = end(&mut child);
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert_eq!(drain(stderr), b"");
    assert_booted("a pipe without a reader", node.root());
}

/// Both ends of a pipe that takes no more bytes.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Starts `agent.boot` with a stdin that this side holds open.
fn held_open(root: &Path, event: &str) -> (Child, std::process::ChildStdin, Instant) {
    let start = Instant::now();
    let mut child =
        program(Some(root), event).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin, start)
}

#[test]
fn a_complete_event_is_answered_at_once_though_stdin_stays_open() {
    for (name, data) in [
        ("agent.boot", config(GOOD)),
        ("agent.bootstrap", config(GOOD)),
        ("cluster.reset", config(GOOD)),
        ("init.provider.info", "null".into()),
        ("init.provider.install", r#"{"provider":"k3s"}"#.into()),
        ("some.new.event", "null".into()),
    ] {
        let node = Node::new();
        let (child, mut stdin, start) = held_open(node.root(), name);
        // An event that nobody reads is answered before it is written, perhaps.
        let _ = stdin.write_all(&envelope(name, &data, ""));
        let answer = answer(child, name, start);
        assert!(answer.took < AT_ONCE, "{name}: {:?}", answer.took);
        drop(stdin);
        if name == "agent.boot" {
            assert_booted(name, node.root());
        }
    }
    // Nothing at all comes, and nothing is waited for.
    for name in ["init.provider.info", "some.new.event"] {
        let node = Node::new();
        let (child, stdin, start) = held_open(node.root(), name);
        let answer = answer(child, name, start);
        assert!(answer.took < AT_ONCE, "{name}: {:?}", answer.took);
        drop(stdin);
    }
}

/// All that waits, at the same time: the whole takes as long as the longest.
#[test]
fn a_stream_that_never_ends_is_answered_within_the_bound() {
    thread::scope(|scope| {
        let event = envelope("agent.boot", &config(GOOD), "");
        let half = event[..event.len() - 1].to_vec();
        for (name, sent) in [("nothing", vec![]), ("half an event", half.clone()), ("blanks", vec![b' '; 1000])] {
            scope.spawn(move || {
                let node = Node::new();
                let (child, mut stdin, start) = held_open(node.root(), "agent.boot");
                stdin.write_all(&sent).unwrap();
                let answer = answer(child, name, start);
                eprintln!("stdin stays open after {name}: {:?}", answer.took);
                assert_unreadable(name, node.root(), &answer);
                assert!(!node.path(DOCUMENT).exists(), "{name}");
                drop(stdin);
            });
        }
        scope.spawn(move || {
            let node = Node::new();
            let (child, mut stdin, start) = held_open(node.root(), "agent.boot");
            let answer = thread::scope(|scope| {
                // A byte now and then, for as long as somebody reads.
                scope.spawn(move || {
                    for byte in half.iter().chain(&[b' '; 1000]) {
                        if stdin.write_all(&[*byte]).is_err() {
                            break;
                        }
                        thread::sleep(Duration::from_millis(50));
                    }
                });
                answer(child, "a trickle", start)
            });
            eprintln!("stdin trickles: {:?}", answer.took);
            assert_unreadable("a trickle", node.root(), &answer);
        });
        scope.spawn(|| {
            let node = Node::new();
            let (child, stdin, start) = held_open(node.root(), "init.provider.install");
            let answer = answer(child, "init.provider.install", start);
            eprintln!("stdin of init.provider.install stays open: {:?}", answer.took);
            assert_eq!(answer.fields(), ["non-applicable", "", "", ""]);
            drop(stdin);
        });
        scope.spawn(|| {
            let node = Node::new();
            let (reader, writer) = full_pipe();
            let start = Instant::now();
            let mut child = program(Some(node.root()), "agent.boot")
                .stdin(support::stdin(&envelope("agent.boot", &config(GOOD), "")))
                .stdout(writer)
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let status = end(&mut child);
            eprintln!("nobody reads stdout: {:?}", start.elapsed());
            assert_eq!((status.code(), status.signal()), (Some(0), None));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            assert_booted("nobody reads stdout", node.root());
            drop(reader);
        });
        scope.spawn(|| {
            // Another run holds the lock and does not let go.
            let node = Node::new();
            fs::create_dir_all(node.path("run/provider-rke2")).unwrap();
            let lock = File::create(node.path("run/provider-rke2/lock")).unwrap();
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
            let answer = boot(node.root(), GOOD);
            eprintln!("the lock is held: {:?}", answer.took);
            assert!(answer.error.contains("/run/provider-rke2/lock"), "{answer:?}");
            assert!(!node.path(DOCUMENT).exists(), "written without the lock");
            drop(lock);
        });
    });
}

#[test]
fn a_log_that_nobody_reads_is_never_fatal() {
    // The log cannot be opened, so its lines go to stderr, and there nobody reads either.
    let node = Node::new();
    fs::create_dir_all(node.path(LOG)).unwrap();
    let (reader, writer) = full_pipe();
    let start = Instant::now();
    let child = program(Some(node.root()), "agent.boot")
        .stdin(support::stdin(&envelope("agent.boot", &config(GOOD), "")))
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    let answer = answer(child, "nobody reads stderr", start);
    eprintln!("nobody reads stderr: {:?}", answer.took);
    assert_eq!(answer.error, "");
    assert!(node.path(DOCUMENT).exists());
    drop(reader);
}

#[test]
fn the_log_goes_to_stderr_where_it_cannot_be_opened() {
    let node = Node::new();
    fs::create_dir_all(node.path(LOG)).unwrap();
    let answer = boot(node.root(), GOOD);
    assert_eq!(answer.error, "");
    assert!(String::from_utf8_lossy(&answer.stderr).contains("planned role init"), "{answer:?}");
    assert!(node.path(DOCUMENT).exists());
    let (status, ..) = boot_with("2>&-", node.root());
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

#[test]
fn without_an_argument_there_is_no_event() {
    for stdin in [Stdio::null(), Stdio::piped()] {
        let output = Command::new(BINARY).stdin(stdin).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{stderr}");
        assert!(stderr.contains("Usage: agent-provider-rke2") && !stderr.contains("panicked"), "{stderr}");
    }
    // Two are none either.
    let output = Command::new(BINARY).args(["some.event", "more"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
}

#[test]
fn a_root_that_is_none_is_an_answer_too() {
    let node = Node::new();
    fs::write(node.path("file"), "").unwrap();
    for root in ["missing", "file"] {
        let answer = send(Some(&node.path(root)), "agent.boot", &envelope("agent.boot", &config(GOOD), ""));
        assert!(answer.error.contains("root") && answer.error.contains(root), "{answer:?}");
    }
    assert_eq!(names(node.root()), ["file"]);
}

// --- the function that main calls ---------------------------------------------------------------------------------

/// What `bus::answer` writes, and how long it takes until that is there.
fn answered(bound: Duration, handle: impl FnOnce() -> Response + Send + 'static) -> (Response, Duration) {
    let (mut reader, writer) = io::pipe().unwrap();
    let start = Instant::now();
    // A handler that hangs keeps the thread that it runs in.
    thread::spawn(move || bus::answer(writer, &Deadline::after(bound), || {}, |_| handle()));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let took = start.elapsed();
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    let fields: BTreeMap<String, String> = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!(fields.len(), 4, "{text}");
    let field = |key: &str| fields[key].clone();
    (Response { state: field("state"), data: field("data"), error: field("error"), log: field("log") }, took)
}

#[test]
fn a_response_goes_out_as_it_is() {
    let response = Response {
        state: "success".into(),
        data: r#"{"a":"b"}"#.into(),
        error: String::new(),
        log: "two\nlines, \u{1f512}, \u{7f}".into(),
    };
    let expected = response.clone();
    assert_eq!(answered(Duration::from_secs(5), move || response).0, expected);
}

#[test]
fn a_panic_becomes_one_error() {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("and again");
        }
    }
    type Panics = fn() -> Response;
    let panics: [(&str, Panics); 5] = [
        ("a text", || panic!("hush-hush")),
        ("a built text", || panic!("{}", String::from("hush-hush"))),
        ("no text", || std::panic::panic_any(7_u32)),
        ("an index", || Response { log: [String::new()][std::hint::black_box(7)].clone(), ..Response::default() }),
        ("one that panics when it is dropped", || std::panic::panic_any(Spiteful)),
    ];
    for (name, panic) in panics {
        let (response, took) = answered(Duration::from_secs(10), panic);
        assert!(!response.error.is_empty() && !response.error.contains("hush-hush"), "{name}: {response:?}");
        assert_eq!((&*response.state, &*response.data, &*response.log), ("", "", ""), "{name}");
        assert!(took < AT_ONCE, "{name}: {took:?}");
    }
}

#[test]
fn what_takes_too_long_becomes_one_error() {
    let (response, took) = answered(Duration::from_millis(300), || {
        thread::sleep(Duration::from_secs(600));
        Response::default()
    });
    assert!(response.error.contains("gave up"), "{response:?}");
    assert!(took >= Duration::from_millis(300) && took < AT_ONCE, "{took:?}");
    let (response, took) = answered(Duration::from_secs(60), || {
        thread::sleep(Duration::from_millis(300));
        Response { log: "done".into(), ..Response::default() }
    });
    assert_eq!((&*response.error, &*response.log), ("", "done"));
    assert!(took < AT_ONCE, "an answer does not wait for the bound: {took:?}");
}

#[test]
fn an_answer_that_nobody_takes_does_not_hold_the_program() {
    let (full, writer) = full_pipe();
    let (gone, broken) = io::pipe().unwrap();
    drop(gone);
    for (name, writer) in [("a full pipe", writer), ("a pipe without a reader", broken)] {
        let (done, waiting) = mpsc::channel();
        thread::spawn(move || {
            bus::answer(writer, &Deadline::after(Duration::from_secs(5)), || {}, |_| panic!("this too"));
            done.send(()).unwrap();
        });
        assert_eq!(waiting.recv_timeout(AT_ONCE), Ok(()), "{name}");
    }
    drop(full);
}

// --- many at a time -----------------------------------------------------------------------------------------------

fn numbered(number: usize) -> String {
    // Of different lengths, so that a mixture of two would show.
    GOOD.replace("server-1", &format!("server-1\n    kubelet-arg: [\"root-dir=/{}\"]", "x".repeat(1 + 1000 * number)))
}

#[test]
fn events_at_the_same_time_leave_one_whole_document() {
    for count in [2, 10] {
        let whole: Vec<String> = (0..count)
            .map(|number| {
                let node = Node::new();
                assert_eq!(boot(node.root(), &numbered(number)).error, "");
                text_of_document(node.root())
            })
            .collect();
        let node = Node::new();
        thread::scope(|scope| {
            for number in 0..count {
                let root = node.root();
                scope.spawn(move || {
                    let answer = boot(root, &numbered(number));
                    assert_eq!([&*answer.state, &*answer.data, &*answer.error], [""; 3], "{number} of {count}");
                    assert!(answer.log.starts_with("planned role init"), "{number} of {count}: {}", answer.log);
                });
            }
        });
        assert!(whole.contains(&text_of_document(node.root())), "{count}: a document that nobody wrote");
        assert_eq!(names(&node.path("usr/local/cloud-config")), ["cluster.kairos.yaml"], "{count}");
        let left = ["lock", "plan-id", "status.lock", "status.yaml"];
        assert_eq!(names(&node.path("run/provider-rke2")), left, "{count}");
        for gate in GATES {
            assert_eq!(names(node.path(gate).parent().unwrap()), ["50-provider-rke2.conf"], "{count}");
        }
        assert_eq!(status(node.root()), ("planned".to_owned(), vec![]), "{count}");
        let log = text_at(&node, LOG);
        assert_eq!(
            log.lines().filter(|line| line.contains("Z ") && line.contains(" info plan: planned role")).count(),
            count
        );
        let others = log.lines().filter(|line| !line.ends_with(" info plan: waits for another agent.boot to finish"));
        assert_eq!(others.count(), count, "{log}");
    }
}

// --- secrets ------------------------------------------------------------------------------------------------------

const SECRET: &str = "hUsh7hush-Zx9qpLw2";

/// `SECRET` in base64, as the three ways in which it can lie in a longer text begin.
const ENCODED: [&str; 3] = ["aFVzaDdodXNoLVp4OXFwTHcy", "hVc2g3aHVzaC1aeDlxcEx3M", "oVXNoN2h1c2gtWng5cXBMdz"];

/// Ways to write a secret into a cluster section, rightly and wrongly.
const SECRETIVE: [&str; 34] = [
    "  cluster_token: SECRET\n  control_plane_host: 10.0.0.1\n  role: worker\n",
    "  cluster_token: SECRET\n",
    "  cluster_token: SECRET\n  role: worker\n",
    "  cluster_token: [SECRET]\n  role: init\n",
    "  cluster_token: {SECRET: SECRET}\n  role: init\n",
    "  cluster_token: K10SECRET\n  role: init\n",
    "  cluster_token: K10SECRET::server:SECRET\n  role: init\n",
    "  cluster_token: \"SECRET\\n\\eSECRET\"\n  role: init\n",
    "  cluster_token: SECRET\n  cluster_token: SECRET\n  role: init\n",
    "  cluster_token: \"SECRET\n  role: init\n",
    "  cluster_token: SECRET: SECRET\n  role: init\n",
    "  cluster_token: *SECRET\n  role: init\n",
    "  cluster_tokn: SECRET\n  role: init\n",
    "  role: init\n  env:\n    PASSWORD: SECRET\n    HTTPS_PROXY: http://user:SECRET@proxy:3128\n",
    "  role: init\n  env:\n    PASSWORD: \"SECRET\\nSECRET\"\n",
    "  role: init\n  env:\n    PASSWORD: {a: SECRET}\n    BAD-NAME: SECRET\n    RKE2_TOKEN: SECRET\n",
    "  role: init\n  env: PASSWORD=SECRET\n",
    "  role: init\n  env: [PASSWORD=SECRET]\n",
    "  role: worker\n  cluster_token: x\n  control_plane_host: https://user:SECRET@10.0.0.1:9345\n",
    "  role: worker\n  cluster_token: x\n  control_plane_host: user:SECRET@10.0.0.1\n",
    "  role: init
  config: |
    token: SECRET
    agent-token: SECRET
    t: SECRET
    server: https://u:SECRET@h:9345
",
    "  role: init\n  config: |\n    token: \"SECRET\n    agent-token: SECRET\n",
    "  role: init\n  config: |\n    token: SECRET: SECRET\n",
    "  role: init\n  config: |\n    token: *SECRET\n",
    "  role: init\n  config: |\n    token: {a: SECRET}\n    agent-token: [[SECRET]]\n    vpn-auth: [SECRET, SECRET]\n",
    "  role: init\n  config:\n    token+: SECRET\n    Token: SECRET\n    token: SECRET\n    agent_token: SECRET\n",
    "  role: init
  config: |
    etcd-s3-access-key: SECRET
    etcd-s3-secret-key: SECRET
    etcd-s3-session-token: SECRET
",
    "  role: init
  config: |
    datastore-endpoint: postgres://user:SECRET@db/rke2
    vpn-auth: name=tailscale,joinKey=SECRET
",
    "  role: init
  config: |
    etcd-extra-env: PASSWORD=SECRET
    kube-apiserver-extra-env: [PASSWORD=SECRET, {a: SECRET}]
",
    "  role: init\n  config: |\n    token: '{{ .Values.SECRET }}SECRET'\n    agent-token: \"{{ bad SECRET }}\"\n",
    "  role: init
  config: |
    private-registry: https://user:SECRET@registry/registries.yaml
    node-name: http://u:SECRET@h
",
    "  role: init\n  providerConfig:\n    token: SECRET\n    agent-token: {a: SECRET}\n    tokn: SECRET\n",
    "  role: init\n  provider_options:\n    agent-token: SECRET\n    etcd-s3-secret-key: [SECRET]\n",
    "  role: init\n  ca_certs: [\"-----BEGIN PRIVATE KEY-----\\nSECRET\\n-----END PRIVATE KEY-----\\n\"]\n",
];

#[test]
fn no_secret_leaves_the_document() {
    let assert_hushed = |name: &str, what: &str, text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        for form in ENCODED.iter().chain(&[SECRET]) {
            assert!(!text.contains(form), "{what} of {name:?} tells a secret: {text}");
        }
    };
    let mut planned = 0;
    for section in SECRETIVE {
        let cloud_config = format!("#cloud-config\ncluster:\n{section}").replace("SECRET", SECRET);
        for (way, stdin) in [
            ("an event", envelope("agent.boot", &config(&cloud_config), "")),
            ("data that is no JSON", envelope("agent.boot", &cloud_config, "")),
            ("an event that is no JSON", cloud_config.clone().into_bytes()),
            ("a file that is none", envelope("agent.boot", &config(&cloud_config), "/nowhere")),
        ] {
            let node = Node::new();
            fs::create_dir(node.path("oem")).unwrap();
            fs::write(node.path("oem/90_custom.yaml"), &cloud_config).unwrap();
            let answer = send(Some(node.root()), "agent.boot", &stdin);
            assert_hushed(section, "the answer", &answer.stdout);
            assert_hushed(section, "stderr", &answer.stderr);
            planned += usize::from(way == "an event" && node.path(DOCUMENT).exists());
            fs::remove_file(node.path("oem/90_custom.yaml")).unwrap();
            let _ = fs::remove_file(node.path(DOCUMENT));
            // All else that was written: log, status, refused, issue, gate.
            assert!(node.path(LOG).exists(), "{way}");
            assert_hushed(section, "the node", support::tree(node.root()).as_bytes());
        }
        for event in ["cluster.reset", "init.provider.install", "agent.bootstrap"] {
            let node = Node::new();
            let answer = publish(Some(node.root()), event, &config(&cloud_config));
            assert_hushed(section, event, &[answer.stdout, answer.stderr].concat());
        }
    }
    assert!(planned >= 8, "only {planned} of these sections were planned: this test has lost its point");
}

#[test]
fn the_same_secret_in_a_source_is_not_told_either() {
    for section in SECRETIVE {
        let source = format!("#cloud-config\ncluster:\n{section}").replace("SECRET", SECRET);
        let collected =
            source.replacen("#cloud-config\n", "#cloud-config\n\n# Sources:\n# - /oem/90_custom.yaml\n\n", 1);
        let without = "#cloud-config\n\n# Sources:\n# - /oem/90_custom.yaml\n\nhostname: a\n";
        for text in [&*collected, without] {
            let (node, _) = booted();
            fs::create_dir(node.path("oem")).unwrap();
            fs::write(node.path("oem/90_custom.yaml"), &source).unwrap();
            let answer = boot(node.root(), text);
            let told = [
                answer.stdout,
                answer.stderr,
                text_at(&node, LOG).into(),
                text_at(&node, "run/provider-rke2/status.yaml").into(),
            ];
            let told = String::from_utf8_lossy(&told.concat()).into_owned();
            assert!(!told.contains(SECRET), "{section:?}: {told}");
        }
    }
}

/// The collector neither reads nor lists a file of 2 MiB, so a cluster section in it is not gone.
#[test]
fn a_file_that_is_too_large_for_kairos_is_named() {
    const NONE: &str = "#cloud-config\n\n# Sources:\n# - cmdline\n\nhostname: a\n";
    for (size, is_left_out) in [((2 << 20) - 1, false), (2 << 20, true)] {
        let root = Node::new();
        assert_eq!(boot(root.root(), GOOD).error, "");
        fs::create_dir(root.path("oem")).unwrap();
        let mut text = GOOD.to_owned();
        text.push_str(&"#".repeat(size - text.len()));
        fs::write(root.path("oem/99.yaml"), text).unwrap();
        let answer = boot(root.root(), NONE);
        assert!(answer.error.is_empty() && answer.log.starts_with("/oem/99.yaml: "), "{answer:?}");
        assert_eq!(answer.log.contains("has 2 MiB or more, so Kairos leaves it out"), is_left_out, "{answer:?}");
        assert!(root.path(DOCUMENT).exists(), "the last plan stays in force");
    }
}
