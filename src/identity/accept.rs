//! `providerConfig.accept`: what a person allows once, though a guard stops it.

use crate::findings::code::Code;

/// What a person may allow: the guards, each by the code of its findings.
pub(crate) const GUARDS: [Code; 10] = [
    Code::FoundedBefore,
    Code::ClusterAnswers,
    Code::RoleChanged,
    Code::CriticalChanged,
    Code::CriticalDiffers,
    Code::TokenChanged,
    Code::DataVolatile,
    Code::DataNewer,
    Code::DataSlightlyNewer,
    Code::MinorSkipped,
];

/// Lines of `GUARD: why`, as a person has written them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Accept {
    lines: Vec<(Code, String)>,
}

impl Accept {
    /// Reads the lines; none if one of them names no guard or gives no reason. Blank lines are passed over.
    pub(crate) fn read(text: &str) -> Option<Accept> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = |line: &str| {
            let (name, why) = line.split_once(':')?;
            let guard = Code::of(name.trim()).filter(|code| GUARDS.contains(code))?;
            (!why.trim().is_empty()).then(|| (guard, format!("{}: {}", guard.as_str(), why.trim())))
        };
        lines.map(line).collect::<Option<_>>().map(|lines| Accept { lines })
    }

    /// A text that reads the same.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        lines.join("\n")
    }

    /// The line that allows what a guard stops, unless it has been used before.
    pub(crate) fn line(&self, guard: Code, used: &[String]) -> Option<&str> {
        let mut lines = self.lines.iter().filter(|(it, _)| *it == guard).map(|(_, line)| line.as_str());
        lines.find(|line| !used.iter().any(|it| it == line))
    }
}

/// Whether a line allows what a guard stops.
pub(crate) fn is_of(line: &str, guard: Code) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name == guard.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_or_not_at_all() {
        let accept = Accept::read("\n role-changed:  moved to the workers \nfounded-before: a new: cluster\n").unwrap();
        assert_eq!(accept.text(), "role-changed: moved to the workers\nfounded-before: a new: cluster");
        assert_eq!(Accept::read(&accept.text()), Some(accept.clone()));
        let line = "role-changed: moved to the workers";
        assert_eq!(accept.line(Code::RoleChanged, &[]), Some(line));
        assert_eq!(accept.line(Code::RoleChanged, &[line.to_owned()]), None);
        assert_eq!(accept.line(Code::CriticalChanged, &[]), None);
        for text in [
            "role-changed", "role-changed:", "role-changed: ", "other: why", "unknown-key: why",
            "role-changed: why\nother",
        ] {
            assert_eq!(Accept::read(text), None, "{text:?}");
        }
        assert_eq!(Accept::read(""), Some(Accept::default()));
    }
}
