//! `reset`: RKE2's state off this node.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::verb::{FAILED, Verb, tell};
use crate::Context;
use crate::report::stdio;
use crate::reset::action::Request;
use crate::reset::{self, Report};
use crate::text::duration;

/// How much longer than asked for a reset is waited for: it ends by itself, unless the system hangs.
const OVERTIME: Duration = Duration::from_secs(20);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Reset {
    /// Prints what would be done, in order, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Also removes /etc/rancher/node, by which the cluster knows this node again
    #[arg(long, conflicts_with = "keep_state")]
    node_password: bool,
    /// Only stops RKE2 and its pods, unmounts and clears the network; nothing is deleted
    #[arg(long)]
    keep_state: bool,
    /// How long it may take, such as 90s, 5m or 1h; without it what `reset_timeout` of the plan says, or 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    let time = duration::parse_seconds(text).filter(|time| *time >= Duration::from_secs(1));
    time.ok_or("expected 1s to 24h, such as 90s, 5m or 1h")
}

impl Verb for Reset {
    fn run(self, context: &Context) -> u8 {
        let timeout = self.timeout.unwrap_or_else(|| reset::timeout(context.host, None));
        let request = Request { node_password: self.node_password, keep_state: self.keep_state, timeout };
        if self.dry_run { rehearse(context, &request) } else { reset(context, request) }
    }
}

fn rehearse(context: &Context, request: &Request) -> u8 {
    match reset::dry_run(context.host, None, request) {
        Ok((actions, notes)) => {
            stdio::to_stdout(&actions.iter().flat_map(|action| [action, "\n"]).collect::<String>());
            notes.iter().map(String::as_str).for_each(tell);
            0
        }
        Err(sentence) => {
            tell(&sentence);
            FAILED
        }
    }
}

/// Whatever hangs, the person who waits is told.
fn reset(context: &Context, request: Request) -> u8 {
    let host = match context.host.again() {
        Ok(host) => host,
        Err(error) => {
            tell(&error.to_string());
            return FAILED;
        }
    };
    let (program, version) = (context.program.to_owned(), context.version.to_owned());
    let (done, waiting) = mpsc::sync_channel(1);
    let work = move || {
        let context = Context { host: &host, program: &program, version: &version };
        done.send(reset::run(&context, None, &request)).ok()
    };
    if thread::Builder::new().spawn(work).is_err() {
        tell("nothing was reset, because the system starts no more threads");
        return FAILED;
    }
    let Ok(report) = waiting.recv_timeout(request.timeout + OVERTIME) else {
        tell("gave up, because something on this node does not answer; what was done is in /var/log/provider-rke2.log");
        return FAILED;
    };
    let Report { done, notes, left, advice } = report;
    let is_clean = left.is_empty();
    for sentence in done.iter().chain(&notes).chain(&left).chain(&advice) {
        tell(sentence);
    }
    u8::from(!is_clean)
}
