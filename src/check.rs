//! Findings: what is worth saying about a cloud-config, each with a stable code, a severity, the key's path and a line.
//!
//! A finding's message is the one sentence that `check`, the bus, the log and status print: the key's path, what was found
//! (never a secret), what is accepted, what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use crate::emit::escape;
use crate::report::outcome::Reason;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, but hardly as meant.
    Warning,
    /// RKE2 will refuse it, or do something else than asked; the plan is made all the same.
    Error,
    /// It would do harm silently, or no RKE2 version accepts it: no plan is made.
    Refused,
}

impl Severity {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Refused => "refused",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $code:literal $explain:literal)*) => {
        /// The kind of a finding; its kebab-case name is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = concat!("`", $code, "`")] $variant,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// The code of this name, if there is one.
            pub fn of(name: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.as_str() == name)
            }

            /// Why it matters and what to do.
            pub fn explain(self) -> &'static str {
                match self { $(Code::$variant => $explain,)* }
            }
        }
    };
}

codes! {
    Unreadable "cloud-config-unreadable" "The cloud-config is not YAML that Kairos can read (a syntax error, a key twice in one mapping); Kairos drops such a file silently, so nothing in it takes effect."
    SourceUnreadable "source-unreadable" "A file that the cloud-config was collected from is missing or does not parse; Kairos leaves such a file out, so what it says has no effect."
    HeaderMissing "header-missing" "Kairos reads a file only if one of its first nine lines is #cloud-config, #kairos-config or #node-config; any other file it leaves out without a word (kairos sdk/collector/collector.go)."
    ByteOrderMark "byte-order-mark" "Kairos leaves a file that begins with a byte order mark out without a word; save it as UTF-8 without one."
    FileTooLarge "file-too-large" "Kairos leaves a file of 2 MiB or more out without a word."
    SectionMissing "no-cluster-section" "Without a cluster section the provider does nothing on the node."
    SectionGone "section-gone" "The node holds state of RKE2, but its cloud-config has no cluster section any more, so nothing starts RKE2 at boot."
    EventUnfinished "event-unfinished" "agent.boot was cut off before it knew what is asked of the node; the plan of an earlier boot may be another, so nothing is started."
    EventMissing "event-missing" "No agent.boot has finished in this boot, so nobody has looked whether the cloud-config still asks for the same."
    PlanRefused "plan-refused" "The plan of this boot was refused, or the node was reset; nothing is started until agent.boot makes a plan again."
    StepFailed "step-failed" "A step of the boot stages, or of the start of RKE2, could not do what is asked of it."
    UnitFailed "unit-failed" "RKE2's unit has failed, and its service manager does not start it again."
    UnitRestarts "unit-restarts" "RKE2 ends again and again before it is ready; its service manager starts it anew each time."
    UnitStopped "unit-stopped" "RKE2's unit does not run, although it was started in this boot; somebody has stopped it, or a condition of the unit was not met."
    UnitMissing "unit-missing" "RKE2's unit is not on this host, or is masked."
    StatusUnknown "status-unknown" "What became of this boot is recorded where only root can read, or the record or the service manager does not answer."
    SecondDocument "second-document" "Only the first YAML document of a text is read; what follows `---` has no effect."
    WrongType "wrong-type" "The value is of another YAML type than the key takes."
    UnknownKey "unknown-key" "The key is not one of the cluster section; Kairos ignores it."
    RoleMissing "role-missing" "Without a role the node cannot know whether it founds a cluster, joins one as a server or as an agent."
    RoleUnknown "role-unknown" "Only init, controlplane and worker are roles; the Go provider took every other word for a joining server."
    TokenMissing "token-missing" "A node cannot join a cluster without its token; RKE2 would found a cluster of its own or wait for ever."
    TokenGenerated "token-generated" "The first server makes a token of its own when none is given; other nodes need it to join (server/token in the data directory)."
    TokenNotText "token-not-text" "An unquoted number, boolean or date is printed anew when Kairos merges cloud-configs, so the token may differ from what was written; quote it."
    TokenBootstrapForm "token-bootstrap-form" "RKE2 servers refuse a token of the form abcdef.0123456789abcdef, which is kept for kubeadm bootstrap tokens (k3s pkg/util/token.go)."
    TokenMalformed "token-malformed" "A token that begins with K10 must read K10<64 hex digits>::<user>:<password> (k3s pkg/clientaccess/token.go)."
    TokenShort "token-short" "A short token can be guessed; it is the key of the whole cluster."
    TokenEmbedded "token-embedded" "Token and server belong into cluster_token and control_plane_host; inside the options they count only where those are missing."
    HostMissing "host-missing" "A joining node must know where the cluster is; without it RKE2 would found a cluster of its own."
    HostInvalid "host-invalid" "control_plane_host is a host name or an IP address; the provider itself adds https:// and the port 9345."
    HostPort "host-port" "Nodes register at port 9345; another port in control_plane_host is ignored."
    HostLocal "host-local" "An address that means the node itself, or that has no meaning beyond one link, cannot be where other nodes join."
    ServerOnInit "server-on-init" "The node that founds the cluster must not be told to join one; server is left out."
    OptionsInvalidYaml "options-invalid-yaml" "cluster.config is text with YAML inside; that YAML does not parse."
    OptionsNotMapping "options-not-a-mapping" "cluster.config holds RKE2's options by name, so it must be a mapping."
    OptionsAnchorTwice "options-anchor-twice" "An anchor that is defined twice means different things to different YAML readers."
    OptionTwice "option-twice" "The same option stands twice; the last one counts."
    OptionName "option-name" "The name of an option holds a tab or a control character, or is empty."
    OptionUnknown "option-unknown" "RKE2 does not know the option: it logs a warning and ignores it."
    OptionDropped "option-dropped" "The option is one of k3s that RKE2 leaves out: it has no effect in RKE2."
    OptionOfOtherRole "option-of-other-role" "The option is for the other role; it is left out on this node."
    OptionNested "option-nested" "RKE2's options take a single value or a flat list; anything nested turns into garbage text."
    OptionList "option-list" "The option takes one value; of a list RKE2 would silently use the last item."
    OptionBoolean "option-boolean" "The option is a boolean; RKE2 does not start with any other word."
    OptionInteger "option-integer" "The option is a whole number; RKE2 does not start with anything else."
    OptionDuration "option-duration" "The option is a duration, which needs a unit, such as 10m."
    OptionNumberAsText "option-number-as-text" "An unquoted number or boolean is printed anew by RKE2's YAML reader before the option sees it; quote it."
    OptionMode "option-mode" "A file mode without quotes is read as an octal number and printed as a decimal one, which RKE2 then reads as octal again."
    OptionEmpty "option-empty" "An empty value is not the same as no value to RKE2; it is left out."
    OptionAppend "option-append" "`key+` appends to lists only; on a single value it just sets it."
    OptionProfile "option-profile" "RKE2 1.30 and later stop at the versioned CIS profiles; `cis` is their successor."
    ProfileUnknown "profile-unknown" "RKE2 knows the profiles cis and etcd and stops at any other (rke2 pkg/cli/cmds/profile_linux.go)."
    ProfileKernelDefaults "profile-kernel-defaults" "With the profile cis RKE2 sets protect-kernel-defaults itself and stops where it is set to false (rke2 pkg/cli/cmds/profile_linux.go)."
    SysctlOverridden "sysctl-overridden" "A file that sysctl.d(5) reads after ours sets a kernel setting that RKE2's profile demands to something else; it takes effect when all files are applied anew, and RKE2 then stops at its next start."
    OptionReset "option-reset" "With this option in its configuration the server would reset the cluster at every boot."
    OptionTemplate "option-template" "A template names a value that the node does not have, or `{{` begins something that is not evaluated and stays as text."
    ProviderOptionUnknown "provider-option-unknown" "The key is neither an option of the provider nor one of RKE2."
    ProviderOptionsMisnamed "provider-options-misnamed" "The key is providerConfig; provider_options is accepted in its place."
    ProviderOptionInvalid "provider-option-invalid" "The value is not one that the option of the provider takes; the node does as if the option were not there."
    CidrInvalid "cidr-invalid" "An address range of the cluster is written as address/length; RKE2 does not start with anything else."
    SwapUnknown "swap-unknown" "providerConfig.swap knows one value, keep; with any other swap is switched off."
    EnvName "env-name" "A name of an environment variable consists of letters, digits and underscores and does not begin with a digit."
    EnvReserved "env-reserved" "The variable would override what the cluster section says by its own key."
    EnvControl "env-control-character" "A line break or control character in a value would add lines to the environment file."
    EnvEmpty "env-empty" "A variable without a value is left out."
    ConfigOverridden "configuration-overridden" "A file that RKE2 reads after config.yaml would replace the token, the server or the data directory, and so make another node of this one."
    CertificateInvalid "certificate-invalid" "ca_certs takes whole certificates in PEM form (BEGIN CERTIFICATE), one or more in a text, or the absolute path of a file with them."
    CertificatePrivateKey "certificate-private-key" "A private key has no place among trusted certificates."
    BooleanInvalid "boolean-invalid" "The key takes true or false."
    PathInvalid "path-invalid" "The path must be absolute, without `..` and control characters."
    DocumentPathUnscanned "document-path-unscanned" "Kairos runs boot stages from /system/oem, /oem and /usr/local/cloud-config only; a document elsewhere is never run."
}

/// One thing worth saying.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// Its weight.
    pub severity: Severity,
    /// The key it is about, from the top of the cloud-config; empty where it is about the whole text.
    pub path: Path,
    /// The line inside the text of the key, where that text is YAML of its own that does not parse.
    pub inner: Option<usize>,
    /// The file it was found in, where it is not the only one.
    pub file: Option<String>,
    /// The line in that file, counted from 1.
    pub line: Option<usize>,
    /// The sentence; see the module.
    pub message: String,
}

impl Finding {
    /// The sentence, followed by where it was found if a file is known.
    pub fn sentence(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => limit(&format!("{} ({} line {line})", self.message, escape(file))),
            _ => self.message.clone(),
        }
    }
}

/// The path of a key from the top of the cloud-config: `cluster.config.tls-san[1]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

impl Path {
    /// The path of a key at the top.
    pub fn of(key: &str) -> Path {
        Path(vec![Step::Key(key.into())])
    }

    /// The path of a key below this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Path {
        self.with(Step::Key(key.into()))
    }

    /// The path of an item, counted from 0, of the list at this path.
    #[must_use]
    pub fn item(&self, index: usize) -> Path {
        self.with(Step::Item(index))
    }

    fn with(&self, step: Step) -> Path {
        Path(self.0.iter().cloned().chain([step]).collect())
    }

    /// Its steps: a key, or the index of an item.
    pub fn steps(&self) -> impl Iterator<Item = Result<&str, usize>> {
        self.0.iter().map(|step| match step {
            Step::Key(key) => Ok(key.as_str()),
            Step::Item(index) => Err(*index),
        })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, step) in self.steps().enumerate() {
            match step {
                Ok(key) if number == 0 => write!(f, "{}", shortened(key))?,
                Ok(key) => write!(f, ".{}", shortened(key))?,
                Err(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    let text = escape(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A value for a message: in quotes, shortened, without control characters and without the user information of a URL.
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", shortened(&mask_userinfo(value)))
}

/// `text` with `***` for the user and password of each URL: all between `://` and the last `@` before the next URL, for a password may hold
/// anything. Without a scheme, what reads like `user:password@` counts too.
pub fn mask_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let first = parts.next().unwrap_or_default();
    let mut masked = match first.rsplit_once('@') {
        Some((user, host))
            if user.trim_start_matches('/').contains(':') && !user.trim_start_matches('/').contains('/') =>
        {
            format!("***@{host}")
        }
        _ => first.to_owned(),
    };
    for part in parts {
        masked += "://";
        match part.rsplit_once('@') {
            Some((_, host)) => {
                masked += "***@";
                masked += host;
            }
            None => masked += part,
        }
    }
    masked
}

/// How many findings of one code are printed; the rest is counted.
pub const MOST_PRINTED: usize = 20;

const LONGEST_MESSAGE: usize = 1024;

/// At most 1 KiB of `text`, cut at a character.
pub fn limit(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    let end = (0..=LONGEST_MESSAGE - '…'.len_utf8()).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// What becomes of a value that is not refused because the node has state of RKE2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// It keeps the meaning that the Go provider gave it.
    Kept,
    /// The Go provider ignored it too, or it has no meaning.
    LeftOut,
}

/// How many findings are kept; those of a code beyond its first [`MOST_PRINTED`] are counted from there on. No text of a person comes near.
const MOST_KEPT: usize = 50_000;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// In the order in which they were found.
    pub list: Vec<Finding>,
    /// How many of each code were found.
    counts: BTreeMap<Code, usize>,
    /// How many of each code were not kept.
    dropped: BTreeMap<Code, usize>,
    /// The node holds RKE2's state: only the hardest refusals stay refusals (see [`Findings::refuse`]).
    pub lenient: bool,
}

impl Findings {
    /// Adds a finding about the key at `path`, whose place is `line`; `rest` follows the path in the sentence. An empty path
    /// is the whole text: then `rest` is the sentence.
    pub fn push(&mut self, severity: Severity, code: Code, path: &Path, line: usize, rest: &str) {
        let message = if path.0.is_empty() { rest.to_owned() } else { format!("{path}: {rest}") };
        let count = self.counts.entry(code).or_default();
        *count += 1;
        if *count > MOST_PRINTED && self.list.len() >= MOST_KEPT {
            *self.dropped.entry(code).or_default() += 1;
            return;
        }
        let message = limit(&escape(&message));
        let line = Some(line);
        self.list.push(Finding { code, severity, path: path.clone(), inner: None, file: None, line, message });
    }

    /// Refuses; on a node with RKE2's state, which an upgrade must not stop, warns instead, and says what becomes of the value there.
    /// Gives whether it was refused: if not, the caller goes on with the meaning that the Go provider gave it.
    pub fn refuse(&mut self, code: Code, path: &Path, line: usize, rest: &str, instead: Instead) -> bool {
        if self.lenient {
            let instead = match instead {
                Instead::Kept => "kept",
                Instead::LeftOut => "left out",
            };
            let rest = format!("{rest} ({instead} on this node, for it has state of RKE2; a fresh node is refused)");
            self.push(Severity::Warning, code, path, line, &rest);
        } else {
            self.push(Severity::Refused, code, path, line, rest);
        }
        !self.lenient
    }

    /// How many of a code there are so far.
    pub fn count(&self, code: Code) -> usize {
        self.counts.get(&code).copied().unwrap_or_default()
    }

    /// Says at what line of a text of its own the last finding stands.
    pub fn mark_inner(&mut self, line: Option<usize>) {
        if let Some(finding) = self.list.last_mut().filter(|_| self.dropped.is_empty()) {
            finding.inner = line;
        }
    }

    /// The heaviest severity.
    pub fn worst(&self) -> Option<Severity> {
        self.list.iter().map(|finding| finding.severity).max()
    }

    /// What is to be told: at most 20 of a code, and how many were left out.
    pub fn reasons(&self) -> Vec<Reason> {
        let (shown, more) = self.shown();
        let shown = shown.into_iter().map(|it| (it.severity, it.code, it.sentence()));
        let counted = more.into_iter().filter_map(|(code, count)| {
            let severity = self.list.iter().find(|it| it.code == code)?.severity;
            Some((severity, code, format!("{count} more of {}", code.as_str())))
        });
        shown.chain(counted).map(|(severity, code, sentence)| Reason { severity, code, sentence }).collect()
    }

    /// The sentences of what was refused.
    pub fn refused(&self) -> Vec<String> {
        let refused = self.reasons().into_iter().filter(|reason| reason.severity == Severity::Refused);
        refused.map(|reason| reason.sentence).collect()
    }

    /// In the order of the text, the heaviest first within a line.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| {
            (&a.file, a.line, std::cmp::Reverse(a.severity)).cmp(&(&b.file, b.line, std::cmp::Reverse(b.severity)))
        });
    }

    /// The findings to print: at most 20 of a code, and how many of each code were left out.
    fn shown(&self) -> (Vec<&Finding>, BTreeMap<Code, usize>) {
        let mut seen: BTreeMap<Code, usize> = BTreeMap::new();
        let mut shown = Vec::new();
        for finding in &self.list {
            let count = seen.entry(finding.code).or_default();
            *count += 1;
            if *count <= MOST_PRINTED {
                shown.push(finding);
            }
        }
        let more =
            seen.into_iter().map(|(code, count)| (code, count.saturating_sub(MOST_PRINTED) + self.dropped(code)));
        (shown, more.filter(|(_, count)| *count > 0).collect())
    }

    fn dropped(&self, code: Code) -> usize {
        self.dropped.get(&code).copied().unwrap_or_default()
    }

    /// A line each: `FILE:LINE: SEVERITY: SENTENCE [CODE]`.
    pub fn to_text(&self, file: &str, color: bool) -> String {
        let file = escape(file);
        let (shown, more) = self.shown();
        let mut text = String::new();
        for Finding { severity, message, code, line, .. } in shown {
            let paint = match (color, severity) {
                (false, _) => "",
                (true, Severity::Refused | Severity::Error) => "\x1b[31m",
                (true, Severity::Warning) => "\x1b[33m",
                (true, Severity::Note) => "\x1b[36m",
            };
            let plain = if color { "\x1b[0m" } else { "" };
            let (severity, code, line) = (severity.as_str(), code.as_str(), line.unwrap_or(1));
            let _ = writeln!(text, "{file}:{line}: {paint}{severity}{plain}: {message} [{code}]");
        }
        for (code, count) in more {
            let _ = writeln!(text, "{file}: {count} more of [{}]", code.as_str());
        }
        text
    }

    /// A JSON object each.
    pub fn to_json(&self, file: &str) -> Vec<serde_json::Value> {
        let (shown, more) = self.shown();
        let found = shown.iter().map(|it| {
            json!({
                "file": file, "line": it.line, "severity": it.severity.as_str(), "code": it.code.as_str(),
                "path": it.path.to_string(), "message": it.message, "help": it.code.explain(),
            })
        });
        let counted = more.iter().map(|(code, count)| json!({"file": file, "code": code.as_str(), "more": count}));
        found.chain(counted).collect()
    }

    /// A workflow command of GitHub Actions each.
    pub fn to_github(&self, file: &str) -> String {
        let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let (shown, more) = self.shown();
        let (file, mut text) = (escape(file), String::new());
        for it in shown {
            let level = match it.severity {
                Severity::Refused | Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let (file, line, code) = (property(&file), it.line.unwrap_or(1), it.code.as_str());
            let _ = writeln!(text, "::{level} file={file},line={line},title={code}::{}", data(&it.message));
        }
        for (code, count) in more {
            let _ = writeln!(text, "::notice file={}::{count} more of {}", property(&file), code.as_str());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_explained() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for (name, code) in names.iter().zip(Code::ALL) {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!(code.explain().ends_with('.'), "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn userinfo_of_urls_is_masked() {
        for (text, masked) in [
            ("http://user:pass@proxy:3128", "http://***@proxy:3128"),
            ("a http://u:p@x,https://v:q@y/z b", "a http://***@x,https://***@y/z b"),
            ("http://u:p/w@x:1", "http://***@x:1"),
            ("http://u:p,w \"x\"@y", "http://***@y"),
            ("https://host:9345", "https://host:9345"),
            ("postgres://a:b@c@d/e", "postgres://***@d/e"),
            ("user:pass@host", "***@host"),
            ("//user:pass@host", "***@host"),
            ("registry.example/image:1@sha256:0", "registry.example/image:1@sha256:0"),
            ("me@example.com", "me@example.com"),
            ("://", "://"),
        ] {
            assert_eq!(mask_userinfo(text), masked, "{text}");
        }
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        let cut = limit(&"é".repeat(2000));
        assert!(cut.len() <= LONGEST_MESSAGE && cut.ends_with("é…"), "{}", cut.len());
        assert_eq!(limit("short"), "short");
    }

    #[test]
    fn twenty_of_a_code_are_printed_and_the_rest_counted() {
        let mut findings = Findings::default();
        for line in 1..=25 {
            findings.push(Severity::Warning, Code::UnknownKey, &Path::of("cluster").key("x"), line, "found");
        }
        let text = findings.to_text("f", false);
        assert_eq!(text.lines().count(), 21);
        assert_eq!(text.lines().last(), Some("f: 5 more of [unknown-key]"));
        assert_eq!(findings.to_json("f").len(), 21);
        assert_eq!(findings.to_github("f").lines().count(), 21);
    }
}
