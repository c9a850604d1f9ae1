//! The root of a Kairos image that cloud-configs are for: what an image builder wants to know before it is shipped.
//!
//! The user of etcd and the kernel settings of a profile are no matter of the image: `apply host` makes them at boot.

use crate::cluster::Cluster;
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::findings::path::At;
use crate::host::Host;
use crate::images::{archive, expected};
use crate::rke2::version::Version;
use crate::rke2::{Unit, installed};
use crate::service::kind::Kind;

/// Where the agent looks for programs of providers (kairos-agent `internal/bus/bus.go`), and what the name of ours begins with.
const PROVIDERS: [&str; 2] = ["/system/providers", "/usr/local/system/providers"];
const PROVIDER: &str = "agent-provider-rke2";

/// Where systemd looks for units that an image brings (systemd.unit(5)).
const UNITS: [&str; 4] =
    ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// What SELinux does to the processes of the image (`selinux_config(5)`).
const SELINUX: &str = "/etc/selinux/config";

/// The CNIs that RKE2 brings and does not build for FIPS 140 (RKE2's page FIPS).
const NOT_FIPS: [&str; 3] = ["calico", "cilium", "flannel"];

/// From this minor version on traefik is the ingress controller whose images are in the core archive, and ingress-nginx has an archive of
/// its own; before it was the other way round (rke2 `scripts/build-images`).
const TRAEFIK: (u32, u32) = (1, 36);

/// Judges an image for a node that it is to become. `version` is that of its RKE2, if it is known.
pub(super) fn judge(image: &Host, cluster: &Cluster, version: Option<&Version>, findings: &mut Findings) {
    let mut error = |code, sentence: &str| findings.error(code, At::line(1), sentence);
    if installed::binary(image).is_none() {
        let sentence =
            "the image has no RKE2 in /usr/bin, /usr/local/bin or /opt/rke2/bin, so nothing can be started; install it";
        error(Code::ImageWithoutRke2, sentence);
    }
    let unit = cluster.role.unit();
    let has_unit = UNITS.iter().any(|directory| image.exists(&format!("{directory}/{unit}.service")));
    // For OpenRC this program brings the service.
    if Kind::of(image) == Kind::Systemd && !has_unit {
        let sentence =
            format!("the image has no unit {unit}.service, so nothing can be started; install RKE2 with its units");
        error(Code::UnitMissing, &sentence);
    }
    let names = PROVIDERS.iter().flat_map(|directory| image.list(directory).unwrap_or_default());
    if !names.into_iter().any(|name| name.starts_with(PROVIDER)) {
        let sentence =
            format!("the image has no {}/{PROVIDER}, so nobody reads the cluster section; copy it there", PROVIDERS[0]);
        error(Code::ImageWithoutProvider, &sentence);
    }
    selinux(image, cluster, findings);
    if installed::is_fips_image(image) {
        fips(image, cluster, findings);
    }
    let archives = archives(image, cluster);
    let names: Vec<&str> = archives.iter().map(String::as_str).collect();
    // Content may come with the installation, and a registry may have the images: only what is there in part is judged.
    if !names.is_empty() {
        let release = version.map(ToString::to_string);
        for sentence in expected::missing(&names, &sets(cluster, version), release.as_deref()) {
            findings.warn(Code::ImageArchiveMissing, At::line(1), &sentence);
        }
    }
}

/// An image that enforces SELinux needs RKE2's policy, and an RKE2 that knows of it. What `selinux` asks for is judged with the options.
fn selinux(image: &Host, cluster: &Cluster, findings: &mut Findings) {
    if installed::variable(image, SELINUX, "SELINUX").as_deref() != Some("enforcing") {
        return;
    }
    if installed::lacks_policy(image) {
        let sentence = format!(
            "{SELINUX} of the image enforces SELinux, and the policy rke2-selinux is missing, so containers may not start; install it"
        );
        findings.warn(Code::SelinuxPolicy, At::line(1), &sentence);
    } else if !cluster.is_on("selinux") {
        let sentence = format!(
            "{SELINUX} of the image enforces SELinux, but selinux is not on, so containerd labels no container; write `selinux: true` under config"
        );
        findings.note(Code::SelinuxPolicy, At::line(1), &sentence);
    }
}

/// What an image for FIPS 140 promises, and its RKE2 or its options do not keep (RKE2's pages FIPS and Secrets Encryption).
fn fips(image: &Host, cluster: &Cluster, findings: &mut Findings) {
    let mut warn = |sentence: &str| findings.warn(Code::ImageFips, At::line(1), sentence);
    if installed::is_fips(image) == Some(false) {
        warn("the image is for FIPS 140, but its RKE2 is built without a validated module; install a release of RKE2");
    }
    if cluster.role.unit() == Unit::Agent {
        return;
    }
    let cnis = given(cluster, "cni").unwrap_or_default();
    if let Some(cni) = NOT_FIPS.into_iter().find(|name| cnis.iter().any(|it| it == name)) {
        warn(&format!(
            "the image is for FIPS 140, but the CNI {cni} is not built for it; write `cni: canal` under config"
        ));
    }
    if given(cluster, "secrets-encryption-provider").is_some_and(|it| it == ["secretbox"]) {
        warn(
            "the image is for FIPS 140, but secretbox is no cipher of it; write `secrets-encryption-provider: aescbc` under config",
        );
    }
}

/// The names of the archives that the image has for RKE2, and for `apply images` where it is asked for.
fn archives(image: &Host, cluster: &Cluster) -> Vec<String> {
    let own = format!("{}/agent/images", cluster.data_dir);
    let content = cluster.images.iter().flat_map(|path| [path.clone(), format!("{}{path}", cluster.root_path)]);
    let mut names: Vec<String> =
        content.chain([own]).flat_map(|directory| image.list(&directory).unwrap_or_default()).collect();
    names.retain(|name| archive::Kind::of(name).is_some());
    names
}

/// The sets of images that a server needs besides the core: its CNIs, and an ingress controller that is not in the core. An agent's are
/// those of its servers.
fn sets(cluster: &Cluster, version: Option<&Version>) -> Vec<String> {
    if cluster.role.unit() == Unit::Agent {
        return Vec::new();
    }
    let beside = if version.is_none_or(|it| it.minor() >= TRAEFIK) { "ingress-nginx" } else { "traefik" };
    let mut sets = given(cluster, "cni").unwrap_or_else(|| vec!["canal".to_owned()]);
    sets.extend(given(cluster, "ingress-controller").unwrap_or_default().into_iter().filter(|it| it == beside));
    sets
}

/// The names in the value of an option, which may be parted by commas.
fn given(cluster: &Cluster, name: &str) -> Option<Vec<String>> {
    let value = cluster.given(name)?;
    Some(value.texts().iter().flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect())
}
