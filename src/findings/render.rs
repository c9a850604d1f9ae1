//! Findings as text for a person, JSON and workflow commands of GitHub Actions.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::code::Severity;
use super::{Finding, Findings, Span};
use crate::text::escape::escape;

/// Whether text for a person has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// It has none.
    Plain,
    /// It has, for a terminal.
    Colored,
}

impl Paint {
    /// What begins and what ends the colour of a severity.
    fn of(self, severity: Severity) -> (&'static str, &'static str) {
        match (self, severity) {
            (Paint::Plain, _) => ("", ""),
            (Paint::Colored, Severity::Refused | Severity::Error) => ("\x1b[1;31m", "\x1b[0m"),
            (Paint::Colored, Severity::Warning) => ("\x1b[1;33m", "\x1b[0m"),
            (Paint::Colored, Severity::Note) => ("\x1b[1;36m", "\x1b[0m"),
        }
    }
}

impl Finding {
    /// The page that explains its code, from the root of the repository.
    pub(in crate::findings) fn page(&self) -> String {
        format!("docs/findings.md#{}", self.code.as_str())
    }
}

impl Findings {
    /// For a person: `SEVERITY: SENTENCE [CODE]`, then `FILE:LINE:COLUMN`, and the line with what is meant marked, where it can be shown.
    pub fn to_text(&self, file: &str, paint: Paint) -> String {
        let (shown, more) = self.shown();
        let mut text = String::new();
        for finding in shown {
            let Finding { severity, message, code, line, span, .. } = finding;
            let (color, plain) = paint.of(*severity);
            let file = escape(finding.file.as_deref().unwrap_or(file));
            let _ = writeln!(text, "{color}{}{plain}: {message} [{}]", severity.as_str(), code.as_str());
            let line = line.unwrap_or(1);
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let Some(Span { column, excerpt, .. }) = span.as_deref() else {
                let _ = writeln!(text, "{margin}--> {file}:{line}");
                continue;
            };
            let _ = writeln!(text, "{margin}--> {file}:{line}:{column}");
            if let Some(excerpt) = excerpt {
                let (before, marks) = (" ".repeat(excerpt.before), "^".repeat(excerpt.width));
                let _ =
                    writeln!(text, "{margin} |\n{number} | {}\n{margin} | {before}{color}{marks}{plain}", excerpt.line);
            }
        }
        for (code, (count, _)) in more {
            let _ = writeln!(text, "{}: {count} more of [{}]", escape(file), code.as_str());
        }
        text
    }

    /// A JSON object each, as `docs/check.md` has it.
    pub fn to_json(&self, file: &str) -> Vec<Value> {
        let object = |it: &Finding| {
            let end = it.span.as_ref().map(|span| json!({"line": it.line, "column": span.end}));
            json!({
                "file": it.file.as_deref().unwrap_or(file), "line": it.line,
                "column": it.span.as_ref().map(|span| span.column), "end": end,
                "severity": it.severity.as_str(), "code": it.code.as_str(), "path": it.path.to_string(),
                "message": it.message, "help": it.code.explain(), "explain": it.page(), "allowed": it.is_allowed,
            })
        };
        self.list.iter().map(object).collect()
    }

    /// A workflow command of GitHub Actions each.
    pub fn to_github(&self, file: &str) -> String {
        let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let mut text = String::new();
        for it in self.list.iter().filter(|it| !it.is_allowed) {
            let level = match it.severity {
                Severity::Refused | Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let file = property(&escape(it.file.as_deref().unwrap_or(file)));
            let columns = it.span.as_ref().map_or_else(String::new, |span| {
                // The command takes columns of one line only, and its end is the last one that is meant.
                format!(",col={},endColumn={}", span.column, (span.end - 1).max(span.column))
            });
            let (line, code) = (it.line.unwrap_or(1), it.code.as_str());
            let _ = writeln!(text, "::{level} file={file},line={line}{columns},title={code}::{}", data(&it.message));
        }
        text
    }
}
