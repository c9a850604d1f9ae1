//! Findings as text, JSON and workflow commands of GitHub Actions.

use std::fmt::Write as _;

use serde_json::json;

use super::code::Severity;
use super::{Finding, Findings};
use crate::text::escape::escape;

/// Whether text for a person has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// It has none.
    Plain,
    /// It has, for a terminal.
    Colored,
}

impl Findings {
    /// A line each: `FILE:LINE: SEVERITY: SENTENCE [CODE]`.
    pub fn to_text(&self, file: &str, paint: Paint) -> String {
        let file = escape(file);
        let (shown, more) = self.shown();
        let mut text = String::new();
        for Finding { severity, message, code, line, .. } in shown {
            let (color, plain) = match (paint, severity) {
                (Paint::Plain, _) => ("", ""),
                (Paint::Colored, Severity::Refused | Severity::Error) => ("\x1b[31m", "\x1b[0m"),
                (Paint::Colored, Severity::Warning) => ("\x1b[33m", "\x1b[0m"),
                (Paint::Colored, Severity::Note) => ("\x1b[36m", "\x1b[0m"),
            };
            let (severity, code, line) = (severity.as_str(), code.as_str(), line.unwrap_or(1));
            let _ = writeln!(text, "{file}:{line}: {color}{severity}{plain}: {message} [{code}]");
        }
        for (code, (count, _)) in more {
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
        let counted = more.iter().map(|(code, (count, _))| json!({"file": file, "code": code.as_str(), "more": count}));
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
        for (code, (count, _)) in more {
            let _ = writeln!(text, "::notice file={}::{count} more of {}", property(&file), code.as_str());
        }
        text
    }
}
