//! What every service manager can be asked and told.

use super::unit::UnitState;
use crate::host::Error;

/// What a service is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To start.
    Start,
    /// To stop.
    Stop,
    /// To stop, if it runs, and start.
    Restart,
}

/// A service manager. Every question and order has a deadline, and no order waits for what it sets in motion. With another root than `/`
/// nothing is started: what would have been ordered is said.
pub trait Manager {
    /// What a person calls a service.
    fn name(&self, unit: &str) -> String;
    /// Has it read what is new on the disk.
    fn reload(&mut self) -> Result<(), Error>;
    /// The state of a service.
    fn show(&self, unit: &str) -> Result<UnitState, Error>;
    /// Gives an order.
    fn order(&mut self, verb: Verb, unit: &str) -> Result<(), Error>;
    /// Makes a service a part of this boot, and of no other.
    fn enable(&mut self, unit: &str) -> Result<(), Error>;
    /// Has a command run once, as a service of its own by this name, when a service that is being started has come to an end. One that waits
    /// for that already is enough.
    fn run_after(&self, service: &str, name: &str, command: &[&str]) -> Result<(), Error>;
    /// What was ordered, or would have been.
    fn said(&mut self) -> &mut Vec<String>;
}
