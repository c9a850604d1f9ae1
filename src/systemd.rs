//! What is asked of systemd, each time through `systemctl` with a deadline.

use std::collections::HashMap;
use std::time::Duration;

use crate::host::{Error, Host};

/// How long a question or an order that only queues something may take.
const QUICK: Duration = Duration::from_secs(10);

/// The state of a unit (systemctl(1), `show`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active: String,
    /// `running`, `start`, `auto-restart`, …
    pub sub: String,
    /// Whether a job of it is queued or running.
    pub job: bool,
}

impl Unit {
    /// Reads the output of `systemctl show`: a `KEY=VALUE` in each line.
    pub fn parse(output: &str) -> Unit {
        let properties: HashMap<&str, &str> = output.lines().filter_map(|line| line.split_once('=')).collect();
        let get = |key| properties.get(key).copied().unwrap_or_default().to_owned();
        Unit {
            load: get("LoadState"),
            active: get("ActiveState"),
            sub: get("SubState"),
            job: !matches!(get("Job").as_str(), "" | "0"),
        }
    }

    /// Whether it runs or is about to.
    pub fn is_busy(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading" | "deactivating" | "refreshing")
            || self.job
    }
}

/// Orders to systemd. With another root than `/` nothing is started: what would have been ordered is said.
#[derive(Debug)]
pub struct Systemd<'a> {
    host: &'a Host,
    /// What was ordered, or would have been.
    pub said: Vec<String>,
}

impl<'a> Systemd<'a> {
    /// The systemd of a host.
    pub fn of(host: &'a Host) -> Self {
        Systemd { host, said: Vec::new() }
    }

    /// The state of a unit, in one call.
    pub fn show(&self, unit: &str) -> Result<Unit, Error> {
        let properties = ["-p", "LoadState", "-p", "ActiveState", "-p", "SubState", "-p", "Job"];
        let name = format!("{unit}.service");
        let arguments: Vec<&str> = ["show", name.as_str()].into_iter().chain(properties).collect();
        Ok(Unit::parse(&self.host.run("systemctl", &arguments, QUICK)?))
    }

    /// Gives an order that does not wait for what it sets in motion.
    pub fn order(&mut self, arguments: &[&str]) -> Result<(), Error> {
        self.run("systemctl", arguments, QUICK).map(drop)
    }

    /// Runs a program, or says that it would.
    pub fn run(&mut self, program: &str, arguments: &[&str], deadline: Duration) -> Result<String, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_show_is_read_by_name() {
        let output = "Job=\nActiveState=activating\nSubState=auto-restart\nLoadState=loaded\nOther=a=b\n";
        let unit = Unit::parse(output);
        assert_eq!(
            (unit.load.as_str(), unit.active.as_str(), unit.sub.as_str(), unit.job),
            ("loaded", "activating", "auto-restart", false)
        );
        assert!(unit.is_busy());
        assert!(Unit::parse("ActiveState=inactive\nJob=512\n").is_busy());
        assert!(!Unit::parse("ActiveState=failed\nJob=0\n").is_busy());
        assert!(!Unit::parse("").is_busy());
    }
}
