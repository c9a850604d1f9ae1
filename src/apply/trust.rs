//! `apply trust`: the certificates of the cloud-config among those that the node trusts.
//!
//! RKE2, its containerd and the kubelet verify whom they talk to with the bundle of the system (Go `crypto/x509`, `root_linux.go`). Each
//! certificate becomes a file of its own where the distribution expects those of the site, then the distribution's own tool makes the
//! bundle anew. Where there is no such tool the bundle itself gets them, between two marks.
//!
//! A program that runs already has read the bundle before, so RKE2 is started after this step. To trust a registry alone there is `ca_file` in RKE2's
//! `registries.yaml`.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::time::Duration;

use super::step::Step;
use crate::cluster::ca_certs::Certificate;
use crate::cluster::pem;
use crate::findings::Reason;
use crate::host::{Error, Host};
use crate::report::outcome::Outcome;
use crate::text::escape::{escape, mask_user};

/// The step.
pub(crate) const STEP: Step = Step {
    name: "trust",
    what: "Trusts the certificates of the cloud-config",
    stages: &["40-trust.yaml"],
    run: |apply| apply.with_plan("trust", |plan| run(apply.host, &plan.ca_certs)),
    // The certificates are the cloud-config's: they stay, as do other files that it asks for.
    leaves: &[],
};

/// How one family of distributions keeps what it trusts.
struct Store {
    /// Where the certificates of the site are.
    anchors: &'static str,
    /// What the tool makes the bundle of, beside them; without it the tool would leave the site's certificates alone in the bundle.
    sources: &'static [&'static str],
    /// What makes the bundle, the first that there is.
    tools: &'static [&'static [&'static str]],
    /// The bundle.
    bundle: &'static str,
    /// The directory of symlinks that the tool keeps beside the bundle, if it does.
    links: Option<&'static str>,
}

const STORES: [Store; 4] = [
    // Fedora and what is made of it (ca-certificates `update-ca-trust`; p11-kit `trust extract`, which that calls).
    Store {
        anchors: "/etc/pki/ca-trust/source/anchors",
        sources: &["/etc/pki/ca-trust/source"],
        tools: &[&["update-ca-trust", "extract"], &p11_kit("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")],
        bundle: "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        links: None,
    },
    // SUSE (openSUSE/ca-certificates).
    Store {
        anchors: "/etc/pki/trust/anchors",
        sources: &["/etc/pki/trust"],
        tools: &[&["update-ca-certificates", "--fresh"]],
        bundle: "/var/lib/ca-certificates/ca-bundle.pem",
        links: None,
    },
    // Arch (ca-certificates-utils).
    Store {
        anchors: "/etc/ca-certificates/trust-source/anchors",
        sources: &["/etc/ca-certificates/trust-source"],
        tools: &[&["update-ca-trust", "extract"], &p11_kit("/etc/ca-certificates/extracted/tls-ca-bundle.pem")],
        bundle: "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
        links: None,
    },
    // Debian, Ubuntu (ca-certificates `sbin/update-ca-certificates`), Alpine and Hadron (ca-certificates `update-ca.c`). With `--fresh` it
    // begins by taking away every link, and a run that is cut off would leave the host without any; so what leads to a certificate that is
    // gone or another goes before.
    Store {
        anchors: "/usr/local/share/ca-certificates",
        sources: &["/etc/ca-certificates.conf", "/usr/share/ca-certificates"],
        tools: &[&["update-ca-certificates"]],
        bundle: "/etc/ssl/certs/ca-certificates.crt",
        links: Some("/etc/ssl/certs"),
    },
];

/// What `update-ca-trust` does for this bundle.
const fn p11_kit(bundle: &'static str) -> [&'static str; 7] {
    ["trust", "extract", "--format=pem-bundle", "--filter=ca-anchors", "--purpose=server-auth", "--overwrite", bundle]
}

/// Bundles that are used where no tool makes them: Go's list (`crypto/x509/root_linux.go`), and where its links lead.
const BUNDLES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What stands around our certificates in such a bundle.
const BEGIN: &str = "\n# written by provider-rke2: certificates of cluster.ca_certs\n";
const END: &str = "# written by provider-rke2: end of cluster.ca_certs\n";

/// Of what image the bundle with our certificates was made. Kairos keeps `/etc/ssl/certs` over an upgrade: a bundle in it would never get
/// what another image trusts, or no longer trusts.
const RECORD: &str = "/usr/local/lib/provider-rke2/trust";

/// What stands there while a bundle is being made.
const UNFINISHED: &[u8] = b"unfinished\n";

/// What tells one image from another (os-release(5); Kairos has a file of its own).
const IMAGE: [&str; 2] = ["/etc/os-release", "/etc/kairos-release"];

/// How long the tool may take; a second or two are usual.
const DEADLINE: Duration = Duration::from_secs(60);

/// A certificate is no secret.
const MODE: u32 = 0o644;

/// How much of a file with certificates, and of a bundle, is read.
const LIMIT: u64 = 1 << 20;
const BUNDLE_LIMIT: u64 = 16 << 20;

/// Makes the node trust the certificates of the plan, and no longer those that were in the plan before.
///
/// A file that cannot be read, or holds something else, is left out and told; all others are trusted all the same.
pub(crate) fn run(host: &Host, certificates: &[Certificate]) -> Outcome {
    let (mut wanted, failed) = wanted(host, certificates);
    if !failed.is_empty() {
        // What cannot be read now may be what was trusted before.
        let known: HashSet<String> = wanted.iter().cloned().collect();
        wanted.extend(present(host).into_iter().filter(|pem| !known.contains(pem)));
    }
    let mut outcome = Outcome::from(install(host, &wanted));
    outcome.failed.splice(0..0, failed);
    outcome
}

/// The certificates, each once, in their order, and why some are missing.
fn wanted(host: &Host, given: &[Certificate]) -> (Vec<String>, Vec<Reason>) {
    let (mut wanted, mut failed, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for certificate in given {
        match read(host, certificate) {
            Ok(found) => wanted.extend(found.into_iter().filter(|pem| seen.insert(pem.clone()))),
            Err(sentence) => failed.push(format!("cluster.ca_certs: {sentence}").into()),
        }
    }
    (wanted, failed)
}

fn read(host: &Host, certificate: &Certificate) -> Result<Vec<String>, String> {
    let wrong = |what: pem::Problem| format!("holds {what}; put whole certificates in PEM form there");
    let path = match certificate {
        Certificate::Pem(text) => return pem::read(text).map_err(wrong),
        Certificate::Path(path) => path,
    };
    // A URL that was taken for a path may hold a password.
    let name = escape(&mask_user(path));
    let bytes = host.read(path, LIMIT).map_err(|error| {
        format!("{}; put a certificate there, or remove the entry", error.to_string().replace(&escape(path), &name))
    })?;
    pem::read_file(&bytes).map_err(|problem| format!("{name}: {}", wrong(problem)))
}

/// Makes these, and none else of ours, trusted.
pub(crate) fn install(host: &Host, wanted: &[String]) -> Result<Vec<String>, Reason> {
    let store = STORES.iter().find_map(|store| {
        let is_here = store.sources.iter().all(|path| host.exists(path));
        let tool = store.tools.iter().find(|tool| tool.first().is_some_and(|program| host.has_program(program)))?;
        is_here.then_some((store, *tool))
    });
    match store {
        Some((store, tool)) => with_tool(host, store, tool, wanted),
        None => without_tool(host, wanted),
    }
}

/// Puts the certificates where the tool finds them, and runs it if it has not yet made a bundle of them for this image.
fn with_tool(host: &Host, store: &Store, tool: &[&str], wanted: &[String]) -> Result<Vec<String>, Reason> {
    let path = |index: usize| format!("{}/provider-rke2-{}.crt", store.anchors, index + 1);
    let files: Vec<(String, &String)> = wanted.iter().enumerate().map(|(index, pem)| (path(index), pem)).collect();
    let ours = ours(host)?;
    let paths: HashSet<&String> = files.iter().map(|(path, _)| path).collect();
    let is_stale = |path: &String| !paths.contains(path);
    let image = image(host);
    let is_same = !ours.iter().any(is_stale)
        && files.iter().all(|(path, pem)| host.holds(path, pem.as_bytes()) && host.mode(path) == Some(MODE));
    let is_made = match wanted {
        [] => !host.exists(RECORD),
        _ => host.holds(RECORD, &image) && missing(host, store.bundle, wanted) == 0,
    };
    if is_same && is_made {
        return Ok(Vec::new());
    }

    let mut gone: Vec<String> =
        ours.iter().filter_map(|path| host.read(path, LIMIT).ok()).flat_map(|it| pem::in_bundle(&it)).collect();
    let kept: HashSet<&String> = wanted.iter().collect();
    gone.retain(|pem| !kept.contains(pem));
    let was_cut_off = host.holds(RECORD, UNFINISHED);
    // Whatever interrupts us from here on, a later run makes the bundle anew. Where this cannot be written, each run does.
    let _ = host.install(RECORD, UNFINISHED, 0o600);
    let unwritable = |error: Error| {
        format!(
            "{error}, so cluster.ca_certs are not trusted; make it writable, or build the certificates into the image"
        )
    };
    let (mut done, mut changed) = (Vec::new(), Vec::new());
    for (path, pem) in &files {
        if host.install(path, pem.as_bytes(), MODE).map_err(unwritable)? {
            done.push(format!("{path}: written"));
            changed.push(path.clone());
        } else if was_cut_off {
            // The tool has linked it, and would think that all is done.
            changed.push(path.clone());
        }
    }
    for path in ours.iter().filter(|path| is_stale(path)) {
        host.remove(path)?;
        done.push(format!("{path}: removed"));
        changed.push(path.clone());
    }
    if let Some(links) = store.links {
        unlink(host, links, &changed);
    }

    let (program, arguments) = tool.split_first().unwrap_or((&"", &[]));
    if !host.is_real() {
        done.push(format!("would run {}", tool.join(" ")));
        return Ok(done);
    }
    // Debian's appends to what a run that was cut off has left.
    let unfinished = format!("{}.new", store.bundle);
    host.remove(&unfinished)?;
    let before = host.read(store.bundle, BUNDLE_LIMIT).unwrap_or_default();
    let ran = host.run(program, arguments, DEADLINE);
    if let Err(Error::Deadline { .. }) = ran {
        let _ = host.remove(&unfinished);
        done.extend(mend(host, store.bundle, &before, &gone));
    }
    let lacking = missing(host, store.bundle, wanted);
    match ran {
        Err(error) if lacking > 0 || missing(host, store.bundle, &gone) < gone.len() => {
            let bundle = store.bundle;
            return Err(format!(
                "{error}, so {bundle} is not what cluster.ca_certs ask for; run it by hand to see why"
            )
            .into());
        }
        // The bundle counts: that of Alpine fails on hosts without run-parts, after its work is done.
        Err(error) => done.push(format!("{error}, but {} is as asked for", store.bundle)),
        Ok(_) if lacking > 0 => {
            let (bundle, all) = (store.bundle, wanted.len());
            return Err(format!(
                "{bundle}: lacks {lacking} of {all} cluster.ca_certs although {program} ran, which leaves out what is no certificate of a \
                 CA; replace those"
            )
            .into());
        }
        Ok(_) => done.push(format!("ran {}", tool.join(" "))),
    }
    let recorded = match wanted {
        [] => host.remove(RECORD),
        _ => host.install(RECORD, &image, 0o600),
    };
    done.extend(recorded.err().map(|error| format!("{error}, so the bundle is made anew each time")));
    Ok(done)
}

/// Removes the symlinks that lead to these certificates, and those that lead nowhere then. What cannot be removed is the tool's affair.
fn unlink(host: &Host, links: &str, certificates: &[String]) {
    let name = |path: &String| path.rsplit('/').next()?.strip_suffix(".crt").map(|name| format!("{links}/{name}.pem"));
    for link in certificates.iter().filter_map(name).filter(|link| host.is_symlink(link)) {
        let _ = host.remove(&link);
    }
    let all = host.list(links).unwrap_or_default().into_iter().map(|name| format!("{links}/{name}"));
    for link in all.filter(|link| host.is_symlink(link) && !host.exists(link)) {
        let _ = host.remove(&link);
    }
}

/// Puts the bundle of before back where a tool that was killed has left less than that, but for what is to be gone. Says so.
fn mend(host: &Host, bundle: &str, before: &[u8], gone: &[String]) -> Option<String> {
    let gone: HashSet<&String> = gone.iter().collect();
    let held = pem::in_bundle(before).into_iter().filter(|pem| !gone.contains(pem));
    if missing(host, bundle, &held.collect::<Vec<_>>()) == 0 {
        return None;
    }
    let written = host.install(bundle, before, MODE);
    let again = |error: Error| format!("{error}, so this host trusts less than before");
    Some(written.map_or_else(again, |_| format!("{bundle}: put back as it was before the tool ran")))
}

/// Writes the certificates at the end of the bundle. Its time stays what it was: so Kairos puts that of the image back at the next boot
/// (immucore `SyncState`: `rsync --update` by time, then size), and nothing of ours is for good.
fn without_tool(host: &Host, wanted: &[String]) -> Result<Vec<String>, Reason> {
    let mut done = Vec::new();
    for path in ours(host)? {
        host.remove(&path)?;
        done.push(format!("{path}: removed"));
    }
    host.remove(RECORD)?;
    let advice = "build the certificates into the image, or name them in registries.yaml (ca_file)";
    // A link is not replaced: it would not come back.
    let bundle = BUNDLES.into_iter().find_map(|path| {
        let bytes = host.read(path, BUNDLE_LIMIT).ok()?;
        host.holds(path, &bytes).then_some((path, bytes))
    });
    let Some((path, bytes)) = bundle else {
        return match wanted {
            [] => Ok(done),
            _ => Err(format!(
                "cluster.ca_certs: are not trusted, because this host has neither a tool that makes a bundle of them nor a bundle; {advice}"
            )
            .into()),
        };
    };
    let mut asked = without_ours(&bytes);
    if !wanted.is_empty() {
        asked.extend_from_slice([BEGIN, &wanted.concat(), END].concat().as_bytes());
    }
    if asked == bytes {
        return Ok(done);
    }
    let time = host.modified(path);
    let mode = host.mode(path).unwrap_or(MODE);
    host.install(path, &asked, mode).map_err(|error| format!("{error}; {advice}"))?;
    if let Some(time) = time {
        host.set_modified(path, time)?;
    }
    let what = if wanted.is_empty() { "removed from" } else { "written at" };
    done.push(format!("{path}: cluster.ca_certs {what} its end"));
    Ok(done)
}

/// What stands between our marks in a bundle, with them.
fn of_ours(bundle: &[u8]) -> Option<Range<usize>> {
    let find = |text: &[u8], mark: &str| text.windows(mark.len()).position(|it| it == mark.as_bytes());
    let begin = find(bundle, BEGIN)?;
    let end = begin + find(bundle.get(begin..)?, END)? + END.len();
    Some(begin..end)
}

/// A bundle without that.
fn without_ours(bundle: &[u8]) -> Vec<u8> {
    let own = || {
        let own = of_ours(bundle)?;
        Some([bundle.get(..own.start)?, bundle.get(own.end..)?].concat())
    };
    own().unwrap_or_else(|| bundle.to_vec())
}

/// The certificates that an earlier run has put somewhere.
fn present(host: &Host) -> Vec<String> {
    let files = ours(host).unwrap_or_default().into_iter().filter_map(|path| host.read(&path, LIMIT).ok());
    let bundles = BUNDLES.into_iter().filter_map(|path| host.read(path, BUNDLE_LIMIT).ok());
    let marked = bundles.filter_map(|bundle| Some(bundle.get(of_ours(&bundle)?)?.to_vec()));
    files.chain(marked).flat_map(|bytes| pem::in_bundle(&bytes)).collect()
}

/// The files that we have put anywhere, also for a distribution that the node had before: `/usr/local` outlives an image.
fn ours(host: &Host) -> Result<Vec<String>, Error> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = |name: &String| {
        name.strip_prefix("provider-rke2-").and_then(|it| it.strip_suffix(".crt")).is_some_and(is_number)
    };
    let mut found = Vec::new();
    for store in &STORES {
        let names = host.list(store.anchors)?;
        let paths = names.into_iter().filter(is_ours).map(|name| format!("{}/{name}", store.anchors));
        found.extend(paths.filter(|path| !host.is_dir(path)));
    }
    Ok(found)
}

fn image(host: &Host) -> Vec<u8> {
    IMAGE.iter().flat_map(|path| host.read(path, LIMIT).unwrap_or_default()).collect()
}

/// How many of the certificates the bundle does not hold; a bundle that cannot be read holds none.
fn missing(host: &Host, bundle: &str, certificates: &[String]) -> usize {
    let held = host.read(bundle, BUNDLE_LIMIT).map(|bytes| pem::in_bundle(&bytes)).unwrap_or_default();
    let held: HashSet<String> = held.into_iter().collect();
    certificates.iter().filter(|pem| !held.contains(*pem)).count()
}
