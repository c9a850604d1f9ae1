//! A node in a temporary directory, what boots do to it, and what is on it.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{BINARY, DOCUMENT, Ran, UNITS, answer, event, fifo, mode, run};

/// What yip knows about a node without a host name and a machine id.
const HOSTNAME: &str = "edge-7";

/// What would show that a file was written anew or even touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub inode: u64,
    pub mode: u32,
    pub changed: (i64, i64),
    pub modified: (i64, i64),
    pub bytes: Vec<u8>,
}

impl Stamp {
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A node in a temporary directory.
pub struct Node(TempDir);

impl Node {
    /// An empty one, below a directory as the kernel names it.
    pub fn new() -> Node {
        Node(tempfile::tempdir_in(env::temp_dir().canonicalize().unwrap()).unwrap())
    }

    /// One with the files of `tree`, if there is such a directory.
    pub fn of(tree: &Path) -> Node {
        let node = Node::new();
        if tree.is_dir() {
            copy(tree, node.root());
        }
        node
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub fn mode(&self, path: &str) -> u32 {
        mode(&self.path(path))
    }

    /// Writes a file, with its parents.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes a file as a person does, with its parents.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        self.write(path, bytes, 0o644);
    }

    /// Makes a FIFO, with its parents, in place of whatever is there.
    pub fn fifo(&self, path: &str) {
        self.clear(path);
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fifo(&path);
    }

    /// Removes whatever is there.
    pub fn clear(&self, path: &str) {
        let path = self.path(path);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
            Ok(_) => fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
    }

    /// The program on this node.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.program(arguments), b"")
    }

    /// `agent.boot` with a cloud-config: what the bus is told.
    pub fn boot(&self, config: &str) -> BTreeMap<String, String> {
        answer(&run(&mut self.program(&["agent.boot"]), &event("agent.boot", config)))
    }

    /// A boot with nothing of the one before in /run.
    pub fn boot_anew(&self, config: &str) -> BTreeMap<String, String> {
        self.clear("run");
        self.boot(config)
    }

    /// The files that the document asks yip to lay out, as yip does.
    pub fn staged(&self) -> Vec<(String, String)> {
        let values = self.values();
        self.asked().into_iter().map(|(path, content)| (path, super::evaluated(&content, &values))).collect()
    }

    /// The same as the document has them, read by a reader of YAML that is not ours.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked_by(DOCUMENT)
    }

    /// The same of a document that lies elsewhere.
    pub fn asked_by(&self, document: &str) -> Vec<(String, String)> {
        let document: serde_yaml::Value = serde_yaml::from_str(&self.read(document).unwrap()).unwrap();
        let stages = document["stages"]["boot.before"].as_sequence().unwrap();
        let files = stages.iter().filter_map(|stage| stage["files"].as_sequence()).flatten();
        let text = |file: &serde_yaml::Value, key: &str| file[key].as_str().unwrap().to_owned();
        files.map(|file| (text(file, "path")[1..].to_owned(), text(file, "content"))).collect()
    }

    /// What yip knows about the node.
    pub fn values(&self) -> serde_json::Value {
        let line = |path: &str| self.read(path).map(|text| text.trim().to_owned());
        let hostname = line("etc/hostname").unwrap_or_else(|| HOSTNAME.to_owned());
        serde_json::json!({"node": {"hostname": hostname, "machineid": line("etc/machine-id")}})
    }

    /// Lays them out, as yip does: the directories first, the files in place.
    pub fn stage(&self) {
        self.lay_out(self.staged());
    }

    /// The same with files that were evaluated elsewhere.
    pub fn lay_out(&self, files: Vec<(String, String)>) {
        for directory in ["run/provider-rke2", "run/provider-rke2/config.d", "run/provider-rke2/values"] {
            fs::create_dir_all(self.path(directory)).unwrap();
            fs::set_permissions(self.path(directory), fs::Permissions::from_mode(0o700)).unwrap();
        }
        for (path, content) in files {
            self.write(&path, content, 0o600);
        }
    }

    /// The units that the gate lets pass.
    pub fn open_gates(&self) -> Vec<&'static str> {
        UNITS.into_iter().filter(|unit| self.exists(&format!("run/provider-rke2/ready-{unit}"))).collect()
    }

    /// All that lies below a directory of the node, by path, and what is known of it.
    fn walk(&self, below: &str) -> BTreeMap<String, fs::Metadata> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.path(below)];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                let stat = fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned();
                if stat.is_dir() {
                    open.push(path);
                }
                found.insert(name, stat);
            }
        }
        found
    }

    /// What would show that one file was written anew or even touched.
    pub fn stamp(&self, path: &str) -> Stamp {
        self.stamp_of(path, &fs::symlink_metadata(self.path(path)).unwrap())
    }

    fn stamp_of(&self, path: &str, stat: &fs::Metadata) -> Stamp {
        let (changed, modified) = ((stat.ctime(), stat.ctime_nsec()), (stat.mtime(), stat.mtime_nsec()));
        Stamp { inode: stat.ino(), mode: stat.mode(), changed, modified, bytes: self.bytes(path, stat) }
    }

    fn bytes(&self, path: &str, stat: &fs::Metadata) -> Vec<u8> {
        if stat.is_file() { fs::read(self.path(path)).unwrap() } else { Vec::new() }
    }

    /// Everything below a directory of the node, whose path ends in `/`: kind, mode and bytes by path.
    pub fn files(&self, below: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
        let walked = self.walk(below).into_iter();
        let file = |(path, stat): (String, fs::Metadata)| {
            let bytes = self.bytes(&path, &stat);
            (path, (stat.mode(), bytes))
        };
        walked.map(file).collect()
    }

    /// The same, with all that would show that something was written anew or even touched.
    pub fn stamps(&self, below: &str) -> BTreeMap<String, Stamp> {
        let walked = self.walk(below).into_iter();
        walked.map(|(path, stat)| (path.clone(), self.stamp_of(&path, &stat))).collect()
    }

    /// Temporary files that were left behind; not those of the status, which is written anew only where it changes.
    pub fn left_over(&self) -> Vec<String> {
        let temporary = |path: &String| path.ends_with(".provider-rke2") && !path.contains("status.");
        self.files("").into_keys().filter(temporary).collect()
    }
}

/// Copies a tree; modes are those of a fresh node, whatever the checkout and the umask made of them.
fn copy(from: &Path, to: &Path) {
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if entry.file_name() != ".keep" {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// What says when and where a phase ran, not what it did: locks, the mirror of the status, whose time differs, and which file a version was
/// found in, by its inode.
fn is_of_the_moment(name: &str) -> bool {
    name.ends_with("/lock")
        || name.ends_with(".lock")
        || ["/var/log/provider-rke2.status.json", "/run/provider-rke2/rke2-version"].contains(&name)
}

/// The record of a node without its hashes, because the salt differs each time.
fn without_hashes(name: &str, content: String) -> String {
    if !name.ends_with("/node.json") {
        return content;
    }
    let is_hash = |text: &&str| text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    content.split('"').map(|text| if is_hash(&text) { "HASH" } else { text }).collect::<Vec<_>>().join("\"")
}

/// Everything below `root`: mode and path of each file, then its content; the times of a log are left out, and what is of the moment.
pub fn tree(root: &Path) -> String {
    tree_told(root, &|_, content| content.to_owned())
}

/// What is told of a file: by its path and its content.
type Told<'a> = &'a dyn Fn(&str, &str) -> String;

/// The same, with something else told of the content of files.
pub fn tree_told(root: &Path, told: Told) -> String {
    let mut text = String::new();
    list(root, root, told, &mut text);
    text
}

fn list(root: &Path, directory: &Path, told: Told, text: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = format!("/{}", path.strip_prefix(root).unwrap().display());
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777;
        if is_of_the_moment(&name) {
            continue;
        }
        if kind.is_dir() {
            writeln!(text, "{mode:04o} {name}/").unwrap();
            list(root, &path, told, text);
        } else if kind.is_symlink() {
            writeln!(text, "link {name} -> {}", fs::read_link(&path).unwrap().display()).unwrap();
        } else if kind.is_file() {
            writeln!(text, "{mode:04o} {name}").unwrap();
            let content = told(&name, &without_hashes(&name, fs::read_to_string(&path).unwrap()));
            let is_log = name.starts_with("/var/log/");
            for line in content.lines() {
                let line = if is_log { line.split_once(' ').map_or(line, |(_, rest)| rest) } else { line };
                writeln!(text, "     | {line}").unwrap();
            }
            if !content.is_empty() && !content.ends_with('\n') {
                writeln!(text, "     | (no line break at the end)").unwrap();
            }
        } else {
            writeln!(text, "{mode:04o} {name} (neither file, directory nor link)").unwrap();
        }
    }
}
