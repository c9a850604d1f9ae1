//! OpenRC: the init scripts that RKE2 does not ship, and what is asked of `rc-service`.

use std::time::Duration;

use super::{Manager, Unit, Verb};
use crate::Context;
use crate::emit::shell_quoted;
use crate::gate::UNITS;
use crate::host::{Error, Host};
use crate::rke2;
use crate::whose::{MARK, Whose};

/// What OpenRC keeps while it runs: a directory per state, a link per service in it (OpenRC `src/librc`).
pub const RUN: &str = "/run/openrc";

/// Where runlevels are, each a directory with a link per service. Kairos keeps them across boots.
pub const RUNLEVELS: &str = "/etc/runlevels";

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
fn whose(host: &Host, unit: &str) -> Whose {
    let is_ours = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let comment = text.lines().find(|line| line.starts_with('#') && !line.starts_with("#!"));
        comment.is_some_and(|line| line.starts_with(MARK))
    };
    Whose::is(host, &path(unit), is_ours).unwrap_or(Whose::Others)
}

/// Makes the init scripts of both services ours, where there is none or an older one of ours.
pub fn install(context: &Context) -> Result<(), Error> {
    let text = script(context.program);
    for unit in UNITS.into_iter().filter(|unit| whose(context.host, unit) != Whose::Others) {
        context.host.install(&path(unit), text.as_bytes(), 0o755, true)?;
    }
    Ok(())
}

/// Removes the init scripts of ours, but not that of a service that runs: OpenRC could not stop it.
pub fn remove(host: &Host) -> Result<(), Error> {
    let idle = |unit: &&str| state(host, unit).is_none_or(|state| state == "failed");
    for unit in UNITS.into_iter().filter(|unit| whose(host, unit) == Whose::Ours).filter(idle) {
        host.remove(&path(unit))?;
    }
    Ok(())
}

/// A sentence for each init script that somebody else wrote: nothing in it keeps RKE2 from starting.
pub fn of_others(host: &Host) -> Vec<String> {
    let others = UNITS.into_iter().filter(|unit| whose(host, unit) == Whose::Others);
    let sentence = |unit| {
        format!(
            "{}: was not written by this program and stays, but it neither waits for the configuration nor runs prestart, \
             remove it to have one written that does",
            path(unit)
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
    match unit {
        "rke2-server" => listens(host, 6443),
        "rke2-agent" => listens(host, 10250),
        _ => true,
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
    fn show(&self, unit: &str) -> Result<Unit, Error> {
        let is_there = self.host.exists(&path(unit)) && (!UNITS.contains(&unit) || rke2::binary(self.host).is_some());
        let state = state(self.host, unit);
        let active = match state {
            Some("started") if is_ready(self.host, unit) => "active",
            Some("starting" | "started") => "activating",
            Some("stopping") => "deactivating",
            Some(failed) => failed,
            None => "inactive",
        };
        Ok(Unit {
            load: if is_there { "loaded" } else { "not-found" }.into(),
            active: active.into(),
            sub: state.unwrap_or("stopped").into(),
            ..Unit::default()
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
