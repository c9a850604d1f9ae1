//! Findings in the Static Analysis Results Interchange Format 2.1.0 (OASIS), which code scanning takes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::code::{Code, Severity};
use super::{Finding, Findings};

impl Severity {
    fn level(self) -> &'static str {
        match self {
            Severity::Refused | Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A log of one run with the findings of each file, in their order. `home` is where the program's pages are.
pub fn log(files: &[(&str, &Findings)], version: &str, home: &str) -> Value {
    let findings = || files.iter().flat_map(|(file, found)| found.list.iter().map(|it| (*file, it)));
    let mut codes: Vec<Code> = findings().map(|(_, it)| it.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| {
            let (text, page) =
                (json!({"text": code.explain()}), format!("{home}/blob/main/docs/findings.md#{}", code.as_str()));
            json!({"id": code.as_str(), "shortDescription": text, "help": text, "helpUri": page})
        })
        .collect();
    let results: Vec<Value> = findings().map(|(file, it)| result(file, it, &codes)).collect();
    let is_read = findings().all(|(_, it)| it.code != Code::InputUnreadable);
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "agent-provider-rke2", "version": version, "informationUri": home, "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": is_read}],
            "results": results,
        }],
    })
}

fn result(file: &str, finding: &Finding, codes: &[Code]) -> Value {
    let mut region = json!({"startLine": finding.line.unwrap_or(1)});
    if let (Some(span), Some(region)) = (&finding.span, region.as_object_mut()) {
        region.insert("startColumn".into(), span.column.into());
        region.insert("endColumn".into(), span.end.into());
    }
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(finding.file.as_deref().unwrap_or(file))}, "region": region,
        },
    });
    if let (false, Some(location)) = (finding.path.is_empty(), location.as_object_mut()) {
        let path = json!([{"fullyQualifiedName": finding.path.to_string()}]);
        location.insert("logicalLocations".into(), path);
    }
    let suppressions = if finding.is_allowed { json!([{"kind": "external"}]) } else { json!([]) };
    json!({
        "ruleId": finding.code.as_str(), "ruleIndex": codes.binary_search(&finding.code).unwrap_or(0),
        "level": finding.severity.level(), "message": {"text": finding.message}, "locations": [location],
        "suppressions": suppressions,
    })
}

/// A path as a reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    // A first part with a colon is escaped above, and two slashes would begin a host.
    if uri.starts_with("//") { uri.trim_start_matches('/').to_owned() } else { uri }
}
