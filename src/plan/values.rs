//! Texts with templates: yip evaluates them, each in a file of its own.
//!
//! yip leaves the file of a template that fails as the document has it, and logs all of it for everybody to read (yip
//! `pkg/plugins/common.go`, `templateSysData`). So no two texts share a file, and nothing in it is, or hashes, a secret.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv6Addr;

use super::plan::{self, Plan};
use crate::cluster::host::Endpoint;
use crate::cluster::{data_dir_kept, networks, reader};
use crate::environment::Networks;
use crate::environment::no_proxy;
use crate::findings::code::Code;
use crate::findings::path::Path;
use crate::findings::{Findings, Instead};
use crate::rke2::Unit;
use crate::rke2::defaults::{CLUSTER_V6, SERVICE_V6};
use crate::rke2::drop_in::{self, DropIn, is_template};
use crate::text::collected;
use crate::text::emit;
use crate::text::escape::{mask_user, quoted};
use crate::text::paths::{RUN, normalized};

/// Where the files are, below the staged ones; a number is the name of each.
pub(super) const DIRECTORY: &str = "values";

/// The end of a file as the document has it (`stages/20-config.yaml`), before its id. yip makes a line break of the action.
const RAW: &str = "{{\"\\n\"}}# values ";

/// The same once yip has evaluated it.
const EVALUATED: &str = "\n# values ";

/// What [`unevaluated`] adds; yip never ends a file so.
const UNEVALUATED: &str = "\n# not evaluated\n";

/// What Go's `text/template` writes for a value that is not there.
const NO_VALUE: &str = "<no value>";

/// The id of the files of a plan: a hash of their texts alone.
pub(super) fn id(templates: &[String]) -> String {
    emit::fnv(templates.iter().flat_map(|text| text.bytes().chain([0])))
}

/// Whether a path is that of such a file.
pub(super) fn is_path(path: &str) -> bool {
    let name = path.strip_prefix(RUN).and_then(|it| it.strip_prefix('/')?.strip_prefix(DIRECTORY)?.strip_prefix('/'));
    name.is_some_and(|name| name.parse::<usize>().is_ok_and(|number| number.to_string() == name))
}

/// A file as it is laid out where there is no yip.
pub(super) fn unevaluated(content: &str) -> String {
    format!("{content}{UNEVALUATED}")
}

/// Whether a file is what yip has made of this content of a document.
pub(super) fn is_of_yip(file: &str, content: &str) -> bool {
    let evaluated = content.rsplit_once(RAW).map(|(_, id)| format!("{EVALUATED}{id}"));
    file == content || evaluated.is_some_and(|end| file.ends_with(&end))
}

/// What has become of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// What yip has made of it, or the text itself.
    text: String,
    wrong: Option<Wrong>,
}

/// Why a file tells nothing of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is of other texts.
    Other,
    /// It is not whole.
    Torn,
}

impl Value {
    /// Reads the file of a text.
    pub(super) fn of(file: &str, text: &str, id: &str) -> Result<Value, Unread> {
        let raw = format!("{text}{RAW}{id}");
        let failed = |wrong| Value { text: text.to_owned(), wrong: Some(wrong) };
        if file == raw {
            return Ok(failed(Wrong::Fails));
        }
        if file.strip_suffix(UNEVALUATED) == Some(&raw) {
            return Ok(failed(Wrong::WithoutYip));
        }
        if let Some(text) = file.strip_suffix(&format!("{EVALUATED}{id}")) {
            let wrong = text.contains(NO_VALUE).then_some(Wrong::Missing);
            return Ok(Value { text: text.to_owned(), wrong });
        }
        let its = file.strip_suffix(UNEVALUATED).unwrap_or(file).rsplit_once("# values ").map(|(_, its)| its);
        let is_other = its.is_some_and(|its| its != id && plan::is_id(its));
        Err(if is_other { Unread::Other } else { Unread::Torn })
    }
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// yip could not evaluate it.
    Fails,
    /// The node does not have a value that it names.
    Missing,
    /// The program itself has laid it out.
    WithoutYip,
    /// The document is of version 0.1.0, which has not asked yip to evaluate it.
    Older,
    /// It makes no host of `control_plane_host`: the host, and what is wrong with it.
    Host(String, &'static str),
    /// It is not the data directory in which the node has its state: that one, and this.
    DataDir(String, String),
    /// It makes a range of addresses of a unit of this text, which may be none.
    Range(String, Unit),
}

/// A template of an option that is not evaluated as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    option: String,
    wrong: Wrong,
}

impl Trouble {
    /// The data directory that is asked for is not the one that is kept.
    pub(crate) fn of_data_dir(asked: &str, kept: &str) -> Trouble {
        Trouble { option: drop_in::DATA_DIR.to_owned(), wrong: Wrong::DataDir(asked.to_owned(), kept.to_owned()) }
    }

    /// Refuses it; a node with state keeps the text that the Go provider has run it with, unless yip may still evaluate it.
    pub(crate) fn tell(&self, findings: &mut Findings) {
        let at = match self.option.as_str() {
            plan::HOST => reader::path(plan::HOST).at(1),
            option => Path::of(option).at(1),
        };
        let rest = match &self.wrong {
            Wrong::Fails => "holds a template that fails, as the log of yip says; correct it",
            Wrong::Missing => "holds a template of a value that this node does not have; correct it",
            Wrong::WithoutYip => {
                let rest =
                    "holds a template, which only yip evaluates; run the boot stages: kairos-agent run-stage boot";
                return findings.refuse(Code::OptionTemplate, at, rest);
            }
            Wrong::Older => {
                "holds a template, which only yip evaluates, but not in a plan of version 0.1.0; run agent.boot again"
            }
            Wrong::DataDir(asked, kept) => return findings.error(Code::DataDirKept, at, &data_dir_kept(asked, kept)),
            Wrong::Range(text, unit) => return networks::judge(at, text, *unit, findings),
            Wrong::Host(host, what) => {
                let rest = format!("{} has {what}; write a host name or an IP address alone", quoted(&mask_user(host)));
                findings.refuse_fresh(Code::HostInvalid, at, &rest, Instead::Kept);
                return;
            }
        };
        findings.refuse_fresh_else_error(Code::OptionTemplate, at, rest, Instead::Kept);
    }
}

/// A plan with what has become of its texts.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub plan: Plan,
    /// What is wrong with them, each once.
    pub troubles: Vec<Trouble>,
    /// The options in which a text was evaluated.
    pub options: BTreeSet<String>,
}

/// Fills in what has become of the texts of a plan: one value for each of its templates.
pub(super) fn evaluate(mut plan: Plan, values: Vec<Value>) -> Evaluated {
    let values: HashMap<String, Value> = std::mem::take(&mut plan.templates).into_iter().zip(values).collect();
    let drop_ins = [&plan.user, &plan.provider].map(|text| drop_in::of_json(text));
    let host = plan.control_plane_host.as_deref();
    let found = plan::templates(host, drop_ins.each_ref().map(Option::as_ref), &plan.networks);
    if found.is_empty() {
        return Evaluated { plan, troubles: Vec::new(), options: BTreeSet::new() };
    }
    let mut troubles: Vec<Trouble> = Vec::new();
    let mut add = |option: &str, wrong: Wrong| {
        let trouble = Trouble { option: option.to_owned(), wrong };
        if !troubles.contains(&trouble) {
            troubles.push(trouble);
        }
    };
    let host = Host::of(host.filter(|text| is_template(plan::HOST, text)), &values);
    if let Some(Err(wrong)) = host.as_ref().map(|host| &host.known) {
        add(plan::HOST, wrong.clone());
    }
    // The options of the host are said with it.
    let is_other =
        |option: &str, text: &str| option != plan::HOST && !host.as_ref().is_some_and(|it| it.is(option, text));
    let options = collected(found.iter().map(|(option, _)| (*option).to_owned()));
    for (option, text) in found.into_iter().filter(|(option, text)| is_other(option, text)) {
        if let Some(wrong) = values.get(text).map_or(Some(Wrong::Older), |value| value.wrong.clone()) {
            add(option, wrong);
        }
    }
    let drop_ins = drop_ins.map(|options| Some(filled(options?, host.as_ref(), &values)));
    // The last drop-in counts.
    let last = |name: &str| {
        let mut all = drop_ins.iter().rev().flatten().flatten();
        all.find(|(it, _)| it == name).and_then(|(_, value)| value.texts().first())
    };
    if let Some(path) = last(drop_in::DATA_DIR).filter(|_| is_template(drop_in::DATA_DIR, &plan.data_dir)) {
        plan.data_dir = normalized(path);
    }
    // RKE2's defaults are of the family of its first address.
    let is_v6 = last("node-ip")
        .is_some_and(|text| no_proxy::items(text).first().is_some_and(|it| it.parse::<Ipv6Addr>().is_ok()));
    let [user, provider] = drop_ins.map(|options| Some(drop_in::to_json(&options?)));
    plan.user = user.unwrap_or(plan.user);
    plan.provider = provider.unwrap_or(plan.provider);
    // A range that is not known stays a template, in whose place the default counts.
    let known = |text: &String| values.get(text).filter(|value| value.wrong.is_none()).map(|value| value.text.as_str());
    let unit = plan.role.unit();
    let mut ranges = |option: &str, texts: &[String], default: &str| -> Vec<String> {
        if texts.is_empty() && is_v6 {
            return vec![default.to_owned()];
        }
        let mut all = Vec::new();
        for text in texts {
            match known(text).map(no_proxy::items) {
                Some(items) => {
                    for it in &items {
                        add(option, Wrong::Range(it.clone(), unit));
                    }
                    all.extend(items);
                }
                None => all.push(text.clone()),
            }
        }
        all
    };
    plan.networks = Networks {
        cluster: ranges("cluster-cidr", &plan.networks.cluster, CLUSTER_V6),
        service: ranges("service-cidr", &plan.networks.service, SERVICE_V6),
        domain: known(&plan.networks.domain).unwrap_or(&plan.networks.domain).to_owned(),
    };
    plan.control_plane_host = host.map(|host| host.endpoint.host()).or(plan.control_plane_host);
    Evaluated { plan, troubles, options }
}

/// The control plane host, where it is a template.
struct Host {
    raw: String,
    endpoint: Endpoint,
    known: Result<(), Wrong>,
}

impl Host {
    fn of(raw: Option<&str>, values: &HashMap<String, Value>) -> Option<Host> {
        let raw = raw?;
        let (text, wrong) = match values.get(raw) {
            Some(value) => (value.text.trim(), value.wrong.clone()),
            None => (raw, Some(Wrong::Older)),
        };
        // What the Go provider wrote.
        let verbatim = |wrong| (Endpoint::Verbatim(text.to_owned()), Err(wrong));
        let (endpoint, known) = match (wrong, Endpoint::parse(text)) {
            (Some(wrong), _) => verbatim(wrong),
            (None, Err(what)) => verbatim(Wrong::Host(text.to_owned(), what)),
            (None, Ok((endpoint, _))) => (endpoint, Ok(())),
        };
        Some(Host { raw: raw.to_owned(), endpoint, known })
    }

    /// Whether it is what an option of RKE2 is made of.
    fn is(&self, option: &str, text: &str) -> bool {
        matches!(option, "server" | "tls-san") && text == self.raw
    }
}

fn filled(mut options: DropIn, host: Option<&Host>, values: &HashMap<String, Value>) -> DropIn {
    for (option, value) in &mut options {
        for text in value.texts_mut().iter_mut().filter(|text| is_template(option, text)) {
            match (host.filter(|host| host.is(option, text)), values.get(text)) {
                (Some(host), _) if option == "server" => *text = host.endpoint.join_url(),
                (Some(host), _) => *text = host.endpoint.host(),
                (None, Some(value)) => text.clone_from(&value.text),
                (None, None) => {}
            }
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_yip_has_made_of_its_text() {
        let (text, id) = ("a-{{ .Values.b }}", "0123456789abcdef");
        let raw = format!("{text}{RAW}{id}");
        let value = |text: &str, wrong| Ok(Value { text: text.to_owned(), wrong });
        for (file, is) in [
            (format!("a-c\n# values {id}"), value("a-c", None)),
            (format!("\n# values {id}"), value("", None)),
            (format!("a\n\n\n# values {id}"), value("a\n\n", None)),
            (format!("{text}\n# values {id}"), value(text, None)),
            (format!("a-<no value>\n# values {id}"), value("a-<no value>", Some(Wrong::Missing))),
            (raw.clone(), value(text, Some(Wrong::Fails))),
            (unevaluated(&raw), value(text, Some(Wrong::WithoutYip))),
            (format!("a-c\n# values {}", "f".repeat(16)), Err(Unread::Other)),
            (format!("{text}{RAW}{}", "f".repeat(16)), Err(Unread::Other)),
            (unevaluated(&format!("{text}{RAW}{}", "f".repeat(16))), Err(Unread::Other)),
            (format!("b{raw}"), Err(Unread::Torn)),
            (format!("{raw}\n"), Err(Unread::Torn)),
            (format!("a-c\n# values {id}\n"), Err(Unread::Torn)),
            (format!("# values {id}"), Err(Unread::Torn)),
            (text.into(), Err(Unread::Torn)),
            (String::new(), Err(Unread::Torn)),
        ] {
            assert_eq!(Value::of(&file, text, id), is, "{file:?}");
        }
        // Cut anywhere it is neither.
        for file in [raw, format!("a-c\n# values {id}")] {
            for end in 0..file.len() {
                assert_eq!(Value::of(&file[..end], text, id), Err(Unread::Torn), "{}", &file[..end]);
            }
        }
    }

    #[test]
    fn a_path_is_that_of_a_number() {
        for (path, is) in [
            ("/run/provider-rke2/values/0", true),
            ("/run/provider-rke2/values/12", true),
            ("/run/provider-rke2/values/", false),
            ("/run/provider-rke2/values/01", false),
            ("/run/provider-rke2/values/+1", false),
            ("/run/provider-rke2/values/../plan.yaml", false),
            ("/run/provider-rke2/values/0/1", false),
            ("/run/provider-rke2/plan.yaml", false),
            ("/etc/values/0", false),
        ] {
            assert_eq!(is_path(path), is, "{path}");
        }
    }
}
