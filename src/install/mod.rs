//! RKE2 into an image: what `init.provider.install` asks for, while kairos-init builds it.
//!
//! It is what RKE2's installer does with its `tar` method and the prefix `/usr` (rancher/rke2 `install.sh`), but that the units stay in /usr,
//! which is the image's own, where the installer moves them to /etc. Nothing is enabled. Until all is downloaded, whole and of the right
//! version nothing is put in its place, and what fails leaves the image as it was.

mod archive;
mod place;
mod request;

use std::io::{Read, Write as _};
use std::time::{Duration, Instant};

use crate::host::copy::ReadAt as _;
use crate::host::{Host, reason};
use crate::images::{expected, sums};
use crate::report::stdio;
use crate::rke2::Unit;
use crate::rke2::installed::{self, Installed};
use crate::rke2::version::Version;
use crate::service::gate;
use crate::service::kind::Kind;
use crate::text::escape::{escape, quoted};
use archive::{Entry, Gunzip};
use place::Stage;
use request::{Origin, Request, Which};

/// How long it may take in all.
pub(crate) const BOUND: Duration = Duration::from_secs(20 * 60);

/// Where RKE2 has its releases, and what each channel is.
const RELEASES: &str = "https://github.com/rancher/rke2/releases/download";
const CHANNELS: &str = "https://update.rke2.io/v1-release/channels";

/// How long a small answer may take, and the archive.
const SHORT: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(15 * 60);

/// More than the files are.
const SUMS_LIMIT: u64 = 1 << 20;
const ARCHIVE_LIMIT: u64 = 1 << 30;
const TEXT_LIMIT: u64 = 4 << 20;

/// Which directories of the archive belong where, and the mode of what is in them.
const PLACES: [(&str, &str, u32); 3] =
    [("bin/", "/usr/bin/", 0o755), ("lib/systemd/system/", UNITS, 0o644), ("share/rke2/", "/usr/share/rke2/", 0o644)];
const UNITS: &str = "/usr/lib/systemd/system/";
const RKE2: &str = "/usr/bin/rke2";

/// Where units hide those in /usr.
const OVER: &str = "/etc/systemd/system";

/// What an image for each architecture has in the header of a program (elf(5), `e_machine`).
const MACHINES: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];

/// What was installed.
#[derive(Debug)]
pub(crate) struct Done {
    pub version: Version,
    pub log: String,
}

/// Installs RKE2, as the two texts of the event ask for. Fails with the sentence why it did not; the image is as it was then.
pub(crate) fn run(host: &Host, version: &str, config: &str) -> Result<Done, String> {
    let end = Instant::now() + BOUND;
    let request = Request::of(version, &text_of(host, config)?)?;
    if let Some(done) = is_there(host, &request) {
        return Ok(done);
    }
    let mut stage = Stage::new(host).map_err(|error| error.to_string())?;
    let wanted = match &request.which {
        Which::Version(version) => Some(version.clone()),
        Which::Channel { name, .. } if matches!(request.origin, Origin::Server(_)) => {
            Some(newest(host, name, &request)?)
        }
        Which::Channel { .. } => None,
    };
    let found = find(host, &mut stage, &request, wanted.as_ref(), end)?;
    progress(&format!("unpacks {}", found.name));
    unpack(host, &mut stage, &found, end)?;
    let version = judge(host, &stage, &found, wanted.as_ref())?;
    let count = stage.publish().map_err(|error| error.to_string())?;
    let mut log = format!("installed RKE2 {version}, {count} files, checked against {}; nothing is enabled", found.by);
    for note in notes(host) {
        log.push_str("; ");
        log.push_str(&note);
    }
    progress(&log);
    Ok(Done { version, log })
}

/// What `--provider-rke2-config` says: the text itself, or what is in the file of that path, for kairos-init calls it a file.
fn text_of(host: &Host, config: &str) -> Result<String, String> {
    let path = config.trim();
    if !path.starts_with('/') || path.contains('\n') || host.is_dir(path) || !host.exists(path) {
        return Ok(config.to_owned());
    }
    let bytes = host.read(path, TEXT_LIMIT).map_err(|error| format!("config: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("config: {} is not UTF-8", escape(path)))
}

/// The RKE2 that is there already, if it is the one that is asked for.
fn is_there(host: &Host, request: &Request) -> Option<Done> {
    let units = Kind::of(host) == Kind::OpenRc
        || Unit::ALL.iter().all(|unit| {
            [OVER, UNITS.trim_end_matches('/'), "/usr/local/lib/systemd/system"]
                .iter()
                .any(|directory| host.exists(&format!("{directory}/{unit}.service")))
        });
    let Installed::Version(version) = installed::version(host) else { return None };
    let asked = match &request.which {
        Which::Version(wanted) => host.exists(RKE2) && version == *wanted,
        // Somebody has chosen one before, and now nobody says from where another would come.
        Which::Channel { is_named, .. } => !is_named && request.origin == Origin::Server(None),
    };
    (asked && units).then(|| Done { log: format!("RKE2 {version} is in the image already"), version })
}

/// The version that a channel stands for.
fn newest(host: &Host, channel: &str, request: &Request) -> Result<Version, String> {
    if request.origin != Origin::Server(None) {
        return Err("version: a mirror does not say which one is the newest; write one, such as v1.33.4+rke2r1".into());
    }
    progress(&format!("asks for the version of the channel {channel}"));
    let answer = host.redirect(&format!("{CHANNELS}/{channel}"), SHORT);
    let url = answer
        .map_err(|error| format!("version: the channel {channel} cannot be asked for: {error}; write a version"))?;
    let version = url.trim().rsplit('/').next().unwrap_or_default().replace("%2B", "+").replace("%2b", "+");
    let version = version.parse().ok().filter(Version::is_rke2);
    version.ok_or_else(|| {
        format!("version: there is no channel {}; write a version, such as v1.33.4+rke2r1", quoted(channel))
    })
}

/// An archive, and what it must be.
struct Found {
    /// What a person calls it.
    name: String,
    path: String,
    sha256: [u8; 32],
    /// Who says so.
    by: String,
}

/// Finds the archive of this architecture, or downloads it, with its checksum.
fn find(
    host: &Host,
    stage: &mut Stage,
    request: &Request,
    wanted: Option<&Version>,
    end: Instant,
) -> Result<Found, String> {
    let architecture = expected::architecture();
    let (archive, sums) = (format!("rke2.linux-{architecture}.tar.gz"), format!("sha256sum-{architecture}.txt"));
    let pinned = request.sha256.map(|digest| (digest, "the sha256 of config".to_owned()));
    match &request.origin {
        Origin::Directory(directory) => {
            let names = host.list(directory).map_err(|error| format!("config.artifacts: {error}"))?;
            if !names.contains(&archive) {
                return Err(format!("config.artifacts: {} holds no {archive}; put it there", escape(directory)));
            }
            let listed = || {
                names.iter().filter(|name| sums::is_sums(name)).find_map(|name| {
                    let text = host.read(&format!("{directory}/{name}"), SUMS_LIMIT).ok()?;
                    Some((of_sums(name, &text, &archive)?, name.clone()))
                })
            };
            let (sha256, by) = pinned.or_else(listed).ok_or_else(|| {
                format!(
                    "config.artifacts: {} has no {sums} that names {archive}; put RKE2's own there, or add sha256",
                    escape(directory)
                )
            })?;
            Ok(Found { path: format!("{directory}/{archive}"), name: archive, sha256, by })
        }
        Origin::Server(server) => {
            let Some(version) = wanted else { return Err("version: is missing".into()) };
            // In a path `+` is itself, but some servers take it for a blank.
            let place = version.to_string().replace('+', "%2B");
            let url = |name: &str| format!("{}/{place}/{name}", server.as_deref().unwrap_or(RELEASES));
            let mut get = |name: &str, limit: u64, bound: Duration| {
                let (url, path) = (url(name), stage.name());
                let left = bound.min(end.saturating_duration_since(Instant::now()));
                progress(&format!("downloads {url}"));
                let got = host.fetch(&url, &path, limit, left).map_err(|error| error.to_string());
                got.map_err(|error| format!("{url}: cannot be downloaded: {error}")).map(|()| path)
            };
            let (sha256, by) = if let Some(pinned) = pinned {
                pinned
            } else {
                let path = get(&sums, SUMS_LIMIT, SHORT)?;
                let text = host.read(&path, SUMS_LIMIT).map_err(|error| error.to_string())?;
                let sha256 = of_sums(&sums, &text, &archive);
                (sha256.ok_or_else(|| format!("{}: does not name {archive}", url(&sums)))?, sums)
            };
            Ok(Found { path: get(&archive, ARCHIVE_LIMIT, LONG)?, name: archive, sha256, by })
        }
    }
}

/// What a file of checksums says of an archive.
fn of_sums(name: &str, text: &[u8], archive: &str) -> Option<[u8; 32]> {
    let lines = sums::read(name, &String::from_utf8_lossy(text));
    let lines: Vec<_> = lines.into_iter().map(|(of, digest)| (name.to_owned(), of, digest)).collect();
    sums::of(&lines, archive)
}

/// Unpacks what belongs to RKE2 into the stage. Fails if the archive is not what it must be.
fn unpack(host: &Host, stage: &mut Stage, found: &Found, end: Instant) -> Result<(), String> {
    let told = |what: &str| format!("{}: {what}", found.name);
    let has_units = Kind::of(host) == Kind::Systemd;
    let mut file = host.file(&found.path).map_err(|error| error.to_string())?;
    let mut gunzip = Gunzip::new(&mut file).map_err(|error| told(&reason(&error)))?;
    let unpacked = archive::each(&mut gunzip, &mut |entry, bytes| {
        let Some((place, mode)) = place_of(entry).filter(|(place, _)| has_units || !place.starts_with(UNITS)) else {
            return Ok(());
        };
        let path = stage.name();
        match place.starts_with(UNITS) || place.ends_with(".sh") {
            true => {
                let text = adapted(entry, bytes)?;
                host.put(&path, text.as_bytes(), mode).map_err(|error| error.to_string())?;
            }
            false => copy(host, bytes, &path, mode, entry.size, end)?,
        }
        stage.add(path, place);
        Ok(())
    });
    // A damaged archive is told as such, whatever that made of what is in it.
    let sum = gunzip.sum().map_err(|error| told(&reason(&error)))?;
    if sum != found.sha256 {
        return Err(told(&format!(
            "is damaged or another: its SHA-256 is {}, expected {} by {}; get it again",
            sums::hex(&sum),
            sums::hex(&found.sha256),
            found.by
        )));
    }
    unpacked.map_err(|why| told(&why))
}

/// Where an entry belongs, and with which mode; nothing if it is no file of RKE2 on Linux.
fn place_of(entry: &Entry) -> Option<(String, u32)> {
    PLACES.into_iter().find_map(|(prefix, directory, mode)| {
        let name = entry.name.strip_prefix(prefix)?;
        let is_plain = !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.');
        let is_ours = directory != UNITS || name.starts_with("rke2-");
        (entry.kind == archive::Kind::File && is_plain && is_ours).then(|| (format!("{directory}{name}"), mode))
    })
}

/// A text of RKE2, in which its prefix is ours.
fn adapted(entry: &Entry, bytes: &mut dyn Read) -> Result<String, String> {
    let mut text = String::new();
    if entry.size > TEXT_LIMIT || bytes.read_to_string(&mut text).is_err() {
        return Err(format!("{} is no text", escape(&entry.name)));
    }
    Ok(text.replace("/usr/local", "/usr"))
}

fn copy(host: &Host, bytes: &mut dyn Read, path: &str, mode: u32, size: u64, end: Instant) -> Result<(), String> {
    let told = |error: std::io::Error| reason(&error);
    let mut file = host.create(path, mode).map_err(|error| error.to_string())?;
    let (mut buffer, mut left) = (vec![0; 128 << 10], size);
    while left > 0 {
        if Instant::now() >= end {
            return Err("the time is up".into());
        }
        let count = bytes.read(&mut buffer).map_err(told)?;
        if count == 0 {
            return Err("ends too early; get it again".into());
        }
        let part = buffer.get(..count).unwrap_or_default();
        file.write_all(part).map_err(|error| format!("cannot be unpacked: {}", reason(&error)))?;
        left = left.saturating_sub(count as u64);
    }
    file.sync_all().map_err(told)
}

/// Looks whether what was unpacked is the RKE2 that is wanted, for this machine. Gives its version.
fn judge(host: &Host, stage: &Stage, found: &Found, wanted: Option<&Version>) -> Result<Version, String> {
    let told = |what: &str| format!("{}: {what}", found.name);
    let program = stage.of(RKE2).ok_or_else(|| told("holds no bin/rke2, so it is no archive of RKE2"))?;
    let has_unit = |unit: &Unit| stage.of(&format!("{UNITS}{unit}.service")).is_some();
    if Kind::of(host) == Kind::Systemd
        && let Some(unit) = Unit::ALL.iter().find(|unit| !has_unit(unit))
    {
        return Err(told(&format!("holds no {unit}.service, so it is no archive of RKE2")));
    }
    let architecture = expected::architecture();
    let mut header = [0; 20];
    let read = host.file(program).map_err(|error| error.to_string())?.read_at(&mut header, 0);
    let machine = MACHINES.into_iter().find(|(_, number)| header.get(18..20) == Some(&number.to_le_bytes()));
    let is_program = read.is_ok() && header.starts_with(b"\x7fELF\x02\x01");
    match machine.filter(|_| is_program) {
        Some((name, _)) if name == architecture => {}
        Some((name, _)) => {
            return Err(told(&format!("its bin/rke2 is for {name}, and this image is for {architecture}")));
        }
        None => return Err(told(&format!("its bin/rke2 is no program for {architecture}"))),
    }
    let version = installed::of_program(host, program);
    let version = version.ok_or_else(|| told("its bin/rke2 tells no version"))?;
    match wanted {
        Some(wanted) if *wanted != version => {
            Err(told(&format!("holds RKE2 {version}, and {wanted} is asked for; get the archive of that release")))
        }
        _ => Ok(version),
    }
}

/// What in the image will keep RKE2 from being what was installed.
fn notes(host: &Host) -> Vec<String> {
    let mut notes = Vec::new();
    for unit in Unit::ALL {
        if host.is_there(&format!("{OVER}/{unit}.service")) {
            notes.push(format!("{OVER}/{unit}.service hides the unit of the image; remove it"));
        }
    }
    let links = gate::links(host);
    notes.extend(links.iter().map(|link| format!("{} would start RKE2 at boot; remove it", escape(link))));
    notes
}

fn progress(sentence: &str) {
    stdio::to_stderr(&format!("agent-provider-rke2: {sentence}"));
}
