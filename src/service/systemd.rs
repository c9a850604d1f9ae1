//! What is asked of systemd, each time through `systemctl` with a deadline.

use std::collections::HashMap;
use std::time::Duration;

use super::manager::{Manager, Verb};
use super::unit::{Active, Load, UnitState};
use crate::host::{Error, Host};

/// How long a question, an order that only queues something, or a reload may take: much longer than on any node that works, because a
/// reload of a systemd with many units on a slow disk keeps everybody waiting.
const PATIENCE: Duration = Duration::from_secs(90);

impl UnitState {
    /// Reads the output of `systemctl show`: a `KEY=VALUE` in each line.
    pub(crate) fn parse(output: &str) -> UnitState {
        let properties: HashMap<&str, &str> = output.lines().filter_map(|line| line.split_once('=')).collect();
        let get = |key| properties.get(key).copied().unwrap_or_default().to_owned();
        UnitState {
            load: Load::of(&get("LoadState")),
            active: Active::of(&get("ActiveState")),
            sub: get("SubState"),
            job: !matches!(get("Job").as_str(), "" | "0"),
            restarts: get("NRestarts").parse().unwrap_or(0),
            result: get("Result"),
            stale: get("NeedDaemonReload") == "yes",
            since: get("StateChangeTimestamp"),
        }
    }
}

/// True if systemd is the init of this very system, so that units can be started: `/run/systemd/system` is there (`sd_booted(3)`) and the
/// socket that systemd makes as process 1 before it starts any unit (systemd `src/core/dbus.c`, `bus_init_private`), because the gate makes
/// that directory too; we are in no chroot (`/` is the root of process 1; unreadable counts as a chroot) and in no initrd
/// (`/etc/initrd-release`).
pub(crate) fn runs_here(host: &Host) -> bool {
    host.is_real()
        && host.is_dir("/run/systemd/system")
        && host.exists("/run/systemd/private")
        && !host.exists("/etc/initrd-release")
        && host.identity("/") == host.identity("/proc/1/root")
}

/// Orders to systemd. With another root than `/` nothing is started: what would have been ordered is said.
#[derive(Debug)]
pub(crate) struct Systemd<'a> {
    host: &'a Host,
    /// What was ordered, or would have been.
    pub said: Vec<String>,
}

impl<'a> Systemd<'a> {
    /// The systemd of a host.
    pub(crate) fn of(host: &'a Host) -> Self {
        Systemd { host, said: Vec::new() }
    }

    /// Gives an order that does not wait for what it sets in motion.
    pub(crate) fn order(&mut self, arguments: &[&str]) -> Result<(), Error> {
        self.run("systemctl", arguments, PATIENCE).map(drop)
    }

    /// Runs a program, or says that it would.
    pub(crate) fn run(&mut self, program: &str, arguments: &[&str], deadline: Duration) -> Result<String, Error> {
        let command = format!("{program} {}", arguments.join(" "));
        if !self.host.is_real() {
            self.said.push(format!("would run {command}"));
            return Ok(String::new());
        }
        let output = self.host.run(program, arguments, deadline)?;
        self.said.push(format!("ran {command}"));
        Ok(output)
    }
}

impl Manager for Systemd<'_> {
    fn name(&self, unit: &str) -> String {
        if unit.ends_with(".service") { unit.to_owned() } else { format!("{unit}.service") }
    }

    fn reload(&mut self) -> Result<(), Error> {
        self.order(&["daemon-reload"])
    }

    /// Asked in one call.
    fn show(&self, unit: &str) -> Result<UnitState, Error> {
        let properties =
            "--property=LoadState,ActiveState,SubState,Job,NRestarts,Result,NeedDaemonReload,StateChangeTimestamp";
        let arguments = ["show", &self.name(unit), properties];
        Ok(UnitState::parse(&self.host.run("systemctl", &arguments, PATIENCE)?))
    }

    fn order(&mut self, verb: Verb, unit: &str) -> Result<(), Error> {
        let verb = match verb {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
        };
        Systemd::order(self, &[verb, "--no-block", &self.name(unit)])
    }

    fn enable(&mut self, unit: &str) -> Result<(), Error> {
        Systemd::order(self, &["enable", "--runtime", "--no-reload", &self.name(unit)])
    }

    fn run_after(&self, service: &str, name: &str, command: &[&str]) -> Result<(), Error> {
        let name = self.name(name);
        // A queued job has been given to a unit, so that one exists.
        if self.show(&name)?.is_busy() {
            return Ok(());
        }
        let (unit, after) = (format!("--unit={name}"), format!("--property=After={}", self.name(service)));
        let options = ["--quiet", "--no-block", "--collect", unit.as_str(), after.as_str(), "--"];
        let words: Vec<&str> = options.into_iter().chain(command.iter().copied()).collect();
        self.host.run("systemd-run", &words, PATIENCE).map(drop)
    }

    fn said(&mut self) -> &mut Vec<String> {
        &mut self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_show_is_read_by_name() {
        let output =
            "Job=\nNeedDaemonReload=yes\nActiveState=activating\nSubState=auto-restart\nLoadState=loaded\nOther=a=b\n";
        let unit = UnitState::parse(output);
        assert!(unit.is_busy() && unit.is_between_attempts() && unit.stale);
        assert!(!UnitState::parse("NeedDaemonReload=no\n").stale);
        assert_eq!(
            (unit.load, unit.active, unit.sub.as_str(), unit.job),
            (Load::Loaded, Active::Activating, "auto-restart", false)
        );
        assert!(UnitState::parse("ActiveState=inactive\nJob=512\n").is_busy());
        assert!(!UnitState::parse("ActiveState=failed\nJob=0\n").is_busy());
        assert!(!UnitState::parse("").is_busy());
    }
}
