//! The plugin bus of Kairos: one event on stdin, one JSON line on stdout, exit status 0, in bounded time.
//!
//! The wire is that of go-pluggable (github.com/mudler/go-pluggable `events.go`, `plugin.go`). An `error` makes kairos-agent exit with
//! 1, anything but one JSON value on stdout too, and there is no timeout on its side.

use std::io::{self, BufRead as _, Read, Write};
use std::mem::forget;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use crate::Context;
use crate::cluster::cloud_config::{self, CloudConfig};
use crate::host::{DeadlineReader, Host, after, read_payload, reason};
use crate::install;
use crate::plan::{self, Boot};
use crate::report::stdio;
use crate::reset;
use crate::reset::action::Request;
use crate::rke2::installed;
use crate::rke2::version::Version;
use crate::service;
use crate::text::escape::{escape, limit};

/// How long an event may take in all.
pub const BOUND: Duration = Duration::from_secs(18);

/// How much longer than asked for a reset is waited for: it ends by itself, unless the system hangs.
const OVERTIME: Duration = Duration::from_secs(20);

/// When an event is answered at the latest.
#[derive(Debug, Clone)]
pub struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    /// So long from now.
    pub fn after(time: Duration) -> Deadline {
        Deadline(Arc::new(Mutex::new(after(time))))
    }

    /// Puts it off until so long from now.
    fn put_off(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = after(time);
    }

    /// Nothing once it has passed.
    fn left(&self) -> Option<Duration> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// How long stdin takes that the agent has filled before.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How long stdin may take.
const READING: Duration = Duration::from_secs(8);

/// How much of an event is read.
const LIMIT: u64 = 16 << 20;

/// More than an event that carries its payload itself: a larger payload is in a file.
const INLINE: usize = 16 << 10;

/// What the agent is told.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Response {
    /// A word that some events ask for: `success`, `non-applicable`, `error`.
    pub state: String,
    /// What some events ask for; never configuration.
    pub data: String,
    /// Why the node cannot be configured.
    pub error: String,
    /// What was done; never configuration.
    pub log: String,
}

impl Response {
    fn error(sentence: &str) -> Response {
        Response { error: limit(sentence), ..Response::default() }
    }

    fn state(state: &str) -> Response {
        Response { state: state.into(), ..Response::default() }
    }
}

/// Runs `handle` and writes its response to `stdout`: one JSON line, whatever happens. A panic and a handler that takes longer than
/// `deadline` become an `error`. In the latter case the handler is left as it is, and `end` is called, which must end the process. The
/// handler may put the deadline off.
pub fn answer<W, F>(stdout: W, deadline: &Deadline, end: fn(), handle: F)
where
    W: Write + AsFd + Send + 'static,
    F: FnOnce(&Deadline) -> Response,
{
    let start = Instant::now();
    // Whoever takes it answers.
    let stdout = Arc::new(Mutex::new(Some(stdout)));
    let take = |from: &Mutex<Option<W>>| from.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (shared, until) = (Arc::clone(&stdout), deadline.clone());
    let watch = move || {
        while let Some(left) = until.left() {
            thread::sleep(left);
        }
        if let Some(stdout) = take(&shared) {
            let seconds = start.elapsed().as_secs();
            let sentence = format!("gave up after {seconds} seconds, so the node keeps what it had before");
            write(stdout, &Response::error(&sentence));
            end();
        }
    };
    // The handler stays in this thread, because starting another and waiting for it takes longer than not waiting.
    let watching = thread::Builder::new().spawn(watch);
    let response = match &watching {
        Err(_) => Response::error("the event cannot be handled, because the system starts no more threads"),
        Ok(_) => catch_unwind(AssertUnwindSafe(|| handle(deadline))).unwrap_or_else(|payload| {
            // Dropping it may panic again.
            forget(payload);
            Response::error(PANICKED)
        }),
    };
    match (take(&stdout), watching) {
        (Some(stdout), _) => write(stdout, &response),
        (None, watching) => drop(watching.map(JoinHandle::join)),
    }
}

fn write(mut stdout: impl Write + AsFd, response: &Response) {
    let mut line = serde_json::to_vec(response).unwrap_or_else(|_| b"{}".to_vec());
    line.push(b'\n');
    // Nobody may read any more, or nobody may ever read: neither is ours to mend.
    if stdio::is_writable(&stdout, Duration::from_secs(1)) {
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}

const PANICKED: &str = "the provider came upon a mistake of its own; please report it with the lines of the journal";

/// Handles the event `name`, whose body is read from `stdin` where it is needed.
pub fn handle(name: &str, stdin: impl Read + AsFd, context: &Context, deadline: &Deadline) -> Response {
    match name {
        "agent.boot" => {
            let Some(mut boot) = Boot::new(context) else { return Response::default() };
            // An event that does not come at once may never come: until then nothing is decided.
            let text = config(stdin, &mut || boot.begin());
            let answer = boot.finish(text.as_deref().map_err(String::as_str));
            Response { error: answer.error, log: answer.log, ..Response::default() }
        }
        "agent.bootstrap" => bootstrap(stdin, context),
        "cluster.reset" => cluster_reset(context, config(stdin, &mut || {}), deadline),
        "init.provider.info" => info(context.host),
        "init.provider.install" => {
            let payload = payload(stdin, &mut || {}).unwrap_or_default();
            match payload.provider.as_ref().and_then(Value::as_str) {
                Some("rke2") => install(context.host, &payload, deadline),
                _ => Response::state("non-applicable"),
            }
        }
        // The agent sends every event to every plugin.
        _ => Response::default(),
    }
}

/// What runs the boot stages, and what carries out a plan that they have not met.
const BOOT_STAGES: &str = "cos-setup-boot";
const APPLY: &str = "provider-rke2-bootstrap";

/// Does what `agent.boot` and the boot stages would have done, where no such event has come to an end in this boot: the provider came with a
/// system extension, which is there only after it (kairos `sdk/bus/events.go`: `agent.bootstrap` is of a service of the running system), or
/// the event was killed. kairos-agent would repeat the event every few seconds on an `error`, so there is none.
fn bootstrap(stdin: impl Read + AsFd, context: &Context) -> Response {
    let host = context.host;
    let Some(boot) = Boot::new(context).filter(|_| !plan::is_decided(host)) else { return Response::default() };
    let text = config(stdin, &mut || {});
    let section = text.as_deref().map(|text| cloud_config::of_collected(text, &[]));
    if !matches!(section, Ok(CloudConfig::Present(..))) && !plan::has_document(host) {
        return Response::default();
    }
    let answer = boot.finish(text.as_deref().map_err(String::as_str));
    let mut log = answer.log;
    if answer.error.is_empty() && plan::has_document(host) {
        let started = service::in_background(host, BOOT_STAGES, APPLY, &[context.program, "apply"]);
        log = format!("{log}; {}", started.unwrap_or_else(|error| error.to_string()));
    }
    Response { log: limit(&log), ..Response::default() }
}

/// Resets the node. An event without a readable cluster section says nothing about where RKE2 is; the node itself does.
fn cluster_reset(context: &Context, text: Result<String, String>, deadline: &Deadline) -> Response {
    let section = match text.map(|text| cloud_config::of_collected(&text, &[])) {
        Ok(CloudConfig::Present(section, _)) => Some(section),
        _ => None,
    };
    let request = Request { timeout: reset::timeout(context.host, section.as_deref()), ..Request::default() };
    deadline.put_off(request.timeout + OVERTIME);
    let report = reset::run(context, section.as_deref(), &request);
    let count = |sentences: &[String], what: &str| format!("{} {what}", sentences.len());
    let mut log = vec![count(&report.done, "done"), count(&report.left, "left")];
    log.extend(report.notes.into_iter().chain(report.advice));
    Response { error: limit(&report.left.join("; ")), log: limit(&log.join("; ")), ..Response::default() }
}

/// Which RKE2 the image holds (kairos `kairos-init/pkg/stages/steps_init.go` writes it to /etc/kairos-release).
fn info(host: &Host) -> Response {
    match installed::version(host) {
        installed::Installed::No => Response::state("non-applicable"),
        installed::Installed::Unknown(sentence) => Response { log: sentence, ..Response::state("error") },
        installed::Installed::Version(version) => Response { data: told(&version), ..Response::state("success") },
    }
}

/// Installs RKE2 into the image (kairos `kairos-init/pkg/stages/steps_install.go` fails the build on an `error`).
fn install(host: &Host, payload: &Payload, deadline: &Deadline) -> Response {
    deadline.put_off(install::BOUND + OVERTIME);
    let text = |key: &str, value: &Option<Value>| match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{key}: expected a text; write it in quotes")),
    };
    let texts = text("version", &payload.version).and_then(|it| Ok((it, text("config", &payload.config)?)));
    match texts.and_then(|(version, config)| install::run(host, &version, &config)) {
        Ok(done) => Response { data: told(&done.version), log: limit(&done.log), ..Response::state("success") },
        Err(sentence) => {
            // kairos-init shows the answer, other callers perhaps not.
            stdio::to_stderr(&format!("agent-provider-rke2: {}", limit(&sentence)));
            Response { state: "error".into(), ..Response::error(&sentence) }
        }
    }
}

/// What is in the image, as kairos-init reads it.
fn told(version: &Version) -> String {
    serde_json::json!({"provider": "rke2", "version": version}).to_string()
}

/// What the agent sends; go-pluggable moves a payload of more than 8 KiB into a file.
#[derive(Debug, Deserialize)]
struct Event {
    data: Option<String>,
    file: Option<String>,
}

/// What a payload may hold. Each event judges what it uses, so that a wrong type elsewhere concerns nobody.
#[derive(Debug, Default, Deserialize)]
struct Payload {
    /// The cloud-config; of `init.provider.install`, from where RKE2 comes.
    config: Option<Value>,
    /// The provider that `init.provider.install` is meant for.
    provider: Option<Value>,
    /// Which RKE2 is to be installed.
    version: Option<Value>,
}

/// The payload of an event: JSON, inline or in a file, which stays where it is. `late` is called if it does not come at once.
fn payload(stdin: impl Read + AsFd, late: &mut dyn FnMut()) -> Result<Payload, String> {
    const NOT_JSON: &str = "the event is not the JSON that kairos-agent sends";
    let stdin = DeadlineReader::new(stdin, Instant::now() + READING, AT_ONCE, late).take(LIMIT);
    let mut stdin = io::BufReader::with_capacity(INLINE, stdin);
    let late = |error: &io::Error| match error.kind() {
        io::ErrorKind::TimedOut => format!("the event did not arrive within {} seconds", READING.as_secs()),
        _ => format!("the event cannot be read: {}", reason(error)),
    };
    // A list would do for a structure too, but it is no event.
    match stdin.fill_buf().map_err(|error| late(&error))?.trim_ascii_start().first() {
        None => return Err("the event is empty".into()),
        Some(b'{') => {}
        Some(_) => return Err(NOT_JSON.into()),
    }
    // An event that has come whole is read from where it lies, which is twice as fast. One that has not is read on.
    let come = serde_json::Deserializer::from_slice(stdin.buffer()).into_iter::<Event>().next();
    let event = match come {
        Some(Err(error)) if error.is_eof() => serde_json::Deserializer::from_reader(stdin).into_iter::<Event>().next(),
        come => come,
    };
    let event = event.unwrap_or(Ok(Event { data: None, file: None })).map_err(|error| match error.classify() {
        Category::Io => late(&error.into()),
        Category::Eof => "the event ends too early, or is larger than 16 MiB".into(),
        Category::Syntax | Category::Data => NOT_JSON.to_owned(),
    })?;
    let payload = match event.file.filter(|file| !file.is_empty()) {
        Some(file) => {
            let bytes = read_payload(Path::new(&file), LIMIT).map_err(|error| error.to_string())?;
            String::from_utf8(bytes).map_err(|_| format!("{}: is not UTF-8", escape(&file)))?
        }
        None => event.data.filter(|data| !data.is_empty()).ok_or("the event carries no data")?,
    };
    let object = payload.trim_start().starts_with('{').then(|| serde_json::from_str(&payload).ok()).flatten();
    object.ok_or_else(|| NOT_JSON_DATA.into())
}

const NOT_JSON_DATA: &str = "the data of the event is not the JSON that kairos-agent sends";

/// The cloud-config of an event.
fn config(stdin: impl Read + AsFd, late: &mut dyn FnMut()) -> Result<String, String> {
    match payload(stdin, late)?.config {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null | Value::String(_)) => Err("the event carries no config".into()),
        Some(_) => Err(NOT_JSON_DATA.into()),
    }
}
