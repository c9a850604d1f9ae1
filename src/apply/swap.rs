//! `apply swap`: no swap, now and for the rest of this boot.

use std::time::Duration;

use super::step::{Apply, Step, Taken};
use crate::cluster::settings::Swap;
use crate::findings::Reason;
use crate::host::{Error, Host};
use crate::plan::staged;
use crate::report::outcome::Outcome;
use crate::service::kind::Kind;
use crate::service::systemd::{self, Systemd};

/// The step.
pub(crate) const STEP: Step =
    Step { name: "swap", what: "Switches swap off for this boot", stages: &["10-swap.yaml"], run, leaves: &[] };

const FSTAB: &str = "/etc/fstab";

/// Swap that is in use has to find room in memory first.
const SWAPOFF: Duration = Duration::from_secs(60);

/// Swap is switched off whatever became of the plan, unless there is one that keeps it.
fn run(apply: &Apply) -> Taken {
    apply.refused(STEP.name);
    Taken::Done(
        None,
        match staged::applied(apply.host) {
            Ok(plan) if plan.settings.swap == Swap::Keep => Outcome::done("swap is kept"),
            _ => switch_off(apply.host),
        },
    )
}

/// Comments swap out of fstab, stops and masks what would bring it back, and switches it off. What fails does not keep the next from being
/// done.
pub(crate) fn switch_off(host: &Host) -> Outcome {
    let mut outcome = Outcome::default();
    match comment_out(host) {
        Ok(0) => {}
        Ok(count) => outcome.done.push(format!("{FSTAB}: {count} swap entries commented out")),
        Err(reason) => outcome.failed.push(reason),
    }
    let mut systemd = Systemd::of(host);
    if (systemd::runs_here(host) || !host.is_real())
        && Kind::of(host) == Kind::Systemd
        && let Err(error) = mask(&mut systemd)
    {
        outcome.failed.push(error.into());
    }
    if in_use(host)
        && let Err(error) = systemd.run("swapoff", &["-a"], SWAPOFF)
    {
        outcome.failed.push(error.into());
    }
    outcome.done.extend(systemd.said);
    outcome
}

/// Comments out each entry of type swap; gives how many there were. Without an fstab there are none.
fn comment_out(host: &Host) -> Result<usize, Reason> {
    let bytes = match host.read(FSTAB, 1 << 20) {
        Ok(bytes) => bytes,
        Err(error) if error.is_absent() => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(format!("{FSTAB}: is not UTF-8, so swap entries are left in; correct it").into());
    };
    let (changed, count) = without_swap(&text);
    if count > 0 {
        let mode = host.mode(FSTAB).unwrap_or(0o644);
        host.install(FSTAB, changed.as_bytes(), mode)?;
    }
    Ok(count)
}

fn without_swap(fstab: &str) -> (String, usize) {
    let mut count = 0;
    let lines = fstab.split_inclusive('\n').map(|line| {
        let is_swap = !line.trim_start().starts_with('#') && line.split_whitespace().nth(2) == Some("swap");
        count += usize::from(is_swap);
        if is_swap { format!("#{line}") } else { line.to_owned() }
    });
    (lines.collect(), count)
}

/// Stops swap units and the services that make compressed swap, and masks them for this boot. Only where there are some, systemd has to read
/// that, because a device that comes late would start them again: a reload costs a quarter of a second.
fn mask(systemd: &mut Systemd) -> Result<(), Error> {
    let listed = systemd.run(
        "systemctl",
        &["list-units", "--all", "--plain", "--no-legend", "--full", "--type=swap,service"],
        Duration::from_secs(10),
    )?;
    systemd.said.clear();
    let units: Vec<&str> = std::iter::once("swap.target").chain(swap_units(&listed)).collect();
    let has_swap = units.len() > 1;
    let order = |verb: &[&'static str]| verb.iter().copied().chain(units.iter().copied()).collect::<Vec<&str>>();
    systemd.order(&order(&["mask", "--runtime", "--no-reload", "--quiet"]))?;
    if has_swap {
        systemd.order(&["daemon-reload"])?;
    }
    systemd.run("systemctl", &order(&["stop"]), SWAPOFF).map(drop)
}

/// Swap units, and what sets up swap in compressed memory (zram-generator, zram-tools).
fn swap_units(listed: &str) -> impl Iterator<Item = &str> {
    let units = listed.lines().filter_map(|line| line.split_whitespace().next());
    units.filter(|unit| {
        unit.ends_with(".swap") || unit.starts_with("systemd-zram-setup@") || *unit == "zramswap.service"
    })
}

/// Whether the kernel has any swap (proc(5), swaps): the first line is a heading.
fn in_use(host: &Host) -> bool {
    host.read("/proc/swaps", 1 << 20).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).lines().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_entries_are_commented_out_once() {
        let fstab = "# swap swap swap\n/dev/sda1 / ext4 defaults 0 1\nUUID=1\tnone\tswap\tsw\t0 0\n  /swap.img   none swap sw 0 0\n\
                     #/dev/sdb none swap sw 0 0\n/data/swap /swap ext4 defaults 0 0\nLABEL=swap none swap";
        let (once, count) = without_swap(fstab);
        assert_eq!(
            once,
            "# swap swap swap\n/dev/sda1 / ext4 defaults 0 1\n#UUID=1\tnone\tswap\tsw\t0 0\n#  /swap.img   none swap sw 0 0\n\
             #/dev/sdb none swap sw 0 0\n/data/swap /swap ext4 defaults 0 0\n#LABEL=swap none swap"
        );
        assert_eq!(count, 3);
        assert_eq!(without_swap(&once), (once, 0));
    }

    #[test]
    fn swap_units_are_told_from_others() {
        let listed = "dev-sda2.swap loaded active active /dev/sda2\nswap.img.service loaded active running x\n\
                      systemd-zram-setup@zram0.service loaded active exited Create swap on /dev/zram0\ncron.service loaded active running x\n";
        assert_eq!(swap_units(listed).collect::<Vec<_>>(), ["dev-sda2.swap", "systemd-zram-setup@zram0.service"]);
    }
}
