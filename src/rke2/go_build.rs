//! What a Go program says of how it was built: it lies in the program itself, also in one without symbols, so the program need not run.
//!
//! The format is that of Go 1.18 and later (go `src/debug/buildinfo/buildinfo.go`): a header, then the version of Go and the text of the
//! build, each with its length. Little of the program is read, and nothing in it is believed: what does not fit is no build information.

use crate::host::copy::ReadAt;
use crate::text::lossy;

use super::version::Version;

/// How the build information begins; its place is a multiple of 16.
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// The section that holds it.
const SECTION: &[u8] = b".go.buildinfo\0";

/// Where the text begins, after the header.
const HEADER: u64 = 32;

/// The flag in the header which says that the texts follow it; before Go 1.18 they lay elsewhere and told no flags of the build.
const INLINE: u8 = 2;

/// The text of a build stands between two marks of this length.
const MARK: usize = 16;

/// How much the version of Go, and the text of a build, may be: RKE2's has about 70 000 bytes.
const GO: u64 = 1 << 10;
const TEXT: u64 = 4 << 20;

/// How many entries of a table are looked at.
const ENTRIES: u64 = 1 << 10;

/// How far the data of a program without sections is searched, and how much of it at a time.
const DATA: u64 = 16 << 20;
const WINDOW: u64 = 256 << 10;

/// The variable that RKE2's build sets to its version, without the path of its module (rancher/rke2 `scripts/build-binary`).
const VARIABLE: &str = "/pkg/version.Version";

/// The experiment of Go that builds with `BoringCrypto`.
const BORING: &str = "boringcrypto";

/// RKE2's own module.
const MODULE: &str = "github.com/rancher/rke2";

/// The version of RKE2 that a program says it was built as; nothing where it does not say, and where it is no such program.
pub(crate) fn version(program: &mut impl ReadAt) -> Option<Version> {
    version_of(&build(program)?.text)
}

/// Whether a program was built with cryptography validated for FIPS 140: `BoringCrypto`, as RKE2's own releases are (`rke2 --version` says
/// `X:boringcrypto`), or Go's own module (go.dev/doc/security/fips140). Nothing where it does not say.
pub(crate) fn is_fips(program: &mut impl ReadAt) -> Option<bool> {
    let build = build(program)?;
    let has_module = |line: &str| {
        let experiment = line.strip_prefix("build\tGOEXPERIMENT=").unwrap_or_default();
        let module = line.strip_prefix("build\tGOFIPS140=").unwrap_or("off");
        experiment.split(',').any(|it| it == BORING) || module != "off"
    };
    Some(build.go.contains(BORING) || build.text.lines().any(has_module))
}

/// The version in the text of a build: what the linker was told, else the version of the module.
fn version_of(text: &str) -> Option<Version> {
    let rke2 = |version: &str| version.parse().ok().filter(Version::is_rke2);
    let flags = text.lines().filter_map(|line| line.strip_prefix("build\t-ldflags=")).map(unquoted);
    let mut set = flags.filter_map(|flags| {
        let words = flags.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
        // The linker takes the last.
        let set = words.filter_map(|it| it.split_once('=')).rfind(|(name, _)| name.ends_with(VARIABLE));
        set.and_then(|(_, version)| rke2(version))
    });
    let module = || {
        let mut fields = text.lines().find_map(|line| line.strip_prefix("mod\t"))?.split('\t');
        (fields.next() == Some(MODULE)).then(|| fields.next().and_then(rke2))?
    };
    set.next_back().or_else(module)
}

/// A text as Go quotes it, or as it is.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        // What versions are made of is never written in another way.
        Some(inner) => inner.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text.trim_matches('`').to_owned(),
    }
}

/// What a program says of its build.
struct Build {
    /// The version of Go, with the experiments that differ from its own.
    go: String,
    text: String,
}

fn build(program: &mut impl ReadAt) -> Option<Build> {
    let at = place(program)?;
    let header = bytes(program, at, HEADER)?;
    if header.get(MAGIC.len() + 1)? & INLINE == 0 {
        return None;
    }
    let (start, length) = sized(program, at.checked_add(HEADER)?, GO)?;
    let go = lossy(bytes(program, start, length)?);
    let (start, length) = sized(program, start.checked_add(length)?, TEXT)?;
    let marked = bytes(program, start, length)?;
    let text = marked.get(MARK..marked.len().checked_sub(MARK)?)?;
    Some(Build { go, text: str::from_utf8(text).ok()?.to_owned() })
}

/// Where a text begins, and its length, which stands before it in groups of seven bits.
fn sized(program: &mut impl ReadAt, at: u64, limit: u64) -> Option<(u64, u64)> {
    let mut length = 0;
    for (index, byte) in (0..5_u32).zip(bytes(program, at, 5)?) {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (length <= limit).then_some((at + 1 + u64::from(index), length));
        }
    }
    None
}

/// Where the build information is: in its section, else in the data that the program may write to.
fn place(program: &mut impl ReadAt) -> Option<u64> {
    let elf = Elf::of(program)?;
    if let Some((at, _)) = elf.section(program) {
        return (bytes(program, at, MAGIC.len() as u64)? == MAGIC).then_some(at);
    }
    let (start, length) = elf.data(program)?;
    let length = length.min(DATA);
    let mut offset = 0;
    while offset < length {
        // A window is a multiple of 16, so no beginning lies across two of them.
        let window = bytes(program, start.checked_add(offset)?, WINDOW.min(length - offset))?;
        if let Some(index) = window.chunks(MARK).position(|it| it.starts_with(MAGIC)) {
            return Some(start + offset + (index * MARK) as u64);
        }
        offset += WINDOW;
    }
    None
}

/// Exactly these bytes of a program; nothing if it has not as many.
fn bytes(program: &mut impl ReadAt, at: u64, length: u64) -> Option<Vec<u8>> {
    if at.checked_add(length)? > program.size() {
        return None;
    }
    let mut buffer = vec![0; usize::try_from(length).ok()?];
    let count = program.read_at(&mut buffer, at).ok()?;
    (count == buffer.len()).then_some(buffer)
}

/// A program for a machine of 64 bits, as far as it is needed (elf(5)).
struct Elf {
    is_big: bool,
    header: Vec<u8>,
}

impl Elf {
    fn of(program: &mut impl ReadAt) -> Option<Elf> {
        let header = bytes(program, 0, 64)?;
        let is_elf = header.starts_with(b"\x7fELF\x02");
        let is_big = match header.get(5)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        is_elf.then_some(Elf { is_big, header })
    }

    /// The number of so many bytes at a place.
    fn number(&self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        let bytes = bytes.get(at..at + length)?;
        Some(if self.is_big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// A table: where it begins, of how many entries, each of `size` bytes.
    fn table(&self, program: &mut impl ReadAt, at: [usize; 3], size: u64) -> Option<Vec<u8>> {
        let [start, entry_size, count] = at;
        let count = self.number(&self.header, count, 2)?;
        let is_plain = self.number(&self.header, entry_size, 2)? == size && count <= ENTRIES;
        is_plain.then(|| bytes(program, self.number(&self.header, start, 8)?, count * size))?
    }

    /// The section of the build information: its place and length.
    fn section(&self, program: &mut impl ReadAt) -> Option<(u64, u64)> {
        let sections = self.table(program, [40, 58, 60], 64)?;
        let names = usize::try_from(self.number(&self.header, 62, 2)?).ok()?;
        let names = self.number(sections.chunks(64).nth(names)?, 24, 8)?;
        sections.chunks(64).find_map(|it| {
            let name = names.checked_add(self.number(it, 0, 4)?)?;
            let is_it = bytes(program, name, SECTION.len() as u64)? == SECTION;
            is_it.then(|| Some((self.number(it, 24, 8)?, self.number(it, 32, 8)?)))?
        })
    }

    /// The first part of the file that becomes memory which can be written to: its place and length.
    fn data(&self, program: &mut impl ReadAt) -> Option<(u64, u64)> {
        const LOADED: u64 = 1;
        const WRITABLE: u64 = 2;
        let segments = self.table(program, [32, 54, 56], 56)?;
        segments.chunks(56).find_map(|it| {
            let is_data = self.number(it, 0, 4)? == LOADED && self.number(it, 4, 4)? & WRITABLE != 0;
            is_data.then(|| Some((self.number(it, 8, 8)?, self.number(it, 32, 8)?)))?
        })
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    const FLAGS: &str = "-extldflags \\\"-static\\\" -w \\n -X github.com/k3s-io/k3s/pkg/version.GitCommit=0a1b\\n  \\t -X github.com/k3s-io/k3s/pkg/version.Version=v1.33.4+rke2r1\\n -X github.com/rancher/rke2/pkg/images.DefaultRuntimeImage=rancher/rke2-runtime:v1.32.1-rke2r1-linux-amd64";

    /// The text of a build of RKE2.
    fn build(modules: usize) -> String {
        let modules = "dep\tgithub.com/k3s-io/k3s\tv1.33.5-0.2025\th1:abc=\n".repeat(modules);
        format!(
            "path\tgithub.com/rancher/rke2\nmod\tgithub.com/rancher/rke2\t(devel)\t\n{modules}build\t-compiler=gc\nbuild\t-ldflags=\"{FLAGS}\"\n"
        )
    }

    /// How a program is built.
    #[derive(Clone, Copy)]
    struct Form {
        is_big: bool,
        has_sections: bool,
        flags: u8,
        /// How far behind the beginning of the data the build information is.
        behind: usize,
    }

    const FORM: Form = Form { is_big: false, has_sections: true, flags: INLINE, behind: 48 };

    /// A program of nothing but its tables and its build information.
    fn program(form: Form, text: &str) -> Vec<u8> {
        program_of("go1.24.5", form, text)
    }

    fn program_of(go: &str, form: Form, text: &str) -> Vec<u8> {
        let number = |value: usize, length: usize| {
            let bytes = (value as u64).to_le_bytes()[..length].to_vec();
            if form.is_big { bytes.into_iter().rev().collect() } else { bytes }
        };
        let mut info = [MAGIC, &[8, form.flags], &[0; 16]].concat();
        for text in [go, &format!("{0}{text}{0}", "0123456789abcdef")] {
            let mut length = text.len();
            while length > 127 {
                info.push((length & 127) as u8 | 128);
                length >>= 7;
            }
            info.push(length as u8);
            info.extend(text.as_bytes());
        }
        let names = b"\0.text\0.go.buildinfo\0.shstrtab\0";
        let (segments, names_at, sections) = (64, 64 + 2 * 56, 256);
        let data = sections + 3 * 64 + 0x100;
        let mut program = b"\x7fELF\x02".to_vec();
        program.push(if form.is_big { 2 } else { 1 });
        program.resize(32, 0);
        program.extend(
            [number(segments, 8), number(if form.has_sections { sections } else { 0 }, 8), number(0, 4)].concat(),
        );
        let count: usize = if form.has_sections { 3 } else { 0 };
        program.extend([64, 56, 2, 64, count, count.saturating_sub(1)].map(|it| number(it, 2)).concat());
        for (flags, offset, length) in [(5, 0, data), (6, data, form.behind + info.len())] {
            let parts =
                [number(1, 4), number(flags, 4), number(offset, 8), number(0, 8), number(0, 8), number(length, 8)];
            program.extend(parts.concat());
            program.extend([0; 16]);
        }
        program.extend(names);
        program.resize(sections, 0);
        for (name, offset, length) in [(1, 0, 1), (7, data + form.behind, info.len()), (21, names_at, names.len())] {
            program.extend(
                [number(name, 4), number(0, 4), number(0, 8), number(0, 8), number(offset, 8), number(length, 8)]
                    .concat(),
            );
            program.extend([0; 24]);
        }
        program.resize(data + form.behind, 0);
        program.extend(info);
        program.extend([0; 64]);
        program
    }

    fn read(bytes: &[u8]) -> Option<String> {
        version(&mut &*bytes).map(|it| it.to_string())
    }

    #[test]
    fn the_version_is_what_the_linker_was_told() {
        for is_big in [false, true] {
            for has_sections in [false, true] {
                // Behind one window of the search too.
                for behind in [0, 48, WINDOW as usize - 16, WINDOW as usize * 3] {
                    let form = Form { is_big, has_sections, behind, ..FORM };
                    assert_eq!(
                        read(&program(form, &build(1000))).as_deref(),
                        Some("v1.33.4+rke2r1"),
                        "{is_big} {has_sections} {behind}"
                    );
                }
            }
        }
    }

    #[test]
    fn flags_are_read_in_every_way_to_write_them() {
        let set = "x/pkg/version.Version";
        for (text, expected) in [
            (format!("build\t-ldflags=\"-X {set}=v1.33.4+rke2r1\""), Some("v1.33.4+rke2r1")),
            (format!("build\t-ldflags=\"-X '{set}=v1.33.4+rke2r1'\""), Some("v1.33.4+rke2r1")),
            (format!("build\t-ldflags=\"-X \\\"{set}=v1.33.4+rke2r1\\\"\""), Some("v1.33.4+rke2r1")),
            (format!("build\t-ldflags=-X={set}=v1.33.4+rke2r1"), None),
            (format!("build\t-ldflags=`-w -X {set}=v1.33.4+rke2r1`"), Some("v1.33.4+rke2r1")),
            // The linker takes the last.
            (
                format!("build\t-ldflags=\"-X {set}=v1.33.4+rke2r1 -X {set}=v1.34.1-rc1+rke2r2\""),
                Some("v1.34.1-rc1+rke2r2"),
            ),
            (format!("build\t-ldflags=\"-X {set}=v1.33.4+rke2r1 -X {set}=dev\""), None),
            // The version of something else.
            ("build\t-ldflags=\"-X k8s.io/component-base/version.gitVersion=v1.33.4+rke2r1\"".into(), None),
            (format!("build\t-ldflags=\"-X {set}=v1.33.4+k3s1\""), None),
            (format!("build\t-tags=\"{set}=v1.33.4+rke2r1\""), None),
            (format!("dep\t-ldflags=\"-X {set}=v1.33.4+rke2r1\""), None),
            ("mod\tgithub.com/rancher/rke2\tv1.33.4+rke2r1\t".into(), Some("v1.33.4+rke2r1")),
            ("mod\tgithub.com/rancher/rke2\t(devel)\t".into(), None),
            ("mod\tgithub.com/rancher/rke2\tv0.0.0-20250101000000-0a1b2c3d4e5f\t".into(), None),
            ("mod\tgithub.com/other/rke2\tv1.33.4+rke2r1\t".into(), None),
            ("dep\tgithub.com/rancher/rke2\tv1.33.4+rke2r1\t".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(read(&program(FORM, &format!("path\tx\n{text}\n"))).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_build_says_whether_it_is_for_fips() {
        for (go, text, expected) in [
            ("go1.24.5 X:boringcrypto", "path\tx\n", true),
            ("go1.24.5 X:nodwarf5,boringcrypto", "path\tx\n", true),
            ("go1.24.5", "build\tGOEXPERIMENT=boringcrypto\n", true),
            ("go1.24.5", "build\tGOFIPS140=v1.0.0-c2097c7c\n", true),
            ("go1.24.5", "build\tGOFIPS140=off\n", false),
            ("go1.24.5", "build\tGOEXPERIMENT=nodwarf5\n", false),
            ("go1.24.5", "build\t-tags=boringcrypto\n", false),
            ("go1.24.5", "", false),
        ] {
            assert_eq!(is_fips(&mut &*program_of(go, FORM, text)), Some(expected), "{go} {text}");
        }
        assert_eq!(is_fips(&mut &b"no program"[..]), None);
    }

    #[test]
    fn what_is_no_build_information_is_none() {
        for bytes in [&b""[..], b"#!/bin/sh\necho rke2 version v1.33.4+rke2r1\n", b"\x7fELF", &[0xff; 4096]] {
            assert_eq!(read(bytes), None);
        }
        // A table of another form.
        let mut other_table = program(Form { has_sections: false, ..FORM }, &build(3));
        other_table[54] = 55;
        assert_eq!(read(&other_table), None);
        // Before Go 1.18.
        assert_eq!(read(&program(Form { flags: 0, ..FORM }, &build(1000))), None);
    }

    #[test]
    fn a_damaged_program_is_none_or_what_it_says() {
        for has_sections in [false, true] {
            let form = Form { has_sections, ..FORM };
            let whole = program(form, &build(3));
            assert_eq!(read(&whole[..whole.len() - 64]).as_deref(), Some("v1.33.4+rke2r1"), "nothing behind it");
            let end = whole.len() - 64 - 16;
            for cut in 0..end {
                assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
            }
            let headers = 0..program(form, "").len();
            for at in headers {
                for value in [0, 1, 0x7f, 0x80, 0xfe, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] = value;
                    let found = read(&damaged);
                    assert!(found.is_none() || found.as_deref() == Some("v1.33.4+rke2r1"), "{at} {value}: {found:?}");
                }
            }
        }
    }

    /// A program of many bytes that counts how many of them are read.
    struct Large {
        head: Vec<u8>,
        read: usize,
    }

    impl ReadAt for Large {
        fn size(&self) -> u64 {
            200 << 20
        }

        fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.read += buffer.len();
            buffer.fill(0);
            let _ = (&*self.head).read_at(buffer, offset)?;
            Ok(buffer.len())
        }
    }

    #[test]
    fn little_of_a_large_program_is_read() {
        let mut large = Large { head: program(FORM, &build(1000)), read: 0 };
        assert!(version(&mut large).is_some());
        assert!(large.read < build(1000).len() + 4096, "{}", large.read);
        // One that says it has the longest text of all, and one whose data is all of it and holds nothing.
        let mut text = program(FORM, "");
        let at = text.windows(MAGIC.len()).position(|it| it == MAGIC).unwrap() + HEADER as usize + 9;
        text[at..at + 5].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        let mut data = program(Form { has_sections: false, ..FORM }, &build(1000));
        data[64 + 56 + 32 + 6] = 0xff;
        let at = data.windows(MAGIC.len()).position(|it| it == MAGIC).unwrap();
        data[at] = 0;
        for head in [text, data] {
            let mut large = Large { head, read: 0 };
            assert_eq!(version(&mut large), None);
            assert!(large.read as u64 <= DATA + 4096, "{}", large.read);
        }
    }
}
