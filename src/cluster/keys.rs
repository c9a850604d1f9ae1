//! The keys of the cluster section, for those who ask: what each takes and what it means.

/// A key of the cluster section.
#[derive(Debug)]
pub struct Row {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub accepted: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// Every key, in the order in which people write them.
pub const ROWS: [Row; 10] = [
    Row {
        name: "role",
        accepted: "init, controlplane or worker",
        default: "",
        meaning: "What the node is in the cluster: the first server, which founds it, a server that joins, or an agent",
    },
    Row {
        name: "cluster_token",
        accepted: "text",
        default: "on the first server RKE2 makes one",
        meaning: "The secret that all nodes of the cluster share; a node needs it to join",
    },
    Row {
        name: "control_plane_host",
        accepted: "a host name, an IPv4 or an IPv6 address",
        default: "none, which only the first server may have",
        meaning: "Where nodes join; the port is always 9345",
    },
    Row {
        name: "config",
        accepted: "text with YAML, or a mapping",
        default: "none",
        meaning: "RKE2's options by name",
    },
    Row {
        name: "providerConfig",
        accepted: "a mapping of names to text",
        default: "none",
        meaning: "Settings of the provider, and options of RKE2 that no other file overrides",
    },
    Row {
        name: "env",
        accepted: "a mapping of names to text",
        default: "none",
        meaning: "Environment variables of RKE2's service; with a proxy among them, NO_PROXY is completed",
    },
    Row {
        name: "ca_certs",
        accepted: "a list of PEM texts or absolute paths",
        default: "none",
        meaning: "Certificates that the node trusts",
    },
    Row {
        name: "import_local_images",
        accepted: "true or false",
        default: "false",
        meaning: "Whether image archives are imported into RKE2",
    },
    Row {
        name: "local_images_path",
        accepted: "an absolute path without `..`",
        default: "/opt/content/images",
        meaning: "Where image archives are imported from",
    },
    Row {
        name: "cluster_config_path",
        accepted: "an absolute path that ends in .yaml or .yml",
        default: "/usr/local/cloud-config/cluster.kairos.yaml",
        meaning: "Where the document with the boot stages is written",
    },
];
