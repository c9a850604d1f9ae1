//! Local images, by running the program on trees: each file of `testdata/images` is a story, what is done to the content directory and what
//! comes of it. `IMAGES_UPDATE=1 cargo test --test images` writes down what comes of it now.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "support/archives.rs"]
mod archives;
#[path = "support/run.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use archives::{by_name, noise, zstd};
use support::{Node, Ran, run};

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
                bytes.truncate(if length.starts_with('-') {
                    bytes.len() - usize::try_from(number(&length[1..])).unwrap()
                } else {
                    usize::try_from(number(length)).unwrap()
                });
                self.put(path, &bytes, rest.first().and_then(at));
            }
            ["window", path, descriptor] => {
                self.put(path, &zstd(&noise(1, 300), u8::from_str_radix(descriptor, 16).unwrap()), None);
            }
            ["noise", path, seed, size] => self.put(path, &noise(number(seed), usize::try_from(number(size)).unwrap()), None),
            ["text", path, text] => self.put(path, text.as_bytes(), None),
            ["sums", path, of @ ..] => {
                let mut command = Command::new("sha256sum");
                command.current_dir(self.path(path).parent().unwrap()).args(of);
                self.put(path, &command.output().unwrap().stdout, None);
            }
            ["as", path, from] => self.put(path, &fs::read(self.path(from)).unwrap(), Some(1_600_000_000)),
            ["link", path, to] => {
                fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
                symlink(to, self.path(path)).unwrap();
            }
            ["hardlink", path, to] => fs::hard_link(self.path(to), self.path(path)).unwrap(),
            ["directory", path] => fs::create_dir_all(self.path(path)).unwrap(),
            ["fifo", path] => self.node.fifo(self.path(path).strip_prefix(self.node.path("")).unwrap().to_str().unwrap()),
            ["move", from, to] => {
                fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
                fs::rename(self.path(from), self.path(to)).unwrap();
            }
            ["remove", path] => self.node.clear(self.path(path).strip_prefix(self.node.path("")).unwrap().to_str().unwrap()),
            ["node", more] => self.node = node(&more.replace("\\n", "\n")),
            ["remember"] => self.facts = self.facts(),
            ["untouched"] => {
                let (before, now) = (&self.facts, self.facts());
                let touched: Vec<&String> = now.iter().filter(|(name, it)| before.get(*name) != Some(it)).map(|(name, _)| name).collect();
                return if touched.is_empty() && before.len() == now.len() { "yes".into() } else { format!("no: {touched:?}") };
            }
            ["lose", "record"] => self.node.clear("usr/local/lib/provider-rke2/images.json"),
            ["show", path] => return fs::read_to_string(self.path(path)).unwrap_or_else(|error| error.kind().to_string()),
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
            let sources = content.iter().filter(|(_, (_, other))| stat.is_file() && !bytes.is_empty() && *other == bytes);
            let of: Vec<&str> = sources.map(|(path, _)| path.strip_prefix(CONTENT).unwrap()).collect();
            let name = path.strip_prefix(TARGET).and_then(|it| it.strip_prefix('/')).unwrap_or(&path);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let time = if time.as_secs() + 60 > now { format!("now +{} ns", time.subsec_nanos()) } else { format!("{}.{:09}", time.as_secs(), time.subsec_nanos()) };
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
        let word = |at: usize| match (words[at], at.checked_sub(1).map(|it| words[it]), words.get(at + 1)) {
            (_, Some("in"), Some(after)) if after.starts_with('s') => "…",
            (_, Some("GiB" | "MiB"), Some(&"free,")) => "…",
            (word, _, _) => word,
        };
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
