//! Local images, by running the program on trees: each file of `testdata/images` is a story, what is done to the content directory and what
//! comes of it. `IMAGES_UPDATE=1 cargo test --test it images::` writes down what comes of it now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::What::Killed;
use crate::support::archives::{by_name, noise, zstd};
use crate::support::{Fault, Node, Ran, can_trace, each, inner_room, inside, run, traced};
use proptest::prelude::*;
use provider_rke2::host::Host;
use provider_rke2::host::copy::{Present, ReadAt, Target};
use provider_rke2::host::walk::Identity;
use provider_rke2::images::record::{Entry, Other, Ours, Record};
use provider_rke2::images::{Action, Gone, Source, archive, plan, stable_name, sums};

const STORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/images");
const CONTENT: &str = "opt/content/images";
const TARGET: &str = "var/lib/rancher/rke2/agent/images";

/// A node that is to import images, with these lines more in its cluster section.
fn node(more: &str) -> Node {
    let node = Node::new();
    let config = format!(
        "#cloud-config\ncluster:\n  role: init\n  cluster_token: 3f9c1e7ab2d84c60915e7d3ab8f46c2170e5d9b3\n  \
         import_local_images: true\n  config:\n    cni: none\n{more}"
    );
    assert_eq!(node.boot(&config)["error"], "");
    node.stage();
    node
}

/// The words of a story: `c/` is the content directory, `i/` RKE2's, and what is quoted is read as JSON.
struct Story {
    node: Node,
    facts: BTreeMap<String, (u64, i64, i64)>,
}

impl Story {
    fn path(&self, word: &str) -> std::path::PathBuf {
        let path = match word.split_once('/') {
            Some(("c", rest)) => format!("{CONTENT}/{rest}"),
            Some(("i", rest)) => format!("{TARGET}/{rest}"),
            _ => word.trim_start_matches('/').to_owned(),
        };
        self.node.path(&path)
    }

    fn put(&self, word: &str, bytes: &[u8], second: Option<u64>) {
        let path = self.path(word);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let time = Duration::new(second.unwrap_or(1_700_000_000), 250_000_000);
        let times = FileTimes::new().set_modified(UNIX_EPOCH + time);
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    }

    /// Takes a line; gives what is worth telling of it.
    fn take(&mut self, words: &[String]) -> String {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let at = |text: &&str| text.strip_prefix('@').map(number);
        match &words[..] {
            ["put", path, seed, rest @ ..] => {
                let bytes = by_name(path, number(seed), 5000);
                self.put(path, &bytes, rest.first().and_then(at));
            }
            ["cut", path, seed, length, rest @ ..] => {
                let mut bytes = by_name(path, number(seed), 5000);
                let from_end = length.strip_prefix('-').map(|it| bytes.len() as u64 - number(it));
                bytes.truncate(usize::try_from(from_end.unwrap_or_else(|| number(length))).unwrap());
                self.put(path, &bytes, rest.first().and_then(at));
            }
            ["window", path, descriptor] => {
                self.put(path, &zstd(&noise(1, 300), u8::from_str_radix(descriptor, 16).unwrap()), None);
            }
            ["noise", path, seed, size] => {
                self.put(path, &noise(number(seed), usize::try_from(number(size)).unwrap()), None);
            }
            ["text", path, text] => self.put(path, text.as_bytes(), None),
            ["sums", path, of @ ..] => {
                let mut command = Command::new("sha256sum");
                command.current_dir(self.path(path).parent().unwrap()).args(of);
                self.put(path, &command.output().unwrap().stdout, None);
            }
            ["as", path, from] => self.put(path, &fs::read(self.path(from)).unwrap(), Some(1_600_000_000)),
            ["copy", path, from] => {
                self.put(path, &fs::read(self.path(from)).unwrap(), None);
                let time = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
                File::options().write(true).open(self.path(path)).unwrap().set_times(time).unwrap();
            }
            ["link", path, to] => {
                fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
                symlink(to, self.path(path)).unwrap();
            }
            ["hardlink", path, to] => fs::hard_link(self.path(to), self.path(path)).unwrap(),
            ["directory", path] => fs::create_dir_all(self.path(path)).unwrap(),
            ["fifo", path] => {
                self.node.fifo(self.path(path).strip_prefix(self.node.path("")).unwrap().to_str().unwrap());
            }
            ["move", from, to] => {
                fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
                fs::rename(self.path(from), self.path(to)).unwrap();
            }
            ["remove", path] => {
                self.node.clear(self.path(path).strip_prefix(self.node.path("")).unwrap().to_str().unwrap());
            }
            ["node", more] => self.node = node(&more.replace("\\n", "\n")),
            ["remember"] => self.facts = self.facts(),
            ["untouched"] => {
                let (before, now) = (&self.facts, self.facts());
                let touched: Vec<&String> =
                    now.iter().filter(|(name, it)| before.get(*name) != Some(it)).map(|(name, _)| name).collect();
                return if touched.is_empty() && before.len() == now.len() {
                    "yes".into()
                } else {
                    format!("no: {touched:?}")
                };
            }
            ["lose", "record"] => self.node.clear("usr/local/lib/provider-rke2/images.json"),
            ["show", path] => {
                let text = fs::read_to_string(self.path(path)).unwrap_or_else(|error| error.kind().to_string());
                return text.lines().filter(|line| !line.starts_with("version:")).collect::<Vec<_>>().join("\n");
            }
            ["list"] => return self.list(),
            arguments => return told(&self.node.run(arguments)),
        }
        String::new()
    }

    fn facts(&self) -> BTreeMap<String, (u64, i64, i64)> {
        let entries = fs::read_dir(self.node.path(TARGET)).unwrap().map(|entry| entry.unwrap());
        let fact = |it: fs::Metadata| (it.ino(), it.ctime(), it.ctime_nsec());
        entries.map(|it| (it.file_name().into_string().unwrap(), fact(it.metadata().unwrap()))).collect()
    }

    /// RKE2's directory: name, time, mode and whose bytes they are; and whatever lies beside it.
    fn list(&self) -> String {
        let mut text = String::new();
        let content = self.node.files(&format!("{CONTENT}/"));
        let mut here: Vec<_> = self.node.files("var/lib/rancher/rke2/agent/").into_iter().collect();
        here.retain(|(path, _)| path != TARGET);
        for (path, (mode, bytes)) in here {
            let stat = fs::symlink_metadata(self.node.path(&path)).unwrap();
            let time = stat.modified().unwrap().duration_since(UNIX_EPOCH).unwrap_or_default();
            let sources =
                content.iter().filter(|(_, (_, other))| stat.is_file() && !bytes.is_empty() && *other == bytes);
            let of: Vec<&str> = sources.map(|(path, _)| path.strip_prefix(CONTENT).unwrap()).collect();
            let name = path.strip_prefix(TARGET).and_then(|it| it.strip_prefix('/')).unwrap_or(&path);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let time = if stat.is_symlink() {
                "link".into()
            } else if time.as_secs() + 60 > now {
                format!("now +{} ns", time.subsec_nanos())
            } else {
                format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
            };
            writeln!(text, "{:04o} {time} {name:?} {of:?}", mode & 0o7777).unwrap();
        }
        text
    }
}

/// What a run says, but for how long it took.
fn told(ran: &Ran) -> String {
    let mut text = format!("exit {}\n", ran.code.unwrap());
    for line in ran.stderr.lines() {
        let line = line.strip_prefix("agent-provider-rke2: ").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let is_time =
            |at: usize| at > 0 && words[at - 1] == "in" && words.get(at + 1).is_some_and(|it| it.starts_with('s'));
        let word = |at: usize| if is_time(at) { "…" } else { words[at] };
        writeln!(text, "{}", (0..words.len()).map(word).collect::<Vec<_>>().join(" ")).unwrap();
    }
    text
}

/// Words between blanks, or in quotes as JSON has them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if rest.starts_with('"') {
            let end = rest.char_indices().skip(1).find(|(at, c)| *c == '"' && !rest[..*at].ends_with('\\')).unwrap().0;
            words.push(serde_json::from_str(&rest[..=end]).unwrap());
            rest = rest[end + 1..].trim_start();
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            words.push(word.to_owned());
            rest = after.trim_start();
        }
    }
    words
}

#[test]
fn stories_come_out_as_written() {
    let mut failed = Vec::new();
    let mut stories: Vec<_> = fs::read_dir(STORIES).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(stories.len() > 10, "{stories:?}");
    for path in stories {
        let written = fs::read_to_string(&path).unwrap();
        let mut story = Story { node: node(""), facts: BTreeMap::new() };
        let mut found = String::new();
        for line in written.lines().filter(|line| !line.starts_with("  ")) {
            writeln!(found, "{line}").unwrap();
            if !line.is_empty() && !line.starts_with('#') {
                let told = story.take(&words(line));
                told.lines().for_each(|line| writeln!(found, "  {line}").unwrap());
            }
        }
        if std::env::var_os("IMAGES_UPDATE").is_some() {
            fs::write(&path, &found).unwrap();
        } else if found != written {
            failed.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What `apply images` did with one archive of 5000 bytes more, without a word.
fn quietly(node: &Node, arguments: &[&str]) -> String {
    told(&node.run(arguments))
}

fn write(node: &Node, path: &str, bytes: &[u8]) {
    node.write(&format!("{CONTENT}/{path}"), bytes, 0o644);
}

fn names(node: &Node) -> Vec<String> {
    let mut names: Vec<String> =
        node.files(&format!("{TARGET}/")).into_keys().map(|it| it[TARGET.len() + 1..].to_owned()).collect();
    names.retain(|name| name != ".cache.json");
    names
}

#[test]
fn a_second_run_opens_no_archive() {
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    let node = node("");
    for (name, seed) in [("a.tar", 1), ("sub/b.tar.zst", 2), ("c.tar.gz", 3), ("sub/a.tar", 4)] {
        write(&node, name, &by_name(name, seed, 5000));
    }
    write(&node, "cut.tar", &by_name("cut.tar", 5, 5000)[..1000]);
    quietly(&node, &["apply", "images"]);
    let watch = inotify::init(CreateFlags::NONBLOCK).unwrap();
    let seen = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::CREATE;
    for directory in [CONTENT, "opt/content/images/sub", TARGET, "var/lib/rancher/rke2/agent"] {
        inotify::add_watch(&watch, node.path(directory), seen | WatchFlags::DELETE).unwrap();
    }
    let events = || {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        let mut events = Vec::new();
        while let Ok(event) = reader.next() {
            if !event.events().contains(ReadFlags::ISDIR) {
                events.push((event.file_name().map(|it| it.to_str().unwrap().to_owned()), event.events()));
            }
        }
        events
    };
    assert_eq!(events(), []);
    assert!(quietly(&node, &["apply", "images"]).contains("0 imported, 4 unchanged, 0 bytes in … s, 1 refused"));
    assert_eq!(quietly(&node, &["prestart", "rke2-server"]).lines().next(), Some("exit 0"));
    assert_eq!(events(), []);
    fs::read(node.path(&format!("{TARGET}/a.tar"))).unwrap();
    assert!(events().len() >= 2, "the watch sees nothing");
}

/// System calls by which an import changes files, or finds out what there is; those with a step are many and change nothing.
const CALLS: [(&str, usize); 9] = [
    ("renameat", 1),
    ("fsync", 1),
    ("unlinkat", 1),
    ("mkdirat", 1),
    ("utimensat", 1),
    // The kernel copies where it can.
    ("copy_file_range,pwrite64", 1),
    ("write", 1),
    ("openat2", 5),
    ("pread64", 5),
];

#[test]
fn an_import_killed_at_each_system_call_leaves_old_or_new() {
    if !can_trace() {
        return;
    }
    let archives = ["a.tar", "long/b.tar.zst", "longer/c.tar.lz4"];
    let content = |round: u64, name: &str| by_name(name, round * 10 + name.len() as u64, 100_000);
    let new_at_renames = Mutex::new(BTreeSet::new());
    each(CALLS.len(), |number| {
        let (call, step) = CALLS[number];
        let node = node("");
        let lay = |round| archives.iter().for_each(|name| write(&node, name, &content(round, name)));
        lay(0);
        quietly(&node, &["apply", "images"]);
        let log = tempfile::NamedTempFile::new().unwrap();
        for (when, round) in (1..).step_by(step).zip(1..) {
            let fault = Fault { call, when, what: Killed };
            lay(round);
            let ran = run(&mut fault.traced(&node, log.path(), &[], &["apply", "images"]), b"");
            let found = node.files(&format!("{TARGET}/"));
            let mut new = 0;
            for name in archives {
                let base = name.rsplit('/').next().unwrap();
                let is = |round| found.get(&format!("{TARGET}/{base}")).is_some_and(|it| it.1 == content(round, name));
                let is_new = is(round);
                assert!(is_new || is(round - 1), "{fault}: {name} is neither old nor new");
                new += usize::from(is_new);
            }
            assert_eq!(found.len(), 4, "{fault}: {:?}", found.keys());
            if ran.signal.is_none() {
                assert_eq!((ran.code, new), (Some(0), 3), "{fault}: {ran:?}");
                assert!(when > 1, "no {call} at all");
                break;
            }
            if call == "renameat" {
                new_at_renames.lock().unwrap().insert(new);
            }
            let told = quietly(&node, &["apply", "images"]);
            assert!(told.starts_with("exit 0"), "{fault}: {told}");
            assert_eq!(node.left_over(), [""; 0], "{fault}");
        }
        let told = quietly(&node, &["apply", "images"]);
        assert!(told.contains("0 imported, 3 unchanged"), "{call}: {told}");
    });
    assert_eq!(new_at_renames.into_inner().unwrap(), BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn content_that_still_arrives_is_waited_for() {
    let node = node("  providerConfig:\n    images_wait: 15s\n");
    let bytes = by_name("a.tar", 1, 400_000);
    write(&node, "a.tar", &bytes[..1000]);
    write(&node, "ready.tar", &by_name("ready.tar", 2, 100));
    let told = quietly(&node, &["apply", "images"]);
    assert!(told.contains("a.tar: is cut off after 1000 bytes"), "{told}");
    thread::scope(|scope| {
        scope.spawn(|| {
            for part in bytes[1000..].chunks(100_000) {
                thread::sleep(Duration::from_millis(600));
                let mut file = File::options().append(true).open(node.path(&format!("{CONTENT}/a.tar"))).unwrap();
                std::io::Write::write_all(&mut file, part).unwrap();
            }
        });
        let ran = node.run(&["prestart", "rke2-server"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.took > Duration::from_secs(2) && ran.took < Duration::from_secs(9), "{ran:?}");
    });
    assert_eq!(names(&node), ["a.tar", "ready.tar"]);
    assert_eq!(fs::read(node.path(&format!("{TARGET}/a.tar"))).unwrap(), bytes);
    assert!(!node.read("run/provider-rke2/status.yaml").unwrap().contains("cut off"));
    let ran = node.run(&["prestart", "rke2-server"]);
    assert!(ran.took < Duration::from_secs(3), "{ran:?}");
}

#[test]
fn a_marker_says_when_content_has_arrived() {
    let node = node("  providerConfig:\n    images_wait: 12s\n    images_marker: complete\n");
    write(&node, "a.tar", &by_name("a.tar", 1, 100));
    write(&node, "b.tar.gz", &by_name("b.tar.gz", 2, 100));
    quietly(&node, &["apply", "images"]);
    assert_eq!(names(&node), ["a.tar"]);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(3));
            write(&node, "c.tar", &by_name("c.tar", 3, 100));
            write(&node, "complete", b"");
        });
        let ran = node.run(&["prestart", "rke2-server"]);
        assert!(ran.took > Duration::from_millis(2900) && ran.took < Duration::from_secs(5), "{ran:?}");
    });
    assert_eq!(names(&node), ["a.tar", "b.tar.gz", "c.tar"]);
}

#[test]
fn the_wait_ends() {
    let node = node("  providerConfig:\n    images_wait: 1s\n    images_marker: never\n");
    write(&node, "b.tar.gz", &by_name("b.tar.gz", 2, 100));
    write(&node, "cut.tar", &by_name("cut.tar", 1, 100)[..600]);
    let ran = node.run(&["prestart", "rke2-server"]);
    assert!(ran.took > Duration::from_secs(1) && ran.took < Duration::from_secs(4), "{ran:?}");
    assert!(ran.code == Some(0) && ran.stderr.contains("cut.tar: is cut off after 600 bytes"), "{ran:?}");
    assert_eq!(names(&node), ["b.tar.gz"]);
    // Nothing there, and nothing to wait for.
    let empty = self::node("");
    let ran = empty.run(&["prestart", "rke2-server"]);
    assert!(ran.took < Duration::from_secs(1) && ran.code == Some(0), "{ran:?}");
}

#[test]
fn a_disk_that_is_too_small_is_told_before_the_first_byte() {
    let Some(room) = inner_room() else {
        let room = tempfile::tempdir().unwrap();
        return inside(
            "images::a_disk_that_is_too_small_is_told_before_the_first_byte",
            "mount -t tmpfs -o size=2m,mode=755 small \"$1\"",
            room.path(),
        );
    };
    let node = node("  config:\n    data-dir: /small\n".replace("  config:\n", "").as_str());
    let target = node.path("small");
    fs::create_dir_all(&target).unwrap();
    let mounted =
        Command::new("mount").args(["--bind", room.to_str().unwrap(), target.to_str().unwrap()]).status().unwrap();
    assert!(mounted.success());
    let list = || {
        let mut names: Vec<String> = node.files("small/").into_keys().collect();
        names.retain(|it| !it.ends_with("images") && !it.ends_with("agent") && !it.ends_with(".cache.json"));
        names
    };
    write(&node, "a.tar", &by_name("a.tar", 1, 1_000_000));
    write(&node, "b.tar", &by_name("b.tar", 2, 1_200_000));
    let told = quietly(&node, &["apply", "images"]);
    assert!(
        told.contains(
            "2.1 MiB needed, 2.0 MiB free, of which 102.4 KiB stay free, so nothing was copied; free some space"
        ),
        "{told}"
    );
    assert_eq!(list(), Vec::<String>::new());
    fs::remove_file(node.path(&format!("{CONTENT}/b.tar"))).unwrap();
    assert!(quietly(&node, &["apply", "images"]).contains("1 imported"));
    assert_eq!(list(), ["small/agent/images/a.tar"]);
    // The next release: there is room for it only where the old one was, which is gone anyway.
    fs::rename(node.path(&format!("{CONTENT}/a.tar")), node.path("old")).unwrap();
    write(&node, "c.tar", &by_name("c.tar", 3, 1_200_000)[..1_100_000]);
    let told = quietly(&node, &["apply", "images"]);
    assert!(told.contains("c.tar: is cut off") && told.contains("nothing was copied"), "{told}");
    assert_eq!(list(), ["small/agent/images/a.tar"]);
    write(&node, "c.tar", &by_name("c.tar", 3, 1_200_000));
    let told = quietly(&node, &["apply", "images"]);
    assert!(told.contains("1 imported, 0 unchanged") && told.contains("1 removed"), "{told}");
    assert_eq!(list(), ["small/agent/images/c.tar"]);
}

/// A content directory, RKE2's directory and the record, where an archive's bytes are a number.
#[derive(Debug, Default, Clone)]
struct World {
    sources: BTreeMap<String, (Source, u8)>,
    target: Target,
    bytes: BTreeMap<String, u8>,
    others: BTreeMap<String, (Present, u8)>,
    record: Record,
    clock: i64,
}

#[derive(Debug, Clone)]
enum Change {
    Put(&'static str, u8, u64, i64),
    Remove(&'static str),
    Other(&'static str, u8, u64),
    LoseRecord,
}

const PATHS: [&str; 6] = ["a.tar", "x/a.tar", "y/a.tar", "y/b.tar", "z/b.tar", "z/c.tar.zst"];

fn change() -> impl Strategy<Value = Change> {
    let path = prop::sample::select(&PATHS[..]);
    prop_oneof![
        6 => (path.clone(), 0..4_u8, 1..3_u64, 0..3_i64).prop_map(|(path, bytes, size, second)| Change::Put(path, bytes, size, second)),
        3 => path.prop_map(Change::Remove),
        1 => (prop::sample::select(&["a.tar", "b.tar"][..]), 0..4_u8, 1..3_u64).prop_map(|(name, bytes, size)| Change::Other(name, bytes, size)),
        1 => Just(Change::LoseRecord),
    ]
}

impl World {
    fn change(&mut self, change: &Change) {
        self.clock += 1;
        match *change {
            Change::Put(path, bytes, size, second) => {
                let identity = Identity { size, mtime: (second, 5), ctime: (self.clock, 0), inode: 1 };
                self.sources.insert(path.into(), (Source { path: path.into(), identity, sha256: None }, bytes));
            }
            Change::Remove(path) => drop(self.sources.remove(path)),
            // Somebody else's, in place of nothing, of their own or of ours.
            Change::Other(name, bytes, size) => {
                let present =
                    Present { size, mtime: (77, u32::try_from(self.clock).unwrap()), is_file: true, is_marked: false };
                self.others.insert(name.into(), (present, bytes));
                self.target.insert(name.into(), present);
                self.bytes.insert(name.into(), bytes);
            }
            Change::LoseRecord => self.record.archives.clear(),
        }
    }

    /// Carries a plan out; gives how many archives were copied.
    fn import(&mut self) -> usize {
        let sources: Vec<Source> = self.sources.values().map(|(source, _)| source.clone()).collect();
        let plan = plan("/c", &sources, &self.record, &self.target, true);
        let mut copied = 0;
        for (source, action) in sources.iter().zip(&plan.actions) {
            let bytes = self.sources[&source.path].1;
            let (import, found) = match action {
                Action::Unchanged => continue,
                Action::Refused(why) => panic!("{why}"),
                Action::Import(import) => (import, None),
                Action::Compare { with, ours, otherwise } => (
                    otherwise,
                    (self.bytes[with] == bytes).then(|| {
                        (
                            ours.clone(),
                            ours.is_none().then(|| Other { name: with.clone(), written: self.target[with].mtime }),
                        )
                    }),
                ),
            };
            let (imported, other) = found.unwrap_or_else(|| {
                copied += 1;
                let present =
                    Present { size: source.identity.size, mtime: (import.second, 0), is_file: true, is_marked: false };
                let before = self.target.insert(import.name.clone(), present);
                let was = self.bytes.insert(import.name.clone(), bytes);
                // RKE2's cache sees every change.
                assert!(
                    was.is_none_or(|was| was == bytes)
                        || before.is_none_or(|it| it.size != present.size || it.mtime.0 < present.mtime.0)
                );
                (Some(Ours { name: import.name.clone(), size: source.identity.size, second: import.second }), None)
            });
            let entry = Entry { identity: source.identity, sha256: None, imported, other, refused: None };
            self.record.archives.insert(format!("/c/{}", source.path), entry);
        }
        for (path, gone) in plan.gone {
            if let Gone::Remove(name) = &gone {
                self.target.remove(name);
                self.bytes.remove(name);
            }
            if gone != Gone::Keep {
                self.record.archives.remove(&path);
            }
        }
        copied
    }
}

/// Two archives had one file, and the one that is gone had it last: the other one, which is back, keeps it.
#[test]
fn a_file_in_use_does_not_go_with_an_archive_that_is_gone() {
    let mut world = World::default();
    for round in [
        &[Change::Put("y/b.tar", 0, 1, 0)][..],
        &[Change::Remove("y/b.tar")],
        &[Change::Put("z/b.tar", 0, 1, 0), Change::Put("z/c.tar.zst", 0, 1, 0)],
        &[Change::Put("z/b.tar", 0, 1, 1)],
        &[Change::Remove("z/b.tar"), Change::Put("y/b.tar", 0, 1, 0)],
    ] {
        for change in round {
            world.change(change);
        }
        world.import();
    }
    let entry = &world.record.archives["/c/y/b.tar"];
    assert_eq!(world.bytes.get(&entry.imported.as_ref().unwrap().name), Some(&0), "{entry:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_archive_is_there_and_nothing_of_others_goes(rounds in prop::collection::vec(prop::collection::vec(change(), 1..5), 1..8)) {
        let mut world = World::default();
        for round in rounds {
            for it in &round {
                world.change(it);
            }
            world.import();
            for (name, (present, bytes)) in &world.others {
                prop_assert_eq!((world.target.get(name), world.bytes.get(name)), (Some(present), Some(bytes)));
            }
            let mut names: Vec<&str> = Vec::new();
            for (path, (_, bytes)) in &world.sources {
                let entry = &world.record.archives[&format!("/c/{path}")];
                let name = entry.imported.as_ref().map(|it| &it.name).or(entry.other.as_ref().map(|it| &it.name)).unwrap();
                prop_assert_eq!(world.bytes.get(name), Some(bytes), "{} as {}", path, name);
                prop_assert_eq!(archive::Kind::of(name), archive::Kind::of(path));
                names.push(name);
            }
            // And again: nothing at all.
            let before = world.clone();
            prop_assert_eq!(world.import(), 0);
            prop_assert_eq!((world.target, world.record), (before.target.clone(), before.record.clone()));
            world = before;
        }
    }

    #[test]
    fn a_stable_name_is_a_name(stem in "\\PC{0,300}", path in "\\PC{0,20}", ending in prop::sample::select(&[".tar", ".tar.zst", ".txt"][..]), attempt in 0..3_u32) {
        let name = stable_name(&format!("{}{ending}", stem.replace('/', "")), &path, attempt);
        prop_assert!(name.len() <= 255 && name.ends_with(ending) && !name.contains('/'));
    }

    /// No bytes make the walk fail or take it for ever, and no cut goes unseen.
    #[test]
    fn archives_of_any_bytes_are_judged(name in prop::sample::select(&["a.tar", "a.tar.zst", "a.tar.lz4", "a.tar.gz", "a.txt"][..]), seed in 1..9_u64, cut in 0..9000_usize, at in 0..9000_usize, flip in any::<u8>()) {
        let kind = archive::Kind::of(name).unwrap();
        let whole = by_name(name, seed, 5000);
        let mut hurt = whole.clone();
        if let Some(byte) = hurt.get_mut(at) {
            *byte ^= flip;
        }
        archive::check(kind, &mut hurt.as_slice()).unwrap();
        if matches!(kind, archive::Kind::Tar | archive::Kind::Zstd | archive::Kind::Lz4) {
            prop_assert_eq!(archive::check(kind, &mut whole.as_slice()).unwrap(), archive::Verdict::Whole);
            // One of the two blocks of zeros at the end of a tar is padding.
            let end = whole.len() - if kind == archive::Kind::Tar { 512 } else { 0 };
            if cut < end {
                let verdict = archive::check(kind, &mut &whole[..cut]).unwrap();
                prop_assert!(matches!(verdict, archive::Verdict::Refused(_)), "{} bytes: {:?}", cut, verdict);
            }
        }
    }
}

/// Bytes, then zeros up to a size: a file that was made long before it was written. Counts how often it is read.
struct Hole {
    head: Vec<u8>,
    reads: usize,
}

impl ReadAt for Hole {
    fn size(&self) -> u64 {
        1 << 30
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.reads += 1;
        assert!(self.reads < 100, "it is walked to its end");
        buffer.fill(0);
        self.head.as_slice().read_at(buffer, offset)?;
        Ok(buffer.len())
    }
}

#[test]
fn what_was_made_long_and_not_written_is_refused_at_once() {
    for (name, head, at) in [
        ("a.tar.zst", zstd(&noise(1, 300_000), 0x38)[..150_000].to_vec(), 204_812),
        ("a.tar.zst", zstd(&noise(1, 300), 0x38)[..6].to_vec(), 6),
    ] {
        let verdict = archive::check(archive::Kind::of(name).unwrap(), &mut Hole { head, reads: 0 }).unwrap();
        let why = format!("is damaged at byte {at}; copy it again");
        assert_eq!(verdict, archive::Verdict::Refused(why), "{name}");
    }
}

#[test]
fn two_first_runs_at_a_time_both_write_the_scripts() {
    for _ in 0..10 {
        let node = node("");
        let ran: Vec<Ran> = thread::scope(|scope| {
            let run = || node.run(&["apply", "images"]);
            let running: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(ran.iter().all(|ran| ran.code == Some(0)), "{ran:?}");
    }
}

#[test]
fn scripts_that_could_not_be_written_are_told_until_they_are() {
    let node = node("");
    write(&node, "a.tar", &by_name("a.tar", 1, 100));
    node.put("opt/rke2/scripts", "");
    assert_eq!(node.run(&["apply", "images"]).code, Some(1));
    let is_told = || node.read("run/provider-rke2/status.yaml").unwrap().contains("/opt/rke2/scripts is in the way");
    assert!(is_told());
    node.run(&["prestart", "rke2-server"]);
    assert!(is_told(), "the start has forgotten it");
    node.clear("opt/rke2/scripts");
    node.run(&["prestart", "rke2-server"]);
    assert!(!is_told() && node.exists("opt/rke2/scripts/import.sh"));
}

#[test]
fn checksum_files_are_read_as_they_are_written() {
    let sum = "3f22496f86a12aff27309343f4215bf1a7c203e0d903156e216adfdcb87aa1c9";
    for (file, text, of) in [
        ("SHA256SUMS", format!("{sum}  a.tar\n"), Some("a.tar")),
        ("SHA256SUMS", format!("{sum} *a.tar\r\n"), Some("a.tar")),
        ("SHA256SUMS", format!("SHA256 (a b.tar) = {sum}\n"), Some("a b.tar")),
        ("a.tar.sha256", format!("{sum}\n"), Some("a.tar")),
        ("a.tar.sha256sum", format!("{sum}  ./dist/a.tar\n"), Some("./dist/a.tar")),
        ("SHA256SUMS", format!("\\{sum}  a\\\\b\\n\\r.tar\n"), Some("a\\b\n\r.tar")),
        ("SHA256SUMS", format!("\\SHA256 (a\\\\n.tar) = {sum}\n"), Some("a\\n.tar")),
        ("SHA256SUMS", format!("{sum}  a\\n.tar\n"), Some("a\\n.tar")),
        ("SHA256SUMS", format!("{sum}\n"), None),
        ("SHA256SUMS", format!("{}  a.tar\n", &sum[1..]), None),
        ("SHA256SUMS", format!("+{}  a.tar\n", &sum[1..]), None),
    ] {
        let read = sums::read(file, &text);
        assert_eq!(read.first().map(|(name, _)| name.as_str()), of, "{file} {text:?}");
        assert!(read.iter().all(|(_, digest)| sums::hex(digest) == sum));
    }
    for (sums_file, written, archive, is_meant) in [
        ("SHA256SUMS", "a.tar", "a.tar", true),
        ("SHA256SUMS", "sub/a.tar", "sub/a.tar", true),
        ("SHA256SUMS", "./build/a.tar", "a.tar", true),
        ("SHA256SUMS", "a.tar", "sub/a.tar", false),
        ("sub/SHA256SUMS", "deep/a.tar", "sub/deep/a.tar", true),
        ("sub/SHA256SUMS", "a.tar", "a.tar", false),
    ] {
        let lines = [(sums_file.to_owned(), written.to_owned(), [1; 32])];
        assert_eq!(sums::of(&lines, archive).is_some(), is_meant, "{sums_file} {written} {archive}");
    }
    for (name, is_sums) in [
        ("sha256sum-amd64.txt", true),
        ("SHA256SUMS", true),
        ("SHA256SUMS.txt", true),
        ("a.tar.sha256", true),
        ("rke2-images.txt", false),
    ] {
        assert_eq!(sums::is_sums(name), is_sums, "{name}");
    }
}

#[test]
fn an_archive_that_changes_while_it_is_copied_is_not_imported() {
    let node = Node::new();
    write(&node, "a.tar", &by_name("a.tar", 1, 5000));
    let host = Host::new(node.root()).unwrap();
    let walk = host.walk("/opt/content/images", "/none", |_| true).unwrap().unwrap();
    let found = &walk.files[0];
    let path = "/opt/content/images/a.tar";
    let original = host.original(path, &found.identity).unwrap().unwrap();
    let store = host.store("/agent", "images").unwrap();
    let mut copy = store.copy(&original, true, None).unwrap();
    assert!(copy.complete().unwrap().is_some());
    let mut file = File::options().append(true).open(node.path(&path[1..])).unwrap();
    std::io::Write::write_all(&mut file, b"more").unwrap();
    assert!(copy.seal(5).unwrap().is_none());
    assert!(host.original(path, &found.identity).unwrap().is_none());
    store.close(&host).unwrap();
    assert_eq!(node.files("agent/").into_keys().collect::<Vec<_>>(), ["agent/images"]);
}

#[test]
fn what_has_its_name_is_on_the_disk() {
    if !can_trace() {
        return;
    }
    let node = node("");
    write(&node, "a.tar", &by_name("a.tar", 1, 5000));
    let log = node.path("trace");
    let calls = ["-e".to_owned(), "trace=fsync,renameat,renameat2,rmdir,unlinkat".to_owned()];
    run(&mut traced(&node, &log, &calls, &["apply", "images"]), b"");
    let trace = fs::read_to_string(log).unwrap();
    let calls: Vec<&str> = trace.lines().filter(|line| line.contains("/agent/")).collect();
    let at = |call: &str, of: &str| calls.iter().position(|line| line.contains(call) && line.contains(of));
    let renamed = at("renameat", "\"a.tar\"").unwrap();
    assert!(at("fsync", "/.provider-rke2/").unwrap() < renamed, "{calls:#?}");
    assert!(renamed < at("fsync", "/agent/images>").unwrap(), "{calls:#?}");
}
