//! `status`: what this node is, and why.

use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::verb::Verb;
use crate::Context;
use crate::cluster::role::Role;
use crate::host::Host;
use crate::plan::{find, staged};
use crate::report::stdio;
use crate::rke2::installed;
use crate::start::{guard, started};
use crate::status::report::{Look, Report, Word};
use crate::text::duration;
use crate::text::escape::escape;

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
        let mut report = settled(context.host, self.wait.unwrap_or_default());
        if report.waits_for_unit() {
            look_for_server(context.host, &mut report);
        }
        stdio::to_stdout(&if self.format == Format::Json { report.to_json() } else { report.to_text() });
        report.word.exit_status()
    }
}

/// Why a node that joins is not ready is mostly the server: one that does not answer, or one with another token.
fn look_for_server(host: &Host, report: &mut Report) {
    let plan = staged::applied(host).ok().filter(|plan| plan.role != Role::Init);
    let Some(name) = plan.and_then(|plan| plan.control_plane_host) else { return };
    let answers = host.hears_tls(&name, guard::PORT, guard::ANSWER);
    report.found_server(&format!("{}:{}", escape(&name), guard::PORT), answers);
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
