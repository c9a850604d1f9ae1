//! The command line: what a person, a boot stage or a unit runs.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};

use crate::apply::{self, Step};
use crate::check::{Findings, Severity};
use crate::cloud_config;
use crate::cluster::{self, Cluster};
use crate::document::document;
use crate::emit::escape;
use crate::gate;
use crate::host::{self, Host};
use crate::node;
use crate::plan::plan;
use crate::prestart;
use crate::report::status::{Report, Word};
use crate::reset::{self, Request};
use crate::stdio;
use crate::steps::images::Call;
use crate::{Context, VERSION};

/// How much of a file is read.
const LIMIT: u64 = 16 << 20;

/// Kairos cluster provider for RKE2: turns the cluster section of a cloud-config into boot stages.
///
/// With one argument that has a dot in it (agent.boot) and input that is no terminal, it answers that event of the Kairos plugin bus.
#[derive(Debug, Parser)]
#[command(name = "agent-provider-rke2", version = VERSION, arg_required_else_help = true)]
struct Arguments {
    /// Puts every path on the node below DIR; nothing outside is touched and no process is started
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Prints the document that agent.boot would write for a cloud-config, secrets masked
    Render {
        /// The cloud-config; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Prints tokens, passwords and environment values as they are
        #[arg(long)]
        show_secrets: bool,
    },
    /// Says what is wrong with cloud-configs, with line, code and what to do
    Check {
        /// The cloud-configs; - is standard input
        #[arg(default_value = "-", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Lets warnings fail the check too
        #[arg(long)]
        strict: bool,
        /// How findings are printed
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Takes a step of the boot stages on the node, or all of them in order
    Apply {
        /// The step
        #[arg(value_enum)]
        step: Option<Step>,
        /// images: says what would be done, and does nothing
        #[arg(long)]
        dry_run: bool,
        /// images: imports from this directory in place of the cloud-config's
        #[arg(long, value_name = "DIR")]
        from: Option<String>,
    },
    /// Called by the unit before each start: waits for what must wait, keeps what RKE2 is about to read
    Prestart {
        /// rke2-server or rke2-agent
        #[arg(value_parser = gate::UNITS)]
        unit: String,
    },
    /// Says what this node is, and why
    Status {
        /// How it is printed
        #[arg(long, value_enum, default_value_t = StatusFormat::Text)]
        format: StatusFormat,
        /// Waits until nothing is pending, at most so many seconds
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=24 * 3600))]
        wait: Option<u64>,
    },
    /// Takes RKE2's state off this node and leaves all else; the cluster is not told
    Reset {
        /// Prints what would be done, in order, and changes nothing
        #[arg(long)]
        dry_run: bool,
        /// Also removes /etc/rancher/node, by which the cluster knows this node again
        #[arg(long, conflicts_with = "keep_state")]
        node_password: bool,
        /// Only stops RKE2 and its pods, unmounts and clears the network; nothing is deleted
        #[arg(long)]
        keep_state: bool,
        /// How long it may take: 90s, 5m, 1h
        #[arg(long, default_value = "5m", value_name = "TIME", value_parser = time)]
        timeout: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusFormat {
    /// YAML
    Text,
    /// One object
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line each
    Text,
    /// One array
    Json,
    /// Workflow commands of GitHub Actions
    Github,
}

const FAILED: u8 = 1;
const UNREADABLE: u8 = 2;

/// The root and name of an event, if that is what the arguments are: `[--root DIR] NAME` with a dot in the name, and standard input
/// that is no terminal.
pub fn event(arguments: &[OsString]) -> Option<(PathBuf, String)> {
    let (root, name) = match arguments.get(1..)? {
        [name] => (PathBuf::from("/"), name),
        [option, root, name] if option == "--root" => (root.into(), name),
        [option, name] => (option.to_str()?.strip_prefix("--root=")?.into(), name),
        _ => return None,
    };
    // A name that is no text is one of the many that do not concern us.
    let name = name.to_string_lossy();
    let is_event = name.contains('.') && !name.starts_with('-') && !io::stdin().is_terminal();
    is_event.then(|| (root, name.into_owned()))
}

/// Runs a verb. The exit status is 0 for done and clean, 1 for findings and refusals, 2 for wrong usage and unreadable input.
pub fn run(arguments: Vec<OsString>, program: &str) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(UNREADABLE));
        }
    };
    let host = match Host::new(&arguments.root) {
        Ok(host) => host,
        Err(error) => return fail(&error.to_string()),
    };
    ExitCode::from(match arguments.verb {
        Verb::Render { file, show_secrets } => render(&host, &file, show_secrets, program),
        Verb::Check { files, strict, format } => check(&host, &files, strict, format),
        Verb::Apply { step, dry_run, from } => {
            let context = Context { host: &host, program, version: VERSION };
            let (done, failed) = match step {
                Some(Step::Images) if dry_run || from.is_some() => apply::images(&context, &Call { dry_run, from }),
                _ if dry_run || from.is_some() => {
                    return fail("--dry-run and --from are options of apply images");
                }
                _ => apply::run(&context, step),
            };
            done.iter().chain(&failed).map(String::as_str).for_each(tell);
            u8::from(!failed.is_empty())
        }
        Verb::Prestart { unit } => {
            let context = Context { host: &host, program, version: VERSION };
            prestart::run(&context, &unit).iter().map(String::as_str).for_each(tell);
            0
        }
        Verb::Status { format, wait } => {
            let report = settled(&host, Duration::from_secs(wait.unwrap_or_default()));
            stdio::to_stdout(&if format == StatusFormat::Json { report.to_json() } else { report.to_text() });
            report.word.exit_status()
        }
        Verb::Reset { dry_run, node_password, keep_state, timeout } => {
            let request = Request { node_password, keep_state, timeout };
            if dry_run { reset_dry_run(&host, &request) } else { reset(host, program, request) }
        }
    })
}

/// The status, once nothing is pending any more, or as it is when the time is up.
fn settled(host: &Host, wait: Duration) -> Report {
    let end = Instant::now() + wait;
    loop {
        let report = Report::of(host);
        let left = end.saturating_duration_since(Instant::now());
        if report.word != Word::Pending || left.is_zero() {
            return report;
        }
        thread::sleep(left.min(Duration::from_millis(250)));
    }
}

/// A number of seconds, minutes or hours.
fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    let given = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    let accepted = given.filter(|seconds| (1..=24 * 3600).contains(seconds)).map(Duration::from_secs);
    accepted.ok_or_else(|| "accepted is 1s to 24h, such as 90s, 5m, 1h".into())
}

fn reset_dry_run(host: &Host, request: &Request) -> u8 {
    match reset::dry_run(host, None, request) {
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
fn reset(host: Host, program: &str, request: Request) -> u8 {
    let program = program.to_owned();
    let (done, waiting) = mpsc::sync_channel(1);
    let work = move || {
        let context = Context { host: &host, program: &program, version: VERSION };
        done.send(reset::run(&context, None, &request)).ok()
    };
    if thread::Builder::new().spawn(work).is_err() {
        tell("nothing was reset, for the system starts no more threads");
        return FAILED;
    }
    let Ok(report) = waiting.recv_timeout(request.timeout + OVERTIME) else {
        tell("gave up, something on this node does not answer, what was done is in /var/log/provider-rke2.log");
        return FAILED;
    };
    let reset::Report { done, notes, left, advice } = report;
    let is_clean = left.is_empty();
    for sentence in done.iter().chain(&notes).chain(&left).chain(&advice) {
        tell(sentence);
    }
    u8::from(!is_clean)
}

/// How much longer than asked for a reset is waited for: it ends by itself, unless the system hangs.
const OVERTIME: Duration = Duration::from_secs(20);

fn fail(sentence: &str) -> ExitCode {
    tell(sentence);
    ExitCode::from(UNREADABLE)
}

fn tell(sentence: &str) {
    stdio::to_stderr(&format!("agent-provider-rke2: {sentence}"));
}

/// A cloud-config that was read and judged.
struct Judged {
    cluster: Option<Cluster>,
    findings: Findings,
}

impl Judged {
    /// Fails with the sentence why the file cannot be read.
    fn read(host: &Host, file: &Path) -> Result<Judged, String> {
        let text = text(file)?;
        let (section, mut findings) = cloud_config::of_file(&text);
        let cluster = section.as_ref().and_then(|section| {
            let state = node::state(host, &cluster::data_dir(section));
            cluster::understand(section, state, &mut findings)
        });
        findings.sort();
        Ok(Judged { cluster, findings })
    }
}

fn text(file: &Path) -> Result<String, String> {
    let name = escape(&file.display().to_string());
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .take(LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot read standard input: {error}"))?;
        if bytes.len() as u64 > LIMIT {
            return Err("standard input is larger than 16 MiB".into());
        }
        bytes
    } else {
        host::read_file(file, LIMIT).map_err(|error| error.to_string())?
    };
    String::from_utf8(bytes)
        .map_err(|error| format!("{name}: is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

fn render(host: &Host, file: &Path, show_secrets: bool, program: &str) -> u8 {
    let judged = match Judged::read(host, file) {
        Ok(judged) => judged,
        Err(sentence) => {
            fail(&sentence);
            return UNREADABLE;
        }
    };
    for sentence in judged.findings.refused() {
        tell(&sentence);
    }
    let is_refused = judged.findings.worst() == Some(Severity::Refused);
    let Some(cluster) = judged.cluster.filter(|_| !is_refused) else { return u8::from(is_refused) };
    let plan = plan(cluster);
    let plan = if show_secrets { plan } else { plan.masked() };
    match document(&plan, program) {
        Ok(document) => {
            stdio::to_stdout(&document.text);
            0
        }
        Err(sentence) => {
            fail(&sentence);
            FAILED
        }
    }
}

fn check(host: &Host, files: &[PathBuf], strict: bool, format: Format) -> u8 {
    let color = format == Format::Text && stdio::wants_color();
    let (mut status, mut array) = (0, Vec::new());
    for file in files {
        let name = file.display().to_string();
        let judged = match Judged::read(host, file) {
            Ok(judged) => judged,
            Err(sentence) => {
                fail(&sentence);
                status = UNREADABLE;
                continue;
            }
        };
        match format {
            Format::Text => stdio::to_stdout(&judged.findings.to_text(&name, color)),
            Format::Github => stdio::to_stdout(&judged.findings.to_github(&name)),
            Format::Json => array.extend(judged.findings.to_json(&name)),
        }
        let worst = judged.findings.worst();
        let failed = worst >= Some(if strict { Severity::Warning } else { Severity::Error });
        status = status.max(u8::from(failed));
    }
    if format == Format::Json {
        let array = serde_json::to_string_pretty(&array).unwrap_or_default();
        stdio::to_stdout(&format!("{array}\n"));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_fits_together() {
        Arguments::command().debug_assert();
    }
}
