//! Whatever stands in a file that the program reads on the node, each phase comes to an end, and RKE2 is given what was asked for or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use support::DOCUMENT;

const CLOUD_CONFIG: &str = "#cloud-config\ncluster:\n  role: controlplane\n  cluster_token: 0123456789abcdef0\n  \
                            control_plane_host: vip.test\n  env: {HTTP_PROXY: 'http://proxy.test'}\n";

/// What the program reads of earlier boots, and of other authors.
const FILES: [&str; 12] = [
    "usr/local/lib/provider-rke2/node.json", "run/provider-rke2/status.yaml", "run/provider-rke2/plan.yaml",
    "run/provider-rke2/plan-id", "run/provider-rke2/refused", "run/provider-rke2/applied/plan.yaml",
    "etc/default/rke2-server", "etc/rancher/rke2/config.yaml", "etc/rancher/rke2/config.yaml.d/10.yaml",
    "etc/os-release", "proc/self/mountinfo", DOCUMENT,
];

fuzz_target!(|input: &[u8]| {
    let Some((number, bytes)) = input.split_first() else { return };
    let (number, has_state) = (usize::from(*number), *number >= 128);
    let file = FILES[number % FILES.len()];
    let node = support::node();
    let root = node.path();
    if has_state {
        support::put(root, "var/lib/rancher/rke2/server/db/etcd/member/snap/db", b"");
    }
    support::put(root, file, bytes);
    let answer = support::boot(root, CLOUD_CONFIG);
    assert!(answer.error.len() <= 1024, "{}", answer.error);
    // And again where the plan phase has replaced it.
    support::put(root, file, bytes);
    let failed = support::apply(root);
    assert!(failed.iter().all(|it| support::is_sentence(it)), "{failed:?}");
    if root.join("run/provider-rke2/ready-rke2-server").exists() {
        let config = support::read(root, "etc/rancher/rke2/config.yaml");
        let config: serde_json::Value =
            serde_json::from_str(&config).expect("a configuration that RKE2 may start with");
        assert_eq!(config["server"], "https://vip.test:9345");
        assert_eq!(config["token"], "0123456789abcdef0");
    }
});
