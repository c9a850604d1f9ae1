//! Where RKE2 holds its state on this node: in the directory that is asked for, or in another one that the node was configured with before.

use super::disk::FileSystem;
use super::record::Record;
use super::{State, state};
use crate::host::Host;
use crate::rke2::drop_in;
use crate::rke2::merge::CONFIG;
use crate::rke2::overrides::{self, Given, Needed, assignments};
use crate::rke2::version::Version;
use crate::rke2::{DATA_DIR, Unit};
use crate::text::paths::normalized;
use crate::text::yaml::{self, OPTIONS};

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
        let mut candidates = vec![wanted.to_owned()];
        candidates.extend(configured(host));
        if candidates.len() == 1 {
            candidates.push(DATA_DIR.to_owned());
        }
        let homes =
            candidates.into_iter().map(|data_dir| Home { state: state(host, &data_dir), ..Home::fresh(&data_dir) });
        let found = homes.into_iter().find(|home| home.state.is_any()).or_else(|| Home::remembered(host));
        Home { given: Given::find(host), ..found.unwrap_or_else(|| Home::fresh(wanted)) }
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

/// The data directories that files on the node name, in the order in which RKE2 was configured with them: config.yaml, config.d, RKE2's own
/// drop-ins, the environment files of its units.
fn configured(host: &Host) -> Vec<String> {
    let text = |path: &str| {
        let bytes = host.read(path, OPTIONS.bytes as u64).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let of_options = |path: &String| drop_in::data_dir(&yaml::read(&text(path), OPTIONS).ok()?.root);
    let of_variables = |path: &String| {
        let found = assignments(&text(path)).into_iter().rev().find(|(_, (name, _))| name == "RKE2_DATA_DIR");
        found.map(|(_, (_, value))| value)
    };
    let options: Vec<String> =
        [CONFIG.to_owned()].into_iter().chain(overrides::of_all(host)).chain(overrides::drop_ins(host)).collect();
    let files = Unit::ALL.into_iter().flat_map(|unit| {
        let ours = format!("/etc/default/{unit}");
        [ours].into_iter().chain(overrides::environment_files(host, unit))
    });
    let variables: Vec<String> = files.collect();
    let found = options.iter().filter_map(of_options).chain(variables.iter().filter_map(of_variables));
    found.filter(|path| path.starts_with('/')).map(|path| normalized(&path)).collect()
}
