//! The documentation's examples: each cloud-config in a YAML block has no findings.

use std::fs;
use std::path::{Path, PathBuf};

use provider_rke2::cluster::settings::ROWS;
use provider_rke2::cluster::{self, cloud_config};
use provider_rke2::findings::render::Paint;
use provider_rke2::identity::home::Home;
use provider_rke2::rke2::DATA_DIR;

/// The README and every page.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = pages.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.sort();
    pages.insert(0, root.join("README.md"));
    pages
}

/// Fenced blocks of YAML that are cloud-configs, or a part of one that names a cluster.
fn cloud_configs(page: &str) -> Vec<&str> {
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0);
    let names_cluster = |block: &str| block.lines().any(|line| line.starts_with("cluster:"));
    blocks.filter(|block| block.starts_with("#cloud-config") || names_cluster(block)).collect()
}

#[test]
fn every_cloud_config_of_the_documentation_is_clean() {
    for path in pages() {
        let (name, page) = (path.file_name().unwrap().to_str().unwrap(), fs::read_to_string(&path).unwrap());
        for block in cloud_configs(&page) {
            let (section, mut findings) = cloud_config::of_file(block);
            let cluster = cluster::understand(&section.unwrap(), &Home::fresh(DATA_DIR), &mut findings);
            assert!(findings.list.is_empty(), "{name}:\n{block}\n{}", findings.to_text(name, Paint::Plain));
            assert!(cluster.is_some());
        }
    }
    assert!(pages().len() > 1 && pages().iter().any(|path| path.ends_with("docs/hardening.md")));
    let count = |page: &str| {
        cloud_configs(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()).len()
    };
    assert!(count("README.md") >= 2 && count("docs/hardening.md") >= 5);
}

#[test]
fn the_readme_has_every_setting_as_the_table_has_it() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for row in ROWS {
        let default = Some((row.default)()).filter(|it| !it.is_empty()).unwrap_or_else(|| "none".into());
        let line = format!("| `{}` | {} | {} | {default} |", row.name, row.meaning, row.accepted);
        assert!(readme.lines().any(|it| it == line), "README.md must have this line:\n{line}");
    }
}
