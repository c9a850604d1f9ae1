//! OpenRC: the init scripts that RKE2 does not ship, and what is asked of `rc-service`.

use std::time::Duration;

pub(crate) use super::kind::OPENRC as RUN;
use super::manager::{Manager, Verb};
use super::unit::{Active, Load, UnitState};
use crate::Context;
use crate::host::owned::{MARK, Whose};
use crate::host::{Error, Host};
use crate::rke2::{Unit, installed};
use crate::text::emit::shell_quoted;

/// Where runlevels are, each a directory with a link per service. Kairos keeps them across boots.
pub(crate) const RUNLEVELS: &str = "/etc/runlevels";

/// The init script of both services, by the name of its file.
const SCRIPT: &str = include_str!("../../scripts/openrc/rke2");

/// How long an order that only sets something in motion may take.
const QUICK: Duration = Duration::from_secs(10);

/// Runs `rc-service` in a session of its own, which nobody waits for: the service that runs the boot stages would wait for itself. In the middle
/// of a start or a stop OpenRC refuses every order, so that is waited for. What it says goes where the service's own output goes.
const DETACHED: &str = r#"
(umask 077; : >>"/var/log/$1.log")
setsid sh -c '
    left=60
    while [ "$left" -gt 0 ] && { [ -L "/run/openrc/starting/$1" ] || [ -L "/run/openrc/stopping/$1" ]; }; do
        sleep 1
        left=$((left - 1))
    done
    exec rc-service "$1" "$2"
' sh "$1" "$2" </dev/null >>"/var/log/$1.log" 2>&1 &
"#;

fn path(unit: &str) -> String {
    format!("/etc/init.d/{unit}")
}

/// The init script; `program` is the absolute path of this program on the node.
pub fn script(program: &str) -> String {
    SCRIPT.replace("@PROGRAM@", &shell_quoted(program))
}

/// Whose an init script is. One that cannot be read is somebody else's.
fn whose(host: &Host, unit: Unit) -> Whose {
    let is_ours = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let comment = text.lines().find(|line| line.starts_with('#') && !line.starts_with("#!"));
        comment.is_some_and(|line| line.starts_with(MARK))
    };
    Whose::is(host, &path(unit.name()), is_ours).unwrap_or(Whose::Others)
}

/// Makes the init scripts of both services ours, where there is none or an older one of ours.
pub(crate) fn install(context: &Context) -> Result<(), Error> {
    let text = script(context.program);
    for unit in Unit::ALL.into_iter().filter(|unit| whose(context.host, *unit) != Whose::Others) {
        context.host.install(&path(unit.name()), text.as_bytes(), 0o755)?;
    }
    Ok(())
}

/// Removes the init scripts of ours, but not that of a service that runs: OpenRC could not stop it.
pub(crate) fn remove(host: &Host) -> Result<(), Error> {
    let is_idle = |unit: &Unit| state(host, unit.name()).is_none_or(|state| state == "failed");
    for unit in Unit::ALL.into_iter().filter(|unit| whose(host, *unit) == Whose::Ours).filter(is_idle) {
        host.remove(&path(unit.name()))?;
    }
    Ok(())
}

/// A sentence for each init script that somebody else wrote: nothing in it keeps RKE2 from starting.
pub(crate) fn of_others(host: &Host) -> Vec<String> {
    let others = Unit::ALL.into_iter().filter(|unit| whose(host, *unit) == Whose::Others);
    let sentence = |unit: Unit| {
        format!(
            "{}: was not written by this program, so it stays, but it neither waits for the configuration nor runs prestart; \
             remove it, then a right one is written",
            path(unit.name())
        )
    };
    others.map(sentence).collect()
}

/// The state of a service, in OpenRC's word; nothing if it is stopped.
fn state(host: &Host, unit: &str) -> Option<&'static str> {
    let is = |state: &&str| host.list(&format!("{RUN}/{state}")).is_ok_and(|names| names.iter().any(|it| it == unit));
    ["starting", "stopping", "started", "failed"].into_iter().find(is)
}

/// Whether a service does what it is there for. OpenRC does not know, RKE2 tells systemd only; so it is seen from the port that is served
/// then: the API server's, once etcd is up (k3s `pkg/daemons/control/server.go`), the kubelet's on an agent.
fn is_ready(host: &Host, unit: &str) -> bool {
    match Unit::of(unit) {
        Some(Unit::Server) => listens(host, 6443),
        Some(Unit::Agent) => listens(host, 10250),
        None => true,
    }
}

/// Whether somebody listens on a TCP port (kernel `Documentation/networking/proc_net_tcp.rst`: local address, peer, state `0A`).
fn listens(host: &Host, port: u16) -> bool {
    let port = format!(":{port:04X}");
    let is_it = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    };
    let lists = |path| host.read(path, 64 << 20).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).lines().any(is_it));
    lists("/proc/net/tcp") || lists("/proc/net/tcp6")
}

/// Orders to OpenRC.
#[derive(Debug)]
pub struct OpenRc<'a> {
    host: &'a Host,
    said: Vec<String>,
}

impl<'a> OpenRc<'a> {
    /// The OpenRC of a host.
    pub fn of(host: &'a Host) -> Self {
        OpenRc { host, said: Vec::new() }
    }
}

impl Manager for OpenRc<'_> {
    fn name(&self, unit: &str) -> String {
        unit.to_owned()
    }

    /// It reads init scripts when it needs them.
    fn reload(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Seen from OpenRC's own files. A service that is started counts as `activating` until it is ready.
    fn show(&self, unit: &str) -> Result<UnitState, Error> {
        let is_installed = Unit::of(unit).is_none() || installed::binary(self.host).is_some();
        let state = state(self.host, unit);
        let active = match state {
            Some("started") if is_ready(self.host, unit) => Active::Active,
            Some("starting" | "started") => Active::Activating,
            Some("stopping") => Active::Deactivating,
            Some(_) => Active::Failed,
            None => Active::Inactive,
        };
        Ok(UnitState {
            load: if is_installed && self.host.exists(&path(unit)) { Load::Loaded } else { Load::NotFound },
            active,
            sub: state.unwrap_or("stopped").into(),
            ..UnitState::default()
        })
    }

    fn order(&mut self, verb: Verb, unit: &str) -> Result<(), Error> {
        let verb = match verb {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
        };
        let command = format!("rc-service {unit} {verb}");
        if !self.host.is_real() {
            self.said.push(format!("would run {command}"));
            return Ok(());
        }
        self.host.run("sh", &["-c", DETACHED, "sh", unit, verb], QUICK)?;
        self.said.push(format!("ran {command}"));
        Ok(())
    }

    /// A runlevel would keep it for good.
    fn enable(&mut self, _unit: &str) -> Result<(), Error> {
        Ok(())
    }

    /// `OpenRC` has no services for once (docs/openrc.md).
    fn run_after(&self, _service: &str, _name: &str, _command: &[&str]) -> Result<(), Error> {
        Ok(())
    }

    fn said(&mut self) -> &mut Vec<String> {
        &mut self.said
    }
}
