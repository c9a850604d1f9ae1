//! Durations as people write them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

/// No wait of this program is longer.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A duration with its unit, of at most a day.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|duration| *duration <= DAY)
}

/// The same, or a number of seconds without a unit.
pub(crate) fn parse_seconds(text: &str) -> Option<Duration> {
    parse(text).or_else(|| parse(&format!("{text}s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        for (text, seconds) in
            [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h 30m", 5400), ("0s", 0), ("24h", 86_400)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "90", "s", "m10", "-1s", "24h1s", "2days", "5M", "99999999999999999999s", "1e3s", " ", "10 parsecs"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!((parse_seconds("90"), parse_seconds("90s"), parse_seconds("x")), (parse("90s"), parse("90s"), None));
    }
}
