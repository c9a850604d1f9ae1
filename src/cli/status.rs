//! `status`: what this node is, and why.

use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::verb::Verb;
use crate::Context;
use crate::host::Host;
use crate::plan::find;
use crate::report::stdio;
use crate::rke2::installed;
use crate::start::started;
use crate::status::report::{Look, Report, Word};
use crate::text::duration;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Waits until nothing is pending, at most so long: 90, 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    wait: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each fact
    Text,
    /// One object
    Json,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    duration::parse_seconds(text).ok_or("expected at most 24h, such as 90, 90s or 5m")
}

impl Verb for Status {
    fn run(self, context: &Context) -> u8 {
        let report = settled(context.host, self.wait.unwrap_or_default());
        stdio::to_stdout(&if self.format == Format::Json { report.to_json() } else { report.to_text() });
        report.word.exit_status()
    }
}

/// The status, once nothing is pending any more, or as it is when the time is up.
fn settled(host: &Host, wait: Duration) -> Report {
    let end = Instant::now() + wait;
    // Asked once, because RKE2 itself may have to be run for it.
    let rke2 = installed::version(host).version();
    let look = Look {
        rke2: rke2.as_ref(),
        has_plan: &|| find::in_force(host).is_some(),
        has_changed: &|unit| started::changed(host, unit) == Some(true),
    };
    loop {
        let report = Report::of(host, &look);
        let left = end.saturating_duration_since(Instant::now());
        if report.word != Word::Pending || left.is_zero() {
            return report;
        }
        thread::sleep(left.min(Duration::from_millis(250)));
    }
}
