//! What `check` says beyond what the boot says: files that the cloud-config writes beside its section, a directory as Kairos merges it, the
//! nodes of one cluster against each other, the image that they run.
//!
//! Values in, findings out. Nothing here runs on a node that boots.

mod beside;
mod directory;
mod encoded;
mod fleet;
mod helm;
mod image_root;
mod kubelet;
mod manifest;
mod options;
mod registries;
mod seen;
mod written;

use std::path::Path;

use crate::cluster::cloud_config::{self, Section, SourcesRead};
use crate::cluster::{self, Cluster};
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::{self, At};
use crate::host::{Error, Host};
use crate::identity::home::Home;
use crate::rke2::values::wrong_name;
use crate::rke2::version::Version;
use crate::text::yaml::Node;
#[cfg(not(target_family = "wasm"))]
pub(crate) use encoded::decoded;
pub use seen::Judged;
pub(crate) use seen::{Part, Seen};

/// Judges the text of one cloud-config: its section as the boot does, and the files that it writes. `host` is the node that it is for, without
/// one a node on which RKE2 has never been.
pub fn of_text(host: Option<&Host>, text: &str) -> Judged {
    of_text_for(host, text, None)
}

/// The same for a version of RKE2; without one for that of the image, as far as it is known.
pub fn of_text_for(host: Option<&Host>, text: &str, version: Option<&Version>) -> Judged {
    let (mut files, mut hostname) = (Vec::new(), None);
    let (section, mut findings) = cloud_config::of_file_with(text, &mut |root| {
        files = written::files(root).into_iter().map(|file| (String::new(), file)).collect();
        hostname = hostname_of(root);
    });
    let cluster = section.as_ref().and_then(|section| understood(host, section, version, &mut findings));
    judge_hostname(hostname.as_ref(), cluster.as_ref(), &mut findings);
    let hostname = hostname.map(|(name, _)| name);
    if let Some(section) = &section {
        beside::judge(&files, section, cluster.as_ref(), version, &mut findings);
    }
    findings.sort();
    Judged { section, cluster, findings, hostname }
}

/// What a section means to a node, or to one on which RKE2 has never been, with this version of RKE2; without one, with that of the node.
fn understood(
    host: Option<&Host>,
    section: &Section,
    version: Option<&Version>,
    findings: &mut Findings,
) -> Option<Cluster> {
    let fresh = || Home::fresh(&cluster::data_dir(section));
    let mut home = host.map_or_else(fresh, |host| cluster::home(host, section));
    home.version = version.cloned().or(home.version);
    cluster::understand(section, &home, findings)
}

/// Judges what a person names: a file, of which `read` gives the text, or a directory. Fails with the sentence why it cannot be read.
pub(crate) fn of_path(
    host: Option<&Host>,
    path: &Path,
    read: &dyn Fn(&Path) -> Result<String, String>,
    version: Option<&Version>,
) -> Result<Vec<Seen>, String> {
    let name = path.display().to_string();
    if path != Path::new("-")
        && let Ok(tree) = Host::new(path)
    {
        return of_directory(host, &tree, &name, version);
    }
    let text = read(path)?;
    let judged = of_text_for(host, &text, version);
    Ok(vec![Seen { name, part: Part::Whole, judged, text }])
}

/// How deep, how many and how large the files of a directory may be.
const DEPTH: usize = 16;
const FILES: usize = 10_000;
const SIZE: u64 = 16 << 20;

/// Judges a directory as Kairos merges it: what it comes to first, then each file. `tree` has the directory as its root. Fails with the sentence
/// why it cannot be read.
fn of_directory(host: Option<&Host>, tree: &Host, name: &str, version: Option<&Version>) -> Result<Vec<Seen>, String> {
    let name = name.trim_end_matches('/');
    let mut paths = Vec::new();
    walk(tree, "", 0, &mut paths).map_err(|error| error.below(name).to_string())?;
    let mut merged = directory::Merged::default();
    let mut seen = Vec::new();
    for path in paths {
        let full = format!("{name}{path}");
        let (mut findings, mut text) = (Findings::default(), String::new());
        match tree.read(&path, SIZE) {
            Ok(bytes) => {
                merged.add(&full, &bytes, &mut findings);
                text = String::from_utf8(bytes).unwrap_or_default();
            }
            Err(error) => {
                let rest = format!("{}, so Kairos leaves the file out; mend or remove it", error.below(name));
                findings.error(Code::SourceUnreadable, At::line(1), &rest);
            }
        }
        let judged = Judged { findings, ..Judged::default() };
        seen.push(Seen { name: full, part: Part::OfDirectory, judged, text });
    }
    let mut whole = Judged::default();
    let hostname = merged.root.as_ref().and_then(hostname_of);
    if seen.is_empty() {
        whole.findings.warn(Code::SectionMissing, At::line(1), &directory::nothing_in(name));
    }
    let directory::Merged { root, sources, files, is_broken } = merged;
    let is_read = root.is_some() && !is_broken;
    whole.section = root.filter(|_| !is_broken).and_then(|root| cloud_config::section(root, &mut whole.findings));
    if let Some(section) = &whole.section {
        whole.cluster = understood(host, section, version, &mut whole.findings);
        judge_hostname(hostname.as_ref(), whole.cluster.as_ref(), &mut whole.findings);
        let options = section.node.get("config").and_then(Node::scalar).map(|it| it.text.clone());
        cloud_config::place(&mut whole.findings, options.as_deref(), &sources, SourcesRead::default());
        beside::judge(&files, section, whole.cluster.as_ref(), version, &mut whole.findings);
    } else if is_read {
        let sentence = "no cluster section in what Kairos merges of the directory, so the provider does nothing; write one if this node is to run RKE2";
        cloud_config::place(&mut whole.findings, None, &sources, SourcesRead::default());
        whole.findings.warn(Code::SectionMissing, At::line(1), sentence);
    }
    whole.hostname = hostname.map(|(name, _)| name);
    // Each finding to the file in which it is to be mended.
    let mut kept = Findings::default();
    for finding in std::mem::take(&mut whole.findings).list {
        let file = finding.file.as_ref().and_then(|file| seen.iter_mut().find(|it| it.name == *file));
        let most = finding.severity;
        match file {
            Some(it) => it.judged.findings.add(finding, most),
            None => kept.add(finding, most),
        }
    }
    whole.findings = kept;
    for it in &mut seen {
        it.judged.findings.list.iter_mut().for_each(|finding| finding.file = None);
        it.judged.findings.sort();
    }
    seen.insert(0, Seen { name: name.to_owned(), part: Part::Directory, judged: whole, text: String::new() });
    Ok(seen)
}

/// Judges an image for every node that it is to become. `version` is that of its RKE2, if it is known.
pub(crate) fn image(image: &Host, version: Option<&Version>, seen: &mut [Seen]) {
    for it in seen {
        if let Some(cluster) = &it.judged.cluster {
            image_root::judge(image, cluster, version, &mut it.judged.findings);
            it.judged.findings.sort();
        }
    }
}

/// Compares the nodes of one cluster.
pub(crate) fn compare(seen: &mut [Seen]) {
    fleet::compare(seen);
}

/// The files below a directory that Kairos looks at, in the order of its walk. Links to directories are not followed.
fn walk(tree: &Host, directory: &str, depth: usize, paths: &mut Vec<String>) -> Result<(), Error> {
    for name in tree.list(if directory.is_empty() { "/" } else { directory })? {
        let path = format!("{directory}/{name}");
        if tree.is_dir(&path) && !tree.is_symlink(&path) {
            if depth < DEPTH {
                // What cannot be listed Kairos passes over too.
                let _ = walk(tree, &path, depth + 1, paths);
            }
        } else if directory::is_looked_at(&path) && paths.len() < FILES {
            paths.push(path);
        }
    }
    Ok(())
}

/// The name that a cloud-config gives the node, at its top or in a stage, and where it stands.
fn hostname_of(root: &Node) -> Option<(String, At)> {
    const KEY: &str = "hostname";
    let stages = root.get("stages").map(Node::entries).unwrap_or_default().iter();
    let steps = stages.flat_map(|(stage, steps)| steps.items().iter().enumerate().map(move |step| (stage, step)));
    let mut in_stages = steps.filter_map(|(stage, (index, step))| {
        Some((path::Path::of("stages").key(&stage.scalar.text).item(index).key(KEY), step.entry(KEY)?))
    });
    let at_top = root.entry(KEY).map(|it| (path::Path::of(KEY), it));
    let (path, (key, node)) = at_top.or_else(|| in_stages.next_back())?;
    let name = node.scalar()?.text.trim();
    (!name.is_empty()).then(|| (name.to_owned(), path.at(key.line)))
}

/// Where no option names the node, RKE2 takes the name of the host (k3s `pkg/agent/config/config.go`).
fn judge_hostname(hostname: Option<&(String, At)>, cluster: Option<&Cluster>, findings: &mut Findings) {
    let (Some((name, at)), Some(cluster)) = (hostname, cluster) else { return };
    if cluster.given("node-name").is_none()
        && !name.contains("{{")
        && let Some((severity, rest)) = wrong_name(name)
    {
        findings.push(severity, Code::NodeNameInvalid, at.clone(), &rest);
    }
}
