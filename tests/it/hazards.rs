//! What can stand in the way of a file: after every attempt it is the old one or the new one, whole, and nothing is
//! left beside.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::support::{again, fifo, inner_room, inside, mode};
use provider_rke2::host::{Error, Host};

const OLD: &[u8] = b"old\n";
const NEW: &[u8] = b"new, and longer\n";

/// All that lies under a directory: what it is, its mode unless a symlink, its bytes or where it leads.
fn tree(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let text = if kind.is_symlink() {
                format!("symlink to {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                open.push(path.clone());
                format!("directory {:o}", mode(&path))
            } else if kind.is_fifo() {
                "fifo".to_owned()
            } else {
                format!("{:o} {}", mode(&path), String::from_utf8_lossy(&fs::read(&path).unwrap()))
            };
            found.insert(path, text);
        }
    }
    found
}

/// One thing in the way of `d/target`, and what comes of `install`ing the new bytes there, 0640.
struct Row {
    name: &'static str,
    target: &'static str,
    prepare: fn(&Path),
    outcome: Result<bool, &'static str>,
    /// What lies in the root afterwards, by path.
    after: &'static [(&'static str, &'static str)],
}

const fn row(
    name: &'static str,
    prepare: fn(&Path),
    outcome: Result<bool, &'static str>,
    after: &'static [(&'static str, &'static str)],
) -> Row {
    Row { name, target: "/d/target", prepare, outcome, after }
}

const TEMPORARY: &str = "d/.target.provider-rke2";
const DIR: (&str, &str) = ("d", "directory 755");
const WRITTEN: (&str, &str) = ("d/target", "640 new, and longer\n");

const ROWS: &[Row] = &[
    row("absent", |_| {}, Ok(true), &[DIR, WRITTEN]),
    row("same bytes", |d| write(&d.join("d/target"), NEW, 0o640), Ok(false), &[DIR, WRITTEN]),
    row("same bytes, wrong mode", |d| write(&d.join("d/target"), NEW, 0o666), Ok(false), &[DIR, WRITTEN]),
    row("same bytes, set-user-id", |d| write(&d.join("d/target"), NEW, 0o4640), Ok(false), &[DIR, WRITTEN]),
    row("other bytes", |d| write(&d.join("d/target"), OLD, 0o600), Ok(true), &[DIR, WRITTEN]),
    row("same length", |d| write(&d.join("d/target"), b"NEW, AND LONGER\n", 0o600), Ok(true), &[DIR, WRITTEN]),
    row("not readable", |d| write(&d.join("d/target"), NEW, 0o000), Ok(false), &[DIR, WRITTEN]),
    row(
        "symlink to a file",
        |d| {
            write(&d.join("victim"), NEW, 0o600);
            symlink("../victim", d.join("d/target")).unwrap();
        },
        Ok(true),
        &[DIR, WRITTEN, ("victim", "600 new, and longer\n")],
    ),
    row(
        "symlink to a directory",
        |d| {
            fs::create_dir(d.join("victim")).unwrap();
            symlink("../victim", d.join("d/target")).unwrap();
        },
        Ok(true),
        &[DIR, WRITTEN, ("victim", "directory 755")],
    ),
    row("dangling symlink", |d| symlink("../nowhere", d.join("d/target")).unwrap(), Ok(true), &[DIR, WRITTEN]),
    row("symlink to itself", |d| symlink("target", d.join("d/target")).unwrap(), Ok(true), &[DIR, WRITTEN]),
    row("fifo", |d| fifo(&d.join("d/target")), Ok(true), &[DIR, WRITTEN]),
    row(
        "socket",
        |d| drop(std::os::unix::net::UnixListener::bind(d.join("d/target")).unwrap()),
        Ok(true),
        &[DIR, WRITTEN],
    ),
    row(
        "directory",
        |d| fs::create_dir(d.join("d/target")).unwrap(),
        Err("cannot write /d/target: the directory /d/target is in the way; remove it"),
        &[DIR, ("d/target", "directory 755")],
    ),
    row(
        "left-over temporary file",
        |d| {
            write(&d.join("d/target"), OLD, 0o600);
            write(&d.join(TEMPORARY), b"half of a secr", 0o666);
        },
        Ok(true),
        &[DIR, WRITTEN],
    ),
    row(
        "left-over temporary symlink",
        |d| {
            write(&d.join("victim"), OLD, 0o600);
            symlink("../victim", d.join(TEMPORARY)).unwrap();
        },
        Ok(true),
        &[DIR, WRITTEN, ("victim", "600 old\n")],
    ),
    row("left-over temporary fifo", |d| fifo(&d.join(TEMPORARY)), Ok(true), &[DIR, WRITTEN]),
    row(
        "left-over temporary directory",
        |d| {
            write(&d.join("d/target"), OLD, 0o600);
            fs::create_dir(d.join(TEMPORARY)).unwrap();
        },
        Err("cannot write /d/target: the directory /d/.target.provider-rke2 is in the way; remove it"),
        &[DIR, ("d/target", "600 old\n"), (TEMPORARY, "directory 755")],
    ),
    Row {
        name: "missing parents",
        target: "/d/x/y/target",
        prepare: |_| {},
        outcome: Ok(true),
        after: &[DIR, ("d/x", "directory 755"), ("d/x/y", "directory 755"), ("d/x/y/target", "640 new, and longer\n")],
    },
    Row {
        name: "parent is a file",
        target: "/d/file/target",
        prepare: |d| write(&d.join("d/file"), OLD, 0o600),
        outcome: Err("cannot write /d/file/target: the file /d/file is in the way; remove it"),
        after: &[DIR, ("d/file", "600 old\n")],
    },
    Row {
        name: "parent of the parent is a file",
        target: "/d/file/x/target",
        prepare: |d| write(&d.join("d/file"), OLD, 0o600),
        outcome: Err("cannot write /d/file/x/target: the file /d/file is in the way; remove it"),
        after: &[DIR, ("d/file", "600 old\n")],
    },
    Row {
        name: "parent is a fifo",
        target: "/d/fifo/target",
        prepare: |d| fifo(&d.join("d/fifo")),
        outcome: Err("cannot write /d/fifo/target: the file /d/fifo is in the way; remove it"),
        after: &[DIR, ("d/fifo", "fifo")],
    },
    Row {
        name: "parent is a dangling symlink",
        target: "/d/link/target",
        prepare: |d| symlink("nowhere", d.join("d/link")).unwrap(),
        outcome: Err("cannot write /d/link/target: the symlink that leads nowhere /d/link is in the way; remove it"),
        after: &[DIR, ("d/link", "symlink to nowhere")],
    },
    Row {
        name: "parent is a symlink to itself",
        target: "/d/link/target",
        prepare: |d| symlink("link", d.join("d/link")).unwrap(),
        outcome: Err("cannot write /d/link/target: too many levels of symbolic links"),
        after: &[DIR, ("d/link", "symlink to link")],
    },
    Row {
        name: "a name that leaves no room for the temporary",
        target: concat!(
            "/d/",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxx"
        ),
        prepare: |_| {},
        outcome: Err("file name too long"),
        after: &[DIR],
    },
];

fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A root with an empty directory `d`.
fn room() -> tempfile::TempDir {
    let room = tempfile::tempdir().unwrap();
    directory(&room.path().join("d"));
    room
}

fn directory(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn install(host: &Host, path: &str, bytes: &[u8], mode: u32, durable: bool) -> Result<bool, Error> {
    if durable { host.install(path, bytes, mode) } else { host.put(path, bytes, mode) }
}

#[test]
fn what_is_ours_becomes_roots() {
    let room = room();
    let host = Host::new(room.path()).unwrap();
    let file = room.path().join("file");
    write(&file, NEW, 0o644);
    // Only root gives files away, and takes them back.
    if [&file, &room.path().join("d")].into_iter().any(|path| chown(path, Some(1000), Some(1000)).is_err()) {
        let _ = std::io::stderr().write_all(b"left out: files of another owner (not root)\n");
        return;
    }
    assert!(!host.install("/file", NEW, 0o600).unwrap());
    host.make_dir("/d", 0o700).unwrap();
    for (name, mode) in [("file", 0o600), ("d", 0o700)] {
        let found = fs::metadata(room.path().join(name)).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (0, 0, mode), "{name}");
    }
}

#[test]
fn a_target_is_old_or_new_and_nothing_is_left_beside() {
    let privileged = rustix::process::geteuid().is_root();
    for row in ROWS {
        for durable in [true, false] {
            // The same on the machine itself as in a tree: there the root is part of the path.
            for real in [true, false] {
                let room = room();
                let prefix = if real { room.path().to_str().unwrap() } else { "" };
                let host = Host::new(if real { Path::new("/") } else { room.path() }).unwrap();
                (row.prepare)(room.path());
                let victim = room.path().join("victim");
                if victim.is_dir() {
                    fs::set_permissions(&victim, fs::Permissions::from_mode(0o755)).unwrap();
                }
                let case = format!("{} (durable {durable}, real {real})", row.name);
                let start = Instant::now();
                let outcome = install(&host, &format!("{prefix}{}", row.target), NEW, 0o640, durable);
                assert!(start.elapsed() < Duration::from_secs(5), "{case}: took {:?}", start.elapsed());
                match (outcome, row.outcome) {
                    // Who may not read a file replaces it.
                    (Ok(true), Ok(false)) if row.name == "not readable" && !privileged => {}
                    (Ok(changed), Ok(expected)) => assert_eq!(changed, expected, "{case}"),
                    (Err(error), Err(expected)) => {
                        let sentence = error.to_string().replace(prefix, "");
                        assert!(sentence.ends_with(expected), "{case}: {sentence}");
                    }
                    (outcome, _) => panic!("{case}: {outcome:?}"),
                }
                let after: BTreeMap<_, _> =
                    row.after.iter().map(|(path, text)| (room.path().join(path), (*text).to_owned())).collect();
                assert_eq!(tree(room.path()), after, "{case}");
            }
        }
    }
}

#[test]
fn equal_bytes_are_not_written_again() {
    let room = room();
    let host = Host::new(room.path()).unwrap();
    assert!(host.install("/d/target", NEW, 0o600).unwrap());
    let stamp = || {
        use std::os::unix::fs::MetadataExt as _;
        let stat = fs::metadata(room.path().join("d/target")).unwrap();
        (stat.ino(), stat.mtime(), stat.mtime_nsec())
    };
    let before = stamp();
    assert!(!host.install("/d/target", NEW, 0o400).unwrap());
    assert_eq!((stamp(), mode(&room.path().join("d/target"))), (before, 0o400));
}

#[test]
fn nothing_leaves_another_root() {
    let outside = tempfile::tempdir().unwrap();
    let own = room();
    let root = own.path();
    let host = Host::new(root).unwrap();
    // The machine's own file at the same path, which must stay.
    let victim = outside.path().join("victim");
    write(&victim, OLD, 0o600);
    let at = |name: &str| format!("/a{}/{name}", outside.path().display());
    symlink("/", root.join("a")).unwrap();
    symlink("../../../../../../../../../..", root.join("up")).unwrap();
    symlink(outside.path(), root.join("out")).unwrap();
    symlink(&victim, root.join("file")).unwrap();

    // Behind a -> / lies the root again: nothing is there, and what is made is made inside.
    assert!(!host.exists(&at("victim")) && !host.is_dir(&format!("/a{}", outside.path().display())));
    assert!(!host.exists("/out") && !host.exists("/file"));
    for path in [at("victim"), "/file".to_owned(), "/out/victim".to_owned()] {
        assert!(host.read(&path, 100).unwrap_err().is_absent(), "{path}");
    }
    for path in [at("victim"), "/out/victim".to_owned()] {
        assert!(!host.remove(&path).unwrap(), "{path}");
    }
    assert_eq!(host.list("/out").unwrap(), [""; 0]);
    assert_eq!(host.list("/a").unwrap(), host.list("/").unwrap());
    assert_eq!(host.list("/up").unwrap(), ["a", "d", "file", "out", "up"]);

    // A directory symlink that leads outside is a dangling one here.
    let refused = host.put("/out/victim", NEW, 0o600).unwrap_err();
    assert!(matches!(refused, Error::Obstacle { .. }), "{refused}");
    assert!(matches!(host.make_dir("/out", 0o755), Err(Error::Obstacle { .. })));

    host.make_dir("/a/made", 0o700).unwrap();
    assert_eq!(mode(&root.join("made")), 0o700);
    assert!(!Path::new("/made").exists());
    assert!(host.install("/up/made/file", NEW, 0o600).unwrap());
    assert_eq!(fs::read(root.join("made/file")).unwrap(), NEW);
    assert!(host.install(&at("victim"), NEW, 0o600).unwrap());
    assert_eq!(host.read(&at("victim"), 100).unwrap(), NEW);
    // Now that its place exists inside, the link leads there.
    assert_eq!(host.read("/file", 100).unwrap(), NEW);
    assert_eq!(host.read("/out/victim", 100).unwrap(), NEW);
    host.rename("/a/made/file", "/up/made/renamed").unwrap();
    assert_eq!(host.list("/made").unwrap(), ["renamed"]);
    drop(host.lock("/a/made/lock", Duration::ZERO).unwrap());
    assert!(root.join("made/lock").exists());
    assert!(host.remove(&at("victim")).unwrap());
    assert!(host.remove("/file").unwrap());

    assert_eq!(tree(outside.path()), BTreeMap::from([(victim, "600 old\n".to_owned())]));
}

#[test]
fn a_read_only_or_full_directory_keeps_the_old() {
    const MOUNTS: &str = "
        mount -t tmpfs -o size=64k,mode=755 none \"$1/full\"
        printf 'old\\n' > \"$1/full/target\"
        chmod 600 \"$1/full/target\"
        head -c 1000000 /dev/zero > \"$1/full/ballast\" 2>/dev/null || true
        mount -t tmpfs -o size=64k,mode=755 none \"$1/readonly\"
        printf 'old\\n' > \"$1/readonly/target\"
        chmod 600 \"$1/readonly/target\"
        mount -o remount,bind,ro \"$1/readonly\"";
    if let Some(room) = inner_room() {
        return full_and_read_only(&room);
    }
    let room = room();
    directory(&room.path().join("full"));
    directory(&room.path().join("readonly"));
    inside("hazards::a_read_only_or_full_directory_keeps_the_old", MOUNTS, room.path());
}

fn full_and_read_only(room: &Path) {
    let large = vec![b'x'; 200_000];
    for durable in [true, false] {
        for real in [true, false] {
            let host = Host::new(if real { Path::new("/") } else { room }).unwrap();
            let prefix = if real { room.to_str().unwrap() } else { "" };
            let case = format!("durable {durable}, real {real}");
            let refused = |directory: &str, name: &str, bytes: &[u8], mode| {
                let path = format!("{prefix}/{directory}/{name}");
                let error = install(&host, &path, bytes, mode, durable).expect_err(&case).to_string();
                error.replace(prefix, "")
            };
            let full = |name| format!("cannot write /full/{name}: no space left on device");
            let read_only = |name| format!("cannot write /readonly/{name}: read-only file system");
            assert_eq!(refused("full", "target", &large, 0o644), full("target"), "{case}");
            assert_eq!(refused("full", "absent", &large, 0o644), full("absent"), "{case}");
            assert_eq!(refused("readonly", "target", NEW, 0o644), read_only("target"), "{case}");
            assert_eq!(refused("readonly", "absent", NEW, 0o644), read_only("absent"), "{case}");
            assert_eq!(refused("readonly", "x/y/absent", NEW, 0o644), read_only("x/y/absent"), "{case}");
            // Nothing to do is no failure, also where nothing could be done; a wrong mode there is one.
            assert!(!install(&host, &format!("{prefix}/readonly/target"), OLD, 0o600, durable).unwrap());
            assert_eq!(refused("readonly", "target", OLD, 0o644), read_only("target"), "{case}");
            host.make_dir(&format!("{prefix}/readonly"), 0o755).unwrap();
            for directory in ["full", "readonly"] {
                let directory = room.join(directory);
                let mut left = tree(&directory);
                left.remove(&directory.join("ballast"));
                assert_eq!(left, BTreeMap::from([(directory.join("target"), "600 old\n".to_owned())]), "{case}");
            }
        }
    }
}

#[test]
fn the_umask_does_not_matter() {
    let Some(room) = inner_room() else {
        let room = room();
        for umask in ["umask 0077", "umask 0000"] {
            let output = again("hazards::the_umask_does_not_matter", &["env"], umask, room.path()).unwrap();
            assert!(output.status.success(), "{umask}: {output:?}");
        }
        return;
    };
    let room = tempfile::tempdir_in(room).unwrap();
    let host = Host::new(room.path()).unwrap();
    host.put("/a/b/file", NEW, 0o666).unwrap();
    host.make_dir("/c/d", 0o777).unwrap();
    drop(host.lock("/lock", Duration::ZERO).unwrap());
    let modes = ["a", "a/b", "a/b/file", "c", "c/d", "lock"].map(|name| mode(&room.path().join(name)));
    assert_eq!(modes, [0o755, 0o755, 0o666, 0o755, 0o777, 0o600]);
}
