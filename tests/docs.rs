//! The documentation's examples: each YAML block is a cloud-config that has no findings.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use provider_rke2::cloud_config;
use provider_rke2::cluster::{self, State};

#[test]
fn every_yaml_block_is_clean() {
    for (name, least) in [("README.md", 1), ("docs/images.md", 1)] {
        let text = std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let blocks: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
        assert!(blocks.len() >= least, "{name}");
        for block in blocks {
            let (section, mut findings) = cloud_config::of_file(block);
            let cluster = cluster::understand(&section.unwrap(), State::default(), &mut findings);
            assert!(findings.list.is_empty(), "{block}\n{}", findings.to_text(name, false));
            assert!(cluster.is_some());
        }
    }
}
