//! What others have put on the node that RKE2 reads beside the configuration that is installed here, and what in it would take the place of
//! token, server or data directory.
//!
//! Such a line would make another node of this one than the cloud-config asks for, and nobody would see it.

use std::collections::BTreeMap;

use super::Unit;
use super::drop_in::{self, DropIn, Value};
use super::merge::{self, CONFIG, OWNER, USER};
use super::options;
use crate::findings::code::Code;
use crate::findings::path::{At, Path};
use crate::findings::{Findings, Instead};
use crate::host::owned::{MARK, Whose};
use crate::host::{Error, Host};
use crate::text::escape::escape;
use crate::text::paths::RUN;
use crate::text::yaml::{self, OPTIONS, Yaml11};
use crate::text::{collected, lossy};

/// RKE2's own drop-ins, read after config.yaml (k3s `pkg/configfilearg/parser.go`).
pub(crate) const DROP_INS: &str = "/etc/rancher/rke2/config.yaml.d";

/// Options that must come from the cloud-config: name and alias in a file, variable, the key to write in their place.
const OURS: [(&str, &str, &str, &str); 4] = [
    ("token", "t", "RKE2_TOKEN", "cluster_token"),
    ("token-file", "token-file", "RKE2_TOKEN_FILE", "config.token-file"),
    ("server", "s", "RKE2_URL", "control_plane_host"),
    ("data-dir", "d", "RKE2_DATA_DIR", "config.data-dir"),
];

/// Refuses what other files would say in place of `config`; on a node with state it is a warning. A value that says the same is let pass.
pub(crate) fn find(host: &Host, unit: Unit, data_dir: &str, config: &DropIn, findings: &mut Findings) {
    let own = |option: &str| match config.iter().find(|(name, _)| name == option) {
        Some((_, Value::Text(text))) => Some(text.as_str()),
        Some(_) => None,
        None => (option == "data-dir").then_some(data_dir),
    };
    let is_own = |option: &str, value: &str| {
        own(option).is_some_and(|own| own == value || (option == "data-dir" && own == value.trim_end_matches('/')))
    };
    for file in environment_files(host, unit) {
        let text = text(host, &file, findings);
        for (line, (name, value)) in assignments(&text) {
            if name.starts_with("RKE2_CLUSTER_RESET") && !is_off(&value) {
                refuse_reset(findings, &file, line, &name);
                continue;
            }
            let mut refuse = |key| refuse(findings, &file, line, &name, key);
            if name == "RKE2_CONFIG_FILE" && value != CONFIG {
                refuse("config");
            }
            let ours = OURS.into_iter().find(|(_, _, variable, _)| *variable == name);
            if let Some((_, _, _, key)) = ours.filter(|(option, ..)| !is_own(option, &value)) {
                refuse(key);
            }
        }
    }
    for file in drop_ins(host) {
        // What does not parse stops RKE2, which says so.
        let Ok(document) = yaml::read(&text(host, &file, findings), OPTIONS) else { continue };
        for (key, value) in document.root.entries() {
            let written = key.scalar.text.trim_end_matches('+');
            let value = value.scalar().map(|it| it.yaml11().printed());
            if written.starts_with("cluster-reset") && !value.as_deref().is_some_and(is_off) {
                refuse_reset(findings, &file, key.line, written);
                continue;
            }
            let ours = OURS.into_iter().find(|(option, alias, _, _)| written == *option || written == *alias);
            if let Some((option, _, _, key_of_ours)) = ours
                && !value.is_some_and(|value| is_own(option, &value))
            {
                refuse(findings, &file, key.line, option, key_of_ours);
            }
        }
    }
}

/// Whether a value leaves a reset of the cluster undone.
fn is_off(value: &str) -> bool {
    value.is_empty() || drop_in::boolean(&Yaml11::Text(value.to_owned())) == Some(false)
}

/// Each start would reset the cluster, whatever the node holds.
fn refuse_reset(findings: &mut Findings, file: &str, line: usize, written: &str) {
    let rest = "would reset the cluster at every start; remove it and run `rke2 server --cluster-reset` once by hand";
    findings.refuse(Code::OptionReset, Path::of(written).at(line).in_file(file), rest);
}

/// RKE2's own drop-ins.
pub(crate) fn drop_ins(host: &Host) -> Vec<String> {
    drop_ins_in(host, DROP_INS)
}

fn drop_ins_in(host: &Host, directory: &str) -> Vec<String> {
    let names = host.list(directory).unwrap_or_default().into_iter();
    let names = names.filter(|name| merge::is_drop_in(name));
    names.map(|name| format!("{directory}/{name}")).collect()
}

/// The configuration that is installed, and what RKE2 reads beside it; each file read once.
#[derive(Debug)]
pub(crate) struct Beside {
    /// `config.yaml`.
    installed: OptionsFile,
    /// The drop-ins of config.d, whoever wrote them.
    merged: Vec<OptionsFile>,
    /// RKE2's own drop-ins.
    drop_ins: Vec<OptionsFile>,
    /// The environment files of each unit.
    environment: Vec<(Unit, Vec<EnvironmentFile>)>,
}

impl Beside {
    /// Reads them. One that cannot be read says nothing.
    pub(crate) fn read(host: &Host) -> Beside {
        let options = |paths: Vec<String>| paths.into_iter().map(|path| OptionsFile::read(host, path)).collect();
        let environment = |unit| {
            let paths = [default_file(unit)].into_iter().chain(shipped_files(unit));
            (unit, paths.map(|path| EnvironmentFile::read(host, path)).collect())
        };
        Beside {
            installed: OptionsFile::read(host, CONFIG.to_owned()),
            merged: options(of_all(host)),
            drop_ins: options(drop_ins(host)),
            environment: Unit::ALL.into_iter().map(environment).collect(),
        }
    }

    /// The data directories that they name, in the order in which RKE2 was configured with them: config.yaml, config.d, RKE2's own drop-ins, the
    /// environment files of its units.
    pub(crate) fn data_dirs(&self) -> impl Iterator<Item = &str> {
        let options = [&self.installed].into_iter().chain(&self.merged).chain(&self.drop_ins);
        let options = options.filter_map(|file| file.data_dir.as_deref());
        let files = self.environment.iter().flat_map(|(_, files)| files);
        options.chain(files.filter_map(|file| {
            let found = file.assigned.iter().rev().find(|(name, _)| name == "RKE2_DATA_DIR");
            found.map(|(_, value)| value.as_str())
        }))
    }
}

/// A file of options, as far as it can be read.
#[derive(Debug)]
struct OptionsFile {
    path: String,
    data_dir: Option<String>,
    /// The long names of its options, and whether it gives them a value.
    options: Vec<(&'static str, bool)>,
}

impl OptionsFile {
    fn read(host: &Host, path: String) -> OptionsFile {
        let text = lossy(host.read(&path, OPTIONS.bytes as u64).unwrap_or_default());
        let Ok(document) = yaml::read(&text, OPTIONS) else {
            return OptionsFile { path, data_dir: None, options: Vec::new() };
        };
        let is_given = |node: &yaml::Node| node.scalar().is_some_and(|it| !it.yaml11().printed().trim().is_empty());
        let named = document.root.entries().iter().filter_map(|(key, value)| {
            let spec = options::of_key(&key.scalar.text)?;
            Some((spec.name, is_given(value) || !value.items().is_empty()))
        });
        OptionsFile { path, data_dir: drop_in::data_dir(&document.root), options: named.collect() }
    }

    /// Its options with its path.
    fn named(&self) -> impl Iterator<Item = (&'static str, bool, &str)> {
        self.options.iter().map(|(name, is_given)| (*name, *is_given, self.path.as_str()))
    }
}

/// An environment file, as far as it can be read.
#[derive(Debug)]
struct EnvironmentFile {
    path: String,
    is_ours: bool,
    assigned: Vec<(String, String)>,
}

impl EnvironmentFile {
    fn read(host: &Host, path: String) -> EnvironmentFile {
        let text = lossy(host.read(&path, OPTIONS.bytes as u64).unwrap_or_default());
        let assigned = assignments(&text).into_iter().map(|(_, variable)| variable).collect();
        EnvironmentFile { path, is_ours: text.starts_with(MARK), assigned }
    }
}

/// What a joining node needs, by the file of somebody else that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// Its token, or a file with it.
    Token,
    /// The server that it joins.
    Server,
}

impl Needed {
    const ALL: [Needed; 2] = [Needed::Token, Needed::Server];

    /// The options and the variables that give it.
    fn names(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Needed::Token => (&["token", "token-file"], &["RKE2_TOKEN", "RKE2_TOKEN_FILE"]),
            Needed::Server => (&["server"], &["RKE2_URL"]),
        }
    }
}

/// The files of somebody else that give a unit what a joining node needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    needed: Needed,
    unit: Unit,
    /// The file, and what gives it there.
    file: String,
    name: &'static str,
}

impl Given {
    /// Looks through all that RKE2 reads and that is not ours: the drop-ins of config.d, of which config.yaml is made, RKE2's own drop-ins, and
    /// the environment files of its units.
    pub(crate) fn find(host: &Host, beside: &Beside) -> Vec<Given> {
        // Of RKE2's own files the last counts, if it gives nothing too; those of config.d are merged.
        let merged = beside.merged.iter().filter(|file| is_of_others(&file.path)).flat_map(OptionsFile::named);
        let merged: Vec<_> = merged.filter(|(_, is_given, _)| *is_given).collect();
        let mut found = Vec::new();
        for (unit, files) in &beside.environment {
            let mut variables: Vec<(&str, &str, &str)> = Vec::new();
            for file in files.iter().filter(|file| !file.is_ours) {
                // The last assignment of all files counts.
                for (name, value) in &file.assigned {
                    variables.retain(|(it, ..)| it != name);
                    variables.push((name, value, &file.path));
                }
            }
            let config = variables.iter().find(|(name, ..)| *name == "RKE2_CONFIG_FILE").map(|(_, path, _)| *path);
            // RKE2 reads that one in place of ours.
            let instead: Option<Vec<OptionsFile>> = config.filter(|path| *path != CONFIG).map(|path| {
                let files = [path.to_owned()].into_iter().chain(drop_ins_in(host, &format!("{path}.d")));
                files.map(|path| OptionsFile::read(host, path)).collect()
            });
            let mut last: Vec<(&str, bool, &str)> = Vec::new();
            for it in instead.as_ref().unwrap_or(&beside.drop_ins).iter().flat_map(OptionsFile::named) {
                last.retain(|(name, ..)| *name != it.0);
                last.push(it);
            }
            let options = last.iter().filter(|(_, is_given, _)| *is_given).chain(&merged);
            for needed in Needed::ALL {
                let (names, of_variables) = needed.names();
                let mut give = |file: &str, name: &'static str| {
                    found.push(Given { needed, unit: *unit, file: file.to_owned(), name });
                };
                for (name, _, file) in options.clone().filter(|(name, ..)| names.contains(name)) {
                    give(file, name);
                }
                for name in of_variables {
                    if let Some((.., file)) = variables.iter().find(|(it, value, _)| it == name && !value.is_empty()) {
                        give(file, name);
                    }
                }
            }
        }
        found
    }

    /// Whether it is this one, for this unit.
    pub(crate) fn is(&self, needed: Needed, unit: Unit) -> bool {
        (self.needed, self.unit) == (needed, unit)
    }

    /// Whether a fresh node takes it too: it becomes part of config.yaml, where the cluster section has no other.
    pub(crate) fn is_for_all(&self) -> bool {
        self.name == "token-file" && self.file.starts_with(merge::DROP_INS)
    }

    /// What gives it, and where, for a message.
    pub(crate) fn described(&self) -> String {
        format!("{} in {}", self.name, escape(&self.file))
    }
}

/// The drop-ins in config.d, whoever wrote them.
pub(crate) fn of_all(host: &Host) -> Vec<String> {
    let files = drop_ins_in(host, merge::DROP_INS).into_iter();
    files.filter(|file| !name_of(file).starts_with('.')).collect()
}

/// The same of other authors.
pub(crate) fn of_others(host: &Host) -> Vec<String> {
    of_all(host).into_iter().filter(|file| is_of_others(file)).collect()
}

fn is_of_others(file: &str) -> bool {
    ![USER, OWNER].contains(&name_of(file))
}

fn name_of(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or_default()
}

fn refuse(findings: &mut Findings, file: &str, line: usize, written: &str, key: &str) {
    let rest = format!(
        "stands in a file that RKE2 reads after the configuration of the cloud-config; remove it there, and write cluster.{key}"
    );
    findings.refuse_fresh(Code::ConfigOverridden, Path::of(written).at(line).in_file(file), &rest, Instead::Kept);
}

/// The text of a file of others; nothing if there is none, with a warning if it cannot be read.
fn text(host: &Host, file: &str, findings: &mut Findings) -> String {
    match host.read(file, OPTIONS.bytes as u64) {
        Ok(bytes) => lossy(bytes),
        Err(error) => {
            if !error.is_absent() && !matches!(error, Error::Kind { .. }) {
                let sentence = format!(
                    "{error}, so RKE2 may read from it what the cloud-config does not say; mend or remove the file"
                );
                findings.warn(Code::SourceUnreadable, At::line(1), &sentence);
            }
            String::new()
        }
    }
}

/// The files that the unit reads, but for one of ours (rke2 `bundle/lib/systemd/system/rke2-server.service`).
pub(crate) fn environment_files(host: &Host, unit: Unit) -> Vec<String> {
    let is_others = |path: &String| !matches!(Whose::of(host, path), Ok(Whose::Ours | Whose::Nobodys));
    Some(default_file(unit)).filter(is_others).into_iter().chain(shipped_files(unit)).collect()
}

/// The variables of a unit that this program gives `own`: the unit reads those behind its first file, or last, where somebody else has
/// written that one.
pub(crate) fn variables_with(host: &Host, unit: Unit, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let files = environment_files(host, unit);
    let is_late = files.contains(&default_file(unit));
    let of_others = variables_of(host, files);
    let (first, then) = if is_late { (of_others, own.clone()) } else { (own.clone(), of_others) };
    collected(first.into_iter().chain(then))
}

/// The variables that a unit runs with, as far as they are written down.
pub(crate) fn variables(host: &Host, unit: Unit) -> BTreeMap<String, String> {
    let files = [default_file(unit)].into_iter().chain(shipped_files(unit)).chain([late_file(unit)]);
    variables_of(host, files)
}

/// The variables of files, of which the last counts.
pub(crate) fn variables_of(host: &Host, files: impl IntoIterator<Item = String>) -> BTreeMap<String, String> {
    let texts = files.into_iter().filter_map(|file| host.read(&file, OPTIONS.bytes as u64).ok());
    let read = |bytes: Vec<u8>| assignments(&String::from_utf8_lossy(&bytes));
    collected(texts.flat_map(read).map(|(_, variable)| variable))
}

/// The environment file of ours that a unit reads last: what is known only when the network is.
pub(crate) fn late_file(unit: Unit) -> String {
    format!("{RUN}/{unit}.env")
}

/// The environment file of a unit that we write, where it is ours.
fn default_file(unit: Unit) -> String {
    format!("/etc/default/{unit}")
}

/// Those that we never write.
fn shipped_files(unit: Unit) -> [String; 3] {
    let shipped = |lib: &str| format!("{lib}/systemd/system/{unit}.env");
    [format!("/etc/sysconfig/{unit}"), shipped("/usr/local/lib"), shipped("/usr/lib")]
}

/// The variables of an environment file with their lines, quotes taken off (systemd.exec(5), `EnvironmentFile=`).
pub(crate) fn assignments(text: &str) -> Vec<(usize, (String, String))> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let given = lines.filter(|(_, line)| !line.starts_with(['#', ';']));
    given
        .filter_map(|(number, line)| {
            let (name, value) = line.split_once('=')?;
            let name = name.trim().trim_start_matches("export ").trim();
            let value = value.trim();
            let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            Some((number, (name.to_owned(), quoted.unwrap_or(value).to_owned())))
        })
        .collect()
}
