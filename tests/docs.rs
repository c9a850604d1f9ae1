//! The documentation's examples: each YAML block is a cloud-config that has no findings.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use provider_rke2::cloud_config;
use provider_rke2::cluster::{self, State};

#[test]
fn every_yaml_block_of_the_readme_is_clean() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let (section, mut findings) = cloud_config::of_file(block);
        let cluster = cluster::understand(&section.unwrap(), State::default(), &mut findings);
        assert!(findings.list.is_empty(), "{block}\n{}", findings.to_text("README.md", false));
        assert!(cluster.is_some());
    }
}
