//! `testdata/events/<case>/`: a cloud-config, the node as it was (`root/`, if anything matters), and beside them the whole of what
//! `agent.boot` answers and leaves on the node, and what `check` says.

use crate::support::{self, Node};
use std::fmt::Write as _;
use std::fs;

use provider_rke2::cloud_config;
use provider_rke2::cluster;
use provider_rke2::host::Host;
use provider_rke2::node;

#[test]
fn every_case_leaves_what_is_written_beside_it() {
    let mut cases = 0;
    for directory in support::cases("events") {
        cases += 1;
        let text = fs::read_to_string(directory.join("cloud-config.yaml")).unwrap();
        let node = Node::of(&directory.join("root"));

        let host = Host::new(node.root()).unwrap();
        let (section, mut findings) = cloud_config::of_file(&text);
        if let Some(section) = &section {
            let state = node::state(&host, &cluster::data_dir(section));
            cluster::understand(section, state, &mut findings);
        }
        findings.sort();
        let response = support::boot(node.root(), &text);

        let mut whole = String::new();
        writeln!(whole, "check:\n{}", findings.to_text("cloud-config.yaml", false)).unwrap();
        writeln!(whole, "answer:\n{}\n", serde_json::to_string_pretty(&response).unwrap()).unwrap();
        writeln!(whole, "node:\n{}", support::tree(node.root())).unwrap();
        support::assert_expected(&directory, &whole);
    }
    assert!(cases > 0);
}
