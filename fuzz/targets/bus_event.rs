//! Whatever bytes come on the bus get one answer of one line; only `agent.boot` writes on the node.
#![no_main]

use libfuzzer_sys::fuzz_target;

const EVENTS: [&str; 5] =
    ["agent.boot", "agent.install", "cluster.reset", "init.provider.info", "init.provider.install"];

fuzz_target!(|input: &[u8]| {
    let Some((event, stdin)) = input.split_first() else { return };
    let name = EVENTS[usize::from(*event) % EVENTS.len()];
    let node = support::node();
    let response = support::answer(node.path(), name, stdin);
    let line = serde_json::to_string(&response).expect("JSON");
    assert!(!line.contains('\n') && response.error.len() <= 1024, "{line}");
    if name == "agent.install" || name == "init.provider.info" {
        let written = std::fs::read_dir(node.path()).expect("a directory").count();
        assert_eq!(written, 0, "{name} has written something");
    }
});
