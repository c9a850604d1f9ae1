//! `apply --dry-run`: for each case of `testdata/events`, step by step and as a whole, nothing on the node changes; and what it says is what
//! `apply` then says and does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use provider_rke2::apply::STEPS;

use crate::support::{self, Node, Ran};

/// What a run leaves behind whatever it does: its locks and logs. A rehearsal holds none and writes none.
fn is_of_the_run(path: &str) -> bool {
    path.ends_with(".lock") || path.ends_with("/lock") || path.ends_with(".log") || matches!(path, "var" | "var/log")
}

/// The paths that a rehearsal names, but for [`is_of_the_run`].
fn named(ran: &Ran) -> BTreeSet<String> {
    let path = |line: &str| {
        let rest = line.strip_prefix("would ").unwrap_or_else(|| panic!("{line}"));
        let path = rest.split(['/', ',']).next().map(|verb| &rest[verb.len()..]).unwrap();
        path.split([',', ' ']).next().unwrap().trim_start_matches('/').to_owned()
    };
    ran.stdout.lines().map(path).filter(|it| !is_of_the_run(it)).collect()
}

/// What lies on a node, by path.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// The paths that are other than before, but for [`is_of_the_run`].
fn changed(before: &Files, after: &Files) -> BTreeSet<String> {
    let names = before.keys().chain(after.keys());
    names.filter(|it| before.get(*it) != after.get(*it) && !is_of_the_run(it)).cloned().collect()
}

#[test]
fn a_rehearsal_changes_nothing_and_says_what_apply_does() {
    let cases = support::cases("events");
    support::each(cases.len(), |index| {
        let case = &cases[index];
        let name = case.file_name().unwrap().to_str().unwrap();
        let node = Node::of(&case.join("root"));
        for (path, text) in [
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
            ("etc/fstab", "UUID=1 none swap sw 0 0\n"),
        ] {
            if !node.exists(path) {
                node.write(path, text, 0o644);
            }
        }
        node.boot(&fs::read_to_string(case.join("cloud-config.yaml")).unwrap());

        let before = node.stamps("");
        for step in STEPS {
            node.run(&["apply", step.name, "--dry-run"]);
            assert_eq!(node.stamps(""), before, "{name}: {}", step.name);
        }
        let rehearsal = node.run(&["apply", "--dry-run"]);
        assert_eq!(node.stamps(""), before, "{name}");

        let files = node.files("");
        let real = node.run(&["apply"]);
        assert_eq!(named(&rehearsal), changed(&files, &node.files("")), "{name}: {}", rehearsal.stdout);
        assert_eq!(rehearsal.code, real.code, "{name}: {rehearsal:?} {real:?}");
        assert_eq!(rehearsal.said()[1..], real.said(), "{name}");
        let again = node.run(&["apply", "--dry-run"]);
        let left: Vec<_> = named(&again).into_iter().filter(|it| it.starts_with("etc/")).collect();
        assert_eq!(left, Vec::<String>::new(), "{name}: {}", again.stdout);
    });
}
