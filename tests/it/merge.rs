//! `testdata/merge/<case>/`: a cloud-config, the node as it was (`root/`; modes that git cannot hold in `modes`, a line
//! each: octal mode, path), and beside them the whole of what `agent.boot` and `apply` leave of RKE2's configuration.

use crate::support::{self, CONFIG, DOCUMENT, DROP_INS, Node, apply};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_yaml::Value;

const READY: &str = "run/provider-rke2/ready-rke2-server";

/// A server that joins, with one option of the user.
const JOINER: &str = "#cloud-config\ncluster:\n  role: controlplane\n  cluster_token: a-token-that-is-long-enough\n  \
                      control_plane_host: 10.10.0.5\n  config: |\n    node-name: edge-1\n";

/// What `apply` has done, and what failed.
type Said = (Vec<String>, Vec<String>);

/// The node of a case, with the modes that a checkout does not keep.
fn node(case: &Path) -> Node {
    let node = Node::of(&case.join("root"));
    for line in fs::read_to_string(case.join("modes")).unwrap_or_default().lines() {
        let (mode, path) = line.split_once(' ').expect("a line of `modes` is a mode and a path");
        chmod(&node.path(path), u32::from_str_radix(mode, 8).unwrap());
    }
    node
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The cases with their cloud-configs.
fn cases() -> Vec<(PathBuf, String)> {
    let text = |case: &Path| fs::read_to_string(case.join("cloud-config.yaml")).unwrap();
    let cases: Vec<_> = support::cases("merge").into_iter().map(|case| (case.clone(), text(&case))).collect();
    assert!(cases.len() > 100);
    cases
}

/// Lays out what only yip evaluates.
fn evaluate(node: &Node) {
    for (path, value) in node.staged().into_iter().filter(|(path, _)| path.starts_with("run/provider-rke2/values/")) {
        node.write(&path, value, 0o600);
    }
}

#[test]
fn every_case_leaves_what_is_written_beside_it() {
    let differ = |(case, config): &(PathBuf, String)| catch_unwind(|| compare(case, config)).is_err();
    let differing: Vec<_> = cases().into_iter().filter(differ).map(|(case, _)| case).collect();
    assert!(differing.is_empty(), "these cases leave something else: {differing:#?}");
}

fn compare(case: &Path, config: &str) {
    let node = node(case);
    let root = node.root();
    let answer = support::boot(root, config);
    assert_eq!(answer.error, "", "{}: the plan is refused, that is a case for testdata/events", case.display());
    evaluate(&node);
    let (done, failed) = apply(root, None);

    let mut whole = String::new();
    let mut say = |title: &str, lines: &str| writeln!(whole, "{title}:\n{}\n", lines.trim_end()).unwrap();
    say("done", &done.join("\n"));
    say("failed", &failed.join("\n"));
    let log = fs::read_to_string(root.join("var/log/provider-rke2.log")).unwrap();
    let without_time = log.lines().map(|line| line.split_once(' ').unwrap().1);
    say("log", &without_time.collect::<Vec<_>>().join("\n"));
    let run = fs::read_dir(root.join("run/provider-rke2")).unwrap();
    let mut ready: Vec<_> = run.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    ready.retain(|name| name.starts_with("ready-"));
    say("ready", &ready.join("\n"));
    say("status", &fs::read_to_string(root.join("run/provider-rke2/status.yaml")).unwrap());
    say("/etc", &support::tree(&root.join("etc")));
    support::assert_expected(case, &whole);
}

/// Everything on the node, without the log.
fn tree(root: &Path) -> String {
    fs::remove_dir_all(root.join("var/log")).unwrap();
    support::tree(root)
}

/// Path, inode and time of the content of everything whose rewriting would be seen.
fn identities(node: &Node) -> Vec<(String, u64, (i64, i64))> {
    let stamps = ["etc/", "run/", "usr/"].into_iter().flat_map(|below| node.stamps(below));
    stamps.map(|(path, stamp)| (path, stamp.inode, stamp.modified)).collect()
}

#[test]
fn every_step_has_the_data_directory_that_rke2_has() {
    let config = |text: &str| format!("{JOINER}    data-dir: \"{text}\"\n");
    for (text, file, expected) in [
        ("/data/one", None, "/data/one"),
        ("/data/{{ .Values.node.hostname }}/rke2/", None, "/data/edge-7/rke2"),
        ("{{ .Values.node.hostname }}", None, "/edge-7"),
        ("/data/one", Some("{\"d+\": \"/data/two\"}"), "/data/two"),
        ("/data/one", Some("{\"data-dir\": \"\"}"), "/data/one"),
    ] {
        let node = Node::new();
        assert_eq!(support::boot(node.root(), &config(text)).error, "");
        evaluate(&node);
        if let Some(file) = file {
            node.put(&format!("{DROP_INS}/99_z.yaml"), file);
        }
        assert_eq!(apply(node.root(), None).1, Vec::<String>::new(), "{text}");
        let plan = node.read("run/provider-rke2/applied/plan.yaml").unwrap();
        assert!(plan.contains(&format!("data_dir: {expected}\n")), "{plan}");
        // Neither is there anything in the one that is only written.
        assert!(
            !node.exists("data/{{ .Values.node.hostname }}") && !node.exists("data/one") || expected == "/data/one"
        );
    }
}

#[test]
fn a_second_run_changes_nothing() {
    for (case, config) in cases() {
        let node = node(&case);
        support::boot(node.root(), &config);
        evaluate(&node);
        let first = apply(node.root(), None);
        let (before, left) = (identities(&node), tree(node.root()));

        let second = apply(node.root(), None);
        let name = case.display();
        assert_eq!(second.1, first.1, "{name}: fails in other words");
        assert_eq!(tree(node.root()), left, "{name}");
        assert_eq!(identities(&node), before, "{name}: is rewritten");
        if first.1.is_empty() {
            assert!(second.0.iter().any(|it| it.starts_with("/etc/rancher/rke2/config.yaml unchanged, ")), "{name}");
        }
    }
}

/// Lays out and runs a document stage by stage, as yip does, with a YAML reader that is not ours. Gives what was said.
fn yip(root: &Path, values: &serde_json::Value) -> Said {
    let document = fs::read_to_string(root.join(DOCUMENT)).unwrap();
    let document: Value = serde_yaml::from_str(&document).unwrap();
    let (mut done, mut failed) = Said::default();
    let of = |stage: &Value, key: &str| stage.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
    let mode = |entry: &Value| u32::try_from(entry["permissions"].as_u64().unwrap()).unwrap();
    for stage in document["stages"]["boot.before"].as_sequence().unwrap() {
        let place = |entry: &Value| root.join(entry["path"].as_str().unwrap().trim_start_matches('/'));
        for directory in of(stage, "directories") {
            fs::create_dir_all(place(&directory)).unwrap();
            chmod(&place(&directory), mode(&directory));
        }
        for file in of(stage, "files") {
            fs::write(place(&file), support::evaluated(file["content"].as_str().unwrap(), values)).unwrap();
            chmod(&place(&file), mode(&file));
        }
        // The node of a case has no OpenRC.
        if stage["if"].as_str().is_some_and(|condition| condition.starts_with("[ -d /run/openrc ]")) {
            continue;
        }
        for command in of(stage, "commands") {
            let step = command.as_str().unwrap().strip_prefix(support::PROGRAM).unwrap().strip_prefix(" apply ");
            let said = apply(root, Some(step.unwrap()));
            done.extend(said.0);
            failed.extend(said.1);
        }
    }
    (done, failed)
}

#[test]
fn the_steps_one_by_one_do_what_all_of_them_do() {
    for (case, config) in cases() {
        let (one, other) = (node(&case), node(&case));
        for root in [one.root(), other.root()] {
            support::boot(root, &config);
        }
        evaluate(&one);
        let mut all = apply(one.root(), None);
        let mut steps = yip(other.root(), &other.values());
        // One tells what was found after all that was done, the other step by step.
        all.0.sort();
        steps.0.sort();
        assert_eq!(all, steps, "{}", case.display());
        assert_eq!(tree(one.root()), tree(other.root()), "{}", case.display());
    }
}

/// A node of [`JOINER`] that has its plan, laid out as yip does but not applied.
fn staged() -> Node {
    let node = Node::new();
    support::boot(node.root(), JOINER);
    for name in ["plan.yaml", "config.d/90_userdata.yaml", "config.d/99_userdata.yaml"] {
        let path = node.path("run/provider-rke2").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, staged_file(node.root(), name)).unwrap();
    }
    node
}

/// The content that the document has for a staged file.
fn staged_file(root: &Path, name: &str) -> String {
    let document: Value = serde_yaml::from_str(&fs::read_to_string(root.join(DOCUMENT)).unwrap()).unwrap();
    let stages = document["stages"]["boot.before"].as_sequence().unwrap();
    let mut files = stages.iter().filter_map(|stage| stage.get("files")?.as_sequence()).flatten();
    let path = format!("/run/provider-rke2/{name}");
    let file = files.find(|file| file["path"].as_str() == Some(&path)).unwrap();
    file["content"].as_str().unwrap().to_owned()
}

/// A node of [`JOINER`] with a file of another author.
fn with_file(name: &[u8], content: &[u8]) -> Node {
    let node = staged();
    let directory = node.path(DROP_INS);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(OsStr::from_bytes(name)), content).unwrap();
    node
}

/// Says why `apply config` installs nothing on a node; the configuration of before is whole, and RKE2 may not start.
fn refused(node: &Node) -> String {
    let root = node.root();
    fs::create_dir_all(root.join(DROP_INS)).unwrap();
    fs::write(root.join(CONFIG), "the old one").unwrap();
    fs::write(root.join(READY), "").unwrap();
    let (done, failed) = apply(root, Some("config"));
    assert_eq!(done, Vec::<String>::new());
    assert_eq!(fs::read_to_string(root.join(CONFIG)).unwrap(), "the old one");
    assert!(!root.join(READY).exists(), "RKE2 may start although {failed:?}");
    let status = fs::read_to_string(root.join("run/provider-rke2/status.yaml")).unwrap();
    assert!(status.contains("\nconfig: failed\n"), "{status}");
    let [sentence] = failed.as_slice() else { panic!("one sentence is expected: {failed:?}") };
    sentence.clone()
}

/// What is in config.yaml after an `apply config` that must work.
fn installed(node: &Node) -> Value {
    let (done, failed) = apply(node.root(), Some("config"));
    assert_eq!(failed, Vec::<String>::new());
    assert!(done[0].starts_with("/etc/rancher/rke2/config.yaml "), "{done:?}");
    assert!(node.path(READY).exists());
    serde_yaml::from_str(&fs::read_to_string(node.path(CONFIG)).unwrap()).unwrap()
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_the_byte() {
    assert_eq!(
        refused(&with_file(b"zz.yaml", b"node-name: last\nlog: /\xff\n")),
        "/etc/rancher/rke2/config.d/zz.yaml: is not UTF-8 from byte 22 on; mend or remove the file"
    );
}

#[test]
fn a_second_document_is_ignored_and_reported() {
    let node = with_file(b"zz.yaml", b"node-name: last\n---\nnode-name: never\n");
    assert_eq!(installed(&node)["node-name"], "last");
    let log = fs::read_to_string(node.path("var/log/provider-rke2.log")).unwrap();
    let is_warning =
        |line: &str| line.contains(" warning config: ") && line.contains("/etc/rancher/rke2/config.d/zz.yaml");
    assert!(log.lines().any(is_warning), "{log}");
}

#[test]
fn a_file_may_have_one_mebibyte() {
    let mut content = b"node-name: last\n#".to_vec();
    content.resize(1 << 20, b'x');
    assert_eq!(installed(&with_file(b"zz.yaml", &content))["node-name"], "last");
    content.push(b'x');
    let sentence = refused(&with_file(b"zz.yaml", &content));
    assert!(sentence.contains("/etc/rancher/rke2/config.d/zz.yaml: it has more than 1048576 bytes"), "{sentence}");
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let sentence = refused(&with_file(b"zz-\xff.yaml", b"node-name: last\n"));
    assert!(sentence.contains("/etc/rancher/rke2/config.d/zz-"), "{sentence}");
    assert_eq!(installed(&with_file(b"zz-\xff.txt", b"node-name: last\n"))["node-name"], "edge-1");
}

#[test]
fn pipes_and_sockets_are_skipped_and_never_opened() {
    let node = with_file(b"zz.yaml", b"node-name: last\n");
    let directory = node.path(DROP_INS);
    let pipe = directory.join("50-pipe.yaml");
    support::fifo(&pipe);
    let _socket = UnixListener::bind(directory.join("60-socket.yml")).unwrap();
    symlink("50-pipe.yaml", directory.join("70-link.yaml")).unwrap();

    // Who opens a pipe to write waits until somebody opens it to read, however short.
    let writer = thread::spawn({
        let pipe = pipe.clone();
        move || drop(File::options().write(true).open(pipe).unwrap())
    });
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    let config = installed(&node);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(config["node-name"], "last");
    assert!(!writer.is_finished(), "the pipe was opened");
    drop(File::open(pipe).unwrap());
    writer.join().unwrap();

    let log = fs::read_to_string(node.path("var/log/provider-rke2.log")).unwrap();
    for skipped in [
        "50-pipe.yaml: it is a named pipe, not a regular file, so it is left out; remove it",
        "60-socket.yml: it is a socket, not a regular file, so it is left out; remove it",
        "70-link.yaml: it is a named pipe, not a regular file, so it is left out; remove it",
    ] {
        let warning = format!(" 1.2.3 warning config: cannot read /etc/rancher/rke2/config.d/{skipped}");
        assert!(log.contains(&warning), "{warning} is not in {log}");
    }
}

#[test]
fn staged_files_that_are_not_whole_are_refused() {
    type Damage = fn(&str, &str) -> Option<String>;
    // What stands before the last line, and the last line.
    let damages: [(&str, Damage); 6] = [
        ("cannot read /run/provider-rke2/", |_, _| None),
        (": is not whole", |_, _| Some(String::new())),
        (": is not whole", |body, last| Some(format!("{body}{}", last.trim_end()))),
        (": is not whole", |body, _| Some(body[..body.len() / 2].to_owned())),
        (": is not whole", |body, _| Some(body.to_owned())),
        (": is not whole", |body, last| Some(format!("{body}{}", last.replace("plan ", "plan  ")))),
    ];
    for name in ["plan.yaml", "config.d/90_userdata.yaml", "config.d/99_userdata.yaml"] {
        for (number, (part, damage)) in damages.iter().enumerate() {
            let node = staged();
            let path = node.path("run/provider-rke2").join(name);
            let text = fs::read_to_string(&path).unwrap();
            let (body, last) = text.split_at(text.rfind("# plan ").unwrap());
            match damage(body, last) {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let sentence = refused(&node);
            assert!(sentence.contains(part) && sentence.contains("/run/provider-rke2/"), "{name} {number}: {sentence}");
        }
    }
}

/// Gives a staged file the last line of another plan.
fn of_another_plan(node: &Node, name: &str) {
    let path = node.path("run/provider-rke2").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let body = &text[..text.rfind("# plan ").unwrap()];
    fs::write(&path, format!("{}# plan 0123456789abcdef\n", body.replace("edge-1", "edge-0"))).unwrap();
}

#[test]
fn what_two_runs_have_mixed_is_laid_out_anew() {
    for name in ["plan.yaml", "config.d/90_userdata.yaml", "config.d/99_userdata.yaml"] {
        for is_known in [true, false] {
            let node = staged();
            of_another_plan(&node, name);
            if !is_known {
                fs::remove_file(node.path("run/provider-rke2/plan-id")).unwrap();
            }
            assert_eq!(installed(&node)["node-name"], "edge-1", "{name}");
            // Without the document nobody knows what was asked for, nor with one that cannot be read.
            of_another_plan(&node, name);
            node.put(DOCUMENT, "#cloud-config\nname: RKE2 Kairos Cluster Provider\nstages: [\n");
            let sentence = refused(&node);
            assert!(sentence.contains("cluster.kairos.yaml: is not valid YAML"), "{sentence}");
            fs::remove_file(node.path(DOCUMENT)).unwrap();
            let sentence = refused(&node);
            assert!(sentence.contains("there is no document of this program"), "{sentence}");
        }
    }
}

/// A node whose name is a template, planned and not staged; with state of RKE2 or without.
fn named_by_template(state: &[&str]) -> Node {
    let node = Node::new();
    for path in state {
        node.put(path, "");
    }
    support::boot(node.root(), &JOINER.replace("edge-1", "\"{{ .Values.node.hostname }}\""));
    node
}

const STATE: &[&str] = &["var/lib/rancher/rke2/server/db/state.db"];

#[test]
fn only_yip_evaluates_templates() {
    const WITHOUT_YIP: &str =
        "node-name: holds a template, which only yip evaluates; run the boot stages: kairos-agent run-stage boot";
    for state in [&[][..], STATE] {
        let node = named_by_template(state);
        for _ in 0..2 {
            assert_eq!(apply(node.root(), None).1[0], WITHOUT_YIP);
            assert!(!node.path(CONFIG).exists());
        }
        node.stage();
        // It stays where the plan is laid out again, also another plan of the same texts.
        for (key, file) in [("", ""), ("  env: {A: b}\n", "etc/default/rke2-server")] {
            let template = JOINER.replace("edge-1", "\"{{ .Values.node.hostname }}\"");
            support::boot(node.root(), &format!("{template}{key}"));
            assert_eq!(apply(node.root(), None).1, Vec::<String>::new());
            assert!(node.exists(file));
            let config: Value = serde_yaml::from_str(&node.read(CONFIG).unwrap()).unwrap();
            assert_eq!(config["node-name"], "edge-7");
        }
        // Files of other texts are laid out again, and nobody has evaluated them.
        let value = node.read("run/provider-rke2/values/0").unwrap();
        let (text, _) = value.rsplit_once(' ').unwrap();
        fs::remove_file(node.path(CONFIG)).unwrap();
        node.write("run/provider-rke2/values/0", format!("{text} 0123456789abcdef"), 0o600);
        assert_eq!(apply(node.root(), Some("config")).1, [WITHOUT_YIP]);
        assert!(!node.path(CONFIG).exists() && !node.path(READY).exists());
    }
}

#[test]
fn a_plan_has_a_thousand_templates_at_most() {
    let labels = |count: usize| (0..count).map(|it| format!("a{it}={{{{ .Values.a{it} }}}}")).collect::<Vec<_>>();
    for (count, error) in [(1000, ""), (1001, "cluster: its options have more than 1000 templates; write fewer")] {
        let node = Node::new();
        // The same one again is none more.
        let labels = labels(count).join("\", \"");
        let answer = support::boot(
            node.root(),
            &format!("{JOINER}    node-label: [\"{labels}\"]\n    kubelet-arg: [\"{labels}\"]\n"),
        );
        assert!(answer.error.starts_with(error) && answer.error.is_empty() == error.is_empty(), "{}", answer.error);
    }
}

#[test]
fn an_older_plan_is_left_alone() {
    let node = staged();
    installed(&node);
    for name in ["plan.yaml", "config.d/90_userdata.yaml", "config.d/99_userdata.yaml"] {
        of_another_plan(&node, name);
    }
    let before = tree(node.root());
    let (done, failed) = apply(node.root(), Some("config"));
    assert_eq!((done, failed.len()), (vec![], 1), "{failed:?}");
    assert!(failed[0].contains("is not of the plan in force"), "{failed:?}");
    let log = |tree: &str| tree.lines().filter(|line| !line.contains("| 1.2.3 ")).collect::<Vec<_>>().join("\n");
    assert_eq!(log(&tree(node.root())), log(&before), "nothing but a line in the log");
    // The other steps go by what was accepted.
    for step in ["swap", "host", "trust", "environment", "images", "service"] {
        assert_eq!(apply(node.root(), Some(step)).1, Vec::<String>::new(), "{step:?}");
    }
    // Where no event has come in this boot, there is no plan that it could be older than.
    fs::remove_file(node.path("run/provider-rke2/plan-id")).unwrap();
    assert_eq!(installed(&node)["node-name"], "edge-0");
    let status = fs::read_to_string(node.path("run/provider-rke2/status.yaml")).unwrap();
    assert!(status.contains("code: event-missing"), "{status}");
}

/// Replaces a text in a staged file; its last line stays.
fn tamper(node: &Node, name: &str, from: &str, to: &str) {
    let path = node.path("run/provider-rke2").join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

#[test]
fn a_configuration_that_would_found_another_cluster_is_refused() {
    const NO_SERVER: &str = "config.yaml: has no server, which a controlplane needs; write cluster.control_plane_host";
    const NO_TOKEN: &str = "config.yaml: has no token, which a controlplane needs; write cluster.cluster_token";
    const SERVER_ON_INIT: &str = "config.yaml: has a server, which role init must not have; remove it";
    const EMPTY: &str = "90_userdata.yaml: is empty; run agent.boot again";
    let (user, provider) = ("config.d/90_userdata.yaml", "config.d/99_userdata.yaml");
    let server = "  \"server\": \"https://10.10.0.5:9345\",\n";
    let token = "  \"token\": \"a-token-that-is-long-enough\",\n";
    for (name, from, to, sentence) in [
        (provider, server, "", NO_SERVER),
        (provider, server, "  \"server\": \"\",\n", NO_SERVER),
        (provider, token, "", NO_TOKEN),
        (provider, token, "  \"token\": null,\n", NO_TOKEN),
        ("plan.yaml", "role: controlplane", "role: init", SERVER_ON_INIT),
        (user, "{\n  \"node-name\": \"edge-1\"\n}\n", "null\n", EMPTY),
        (user, "{\n  \"node-name\": \"edge-1\"\n}\n", "# nothing\n", EMPTY),
    ] {
        let node = staged();
        tamper(&node, name, from, to);
        assert_eq!(refused(&node), sentence);
    }
}

#[test]
fn what_other_files_say_does_not_make_up_for_a_token_that_is_missing() {
    let node = with_file(b"zz.yaml", b"token: another-token-that-is-long\nserver: https://192.0.2.1:9345\n");
    tamper(&node, "config.d/99_userdata.yaml", "  \"server\": \"https://10.10.0.5:9345\",\n", "");
    assert!(refused(&node).contains("has no server"));
}

#[test]
fn modes_are_mended_where_nothing_is_written() {
    let node = staged();
    installed(&node);
    let before = identities(&node);
    let paths = [
        ("etc/rancher", 0o500, 0o755),
        ("etc/rancher/rke2", 0o777, 0o755),
        (DROP_INS, 0o755, 0o700),
        (CONFIG, 0o644, 0o600),
        ("etc/rancher/rke2/config.d/90_userdata.yaml", 0o644, 0o400),
        ("etc/rancher/rke2/config.d/99_userdata.yaml", 0o444, 0o400),
    ];
    for (path, wrong, _) in paths {
        chmod(&node.path(path), wrong);
    }
    installed(&node);
    for (path, _, right) in paths {
        let mode = fs::metadata(node.path(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, right, "{path}: {mode:o}");
    }
    assert_eq!(identities(&node), before);
}

#[test]
fn a_configuration_that_changed_is_written() {
    let node = staged();
    assert_eq!(installed(&node)["node-name"], "edge-1");
    tamper(&node, "config.d/90_userdata.yaml", "edge-1", "edge-2");
    assert_eq!(installed(&node)["node-name"], "edge-2");
    let zz = node.path(DROP_INS).join("zz.yaml");
    fs::write(&zz, "node-name: edge-3").unwrap();
    assert_eq!(installed(&node)["node-name"], "edge-3");
    fs::remove_file(zz).unwrap();
    assert_eq!(installed(&node)["node-name"], "edge-2");
}

#[test]
fn what_was_refused_is_told_sentence_by_sentence() {
    let node = Node::new();
    let answer = support::boot(node.root(), &format!("{JOINER}  ca_certs: [1, 2]\n"));
    assert_ne!(answer.error, "");
    for step in [None, Some("config"), Some("service")] {
        let (_, failed) = apply(node.root(), step);
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed.iter().all(|it| it.starts_with("cluster.ca_certs[") && !it.contains('\n')), "{failed:?}");
    }
    let status = fs::read_to_string(node.path("run/provider-rke2/status.yaml")).unwrap();
    assert_eq!(status.matches("cluster.ca_certs[").count(), 2, "{status}");
}

#[test]
fn what_a_terminal_would_obey_is_escaped_in_what_was_refused() {
    let node = Node::new();
    assert_eq!(support::boot(node.root(), JOINER).error, "");
    fs::write(node.path("run/provider-rke2/refused"), "a \u{2}\u{1b}[2J\n\n").unwrap();
    let (_, failed) = apply(node.root(), Some("config"));
    assert_eq!(failed, ["a \\u{2}\\u{1b}[2J"]);
}
