//! `cluster.cluster_config_path`: where the document goes.

use super::reader::{OtherType, Reader};
use crate::findings::Instead;
use crate::findings::code::Code;
use crate::text::escape::quoted;
use crate::text::paths::{is_absolute, is_below, normalized};

/// Where the document goes if nothing else is said (kairos `sdk/clusterplugin/plugin.go`).
pub(crate) const DEFAULT: &str = "/usr/local/cloud-config/cluster.kairos.yaml";

/// Where Kairos looks for boot stages (kairos-agent `pkg/constants`, `GetCloudInitPaths`), ours first.
pub(crate) const SCANNED: [&str; 3] = ["/usr/local/cloud-config", "/oem", "/system/oem"];

/// Reads the key.
pub(crate) fn read(reader: &mut Reader) -> String {
    let accepted = "an absolute path that ends in .yaml or .yml";
    let given = reader.filled("cluster_config_path", accepted, OtherType::IsLeftOut);
    let Some(given) = given else { return DEFAULT.into() };
    let text = given.scalar.text.as_str();
    let name = text.rsplit('/').next().unwrap_or_default();
    let is_yaml = [".yaml", ".yml"].iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix));
    if !is_yaml || !is_absolute(text) {
        // A document that Kairos does not run would leave a node with state without its boot stages.
        let rest = format!("{} is not {accepted}, without `..`; write one, or remove the key", quoted(text));
        reader.findings.refuse_fresh(Code::PathInvalid, given.at, &rest, Instead::LeftOut);
        return DEFAULT.into();
    }
    let document = normalized(text);
    if !SCANNED.iter().any(|directory| is_below(&document, directory)) {
        let [first, ..] = SCANNED;
        let rest =
            format!("{} is where Kairos does not look for boot stages; write a path below {first}/", quoted(&document));
        reader.findings.warn(Code::DocumentPathUnscanned, given.at, &rest);
    }
    document
}
