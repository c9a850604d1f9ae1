//! What the program tells of itself: `explain`, `schema`, `completions`, `man`, the GitHub Action and the hook of pre-commit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use provider_rke2::cluster::keys;
use provider_rke2::cluster::settings;
use provider_rke2::findings::code::Code;
use provider_rke2::rke2::options::{self, Class, Kind};
use serde_json::Value;

use crate::support::{self, BINARY, Ran};

fn run(arguments: &[&str]) -> Ran {
    support::run(Command::new(BINARY).args(arguments), b"")
}

#[test]
fn every_word_is_explained() {
    let list = run(&["explain"]).stdout;
    let names = options::all().iter().map(|spec| (spec.name, spec.meaning));
    let names = names.chain(keys::ROWS.iter().map(|row| (row.name, row.meaning)));
    let names = names.chain(settings::ROWS.iter().map(|row| (row.name, row.meaning)));
    for (name, meaning) in names.chain(Code::ALL.iter().map(|code| (code.as_str(), code.explain()))) {
        assert!(list.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
        let ran = run(&["explain", name]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{name}");
        assert!(ran.stdout.starts_with(&format!("{name}: ")) && ran.stdout.contains(meaning), "{name}: {ran:?}");
    }
    assert_eq!(
        run(&["explain", "cluster.config.cni"]).stdout,
        "cni: option of RKE2, in cluster.config

  network plugin: canal (the default), calico, cilium, flannel or none; multus may come first

  takes        a list; each item is one of a few words
  allowed      none, canal, calico, cilium, flannel, multus
  without it   canal
  files        the last file that names it wins
  commas       one text may hold several items, separated by commas
  nodes        servers
  since        RKE2 1.23 or before
  variable     RKE2_CNI
"
    );
    // As findings name it.
    assert!(run(&["explain", "cluster.config.tls-san[1]"]).stdout.starts_with("tls-san: option of RKE2"));
    for (typo, near) in [
        ("tls-sna", "tls-san"),
        ("role-unkown", "role-unknown"),
        ("reset_timeot", "reset_timeout"),
        ("cluster.control_plane_hots", "control_plane_host"),
    ] {
        let ran = run(&["explain", typo]);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{typo}");
        assert!(ran.stderr.contains(&format!("did you mean {near}?")), "{ran:?}");
    }
    assert!(run(&["explain", "nothing-like-it"]).stderr.contains("`agent-provider-rke2 explain` lists them"));
}

/// The lab validates it; here is that nothing of the tables is missing.
#[test]
fn the_schema_has_every_word() {
    let schema: Value = serde_json::from_str(&run(&["schema"]).stdout).unwrap();
    let section = &schema["properties"]["cluster"]["properties"];
    for row in &keys::ROWS {
        assert_eq!(section[row.name]["description"], row.meaning);
    }
    for row in settings::ROWS {
        assert_eq!(section["providerConfig"]["properties"][row.name]["description"], row.meaning);
    }
    for spec in options::all() {
        for part in ["config", "providerConfig"] {
            let told = &section[part]["properties"][spec.name];
            assert!(told["description"].as_str().unwrap().starts_with(spec.meaning), "{}", spec.name);
            let is_old = spec.class == Class::Dropped || !spec.deprecated.is_empty();
            assert_eq!(told["deprecated"] == true, is_old, "{}", spec.name);
        }
    }
}

/// Of the options the first of each form.
#[test]
fn the_schema_says_what_is_written_of_each_form() {
    let schema: Value = serde_json::from_str(&run(&["schema"]).stdout).unwrap();
    let section = &schema["properties"]["cluster"]["properties"];
    let mut said = String::new();
    let mut say = |path: &str, schema: &Value| {
        writeln!(said, "{path}: {}", serde_json::to_string_pretty(schema).unwrap()).unwrap();
    };
    for (name, schema) in section.as_object().unwrap() {
        let mut schema = schema.clone();
        schema.as_object_mut().unwrap().remove("properties");
        say(name, &schema);
    }
    let mut forms = BTreeSet::new();
    for spec in options::all() {
        let form =
            (spec.class as u8, spec.is_list(), spec.kind == Kind::Word, spec.comma_split, spec.deprecated.is_empty());
        if forms.insert(form) {
            say(spec.name, &section["config"]["properties"][spec.name]);
        }
    }
    say("providerConfig.node-label", &section["providerConfig"]["properties"]["node-label"]);
    say("providerConfig.swap", &section["providerConfig"]["properties"]["swap"]);
    support::assert_expected(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/words/schema"), &said);
}

#[test]
fn a_shell_completes_what_the_command_line_takes() {
    let script = run(&["completions", "bash"]).stdout;
    let complete = |words: &[&str]| -> Vec<String> {
        let array: String = words.iter().map(|word| format!("'{word}' ")).collect();
        let line = format!(
            "{script}\nCOMP_WORDS=({array}); COMP_CWORD={}; _agent_provider_rke2; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let output = Command::new("bash").args(["-euc", &line]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    };
    let program = "agent-provider-rke2";
    assert_eq!(complete(&[program, "ch"]), ["check"]);
    assert_eq!(complete(&[program, "check", "--format", ""]), ["text", "json", "github", "sarif"]);
    assert_eq!(complete(&[program, "--root", "/x", "check", "--st"]), ["--strict"]);
    assert_eq!(complete(&[program, "apply", "en"]), ["environment"]);
    assert_eq!(complete(&[program, "completions", "f"]), ["fish"]);
    let verbs = complete(&[program, ""]);
    for verb in ["render", "check", "explain", "schema", "apply", "status", "reset", "man"] {
        assert!(verbs.iter().any(|it| it == verb), "{verbs:?}");
    }
    for shell in ["zsh", "fish"] {
        let script = run(&["completions", shell]).stdout;
        assert!(script.contains("--strict") || script.contains("-l strict"), "{script}");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &script).unwrap();
        match Command::new(shell).arg("-n").arg(file.path()).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {output:?}"),
            Err(error) => eprintln!("left out for want of {shell}: {error}"),
        }
    }
}

#[test]
fn the_manual_has_every_verb_and_flag_with_a_sentence() {
    let page = run(&["man"]).stdout;
    assert!(page.starts_with(".TH AGENT-PROVIDER-RKE2 8"), "{page}");
    for verb in ["render", "check", "explain", "schema", "apply", "prestart", "guard", "status", "reset", "completions"]
    {
        assert!(page.contains(&format!("\n.SS {verb}")), "{verb}");
        let help = run(&[verb, "--help"]).stdout;
        for flag in help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--root") {
            let name = flag.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).replace('-', "\\-");
            assert!(page.contains(&format!(".B {name}")) || name.ends_with("help"), "{verb} {name}");
        }
    }
    for part in page.split(".TP\n").skip(1) {
        let sentence = part.lines().nth(1).unwrap();
        assert!(sentence.len() > 10 && sentence.ends_with('.'), "{part}");
    }
}

#[test]
fn root_may_stand_behind_the_verb() {
    let node = tempfile::tempdir().unwrap();
    let root = node.path().to_str().unwrap();
    let file = node.path().join("file");
    fs::write(&file, "#cloud-config\ncluster:\n  role: init\n").unwrap();
    let file = file.to_str().unwrap();
    let before = run(&["--root", root, "check", file]);
    assert_eq!(before.outcome(), run(&["check", "--root", root, file]).outcome());
    assert_eq!(before.code, Some(0));
    let ran = run(&["check", "--root", "/nowhere/at/all", file]);
    assert!(ran.code == Some(2) && ran.stderr.contains("/nowhere/at/all"), "{ran:?}");
}

/// The script of the GitHub Action, run as a runner does.
#[test]
fn the_action_annotates_and_fails() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let action: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(repository.join("action.yml")).unwrap()).unwrap();
    let step = &action["runs"]["steps"][0];
    assert_eq!((action["runs"]["using"].as_str(), step["shell"].as_str()), (Some("composite"), Some("bash")));
    for (name, value) in step["env"].as_mapping().unwrap() {
        let input = value.as_str().unwrap().trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        assert!(name == "ACTION" || action["inputs"][input]["description"].is_string(), "{input}");
    }
    let script = step["run"].as_str().unwrap();
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("a.yaml"), "#cloud-config\ncluster:\n  role: master\n").unwrap();
    fs::write(
        room.path().join("b.yaml"),
        "#cloud-config\ncluster:\n  role: init\n  cluster_token: short\n  colour: red\n",
    )
    .unwrap();
    let act = |files: &str, strict: &str, allow: &str| {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(room.path());
        command.env("FILES", files).env("STRICT", strict).env("ALLOW", allow).env("PROGRAM", BINARY).env("ACTION", "");
        support::run(&mut command, b"")
    };
    let ran = act("*.yaml", "false", "");
    assert_eq!((ran.code, ran.stdout.matches("::error file=a.yaml,line=3,col=9").count()), (Some(1), 1), "{ran:?}");
    assert_eq!(act("b.yaml", "false", "").code, Some(0));
    assert_eq!(act("b.yaml", "true", "").code, Some(1));
    assert_eq!(act("b.yaml", "true", "token-short unknown-key").outcome(), (Some(0), "", ""));
    if Command::new("shellcheck").arg("--version").output().is_ok() {
        let mut shellcheck = Command::new("shellcheck");
        let ran = support::run(shellcheck.args(["--shell=bash", "-"]), script.as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let hooks: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(repository.join(".pre-commit-hooks.yaml")).unwrap()).unwrap();
    let hook = &hooks[0];
    assert_eq!(hook["language"], "rust");
    // Or pre-commit shares the files of a cluster out to several runs, none of which sees all of them.
    assert_eq!(hook["require_serial"], true);
    let words: Vec<&str> = hook["entry"].as_str().unwrap().split(' ').collect();
    let mut command = Command::new(BINARY);
    let ran = support::run(command.args(&words[1..]).arg("a.yaml").current_dir(room.path()), b"");
    assert_eq!((words[0], ran.code), ("agent-provider-rke2", Some(1)));
}

const BEFORE: &str = "#cloud-config
cluster:
  role: init
  cluster_token: hUsh7hush-Zx9qpLw2
  control_plane_host: 10.10.0.5
  config:
    cni: canal
    agent-token: hUsh7hush-Zx9qpLw2-agent
    tls-san: [a.example.com]
  env:
    PASSWORD: hUsh7hush-Zx9qpLw2
";

/// In a directory of its own, which goes, or in one that is named and empty; without a secret in either.
#[test]
fn a_simulation_shows_what_a_boot_makes() {
    let place = tempfile::tempdir().unwrap();
    let (file, root) = (place.path().join("file"), place.path().join("root"));
    fs::write(&file, BEFORE).unwrap();
    fs::create_dir(&root).unwrap();
    let (file, root) = (file.to_str().unwrap(), root.to_str().unwrap());
    let own = run(&["simulate", file]);
    assert_eq!(own.code, Some(0), "{own:?}");
    for line in [
        "0600 /etc/rancher/rke2/config.yaml",
        "     |   \"cni\": [\"canal\"],",
        "     |   \"token\": \"***\",",
        "     |   \"agent-token\": \"***\",",
        "0600 /etc/default/rke2-server",
        "     | PASSWORD=\"***\"",
        "0600 /usr/local/cloud-config/cluster.kairos.yaml",
    ] {
        assert!(own.stdout.lines().any(|it| it == line), "{line}: {}", own.stdout);
    }
    assert!(!(own.stdout.clone() + &own.stderr).contains("hUsh7hush"), "{own:?}");
    let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    assert!(!left.into_iter().any(|it| it.file_name().to_string_lossy().starts_with("agent-provider-rke2-")));
    let named = run(&["--root", root, "simulate", file]);
    assert_eq!((named.code, &named.stdout), (Some(0), &own.stdout), "{named:?}");
    assert!(!support::tree(Path::new(root)).contains("hUsh7hush"));
    let again = run(&["--root", root, "simulate", file]);
    assert!(again.code == Some(2) && again.stderr.contains("not empty"), "{again:?}");
    let refused =
        support::run(Command::new(BINARY).args(["simulate", "-"]), b"#cloud-config\ncluster: {role: master}\n");
    assert_eq!((refused.code, &*refused.stdout), (Some(1), ""));
}

#[test]
fn a_difference_is_told_option_by_option() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = place.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let before = write("before", BEFORE);
    let after = BEFORE.replace("canal", "cilium").replace("a.example.com", "a.example.com, b.example.com");
    let after = write("after", &after.replace("hUsh7hush-Zx9qpLw2", "aNother7hush-Zx9qpLw2"));
    let ran = run(&["diff", &before, &after]);
    let told = "99_userdata.token: changed
config.agent-token: changed
config.cni: [\"canal\"] -> [\"cilium\"]
config.tls-san: [\"a.example.com\"] -> [\"a.example.com\", \"b.example.com\"]
env.PASSWORD: changed
restarts RKE2: yes, because its configuration changes, and its environment changes
guard critical-changed: cni cannot change in a cluster that runs, so the plan is refused
guard token-changed: a server does not start with another token; rke2 token rotate changes it
";
    assert_eq!(ran.outcome(), (Some(0), told, ""));
    let same = "nothing changes\nrestarts RKE2: no\n";
    assert_eq!(run(&["diff", &before, &before]).outcome(), (Some(0), same, ""));
    let agent = BEFORE
        .replace("role: init", "role: worker")
        .replace("    cni: canal\n", "")
        .replace("    tls-san: [a.example.com]\n", "");
    let ran = run(&[
        "diff",
        &before,
        &write("agent", &agent.replace("    agent-token: hUsh7hush-Zx9qpLw2-agent\n", "    debug: true\n")),
    ]);
    assert!(
        ran.stdout.contains("unit: rke2-server -> rke2-agent\n") && ran.stdout.contains("guard role-changed: "),
        "{ran:?}"
    );
    // A single file is compared with the plan of the node.
    let node = tempfile::tempdir().unwrap();
    let root = node.path().to_str().unwrap();
    let ran = run(&["--root", root, "diff", &after]);
    assert!(ran.code == Some(2) && ran.stderr.contains("no plan to compare with"), "{ran:?}");
    support::boot(node.path(), BEFORE);
    assert_eq!(run(&["--root", root, "diff", &before]).outcome(), (Some(0), same, ""));
    let ran = run(&["--root", root, "diff", &after]);
    assert!(ran.stdout.contains("config.cni: [\"canal\"] -> [\"cilium\"]\n"), "{ran:?}");
    assert!(!ran.stdout.contains("hush"), "{ran:?}");
}
