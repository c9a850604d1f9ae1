//! Archives made by hand, byte by byte, so that the checks of the program meet the formats and not another program's habits.

#![allow(dead_code, unreachable_pub, reason = "a benchmark uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

/// Bytes that no packer would shrink, the same for the same seed.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// One entry of a tar: header, then data padded with zeros.
pub fn entry(name: &str, type_flag: u8, data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = type_flag;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend(data);
    bytes.resize(bytes.len().div_ceil(512) * 512, 0);
    bytes
}

/// The tar of an image with a layer of that size.
pub fn tar(seed: u64, layer: usize) -> Vec<u8> {
    let manifest = entry("manifest.json", b'0', br#"[{"Config":"c","RepoTags":["a:1"],"Layers":["l"]}]"#);
    [manifest, entry("l", b'0', &noise(seed, layer)), vec![0; 1024]].concat()
}

/// A zstd frame that holds the bytes as they are, in blocks of at most 100 KiB, with a window of 128 KiB unless another descriptor is given.
pub fn zstd(data: &[u8], window: u8) -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x04, window];
    let blocks: Vec<_> = data.chunks(100 << 10).collect();
    for (at, block) in blocks.iter().enumerate() {
        let last = u32::from(at + 1 == blocks.len());
        bytes.extend(&(last | u32::try_from(block.len()).unwrap() << 3).to_le_bytes()[..3]);
        bytes.extend(*block);
    }
    bytes.extend([1, 2, 3, 4]);
    bytes
}

/// An LZ4 frame that holds the bytes as they are, in blocks of at most 64 KiB.
pub fn lz4(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7];
    for block in data.chunks(64 << 10) {
        bytes.extend((u32::try_from(block.len()).unwrap() | 1 << 31).to_le_bytes());
        bytes.extend(block);
    }
    bytes.extend([0, 0, 0, 0, 1, 2, 3, 4]);
    bytes
}

/// The header and trailer of gzip around the bytes as they are, which is enough for who does not unpack.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], data, &[0; 8]].concat()
}

/// The same of bzip2.
pub fn bzip2(data: &[u8]) -> Vec<u8> {
    [b"BZh9\x31\x41\x59\x26\x53\x59", data, &[0; 8]].concat()
}

/// An archive by the ending of its name.
pub fn by_name(name: &str, seed: u64, layer: usize) -> Vec<u8> {
    let tar = tar(seed, layer);
    match name.rsplit('.').next() {
        Some("zst" | "tzst") => zstd(&tar, 0x38),
        Some("lz4") => lz4(&tar),
        Some("gz" | "tgz") => gzip(&tar),
        Some("bz2" | "tbz") => bzip2(&tar),
        _ => tar,
    }
}
