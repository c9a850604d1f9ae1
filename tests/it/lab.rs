//! The node lab boots real nodes and needs root, so it is a command of its own, `tests/lab/run`. What can be seen without booting
//! anything is checked here.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab");

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_lab_is_left_out_here() {
    assert!(Path::new(LAB).join("run").is_file());
    // Past the test harness, which shows only what failing tests print.
    let line = "the node lab is left out: it boots nodes and needs root, run tests/lab/run (tests/lab/README.md)\n";
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn every_scenario_is_complete_and_in_the_table() {
    let readme = fs::read_to_string(Path::new(LAB).join("README.md")).unwrap();
    let rows = readme.split("| scenario |").nth(1).unwrap().lines().skip(2);
    let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split('|').next());
    let table: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(ToOwned::to_owned).collect();
    let scenarios = names(&Path::new(LAB).join("scenarios"));
    assert_eq!(table, scenarios);
    for name in &scenarios {
        let files = names(&Path::new(LAB).join("scenarios").join(name));
        assert!(files.contains("cloud-config.yaml") && files.contains("boot1.sh"), "{name}: {files:?}");
        let boots = files.iter().filter(|file| file.starts_with("boot") && file.ends_with(".sh")).count();
        assert!((1..=boots).all(|boot| files.contains(&format!("boot{boot}.sh"))), "{name}: {files:?}");
    }
}

#[test]
fn every_cluster_is_complete_and_in_the_table() {
    let readme = fs::read_to_string(Path::new(LAB).join("README.md")).unwrap();
    let rows = readme.split("| cluster |").nth(1).unwrap().lines().skip(2).map_while(|row| row.strip_prefix("| `"));
    let table: BTreeSet<String> = rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect();
    let clusters = Path::new(LAB).join("clusters");
    assert_eq!(table, names(&clusters));
    for name in &table {
        let directory = clusters.join(name);
        assert!(directory.join("steps.sh").is_file(), "{name}");
        let nodes: Vec<String> = names(&directory).into_iter().filter(|node| directory.join(node).is_dir()).collect();
        assert!(nodes.len() > 1, "{name}: {nodes:?}");
        for node in &nodes {
            assert!(directory.join(node).join("cloud-config.yaml").is_file(), "{name}/{node}");
        }
    }
}

#[test]
fn every_token_of_a_scenario_is_marked() {
    let mut tokens = 0;
    let scenarios = names(&Path::new(LAB).join("scenarios")).into_iter().map(|name| format!("scenarios/{name}"));
    let nodes = names(&Path::new(LAB).join("clusters")).into_iter().flat_map(|name| {
        let of = move |node| format!("clusters/{name}/{node}");
        names(&Path::new(LAB).join(of(String::new()))).into_iter().map(of)
    });
    for name in scenarios.chain(nodes.filter(|node| Path::new(LAB).join(node).is_dir())) {
        let directory = Path::new(LAB).join(&name);
        for file in names(&directory).iter().filter(|file| file.ends_with(".yaml")) {
            let text = fs::read_to_string(directory.join(file)).unwrap();
            for line in text.lines().filter(|line| line.contains("cluster_token:") && !line.contains("\"\"")) {
                tokens += 1;
                assert!(line.contains("SECRET-"), "{name}/{file}: {line}");
            }
        }
    }
    assert!(tokens > 30, "{tokens}");
}
