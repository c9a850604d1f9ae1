//! Which RKE2 is found on a node: by what is in its program, by asking it, and by what Kairos says of the image.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, Node, envelope, inner_room, inside, mode, run};

/// Where RKE2 is in these tests, which nothing on the machine that runs them uses.
const RKE2: &str = "usr/local/bin/rke2";
const KEPT: &str = "run/provider-rke2/rke2-version";

/// Puts a program in RKE2's place, as another file than before.
fn install(root: &Path, program: &[u8]) {
    let (path, new) = (root.join(RKE2), root.join(RKE2).with_extension("new"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&new, program).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// The state and the data that `init.provider.info` answers.
fn info(root: &Path) -> (String, String) {
    let mut command = Command::new(BINARY);
    if root != Path::new("/") {
        command.arg("--root").arg(root);
    }
    let ran = run(command.arg("init.provider.info"), &envelope("init.provider.info", "null", ""));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    let data: serde_json::Value = serde_json::from_str(&text("data")).unwrap_or_default();
    (text("state"), data["version"].as_str().unwrap_or_default().to_owned())
}

fn told(version: &str) -> (String, String) {
    (if version.is_empty() { "error" } else { "success" }.into(), version.into())
}

#[test]
fn rke2_is_asked_once_in_a_boot_where_its_program_does_not_tell() {
    const MOUNTS: &str = "mount -t tmpfs tmpfs /usr/local/bin; mount -t tmpfs tmpfs /run";
    let Some(room) = inner_room() else {
        let room = tempfile::tempdir().unwrap();
        return inside("installed::rke2_is_asked_once_in_a_boot_where_its_program_does_not_tell", MOUNTS, room.path());
    };
    let (node, asked, kept) = (Path::new("/"), room.join("asked"), Path::new("/").join(KEPT));
    let program = |answer: &str| {
        let script = format!("#!/bin/sh\necho \"$*\" >>{}\n{answer}\n", asked.display());
        install(node, script.as_bytes());
    };
    let asked = || fs::read_to_string(&asked).unwrap_or_default().lines().filter(|it| *it == "--version").count();
    program("echo 'rke2 version v1.33.4+rke2r1 (0a1b)'");
    // Where there is no boot, such as in the build of an image, nothing is left behind.
    assert_eq!((info(node), asked()), (told("v1.33.4+rke2r1"), 1));
    assert!(!Path::new("/run/provider-rke2").exists());
    fs::create_dir("/run/provider-rke2").unwrap();
    for _ in 0..3 {
        assert_eq!((info(node), asked()), (told("v1.33.4+rke2r1"), 2));
    }
    assert_eq!(mode(&kept), 0o600);
    // Another program; and one that was written over, with the size of the one before.
    program("echo 'rke2 version v1.33.5+rke2r1 (0a1b)'");
    assert_eq!((info(node), asked()), (told("v1.33.5+rke2r1"), 3));
    let path = node.join(RKE2);
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("v1.33.5", "v1.33.6")).unwrap();
    assert_eq!((info(node), asked()), (told("v1.33.6+rke2r1"), 4));
    // What was kept is whole, or it counts for nothing.
    let text = fs::read(&kept).unwrap();
    for end in 0..text.len() {
        fs::write(&kept, &text[..end]).unwrap();
        assert_eq!(info(node), told("v1.33.6+rke2r1"), "{end}");
    }
    assert_eq!(asked(), 4 + text.len());
    // An answer counts, whatever stands in the program; without one that does, and last what the image says.
    program("echo 'rke2 version dev (HEAD)' # v1.33.4+rke2r1");
    assert_eq!(info(node), told(""));
    program("exit 1 # v1.33.4+rke2r1");
    assert_eq!(info(node), told("v1.33.4+rke2r1"));
}

#[test]
fn under_another_root_the_program_is_searched_and_then_the_image_counts() {
    const NONE: &str = "#!/bin/sh\nexec /opt/real/rke2\n";
    let release = |prefix: &str| {
        format!("NAME=x\nKAIROS_SOFTWARE_VERSION_PREFIX=\"{prefix}\"\nKAIROS_SOFTWARE_VERSION=\"v1.35.1+rke2r1\"\n")
    };
    for (program, file, text, version) in [
        ("#!/bin/sh\necho 'rke2 version v1.33.4+rke2r1'\n", "etc/kairos-release", release("rke2"), "v1.33.4+rke2r1"),
        (NONE, "etc/kairos-release", release("rke2"), "v1.35.1+rke2r1"),
        (NONE, "etc/os-release", release("rke2"), "v1.35.1+rke2r1"),
        (NONE, "etc/os-release", release("rke2").replace('"', ""), "v1.35.1+rke2r1"),
        (NONE, "etc/kairos-release", release("k3s"), ""),
        (NONE, "etc/kairos-release", release("rke2").replace("v1.35.1", "latest"), ""),
        (NONE, "etc/kairos-release", String::new(), ""),
        // The wrong one would be worse than none.
        ("#!/bin/sh\n# v1.33.4+rke2r1 v1.34.4+rke2r1\n", "etc/os-release", String::new(), ""),
    ] {
        let node = Node::new();
        install(node.root(), program.as_bytes());
        fs::create_dir_all(node.path("etc")).unwrap();
        fs::write(node.path(file), &text).unwrap();
        fs::create_dir_all(node.path("run/provider-rke2")).unwrap();
        assert_eq!(info(node.root()), told(version), "{program} {text}");
        assert!(!node.exists(KEPT));
    }
}

#[test]
fn what_is_no_program_is_unknown() {
    let node = Node::new();
    fs::create_dir_all(node.path(RKE2)).unwrap();
    assert_eq!(info(node.root()), told(""));
    fs::remove_dir(node.path(RKE2)).unwrap();
    crate::support::fifo(&node.path(RKE2));
    assert_eq!(info(node.root()), told(""));
}
