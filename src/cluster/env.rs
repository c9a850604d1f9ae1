//! `cluster.env`: environment variables of RKE2's service.

use std::collections::BTreeMap;

use super::reader::{self, Reader};
use crate::findings::Instead;
use crate::findings::code::Code;

/// Variables that say what a key of the section says, and that key.
const RESERVED: [(&str, &str); 3] =
    [("RKE2_TOKEN", "cluster_token"), ("RKE2_URL", "control_plane_host"), ("RKE2_CONFIG_FILE", "config")];

/// Variables with which RKE2 would reset its cluster at each start (rke2 `pkg/cli/cmds/server.go`).
const RESET: &str = "RKE2_CLUSTER_RESET";

/// The variables that the Go provider wrote, of all that there may be.
const WRITTEN_BY_GO: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// The proxies of RKE2 itself, and those of containerd alone.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
const OF_CONTAINERD: [&str; 2] = ["CONTAINERD_HTTP_PROXY", "CONTAINERD_HTTPS_PROXY"];

/// Reads the key: variables by name.
pub(crate) fn read(reader: &mut Reader) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (key, value) in reader.mapping("env") {
        let Some(scalar) = value.scalar() else { continue };
        let (name, at) = (key.scalar.text.as_str(), reader::path("env").key(&key.scalar.text).at(key.line));
        let text = cleaned(&scalar.text);
        if !is_variable(name) {
            let rest = "is no name of a variable, so it is left out, as systemd did; write letters, digits and underscores, no \
                        digit first";
            reader.findings.warn(Code::EnvName, at, rest);
            continue;
        }
        if name.starts_with(RESET) {
            let rest =
                "would reset the cluster at every start; remove it and run `rke2 server --cluster-reset` once by hand";
            reader.findings.refuse(Code::OptionReset, at, rest);
            continue;
        }
        let refused = if let Some((_, field)) = RESERVED.into_iter().find(|(variable, _)| *variable == name) {
            Some((Code::EnvReserved, format!("would override the cluster section; write cluster.{field} instead")))
        } else if text.chars().any(|it| it.is_control() && it != '\t') {
            Some((Code::EnvControl, "holds a control character or line break; write one line of text".into()))
        } else if text.chars().any(is_noncharacter) {
            let rest = "holds a code point that stands for no character (U+FFFE and the like), for which systemd drops the whole \
                        environment file; remove it";
            Some((Code::EnvControl, rest.into()))
        } else {
            None
        };
        if let Some((code, rest)) = refused {
            // Of what the Go provider wrote into the file systemd read the first line.
            let first = cleaned(text.lines().next().unwrap_or_default());
            let is_read = code == Code::EnvControl && !first.is_empty() && is_read_by_systemd(first);
            let is_kept = is_read && WRITTEN_BY_GO.contains(&name);
            let instead = if is_kept { Instead::Kept } else { Instead::LeftOut };
            if !reader.findings.refuse_fresh(code, at, &rest, instead) && is_kept {
                env.insert(name.to_owned(), first.to_owned());
            }
        } else if value.is_null() {
            reader.findings.note(Code::EnvEmpty, at, "has no value, so it is left out; write one, or remove it");
        } else {
            // systemd reads it, so a node with state keeps what it has run with.
            let has_tab = text.contains('\t');
            let rest = "holds a tab; write blanks";
            if has_tab && reader.findings.refuse_fresh(Code::EnvControl, at.clone(), rest, Instead::Kept) {
                continue;
            }
            if text != scalar.text {
                let rest =
                    "has blanks, quotes or a line break around its value, which are taken off; write the value alone";
                reader.findings.note(Code::EnvCleaned, at.clone(), rest);
            }
            if text.contains("{{") {
                let rest = "holds a template, which is evaluated in options only; write the value itself";
                reader.findings.error(Code::OptionTemplate, at, rest);
            }
            let has_no_scheme = !text.is_empty() && !text.contains("://") && !text.contains("{{");
            if has_no_scheme && PROXIES.iter().chain(&OF_CONTAINERD).any(|it| it.eq_ignore_ascii_case(name)) {
                let rest = "has no scheme; write http:// before the address of the proxy";
                reader.findings.error(Code::ProxyScheme, reader::path("env").key(name).at(key.line), rest);
            }
            env.insert(name.to_owned(), text.to_owned());
        }
    }
    let is_set = |name: &str| env.iter().any(|(it, text)| it.eq_ignore_ascii_case(name) && !text.is_empty());
    if let Some(name) = OF_CONTAINERD.into_iter().find(|name| is_set(name)).filter(|_| !PROXIES.into_iter().any(is_set))
    {
        let line = reader.section.node.get("env").and_then(|env| env.entry(name)).map(|(key, _)| key.line);
        let at = reader::path("env").key(name).at(line.unwrap_or(reader.section.line));
        let rest = "is for containerd alone, and RKE2 itself pulls without a proxy; write HTTP_PROXY and HTTPS_PROXY, of which \
                    containerd's are made";
        reader.findings.error(Code::ProxyOfContainerd, at, rest);
    }
    env
}

/// A value as systemd read it from the file that the Go provider wrote (systemd.exec(5), `EnvironmentFile=`): without line breaks at its end,
/// without blanks around it, and without one pair of quotes.
fn cleaned(text: &str) -> &str {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    quoted.unwrap_or(text)
}

/// Whether systemd takes a line for a value (systemd `src/basic/env-util.c`, `env_value_is_valid`).
fn is_read_by_systemd(line: &str) -> bool {
    !line.chars().any(|c| (c.is_control() && c != '\t') || is_noncharacter(c))
}

/// Whether a text can be the name of an environment variable: `^[A-Za-z_][A-Za-z0-9_]*$`.
pub(crate) fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Whether a code point is reserved as no character: systemd takes no file that holds one, and logs the line (systemd
/// `src/basic/utf8.c`, `unichar_is_valid`).
pub fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cleaned_as_systemd_did() {
        for (text, value) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://proxy:3128\n", "http://proxy:3128"),
            ("  a b \t\r\n", "a b"),
            ("\"a b\"", "a b"),
            ("'a'", "a"),
            ("\"\"a\"\"", "\"a\""),
            ("\"a", "\"a"),
            ("\"", "\""),
            ("a\nb\n", "a\nb"),
            ("\" a \"", " a "),
        ] {
            assert_eq!(cleaned(text), value, "{text:?}");
        }
    }
}
