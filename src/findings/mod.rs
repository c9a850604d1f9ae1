//! Findings: what is worth saying about a cloud-config, each with a stable code, a severity, the path of a key and a line.
//!
//! A finding's message is the one sentence that `check`, the bus, the log and status print: `KEY: what is wrong; what to do`. It never holds
//! a secret.

pub mod code;
pub mod path;
pub mod render;
pub mod sarif;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use code::{Code, Severity};
use path::{At, Path};

use crate::host;
use crate::text::escape::{escape, limit};

/// A sentence that a person is told, with what makes it findable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its weight.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// The sentence; never a secret.
    pub sentence: String,
}

impl Reason {
    /// Why something was not done.
    pub(crate) fn failed(code: Code, sentence: impl Into<String>) -> Reason {
        Reason { severity: Severity::Refused, code, sentence: sentence.into() }
    }

    /// What works, but hardly as meant.
    pub(crate) fn warning(code: Code, sentence: impl Into<String>) -> Reason {
        Reason { severity: Severity::Warning, code, sentence: sentence.into() }
    }

    /// The sentences alone.
    pub fn sentences(reasons: &[Reason]) -> Vec<String> {
        reasons.iter().map(|reason| reason.sentence.clone()).collect()
    }
}

/// A step or a phase could not do what is asked of it.
impl From<String> for Reason {
    fn from(sentence: String) -> Reason {
        Reason::failed(Code::StepFailed, sentence)
    }
}

impl From<&str> for Reason {
    fn from(sentence: &str) -> Reason {
        Reason::from(sentence.to_owned())
    }
}

/// The system did not do what was asked of it.
impl From<host::Error> for Reason {
    fn from(error: host::Error) -> Reason {
        Reason::from(error.to_string())
    }
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
    /// The line inside the text of the key, where that text is YAML of its own.
    pub inner: Option<usize>,
    /// The file it was found in, where it is not the only one.
    pub file: Option<String>,
    /// The line in that file, counted from 1.
    pub line: Option<usize>,
    /// What of the line is meant, once somebody has looked for it.
    pub span: Option<Box<Span>>,
    /// The sentence; see the module.
    pub message: String,
    /// Whether the person who asks wants to hear nothing of its code.
    pub is_allowed: bool,
    /// How many of its code were found before it.
    before: usize,
}

/// What of a line a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its first column in characters, counted from 1.
    pub column: usize,
    /// The column behind it.
    pub end: usize,
    /// The line for a person.
    pub excerpt: Option<Excerpt>,
}

/// A line of a source, of which nothing is left that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// What is drawn.
    pub line: String,
    /// How many characters of it stand before what is meant.
    pub before: usize,
    /// How many characters are meant.
    pub width: usize,
}

impl Finding {
    /// The sentence, followed by where it was found if a file is known.
    pub(crate) fn sentence(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => limit(&format!("{} ({} line {line})", self.message, escape(file))),
            _ => self.message.clone(),
        }
    }
}

/// How many findings of one code are printed; the rest is counted.
pub(crate) const MOST_PRINTED: usize = 20;

/// What becomes of a value that is not refused because the node has state of RKE2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
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
    /// How many of each code are refusals.
    refusals: BTreeMap<Code, usize>,
    /// How many of each code were not kept, and the heaviest severity of those.
    dropped: BTreeMap<Code, (usize, Severity)>,
    /// The file in which what is found next stands, where it is not the only one.
    pub(crate) file: Option<String>,
    /// None of them is only counted, however many there are.
    pub is_whole: bool,
    /// The node holds RKE2's state: only the hardest refusals stay refusals (see [`Findings::refuse_fresh`]).
    pub lenient: bool,
}

impl Findings {
    /// Adds a finding; `rest` follows the path in the sentence. An empty path is the whole text: then `rest` is the sentence.
    pub(crate) fn push(&mut self, severity: Severity, code: Code, at: At, rest: &str) {
        let At { path, file, line, inner } = at;
        let message = if path.is_empty() { rest.to_owned() } else { format!("{path}: {rest}") };
        let count = self.counts.entry(code).or_default();
        let before = *count;
        *count += 1;
        let refusals = self.refusals.entry(code).or_default();
        *refusals += usize::from(severity == Severity::Refused);
        let is_told = before < MOST_PRINTED || (severity == Severity::Refused && *refusals <= MOST_PRINTED);
        if !is_told && !self.is_whole && self.list.len() >= MOST_KEPT {
            let (count, heaviest) = self.dropped.entry(code).or_insert((0, severity));
            *count += 1;
            *heaviest = severity.max(*heaviest);
            return;
        }
        let (message, file) = (limit(&escape(&message)), file.or_else(|| self.file.clone()));
        self.list.push(Finding {
            code,
            severity,
            path,
            inner,
            file,
            line: Some(line),
            span: None,
            message,
            is_allowed: false,
            before,
        });
    }

    /// Adds what was found elsewhere, with no more than this weight.
    pub(crate) fn add(&mut self, found: Finding, most: Severity) {
        let At { path, file, line, inner } =
            At { path: found.path, file: found.file, line: found.line.unwrap_or(1), inner: found.inner };
        let prefix = format!("{path}: ");
        let rest = found.message.strip_prefix(&prefix).unwrap_or(&found.message).to_owned();
        self.push(found.severity.min(most), found.code, At { path, file, line, inner }, &rest);
    }

    /// Adds what is good to know.
    pub(crate) fn note(&mut self, code: Code, at: At, rest: &str) {
        self.push(Severity::Note, code, at, rest);
    }

    /// Adds what works, but hardly as meant.
    pub(crate) fn warn(&mut self, code: Code, at: At, rest: &str) {
        self.push(Severity::Warning, code, at, rest);
    }

    /// Adds what RKE2 refuses, or takes for something else.
    pub(crate) fn error(&mut self, code: Code, at: At, rest: &str) {
        self.push(Severity::Error, code, at, rest);
    }

    /// Refuses, whatever the node holds.
    pub(crate) fn refuse(&mut self, code: Code, at: At, rest: &str) {
        self.push(Severity::Refused, code, at, rest);
    }

    /// Refuses on a fresh node; on one with RKE2's state, which an upgrade must not stop, warns, and says what becomes of the value there.
    /// Gives whether it was refused: if not, the caller goes on with the meaning that the Go provider gave it.
    pub(crate) fn refuse_fresh(&mut self, code: Code, at: At, rest: &str, instead: Instead) -> bool {
        self.refuse_or(Severity::Warning, code, at, rest, instead)
    }

    /// The same for what RKE2 hardly runs with there either: an error in place of the warning.
    pub(crate) fn refuse_fresh_else_error(&mut self, code: Code, at: At, rest: &str, instead: Instead) -> bool {
        self.refuse_or(Severity::Error, code, at, rest, instead)
    }

    fn refuse_or(&mut self, lenient: Severity, code: Code, at: At, rest: &str, instead: Instead) -> bool {
        if self.lenient {
            let instead = match instead {
                Instead::Kept => "kept",
                Instead::LeftOut => "left out",
            };
            self.push(
                lenient,
                code,
                at,
                &format!("{rest} ({instead} on this node, because it has state of RKE2; a fresh node is refused)"),
            );
        } else {
            self.refuse(code, at, rest);
        }
        !self.lenient
    }

    /// How many of a code there are so far.
    pub(crate) fn count(&self, code: Code) -> usize {
        self.counts.get(&code).copied().unwrap_or_default()
    }

    /// Whether one more of a code may be printed: what is only good for its sentence need not be worked out else.
    pub(crate) fn prints(&self, code: Code) -> bool {
        self.count(code) < MOST_PRINTED
    }

    /// Takes back what is not to be told.
    pub(crate) fn retain(&mut self, is_told: impl Fn(&Finding) -> bool) {
        self.list.retain(is_told);
        self.counts.clear();
        let mut found: Vec<&mut Finding> = self.list.iter_mut().collect();
        found.sort_unstable_by_key(|it| it.before);
        for it in found {
            let count = self.counts.entry(it.code).or_default();
            it.before = *count;
            *count += 1;
        }
    }

    /// Those that are printed, as indexes of the list: of each code the heaviest 20, and of equal ones those that were found first.
    pub(crate) fn printed(&self) -> BTreeSet<usize> {
        let mut of_code: BTreeMap<Code, Vec<(usize, &Finding)>> = BTreeMap::new();
        for (index, it) in self.list.iter().enumerate().filter(|(_, it)| !it.is_allowed) {
            of_code.entry(it.code).or_default().push((index, it));
        }
        let mut printed = BTreeSet::new();
        for mut all in of_code.into_values() {
            all.sort_unstable_by_key(|(_, it)| (Reverse(it.severity), it.before));
            printed.extend(all.iter().take(MOST_PRINTED).map(|(index, _)| index));
        }
        printed
    }

    /// The heaviest severity.
    pub fn worst(&self) -> Option<Severity> {
        self.list.iter().map(|finding| finding.severity).max()
    }

    /// The heaviest severity of those that are not allowed.
    pub(crate) fn worst_told(&self) -> Option<Severity> {
        self.list.iter().filter(|finding| !finding.is_allowed).map(|finding| finding.severity).max()
    }

    /// What is to be told: at most 20 of a code, and how many were left out.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        let (shown, more) = self.shown();
        let shown = shown.into_iter().map(|it| (it.severity, it.code, it.sentence()));
        let counted = more
            .into_iter()
            .map(|(code, (count, severity))| (severity, code, format!("{count} more of {}", code.as_str())));
        shown.chain(counted).map(|(severity, code, sentence)| Reason { severity, code, sentence }).collect()
    }

    /// The sentences of what was refused.
    pub(crate) fn refused(&self) -> Vec<String> {
        let refused = self.reasons().into_iter().filter(|reason| reason.severity == Severity::Refused);
        refused.map(|reason| reason.sentence).collect()
    }

    /// In the order of the text, the heaviest first within a line.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (&a.file, a.line, Reverse(a.severity)).cmp(&(&b.file, b.line, Reverse(b.severity))));
    }

    /// The findings to print: at most 20 of a code; and how many of each code were left out, with the heaviest severity of those.
    pub(in crate::findings) fn shown(&self) -> (Vec<&Finding>, BTreeMap<Code, (usize, Severity)>) {
        let printed = self.printed();
        let is_printed = |(index, _): &(usize, &Finding)| printed.contains(index);
        let (shown, left): (Vec<_>, Vec<_>) = self.list.iter().enumerate().partition(is_printed);
        let mut more = self.dropped.clone();
        for (_, it) in left.into_iter().filter(|(_, it)| !it.is_allowed) {
            let (count, severity) = more.entry(it.code).or_insert((0, it.severity));
            *count += 1;
            *severity = it.severity.max(*severity);
        }
        (shown.into_iter().map(|(_, it)| it).collect(), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_counted_and_never_the_first_of_a_code() {
        let mut findings = Findings::default();
        for line in 1..=MOST_KEPT + 30 {
            findings.warn(Code::UnknownKey, At::line(line), "many");
        }
        for line in 1..=MOST_PRINTED + 1 {
            findings.warn(Code::OptionUnknown, At::line(line), "few");
        }
        assert_eq!(findings.list.len(), MOST_KEPT + MOST_PRINTED);
        let sentences = Reason::sentences(&findings.reasons());
        let counted: Vec<_> = sentences.iter().filter(|it| it.contains("more of")).collect();
        assert_eq!(counted, ["50010 more of unknown-key", "1 more of option-unknown"]);
        assert_eq!(sentences.len(), 2 * MOST_PRINTED + 2);
    }

    #[test]
    fn what_is_refused_is_told_however_much_else_there_is_of_its_code() {
        for many in [MOST_PRINTED, MOST_KEPT] {
            let mut findings = Findings::default();
            for line in 1..=many {
                findings.warn(Code::OptionNested, At::line(line), "a warning");
            }
            findings.refuse(Code::OptionNested, At::line(many + 1), "refused");
            for _ in 0..2 {
                assert_eq!(findings.refused(), ["refused"], "{many}");
                let reasons = findings.reasons();
                let last = reasons.last().unwrap();
                let counted = (format!("{} more of option-nested", many - MOST_PRINTED + 1), Severity::Warning);
                assert_eq!((last.sentence.clone(), last.severity), counted);
                findings.sort();
            }
            findings.retain(|it| it.severity == Severity::Refused);
            assert_eq!((findings.count(Code::OptionNested), findings.refused().len()), (1, 1));
        }
    }

    #[test]
    fn what_is_printed_is_what_was_found_first() {
        let mut findings = Findings::default();
        for line in (1..=2 * MOST_PRINTED).rev() {
            let rest = if findings.prints(Code::UnknownKey) { "near" } else { "" };
            findings.warn(Code::UnknownKey, At::line(line), rest);
        }
        findings.sort();
        let (shown, _) = findings.shown();
        assert!(shown.len() == MOST_PRINTED && shown.iter().all(|it| it.message == "near"));
        assert!(shown.is_sorted_by_key(|it| it.line));
    }
}
