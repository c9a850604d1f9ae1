//! What the user wrote: the text of a cloud-config, whether it has a cluster section, and whether "no" can be believed.
//!
//! The Kairos collector merges the files of /oem and /usr/local/cloud-config, lists them under `# Sources:`, and leaves out
//! without a word the ones that do not parse (kairos `sdk/collector/collector.go`). So a missing section means something only
//! if every listed file parses.

use super::around;
use crate::findings::code::Code;
use crate::findings::path::At;
use crate::findings::{Finding, Findings};
use crate::rke2::drop_in::Place;
use crate::text::emit;
use crate::text::escape::{escape, quoted};
use crate::text::yaml::{self, CLOUD_CONFIG, Document, Duplicate, Kind, Node, OPTIONS, Style};

/// The `name:` by which a document is known to be ours; the Go provider wrote the same.
pub(crate) const DOCUMENT_NAME: &str = "RKE2 Kairos Cluster Provider";

/// A file that the cloud-config was collected from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path on the node.
    pub path: String,
    /// Its text, or the sentence why it cannot be read.
    pub text: Result<String, String>,
}

/// The three answers to "is there a cluster section?".
#[derive(Debug)]
pub(crate) enum CloudConfig {
    /// There is one; and what was found around it.
    Present(Box<Section>, Findings),
    /// There is none, and every source says so; and what was found in its place.
    Absent(Findings),
    /// Nobody knows; the sentence names the file.
    Unreadable(String),
}

/// The cluster section as written.
#[derive(Debug)]
pub struct Section {
    /// The line of its key.
    pub line: usize,
    /// Its value.
    pub node: Node,
    /// What `config` holds.
    pub options: Options,
    /// Sentences about sources that do not parse.
    pub broken: Vec<String>,
    /// What the sources hold.
    pub(crate) read: SourcesRead,
}

/// What sources hold, for the placing of findings: as many of them as are small, in their order.
#[derive(Debug, Default)]
pub(crate) struct SourcesRead {
    roots: Vec<Option<Node>>,
    bytes: usize,
}

/// How much text is kept in the form that it was read in, which takes many times the room. What is larger is read again where a finding asks
/// for it.
const KEPT: usize = 256 << 10;

/// RKE2's options as `cluster.config` gives them.
#[derive(Debug)]
pub enum Options {
    /// There is no `config`, or it is null.
    None,
    /// A list in place of text or a mapping.
    WrongType,
    /// The text inside does not parse.
    Broken(Place, yaml::Error),
    /// The document inside, or the mapping itself.
    Read(Place, Document),
}

impl Section {
    fn new(line: usize, node: Node) -> Self {
        let options = Options::read(node.get("config"));
        Section { line, node, options, broken: Vec::new(), read: SourcesRead::default() }
    }
}

impl Options {
    fn read(config: Option<&Node>) -> Options {
        let Some(node) = config.filter(|node| !node.is_null()) else { return Options::None };
        match &node.kind {
            Kind::List(_) => Options::WrongType,
            Kind::Map(_) if node.count() > OPTIONS.nodes => {
                let problem = format!("has more than {} values", OPTIONS.nodes);
                Options::Broken(Place::Here, yaml::Error::new(node.line, problem))
            }
            Kind::Map(_) => {
                let root = node.clone();
                Options::Read(Place::Here, Document { root, duplicates: Vec::new(), anchor_twice: None, second: None })
            }
            Kind::Scalar(scalar) => {
                let place = match scalar.style {
                    Style::Literal => Place::Block(node.line),
                    _ => Place::Inline(node.line),
                };
                match yaml::read(&scalar.text, OPTIONS) {
                    Ok(document) => Options::Read(place, document),
                    Err(error) => Options::Broken(place, error),
                }
            }
        }
    }
}

/// Why the Kairos collector leaves a file out, and does not even list it (kairos `sdk/collector/collector.go`, `parseFiles` and
/// `HasValidHeader`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// None of its first lines is a header that Kairos knows.
    NoHeader,
    /// It is too large.
    TooLarge,
}

/// The headers that Kairos knows, and in how many lines it looks for one.
const HEADERS: [&str; 3] = ["#cloud-config", "#kairos-config", "#node-config"];
const HEADER_LINES: usize = 9;

/// The size from which on Kairos leaves a file out.
const TOO_LARGE: usize = 2 << 20;

impl LeftOut {
    /// Looks at the content of a file; nothing if Kairos reads it.
    pub(crate) fn of(bytes: &[u8]) -> Option<LeftOut> {
        let header = |line: &[u8]| HEADERS.iter().any(|header| line.trim_ascii_end() == header.as_bytes());
        if bytes.len() >= TOO_LARGE {
            Some(LeftOut::TooLarge)
        } else if bytes.starts_with("\u{feff}".as_bytes()) {
            Some(LeftOut::ByteOrderMark)
        } else if !bytes.split(|byte| *byte == b'\n').take(HEADER_LINES).any(header) {
            Some(LeftOut::NoHeader)
        } else {
            None
        }
    }

    /// What follows the name of the file in a sentence: what is wrong, what comes of it, what to do.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            LeftOut::ByteOrderMark => {
                "begins with a byte order mark, so Kairos leaves it out; save it as UTF-8 without one"
            }
            LeftOut::NoHeader => {
                "has no #cloud-config, #kairos-config or #node-config in its first nine lines, so Kairos leaves it out; \
                 write #cloud-config in the first line"
            }
            LeftOut::TooLarge => "has 2 MiB or more, so Kairos leaves it out; make it smaller, or split it",
        }
    }

    /// Its code.
    pub(crate) fn code(self) -> Code {
        match self {
            LeftOut::ByteOrderMark => Code::ByteOrderMark,
            LeftOut::NoHeader => Code::HeaderMissing,
            LeftOut::TooLarge => Code::FileTooLarge,
        }
    }
}

/// Whether a text has a line by which it may hold a cluster section, though nobody could parse it.
pub(crate) fn names_cluster(bytes: &[u8]) -> bool {
    let mut lines = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"cluster:"))
}

/// What tells one event from another: a hash of all that makes the plan. It hashes the token.
///
/// Of a text that the collector made, that is the cluster section alone: what else it holds includes the document of the last boot.
pub(crate) fn payload(text: &str) -> String {
    let is_collected = comments(text).any(|line| line == "# Sources:");
    let mut is_in = false;
    let section = text.split_inclusive('\n').filter(|line| {
        if !line.starts_with([' ', '\t', '\n', '\r']) {
            is_in = line.starts_with("cluster:");
        }
        is_in
    });
    let section: Vec<&str> = if is_collected { section.collect() } else { Vec::new() };
    if section.is_empty() { emit::fnv(text.bytes()) } else { emit::fnv(section.into_iter().flat_map(str::bytes)) }
}

/// The lines of comments and the empty lines at the top.
fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| line.is_empty() || line.starts_with('#'))
}

/// The files listed under `# Sources:` in the comments at the top: absolute paths and URLs; `cmdline` and `reader` are neither.
pub(crate) fn sources(text: &str) -> Vec<&str> {
    let listed = comments(text).skip_while(|line| *line != "# Sources:").skip(1);
    listed.map_while(|line| line.strip_prefix("# - ")).collect()
}

/// Whether a listed source is a file of the node.
pub(crate) fn is_file(source: &str) -> bool {
    source.starts_with('/')
}

/// Whether a document is ours, also when it is torn: only the line of its name counts.
pub(crate) fn is_ours(text: &str) -> bool {
    // Most texts do not hold it anywhere, which is found out faster.
    if !text.contains(DOCUMENT_NAME) {
        return false;
    }
    let names = text.lines().filter_map(|line| line.strip_prefix("name:"));
    names.map(|name| name.trim().trim_matches(['"', '\''])).any(|name| name == DOCUMENT_NAME)
}

/// The first document of a text as gopkg.in/yaml.v3 would take it, or the findings that say why not.
/// A key that stands twice is such a finding; the document is given all the same, so that the rest can be judged too.
pub(crate) fn parse(text: &str) -> (Option<Document>, Findings) {
    let mut findings = Findings::default();
    (parse_into(text, &mut findings), findings)
}

fn parse_into(text: &str, findings: &mut Findings) -> Option<Document> {
    let mut unreadable = |line, sentence: &str| findings.refuse(Code::Unreadable, At::line(line), sentence);
    match yaml::read(text, CLOUD_CONFIG) {
        Err(error) => {
            unreadable(error.line, &format!("the cloud-config {}", error.problem));
            None
        }
        Ok(document) => {
            for Duplicate { key, first, second } in &document.duplicates {
                let key = quoted(key);
                let sentence = format!(
                    "the cloud-config has the key {key} in lines {first} and {second} of one mapping; keep one"
                );
                unreadable(*second, &sentence);
            }
            if !matches!(document.root.kind, Kind::Map(_)) && !document.root.is_null() {
                let found = document.root.described();
                unreadable(document.root.line, &format!("the cloud-config is {found}; write a mapping"));
            }
            Some(document)
        }
    }
}

/// A whole cloud-config as a person hands it over: the section if there is one, and what keeps Kairos from reading the file.
pub fn of_file(text: &str) -> (Option<Section>, Findings) {
    of_file_with(text, &mut |_| {})
}

/// The same; `look` is shown the whole of the cloud-config, of which the section alone is kept.
pub(crate) fn of_file_with(text: &str, look: &mut dyn FnMut(&Node)) -> (Option<Section>, Findings) {
    let mut findings = Findings::default();
    findings.is_whole = true;
    let document = parse_into(text, &mut findings);
    if let Some(document) = &document {
        look(&document.root);
    }
    let is_read = document.is_some();
    let second = document.as_ref().and_then(|document| document.second);
    let section = document.and_then(|document| section(document.root, &mut findings));
    // Without a cluster section it is no business of ours whether Kairos reads the file.
    let is_ours = section.is_some() || (!is_read && names_cluster(text.as_bytes()));
    if let Some(left_out) = LeftOut::of(text.as_bytes()).filter(|_| is_ours) {
        let sentence = format!("the cloud-config {}", left_out.sentence());
        findings.refuse(left_out.code(), At::line(1), &sentence);
    }
    if let Some(line) = second {
        let sentence = "the cloud-config goes on with a second document, which has no effect; remove it";
        findings.warn(Code::SecondDocument, At::line(line), sentence);
    }
    if is_read && section.is_none() {
        let sentence = "no cluster section, so the provider does nothing; write one if this node is to run RKE2";
        findings.warn(Code::SectionMissing, At::line(1), sentence);
    }
    (section, findings)
}

/// The section of a document, of which nothing else is kept; what stands in its place, or beside it and harms it, is told.
pub(crate) fn section(root: Node, findings: &mut Findings) -> Option<Section> {
    around::judge(&root, root.get("cluster").is_some_and(|node| !node.is_null()), findings);
    let Kind::Map(entries) = root.kind else { return None };
    let (key, node) = entries.into_iter().rev().find(|(key, _)| key.scalar.text == "cluster")?;
    (!node.is_null()).then(|| Section::new(key.line, node))
}

/// What follows from a file that was left out, where no cluster section is left.
pub(crate) const NOT_KNOWN: &str = "until then it is not known whether there is a cluster section";

/// The answer for a collected text and the files it names.
pub(crate) fn of_collected(text: &str, sources_read: &[Source]) -> CloudConfig {
    // One text after the other: each may be large.
    let mut read = SourcesRead::default();
    let broken: Vec<String> = sources_read.iter().filter_map(|source| broken(source, &mut read)).collect();
    let (document, found) = parse(text);
    let Some(document) = document.filter(|_| found.list.is_empty()) else {
        let first = found.list.first().map_or("", |finding| finding.message.as_str());
        return CloudConfig::Unreadable(first.to_owned());
    };
    let url = document.root.get("config_url");
    let has_url = url.is_some_and(|url| !url.is_null() && !url.scalar().is_some_and(|it| it.text.is_empty()));
    let mut findings = Findings::default();
    if let Some(mut section) = section(document.root, &mut findings) {
        section.broken = broken;
        section.read = read;
        return CloudConfig::Present(Box::new(section), findings);
    }
    if let Some(sentence) = broken.into_iter().next() {
        return CloudConfig::Unreadable(format!("{sentence}; {NOT_KNOWN}"));
    }
    let fetched = sources(text).iter().any(|source| source.starts_with("http://") || source.starts_with("https://"));
    if has_url && !fetched {
        return CloudConfig::Unreadable(format!(
            "config_url: was not fetched; make the address reachable at boot, or remove config_url; {NOT_KNOWN}"
        ));
    }
    CloudConfig::Absent(findings)
}

/// Why a source does not count, as a sentence; else it is added to what is `read`. A document of ours holds no cluster section, so it may be
/// torn.
fn broken(source: &Source, read: &mut SourcesRead) -> Option<String> {
    read.roots.push(None);
    let text = match &source.text {
        Err(sentence) => return Some(format!("{sentence}, so nothing in it takes effect; mend or remove the file")),
        Ok(text) if is_ours(text) => return None,
        Ok(text) => text,
    };
    let (document, found) = parse(text);
    if let Some(first) = found.list.first() {
        return Some(format!("{}: {} (line {})", escape(&source.path), first.message, first.line.unwrap_or(1)));
    }
    if read.bytes + text.len() <= KEPT
        && let Some(last) = read.roots.last_mut()
    {
        read.bytes += text.len();
        *last = document.map(|document| document.root);
    }
    None
}

/// Gives each finding the file and line of the last source that holds its key; the lines of the collected text mean nothing
/// to a person. `options` is the text of `cluster.config`, where it is one. A finding whose key no source holds is placed at the last `cluster` key, or nowhere.
pub(crate) fn place(findings: &mut Findings, options: Option<&str>, sources: &[Source], read: SourcesRead) {
    if findings.list.is_empty() {
        return;
    }
    findings.sort();
    // Only those that are printed are worth the search.
    let mut sought: Vec<usize> = findings.printed().into_iter().collect();
    // What is about the node stands in no source.
    let is_of_section = |it: &Finding| matches!(it.path.steps().next(), Some(Ok("cluster")));
    let is_around = |it: &Finding| around::CODES.contains(&it.code) || it.code == Code::NodeNameInvalid;
    sought.retain(|index| findings.list.get(*index).is_some_and(|it| is_of_section(it) || is_around(it)));
    findings.list.iter_mut().for_each(|finding| finding.line = None);
    // One after the other, the last first: each may be large.
    let mut cluster = None;
    let mut roots = read.roots;
    roots.resize_with(sources.len(), || None);
    for (source, root) in sources.iter().zip(roots).rev() {
        let root = root.or_else(|| source.text.as_ref().ok().and_then(|text| readable(text)));
        let Some(root) = root else { continue };
        if cluster.is_none() {
            cluster = root.entry("cluster").map(|(key, _)| (source.path.clone(), key.line));
        }
        sought.retain(|index| {
            let Some(finding) = findings.list.get_mut(*index) else { return false };
            let line = find(&root, finding, options);
            if line.is_some() {
                (finding.file, finding.line) = (Some(source.path.clone()), line);
            }
            line.is_none()
        });
    }
    for index in sought {
        if let Some(finding) = findings.list.get_mut(index) {
            (finding.file, finding.line) = cluster.clone().unzip();
        }
    }
    findings.sort();
}

/// What a text holds, if Kairos can read it.
fn readable(text: &str) -> Option<Node> {
    let (document, found) = parse(text);
    document.filter(|_| found.list.is_empty()).map(|document| document.root)
}

/// The line of a finding's key in one source.
fn find(root: &Node, finding: &Finding, options: Option<&str>) -> Option<usize> {
    let mut node = root;
    let mut line = root.line;
    for step in finding.path.steps() {
        match (step, &node.kind) {
            (Ok(key), Kind::Map(_)) => {
                let (key, value) = node.entry(key)?;
                (line, node) = (key.line, value);
            }
            (Err(index), Kind::List(items)) => {
                node = items.get(index)?;
                line = node.line;
            }
            _ => break,
        }
    }
    let Some(inner) = finding.inner else { return Some(line) };
    // Lines inside the options hold for a source whose text is the one that was read.
    let here = node.scalar().filter(|scalar| Some(scalar.text.trim_end()) == options.map(str::trim_end))?;
    Some(if here.style == Style::Literal { node.line + inner } else { node.line })
}
