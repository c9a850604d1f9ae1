//! Where RKE2 holds its state on this node: in the directory that is asked for, or in another one that the node was configured with before.

use super::disk::FileSystem;
use super::record::Record;
use super::{State, state};
use crate::host::Host;
use crate::rke2::overrides::{Beside, Given, Needed};
use crate::rke2::version::Version;
use crate::rke2::{DATA_DIR, Unit};
use crate::text::paths::normalized;

/// A data directory, and what is in it; what else the node has that a joining one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The absolute path, normalised.
    pub data_dir: String,
    /// What RKE2 has left there; of a disk that is not mounted, what the record of the node says.
    pub state: State,
    /// Which RKE2 the image has, where that matters and is known.
    pub(crate) version: Option<Version>,
    /// Whether the image is known to lack the policy that SELinux needs for RKE2; only looked for where an option asks.
    pub(crate) lacks_policy: bool,
    /// What files of others give.
    given: Vec<Given>,
    /// Where the disk with the state has to be mounted, which it is not.
    pub unmounted: Option<String>,
}

impl Home {
    /// A node on which RKE2 has never been, with the directory that is asked for.
    pub fn fresh(data_dir: &str) -> Home {
        Home {
            data_dir: data_dir.to_owned(),
            state: State::default(),
            version: None,
            lacks_policy: false,
            unmounted: None,
            given: Vec::new(),
        }
    }

    /// Looks at the directory that is asked for, then at those that the node is configured with, and at the default one only if there are
    /// none of these, then at the one that the record of the node names. The first with state is it: a plan never moves it, because RKE2 would
    /// begin anew in the other one.
    pub fn of(host: &Host, wanted: &str) -> Home {
        let beside = Beside::read(host);
        let named = beside.data_dirs().filter(|path| path.starts_with('/'));
        let mut candidates: Vec<String> = named.map(normalized).collect();
        if candidates.is_empty() {
            candidates.push(DATA_DIR.to_owned());
        }
        // Each is looked at once.
        candidates.retain(|path| path != wanted);
        let homes = [wanted.to_owned()].into_iter().chain(candidates);
        let mut homes = homes.map(|data_dir| Home { state: state(host, &data_dir), ..Home::fresh(&data_dir) });
        let found = homes.find(|home| home.state.is_any()).or_else(|| Home::remembered(host));
        Home { given: Given::find(host, &beside), ..found.unwrap_or_else(|| Home::fresh(wanted)) }
    }

    /// The data directory that this node is known to have, if its state is there, or the disk that it lies on is not mounted.
    fn remembered(host: &Host) -> Option<Home> {
        let record = Record::read(host).ok()??;
        let home = Home { state: state(host, &record.data_dir), ..Home::fresh(&record.data_dir) };
        if home.state.is_any() {
            return Some(home);
        }
        let (before, now) = (record.file_system?, FileSystem::of(host, &record.data_dir)?);
        let state = State { server: record.unit == Unit::Server, agent: record.unit == Unit::Agent };
        let unmounted = Some(before.mount.clone()).filter(|_| now.lacks(&before))?;
        Some(Home { state, unmounted: Some(unmounted), ..home })
    }

    /// Where a joining node finds what it needs, if not in its cluster section. On a node with state everything that RKE2 reads counts.
    pub(crate) fn gives(&self, needed: Needed, unit: Unit) -> Option<&Given> {
        self.mentions(needed, unit).filter(|_| self.state.is_any()).or_else(|| {
            let mut given = self.given.iter().filter(|it| it.is(needed, unit));
            given.find(|it| it.is_for_all())
        })
    }

    /// The same, whether it counts or not.
    pub(crate) fn mentions(&self, needed: Needed, unit: Unit) -> Option<&Given> {
        self.given.iter().find(|it| it.is(needed, unit))
    }
}
