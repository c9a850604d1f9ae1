//! What an archive is, by its name and by its bytes: whole, cut off, or of another kind than its name says.
//!
//! Frames and headers are walked, never unpacked: a few bytes are read of each entry or block, so a gigabyte costs milliseconds and no
//! memory. Endings are those that RKE2 imports (wharfie `pkg/tarfile`, k3s `pkg/agent/containerd/watcher.go`), by case as there.

use std::io;

use crate::host::copy::ReadAt;

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `.tar`
    Tar,
    /// `.tar.gz`, `.tgz`
    Gzip,
    /// `.tar.bz2`, `.tbz`
    Bzip2,
    /// `.tar.zst`, `.tzst`
    Zstd,
    /// `.tar.lz4`
    Lz4,
    /// `.txt`: names of images that RKE2 pulls
    List,
}

/// Endings, and what they stand for; the longest that fits counts.
const ENDINGS: [(&str, Kind); 9] = [
    (".tar.gz", Kind::Gzip),
    (".tar.bz2", Kind::Bzip2),
    (".tar.zst", Kind::Zstd),
    (".tar.lz4", Kind::Lz4),
    (".tgz", Kind::Gzip),
    (".tbz", Kind::Bzip2),
    (".tzst", Kind::Zstd),
    (".tar", Kind::Tar),
    (".txt", Kind::List),
];

impl Kind {
    /// What a file of this name is for RKE2; nothing if RKE2 passes over it.
    pub fn of(name: &str) -> Option<Kind> {
        split(name).map(|(_, _, kind)| kind)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Tar => "tar",
            Kind::Gzip => "gzip",
            Kind::Bzip2 => "bzip2",
            Kind::Zstd => "zstd",
            Kind::Lz4 => "lz4",
            Kind::List => "a list of images",
        }
    }
}

/// A name as what stands before its ending, the ending, and what that means.
pub(crate) fn split(name: &str) -> Option<(&str, &'static str, Kind)> {
    ENDINGS.into_iter().find_map(|(ending, kind)| Some((name.strip_suffix(ending)?, ending, kind)))
}

/// What the bytes prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what its name says, to its end.
    Whole,
    /// Nothing speaks against it; what cannot be known is said.
    Doubt(String),
    /// RKE2 cannot read it; why, and what to do.
    Refused(String),
}

/// Why a walk ends early.
enum Stop {
    Io(io::Error),
    Refused(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

type Walk<T> = Result<T, Stop>;

fn refuse<T>(sentence: impl Into<String>) -> Walk<T> {
    Err(Stop::Refused(sentence.into()))
}

/// Looks at all that can be known without unpacking. Fails only if it cannot be read.
pub fn check(kind: Kind, archive: &mut dyn ReadAt) -> io::Result<Verdict> {
    let walked = match kind {
        _ if archive.size() == 0 => refuse("is empty; copy it again"),
        Kind::List => list(archive),
        _ => magic(kind, archive).and_then(|is_known| match kind {
            Kind::Tar => tar(archive),
            Kind::Zstd => zstd(archive),
            Kind::Lz4 => lz4(archive),
            Kind::Gzip | Kind::Bzip2 if !is_known => {
                Ok(Verdict::Doubt(format!("does not begin like {}, so RKE2 will hardly read it; copy it again", kind.name())))
            }
            Kind::Gzip | Kind::Bzip2 | Kind::List => Ok(Verdict::Doubt(format!(
                "is {}, which cannot be proven whole without unpacking it; put a sha256sum file beside it to have it checked",
                kind.name()
            ))),
        }),
    };
    match walked {
        Ok(verdict) => Ok(verdict),
        Err(Stop::Refused(sentence)) => Ok(Verdict::Refused(sentence)),
        Err(Stop::Io(error)) => Err(error),
    }
}

fn cut<T>(archive: &dyn ReadAt) -> Walk<T> {
    refuse(format!("is cut off after {} bytes; copy it again", archive.size()))
}

/// Exactly these bytes, or the archive is cut off.
fn exact<const N: usize>(archive: &mut dyn ReadAt, offset: u64) -> Walk<[u8; N]> {
    let mut bytes = [0; N];
    if archive.read_at(&mut bytes, offset)? == N { Ok(bytes) } else { cut(archive) }
}

/// The kind that the first bytes of an archive name; a tar has none at its start.
fn packed(head: &[u8]) -> Option<Kind> {
    match head {
        [0x1f, 0x8b, 0x08, ..] => Some(Kind::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Kind::Bzip2),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Kind::Zstd),
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Kind::Lz4),
        _ => None,
    }
}

/// RKE2 goes by the ending, so what is packed in another way than it says cannot be read. Gives whether it begins as it should; gzip and
/// bzip2 may do otherwise, because they are never more than doubted.
fn magic(kind: Kind, archive: &mut dyn ReadAt) -> Walk<bool> {
    let mut head = [0; 18];
    let length = archive.read_at(&mut head, 0)?;
    let head = head.get(..length).unwrap_or_default();
    // Zstandard and LZ4 share the frames that are to be skipped.
    let skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) && matches!(kind, Kind::Zstd | Kind::Lz4);
    match packed(head) {
        Some(found) if found != kind => {
            let ending = ENDINGS.iter().find(|(_, it)| *it == found).map_or("", |(ending, _)| ending);
            refuse(format!("is no {} but {} data; name it {ending}", kind.name(), found.name()))
        }
        // The header of gzip with its trailer; the signature of bzip2 with its checksum.
        Some(Kind::Gzip) if length < 18 => cut(archive),
        Some(Kind::Bzip2) if length < 14 => cut(archive),
        None if matches!(kind, Kind::Gzip | Kind::Bzip2) => Ok(false),
        None if kind != Kind::Tar && !skippable => {
            if length < 4 {
                cut(archive)
            } else {
                refuse(format!("is no {} data; copy it again", kind.name()))
            }
        }
        _ => Ok(true),
    }
}

const BLOCK: u64 = 512;

/// From header to header to the blocks of zeros that end a tar (pax(1), ustar interchange format).
fn tar(archive: &mut dyn ReadAt) -> Walk<Verdict> {
    let (mut offset, mut images, mut size_of_next) = (0_u64, false, None);
    loop {
        if offset >= archive.size() {
            return refuse(format!("ends after {offset} bytes without the end of a tar; copy it again"));
        }
        let header: [u8; 512] = match exact(archive, offset) {
            Err(Stop::Refused(_)) if offset == 0 => return refuse("is no tar; copy it again"),
            other => other?,
        };
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        if !is_checksum_right(&header) {
            let place = if offset == 0 { String::new() } else { format!(" from byte {offset} on") };
            return refuse(format!("is no tar{place}; copy it again"));
        }
        let Some(size) = number(field(&header, 124, 136)) else {
            return refuse(format!("is no tar from byte {offset} on; copy it again"));
        };
        let type_flag = header.get(156).copied().unwrap_or_default();
        images |= matches!(text(field(&header, 0, 100)).trim_start_matches("./"), "manifest.json" | "index.json");
        let data = offset + BLOCK;
        let size = match type_flag {
            // Links, devices, directories and pipes have no data, whatever their size says.
            b'1'..=b'6' => 0,
            b'x' | b'X' => {
                size_of_next = pax_size(archive, data, size)?.or(size_of_next);
                size
            }
            b'g' | b'L' | b'K' => size,
            _ => size_of_next.take().unwrap_or(size),
        };
        let padded = size.div_ceil(BLOCK).saturating_mul(BLOCK);
        // The padding of the last entry may be missing where the blocks of zeros are missing too.
        if data.saturating_add(padded) > archive.size() {
            return cut(archive);
        }
        offset = data + padded;
    }
    if offset == 0 {
        return refuse("is a tar with nothing in it; copy it again");
    }
    Ok(if images {
        Verdict::Whole
    } else {
        Verdict::Doubt("holds no manifest.json and no index.json, so RKE2 finds no images in it".into())
    })
}

fn field(header: &[u8], from: usize, to: usize) -> &[u8] {
    header.get(from..to).unwrap_or_default()
}

fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    str::from_utf8(field.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// An octal number, or a binary one with the highest bit set (GNU tar).
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let start = u64::from(first & 0x7f);
        return rest.iter().try_fold(start, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits = text(field).trim_matches(' ');
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// The sum of a header's bytes with blanks in place of the sum.
fn is_checksum_right(header: &[u8; 512]) -> bool {
    let bytes = header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    number(field(header, 148, 156)) == Some(bytes.map(u64::from).sum())
}

/// The size that the records of an extended header give to the entry after it.
fn pax_size(archive: &mut dyn ReadAt, offset: u64, size: u64) -> Walk<Option<u64>> {
    // Larger ones hold no sizes in practice, and are not worth the memory.
    let mut records = vec![0; usize::try_from(size.min(64 << 10)).unwrap_or_default()];
    let length = archive.read_at(&mut records, offset)?;
    let mut rest = records.get(..length).unwrap_or_default();
    let mut found = None;
    while let Some(blank) = rest.iter().position(|byte| *byte == b' ') {
        let length: Option<usize> = rest.get(..blank).and_then(|it| str::from_utf8(it).ok()?.parse().ok());
        let Some(length) = length.filter(|length| *length > blank) else { break };
        let Some((record, after)) = rest.split_at_checked(length) else { break };
        if let Some(value) = record.get(blank + 1..).and_then(|it| it.strip_prefix(b"size=")) {
            found = str::from_utf8(value).ok().and_then(|it| it.trim_end().parse().ok());
        }
        rest = after;
    }
    Ok(found)
}

/// The largest window that RKE2 unpacks (wharfie `pkg/tarfile`).
const WINDOW: u64 = 32 << 20;

/// From block to block of each frame (RFC 8878, section 3).
fn zstd(archive: &mut dyn ReadAt) -> Walk<Verdict> {
    let (mut offset, mut frames, mut single) = (0, 0, None);
    while offset < archive.size() {
        if let Some(after) = skippable(archive, offset)? {
            offset = after;
            continue;
        }
        if exact::<4>(archive, offset)? != [0x28, 0xb5, 0x2f, 0xfd] {
            return refuse(format!("is no zstd data from byte {offset} on; copy it again"));
        }
        let [descriptor] = exact(archive, offset + 4)?;
        offset += 5;
        let is_single = descriptor & 0x20 != 0;
        if !is_single {
            let [window] = exact(archive, offset)?;
            offset += 1;
            let base = 1_u64 << (10 + (window >> 3));
            let window = base + base / 8 * u64::from(window & 7);
            if window > WINDOW {
                return refuse(format!(
                    "needs a zstd window of {} MiB, but RKE2 takes at most 32 MiB; pack it again without --ultra and --long",
                    window >> 20
                ));
            }
        }
        let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or_default();
        let content = match descriptor >> 6 {
            0 => u64::from(is_single),
            bits => 1 << bits,
        };
        if is_single && content > 0 {
            let mut size = [0; 8];
            let wanted = size.get_mut(..usize::try_from(content).unwrap_or_default()).unwrap_or_default();
            if (archive.read_at(wanted, offset + dictionary)? as u64) < content {
                return cut(archive);
            }
            single = single.max(Some(u64::from_le_bytes(size)));
        }
        offset += dictionary + content;
        loop {
            let [a, b, c] = exact(archive, offset)?;
            let header = u32::from_le_bytes([a, b, c, 0]);
            let size = u64::from(header >> 3);
            // What was made long and never written: packers end a frame with an empty block, and have none before.
            if size == 0 && header & 1 == 0 {
                return refuse(format!("is damaged at byte {offset}; copy it again"));
            }
            offset += 3 + match header >> 1 & 3 {
                0 | 2 => size,
                1 => 1,
                _ => return refuse(format!("is damaged at byte {offset}; copy it again")),
            };
            if offset > archive.size() {
                return cut(archive);
            }
            if header & 1 == 1 {
                break;
            }
        }
        offset += if descriptor & 4 != 0 { 4 } else { 0 };
        if offset > archive.size() {
            return cut(archive);
        }
        frames += 1;
    }
    match single {
        _ if frames == 0 => refuse("has no zstd frame with data; copy it again"),
        Some(size) if size > WINDOW => {
            let rest = "newer RKE2 refuses more than 32 MiB; pack it again without --ultra";
            Ok(Verdict::Doubt(format!("is one zstd segment of {} MiB, {rest}", size >> 20)))
        }
        _ => Ok(Verdict::Whole),
    }
}

/// The end of a frame that is to be skipped, if there is one.
fn skippable(archive: &mut dyn ReadAt, offset: u64) -> Walk<Option<u64>> {
    let [kind, b, c, d] = exact(archive, offset)?;
    if !matches!((kind, b, c, d), (0x50..=0x5f, 0x2a, 0x4d, 0x18)) {
        return Ok(None);
    }
    let size = u32::from_le_bytes(exact(archive, offset + 4)?);
    let after = offset + 8 + u64::from(size);
    if after > archive.size() { cut(archive) } else { Ok(Some(after)) }
}

/// From block to block of each frame (lz4 `doc/lz4_Frame_format.md`).
fn lz4(archive: &mut dyn ReadAt) -> Walk<Verdict> {
    let (mut offset, mut frames) = (0, 0);
    while offset < archive.size() {
        if let Some(after) = skippable(archive, offset)? {
            offset = after;
            continue;
        }
        frames += 1;
        offset = match exact::<4>(archive, offset)? {
            [0x04, 0x22, 0x4d, 0x18] => lz4_frame(archive, offset + 4)?,
            // Its blocks have no end mark.
            [0x02, 0x21, 0x4c, 0x18] => {
                return Ok(Verdict::Doubt(
                    "has a legacy lz4 frame, which cannot be proven whole; pack it again".into(),
                ));
            }
            _ => return refuse(format!("is no lz4 data from byte {offset} on; copy it again")),
        };
    }
    if frames == 0 { refuse("has no lz4 frame with data; copy it again") } else { Ok(Verdict::Whole) }
}

fn lz4_frame(archive: &mut dyn ReadAt, start: u64) -> Walk<u64> {
    let [flags, sizes] = exact(archive, start)?;
    let flag = |bit: u8, bytes: u64| if flags & bit != 0 { bytes } else { 0 };
    let largest = match sizes >> 4 & 7 {
        size @ 4..=7 if flags >> 6 == 1 => 1_u64 << (8 + 2 * size),
        _ => return refuse(format!("is damaged at byte {start}; copy it again")),
    };
    let mut offset = start + 2 + flag(0x08, 8) + flag(0x01, 4) + 1;
    loop {
        let size = u32::from_le_bytes(exact(archive, offset)?);
        let length = u64::from(size & 0x7fff_ffff);
        if length > largest {
            return refuse(format!("is damaged at byte {offset}; copy it again"));
        }
        offset += 4 + if size == 0 { flag(0x04, 4) } else { length + flag(0x10, 4) };
        if offset > archive.size() {
            return cut(archive);
        }
        if size == 0 {
            return Ok(offset);
        }
    }
}

/// How much of a text is looked at.
pub(crate) const TEXT: u64 = 1 << 20;

/// Whether most lines could name an image; RKE2 would try to pull the words of any other text.
fn list(archive: &mut dyn ReadAt) -> Walk<Verdict> {
    if archive.size() > TEXT {
        return refuse("is no list of images: it has more than 1 MiB, and is left out");
    }
    let mut bytes = vec![0; usize::try_from(archive.size()).unwrap_or_default()];
    let length = archive.read_at(&mut bytes, 0)?;
    let Ok(text) = str::from_utf8(bytes.get(..length).unwrap_or_default()) else {
        return refuse("is no list of images: it is not UTF-8, and is left out");
    };
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty());
    let (good, bad): (Vec<_>, Vec<_>) = lines.partition(|(_, line)| is_reference(line));
    match bad.first() {
        None if good.is_empty() => refuse("is no list of images: it has no line, and is left out"),
        None => Ok(Verdict::Whole),
        Some((line, _)) if bad.len() < good.len() => Ok(Verdict::Doubt(format!("line {line} names no image"))),
        Some((line, _)) => refuse(format!("is no list of images: line {line} names none, and is left out")),
    }
}

/// `registry/path/name:tag@digest`, roughly: what a sentence or a checksum is not.
fn is_reference(line: &str) -> bool {
    let first = line.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '[');
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '[' | ']');
    first && line.chars().all(inside) && line.contains(['/', ':'])
}
