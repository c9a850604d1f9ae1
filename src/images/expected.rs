//! Which archives of an RKE2 release a node without a registry needs (rke2 `scripts/package-images`), by their names.

/// The architecture as RKE2's releases name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What seems to be missing: a sentence for the core images, and for each CNI or ingress controller that was chosen and is not in them.
///
/// `names` are those of all archives; `version` is RKE2's, if it is known. Archives of other names may hold the images all the same, so
/// this is never more than a warning. `rke2-images` holds the core and canal; Kairos' own images keep the core in `images.tar.zst`.
pub(crate) fn missing(names: &[&str], cnis: &[String], version: Option<&str>) -> Vec<String> {
    let has = |start: &str| names.iter().any(|name| name.starts_with(start));
    let all = has("rke2-images.") || has("rke2-images-all");
    let sentence = |what: &str, set: &str| {
        let file = format!("{set}.linux-{}.tar.zst", architecture());
        let of = version.map(|version| format!(" of RKE2 {version}")).unwrap_or_default();
        format!(
            "{file}{of} is expected for {what} and not there; without a registry RKE2 needs its images, in whatever archive"
        )
    };
    let mut sentences = Vec::new();
    if !all && !has("rke2-images-core") && !has("images.tar") {
        sentences.push(sentence("the core images", "rke2-images-core"));
    }
    for cni in cnis.iter().filter(|cni| *cni != "none" && !cni.is_empty()) {
        let is_there = has(&format!("rke2-images-{cni}")) || (all && cni == "canal");
        if !is_there {
            let what = if matches!(cni.as_str(), "traefik" | "ingress-nginx") { "ingress controller" } else { "CNI" };
            sentences.push(sentence(&format!("the {what} {cni}"), &format!("rke2-images-{cni}")));
        }
    }
    sentences
}
