//! What RKE2 takes where nothing is given.

/// The range of pods (k3s `pkg/cli/server/server.go`).
pub(crate) const CLUSTER_V4: &str = "10.42.0.0/16";
/// The range of Services.
pub(crate) const SERVICE_V4: &str = "10.43.0.0/16";
/// The range of pods on a node whose first address is IPv6.
pub(crate) const CLUSTER_V6: &str = "fd00:42::/56";
/// The range of Services on such a node.
pub(crate) const SERVICE_V6: &str = "fd00:43::/112";

/// The suffix of names in the cluster.
pub(crate) const DOMAIN: &str = "cluster.local";

/// The CNI (rke2 `pkg/cli/cmds/server.go`).
pub(crate) const CNI: &str = "canal";

/// What a text option is without a value, of those that all servers must have alike; empty where that is nothing.
pub(crate) fn of_text(option: &str) -> &'static str {
    match option {
        "egress-selector-mode" => "agent",
        "secrets-encryption-provider" => "aescbc",
        _ => "",
    }
}
