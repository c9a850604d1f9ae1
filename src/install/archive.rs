//! RKE2's archive, a `.tar.gz`: read once from its first byte to its last, and summed up on the way.
//!
//! gzip is RFC 1952, tar is what POSIX calls ustar, with what GNU tar and pax put between the files passed over.

use std::io::{self, ErrorKind, Read};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use sha2::{Digest as _, Sha256};

use crate::host::copy::ReadAt;

/// How much is read at a time, and what was inflated last; the latter must be a power of 2, and 32 KiB at least.
const BLOCK: usize = 64 << 10;

const CUT: &str = "ends too early; get it again";
const DAMAGED: &str = "is damaged; get it again";

/// What tar is made of.
const RECORD: usize = 512;

fn broken(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// What a gzip file holds, and the SHA-256 of the file itself.
pub(super) struct Gunzip<'a> {
    source: &'a mut dyn ReadAt,
    offset: u64,
    sum: Sha256,
    /// What was read, and how much of it was inflated.
    input: Vec<u8>,
    used: usize,
    state: Box<DecompressorOxide>,
    /// What was inflated: from `given` to `made` it has not been given yet.
    window: Vec<u8>,
    given: usize,
    made: usize,
    is_done: bool,
}

impl<'a> Gunzip<'a> {
    /// Begins with a file. Fails if it is no gzip file.
    pub(super) fn new(source: &'a mut dyn ReadAt) -> io::Result<Gunzip<'a>> {
        let mut gunzip = Gunzip {
            source,
            offset: 0,
            sum: Sha256::new(),
            input: Vec::new(),
            used: 0,
            state: Box::default(),
            window: vec![0; BLOCK],
            given: 0,
            made: 0,
            is_done: false,
        };
        gunzip.refill()?;
        gunzip.used = header(&gunzip.input).ok_or_else(|| broken("is no gzip file; get it again"))?;
        Ok(gunzip)
    }

    /// Reads the rest of the file and gives its SHA-256.
    pub(super) fn sum(mut self) -> io::Result<[u8; 32]> {
        while !self.input.is_empty() {
            self.refill()?;
        }
        Ok(self.sum.finalize().into())
    }

    /// Reads on; the input is empty afterwards if there is no more.
    fn refill(&mut self) -> io::Result<()> {
        self.input.resize(BLOCK, 0);
        let count = self.source.read_at(&mut self.input, self.offset)?;
        self.input.truncate(count);
        self.used = 0;
        self.offset += count as u64;
        self.sum.update(&self.input);
        Ok(())
    }
}

impl Read for Gunzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.made && !self.is_done {
            if self.made == self.window.len() {
                self.made = 0;
            }
            if self.used == self.input.len() && !self.input.is_empty() {
                self.refill()?;
            }
            let rest = self.input.get(self.used..).unwrap_or_default();
            let more = if rest.is_empty() { 0 } else { TINFL_FLAG_HAS_MORE_INPUT };
            let (status, used, made) = decompress(&mut self.state, rest, &mut self.window, self.made, more);
            self.used += used;
            self.given = self.made;
            self.made += made;
            match status {
                TINFLStatus::Done => self.is_done = true,
                TINFLStatus::HasMoreOutput | TINFLStatus::NeedsMoreInput => {}
                TINFLStatus::FailedCannotMakeProgress => return Err(broken(CUT)),
                _ => return Err(broken(DAMAGED)),
            }
        }
        let ready = self.window.get(self.given..self.made).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}

/// The length of a gzip header; nothing if it is none.
fn header(bytes: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = *bytes else { return None };
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    }
    // The name and a comment.
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += 1 + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
        }
    }
    at += usize::from(flags & 2);
    (at <= bytes.len()).then_some(at)
}

/// What an archive holds at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A link, a device, or what only some programs know.
    Other,
}

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path, as it is written, without `./` before it and `/` after it.
    pub name: String,
    pub kind: Kind,
    pub size: u64,
}

/// Goes through an archive. Each file is given with a reader of its bytes, which need not be read.
pub(super) fn each(
    archive: &mut dyn Read,
    take: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<(), String>,
) -> Result<(), String> {
    let told = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => CUT.to_owned(),
        _ => error.to_string(),
    };
    loop {
        let mut record = [0; RECORD];
        archive.read_exact(&mut record).map_err(told)?;
        if record == [0; RECORD] {
            return Ok(());
        }
        let (entry, is_about_next) = entry(&record).ok_or(DAMAGED)?;
        let mut bytes = archive.take(entry.size);
        if !is_about_next {
            take(&entry, &mut bytes)?;
        }
        let rest = bytes.limit() + (RECORD as u64 - entry.size % RECORD as u64) % RECORD as u64;
        let skipped = io::copy(&mut archive.take(rest), &mut io::sink()).map_err(told)?;
        if skipped < rest {
            return Err(CUT.into());
        }
    }
}

/// What a header says, and whether it is about the entry after it; nothing if its checksum is wrong.
fn entry(record: &[u8; RECORD]) -> Option<(Entry, bool)> {
    let text = |from: usize, length: usize| {
        let field = record.get(from..from + length)?;
        str::from_utf8(field.split(|byte| *byte == 0).next()?).ok()
    };
    let number = |from: usize, length: usize| u64::from_str_radix(text(from, length)?.trim_matches(' '), 8).ok();
    // The checksum counts itself as blanks.
    let sum = record.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) });
    if number(148, 8)? != sum.sum::<u64>() {
        return None;
    }
    let prefix = if text(257, 5)? == "ustar" && record.get(263..265)? == b"00" { text(345, 155)? } else { "" };
    let path = if prefix.is_empty() { text(0, 100)?.to_owned() } else { format!("{prefix}/{}", text(0, 100)?) };
    let name = path.trim_start_matches("./").trim_end_matches('/').to_owned();
    let flag = *record.get(156)?;
    let kind = match flag {
        b'0' | 0 => Kind::File,
        b'5' => Kind::Directory,
        _ => Kind::Other,
    };
    // Long names and attributes; RKE2's names are short.
    let is_about_next = matches!(flag, b'x' | b'g' | b'L' | b'K');
    Some((Entry { name, kind, size: number(124, 12)? }, is_about_next))
}
