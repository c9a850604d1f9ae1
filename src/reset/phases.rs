//! What a reset does, in order: each phase looks at the node and says its actions. That list is what `--dry-run` prints.

use super::action::{Action, Phase, Request};
use super::targets::{Targets, cleared};
use super::{files, groups, mounts, network, units};
use crate::host::Host;
use crate::host::process::Search;
use crate::plan::staged::PLAN_PATH;
use crate::rke2::Unit;
use crate::service::gate;

/// The actions of one phase, and sentences about what could not be looked at.
pub(super) fn phase(host: &Host, targets: &Targets, request: &Request, phase: Phase) -> (Vec<Action>, Vec<String>) {
    let all = |actions| (actions, Vec::new());
    match phase {
        Phase::Gate => {
            let links = gate::links(host).into_iter().map(|path| Action::Delete { path, mounted: false });
            let shut = may_start(host, targets).then_some(Action::ShutGate);
            all(shut.into_iter().chain(links).collect())
        }
        Phase::Units => units(host, targets),
        Phase::Processes => all(processes(host, targets)),
        Phase::Mounts => match host.mounts() {
            Ok(all) => {
                let notes = if request.keep_state { Vec::new() } else { mounts::storages(host, targets, &all) };
                (mounts::unmounts(host, targets, &all), notes)
            }
            Err(error) => (Vec::new(), vec![error.to_string()]),
        },
        Phase::Network if host.is_real() => network::actions(host),
        Phase::Network => all(Vec::new()),
        Phase::Groups if targets.data_dirs.is_empty() && cleared(host).is_empty() => all(Vec::new()),
        Phase::Groups => all(groups::actions(host)),
        Phase::State => {
            let actions = files::actions(host, targets, request);
            let notes = files::notes(host, targets, &actions);
            (actions, notes)
        }
        Phase::Document => {
            let documents = targets.documents.iter();
            all(documents.map(|path| Action::Delete { path: path.clone(), mounted: false }).collect())
        }
    }
}

/// The whole of it; nothing if nothing is there.
pub(super) fn whole(host: &Host, targets: &Targets, request: &Request) -> (Vec<Action>, Vec<String>) {
    let (mut actions, mut notes) = (Vec::new(), Vec::new());
    // The kubelet, the CNI and the rules of another Kubernetes look like those of RKE2.
    let has_trace =
        targets.is_asked || may_start(host, targets) || !targets.unmarked.is_empty() || !cleared(host).is_empty();
    if !has_trace {
        return (actions, notes);
    }
    for it in Phase::ALL.into_iter().filter(|it| it.is_for(request)) {
        let (of_phase, said) = phase(host, targets, request, it);
        actions.extend(of_phase);
        notes.extend(said);
    }
    // A gate that is shut already, and units of which nobody knows whether they run, are nothing to do.
    let is_something = |action: &Action| match action {
        Action::ShutGate => gate::is_ready(host),
        Action::Stop { .. } => host.is_real(),
        _ => true,
    };
    if !actions.iter().any(is_something) {
        actions.clear();
    }
    (actions, notes)
}

/// Whether anything here may start RKE2, or has started it.
pub(super) fn may_start(host: &Host, targets: &Targets) -> bool {
    is_configured(host, targets) || !units(host, targets).0.is_empty()
}

fn is_configured(host: &Host, targets: &Targets) -> bool {
    [PLAN_PATH, "/etc/rancher/rke2"].iter().any(|path| host.is_there(path))
        || gate::is_ready(host)
        || !targets.documents.is_empty()
        || !targets.data_dirs.is_empty()
        || !gate::links(host).is_empty()
}

/// On another root nobody knows whether the units run: they are named where something may start them.
fn units(host: &Host, targets: &Targets) -> (Vec<Action>, Vec<String>) {
    if !host.is_real() && !is_configured(host, targets) {
        return (Vec::new(), Vec::new());
    }
    let (busy, notes) = units::busy(host);
    (busy.into_iter().map(|unit| Action::Stop { unit }).collect(), notes)
}

fn processes(host: &Host, targets: &Targets) -> Vec<Action> {
    // What runs from a directory that an earlier reset has cleared was started meanwhile, or was missed.
    let below: Vec<String> = targets.roots().into_iter().chain(cleared(host)).collect();
    let mut search = Search { below: mounts::with_real_paths(host, &below), ..Search::default() };
    let all = host.mounts().unwrap_or_default();
    for data_dir in &targets.data_dirs {
        let releases = host.list(&format!("{data_dir}/data")).unwrap_or_default().into_iter();
        let programs = releases.map(|release| format!("{data_dir}/data/{release}"));
        // A symlink may lead to programs of the system.
        let is_whole = |release: &String| !host.is_symlink(release) && !host.is_symlink(&format!("{release}/bin"));
        for directory in programs.filter(is_whole).map(|release| format!("{release}/bin")) {
            let directory = host.real_path(&directory).unwrap_or(directory);
            let names = host.list(&directory).unwrap_or_default().into_iter();
            let files = names.map(|name| format!("{directory}/{name}"));
            // So may a mount.
            let files = files.filter(|path| !mounts::is_from_elsewhere(&all, path, &search.below));
            search.files.extend(files.filter_map(|path| host.file_identity(&path)));
        }
    }
    search.roots = mounts::roots(&all, &search.below).filter_map(|mount| host.identity(&mount.point)).collect();
    // As systemd has them, and as OpenRC does.
    search.groups =
        Unit::ALL.iter().flat_map(|unit| [format!("/system.slice/{unit}.service"), format!("/{unit}")]).collect();
    if !targets.data_dirs.is_empty() {
        search.groups.extend(["/kubepods.slice".to_owned(), "/kubepods".to_owned()]);
    }
    host.processes(&search).into_iter().map(Action::End).collect()
}
