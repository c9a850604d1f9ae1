//! What RKE2 reads after the configuration that is installed here, and what in it would take the place of token, server or data directory.
//!
//! Such a line would make another node of this one than the cloud-config asks for, and nobody would see it.

use super::Unit;
use super::drop_in::{DropIn, Value};
use super::merge::{self, CONFIG};
use crate::findings::code::Code;
use crate::findings::path::{At, Path};
use crate::findings::{Findings, Instead};
use crate::host::owned::Whose;
use crate::host::{Error, Host};
use crate::text::yaml::{self, OPTIONS};

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
            let ours = OURS.into_iter().find(|(option, alias, _, _)| written == *option || written == *alias);
            if let Some((option, _, _, key_of_ours)) = ours
                && !value.is_some_and(|value| is_own(option, &value))
            {
                refuse(findings, &file, key.line, option, key_of_ours);
            }
        }
    }
}

/// RKE2's own drop-ins.
pub(crate) fn drop_ins(host: &Host) -> Vec<String> {
    let names = host.list(DROP_INS).unwrap_or_default().into_iter();
    let names = names.filter(|name| merge::is_drop_in(name));
    names.map(|name| format!("{DROP_INS}/{name}")).collect()
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
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
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
    let default = format!("/etc/default/{unit}");
    let default = (!matches!(Whose::of(host, &default), Ok(Whose::Ours | Whose::Nobodys))).then_some(default);
    let shipped = ["/usr/local/lib", "/usr/lib"].map(|lib| format!("{lib}/systemd/system/{unit}.env"));
    default.into_iter().chain([format!("/etc/sysconfig/{unit}")]).chain(shipped).collect()
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
