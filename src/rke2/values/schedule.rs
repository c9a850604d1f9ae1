//! When snapshots are made: the cron line (robfig/cron v3 `parser.go`), and intervals that must be positive.

use super::view::{Tell, View};
use crate::findings::code::{Code, Severity};
use crate::text::escape::quoted;

/// A field of a cron line: its name, the least and the greatest number, and the names that stand for numbers from the least on.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day of the month", 1, 31, &[]),
    Field("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    Field("day of the week", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

impl Field {
    fn number(&self, text: &str) -> Option<u32> {
        let Field(_, least, most, names) = self;
        let lower = text.to_ascii_lowercase();
        let by_name = names.iter().zip(*least..).find(|(name, _)| **name == lower).map(|(_, number)| number);
        let number = by_name.or_else(|| text.parse().ok().filter(|_| text.bytes().all(|it| it.is_ascii_digit())))?;
        (*least..=*most).contains(&number).then_some(number)
    }

    /// The ends of `1-5`, with or without a step.
    fn ends(&self, text: &str) -> Option<(u32, u32)> {
        let (first, last) = text.split('/').next()?.split_once('-')?;
        self.number(first).zip(self.number(last))
    }

    /// One range of the field: `*`, `5`, `1-5`, each with a step.
    fn is_range(&self, text: &str) -> bool {
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let is_step = step.parse::<u32>().is_ok_and(|step| step > 0);
        is_step
            && match range.split_once('-') {
                _ if matches!(range, "*" | "?") => true,
                Some(_) => self.ends(range).is_some_and(|(a, b)| a <= b),
                None => self.number(range).is_some(),
            }
    }
}

/// What keeps a text from being a cron line.
fn cron(text: &str) -> Option<String> {
    let line = match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
        Some(rest) => match rest.split_once(' ') {
            Some((_, line)) => line.trim(),
            None => return Some("has nothing behind its time zone".into()),
        },
        None => text,
    };
    if let Some(every) = line.strip_prefix("@every ") {
        return (!crate::rke2::drop_in::is_duration(every)).then(|| "has no duration behind @every".into());
    }
    if line.starts_with('@') {
        return (!WORDS.contains(&line)).then(|| format!("is none of {}, @every DURATION", WORDS.join(", ")));
    }
    let fields: Vec<&str> = line.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let seconds = if fields.len() == 6 { "; there is none for seconds" } else { "" };
        return Some(format!("has {} fields of the 5 that it needs{seconds}", fields.len()));
    }
    let mut wrong = FIELDS.iter().zip(fields).filter(|(field, text)| !text.split(',').all(|it| field.is_range(it)));
    wrong.next().map(|(field, text)| {
        let Field(name, least, most, _) = field;
        let what = format!("has {} for the {name}", quoted(text));
        match text.split(',').find(|it| !field.is_range(it)).unwrap_or(text) {
            it if it.split_once('/').is_some_and(|(_, step)| step.parse() == Ok(0)) => {
                format!("{what}, whose step is 0")
            }
            it if field.ends(it).is_some_and(|(a, b)| a > b) => format!("{what}, which ends before it begins"),
            _ => format!("{what}, which goes from {least} to {most}"),
        }
    })
}

/// RKE2 starts with any line, throws the error away and makes no snapshots (k3s `pkg/etcd/snapshot.go`).
pub(super) fn snapshots(view: &View, tell: &mut Tell) {
    let option = "etcd-snapshot-schedule-cron";
    if let Some(text) = view.text(option)
        && let Some(what) = cron(text.trim())
    {
        let (what, more) = what
            .split_once("; ")
            .map_or((what.as_str(), String::new()), |(what, more)| (what, format!(", because {more}")));
        let rest =
            format!("{} {what}{more}, so RKE2 never makes a snapshot; write one such as 0 */12 * * *", quoted(text));
        tell.warn(Code::CronInvalid, option, None, rest);
    }
}

/// Zero or less (k3s `pkg/cli/server/server.go`).
pub(super) fn intervals(view: &View, tell: &mut Tell) {
    let is_positive = |text: &str| !text.starts_with('-') && text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let wrong = |option: &str| view.text(option).filter(|text| !is_positive(text));
    let option = "etcd-snapshot-reconcile-interval";
    if let Some(text) = wrong(option).filter(|_| !view.is_on("etcd-disable-snapshots")) {
        let rest = format!("{} is not above 0, so RKE2 does not start; write one such as 10m", quoted(text));
        tell.error(Code::IntervalNotPositive, option, None, rest);
    }
    let option = "etcd-s3-timeout";
    if let Some(text) = wrong(option).filter(|_| view.is_on("etcd-s3")) {
        // Whether the older minors got the check is not known.
        let severity = if view.has("1.33") { Severity::Error } else { Severity::Warning };
        let rest = format!("{} is not above 0, so RKE2 does not start; write one such as 5m", quoted(text));
        tell.push(severity, Code::IntervalNotPositive, option, None, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_lines_are_those_of_the_library() {
        for line in [
            "0 */12 * * *", "0 */5 * * *", "*/15 * * * *", "0 0 1 jan,JUL mon-fri", "5-10/2 ? * * 0,6", "0 0 31 12 6",
            "@daily", "@every 1h30m", "TZ=Europe/Berlin 0 3 * * *", "CRON_TZ=UTC @weekly", "0  3 * * *",
        ] {
            assert_eq!(cron(line), None, "{line}");
        }
        for line in [
            "", "* * *", "0 0 */5 * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 7",
            "0 0 * * funday", "5-1 * * * *", "*/0 * * * *", "a * * * *", "@nightly", "@every day", "TZ=UTC",
            "+1 * * * *", "1,,2 * * * *",
        ] {
            assert!(cron(line).is_some(), "{line}");
        }
    }
}
