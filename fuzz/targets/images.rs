//! Image archives and lists of checksums: any bytes get a verdict, whole archives are not refused for what follows from their name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provider_rke2::images::archive::{self, Kind};
use provider_rke2::images::sums;

const NAMES: [&str; 7] = ["a.tar", "a.tar.zst", "a.tar.lz4", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.txt"];

fuzz_target!(|input: &[u8]| {
    let Some((number, bytes)) = input.split_first() else { return };
    if let Some(kind) = Kind::of(NAMES[usize::from(*number) % NAMES.len()]) {
        let _ = archive::check(kind, &mut &*bytes).expect("bytes in memory can be read");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for name in ["sha256sum-amd64.txt", "a.tar.zst.sha256", "checksums.txt"] {
        for (file, digest) in sums::read(name, text) {
            assert!(!file.contains('\n'), "{file:?}");
            // The digest stands in the list as it is written.
            assert!(text.to_ascii_lowercase().contains(&sums::hex(&digest)), "{file:?}");
        }
    }
});
