//! A cloud-config that a person hands over, and what is said about it.

use std::io::{self, Read as _};
use std::path::Path;

use crate::check::{self, Judged};
use crate::host::{self, Host};
use crate::text::escape::escape;

/// How much of a file is read.
const LIMIT: u64 = 16 << 20;

/// Reads a file and judges it for a node, or for one on which RKE2 has never been; `-` is standard input. Fails with the sentence why it cannot be read.
pub(super) fn judged(host: Option<&Host>, file: &Path) -> Result<Judged, String> {
    Ok(check::of_text(host, &text(file)?))
}

/// The text of a file; `-` is standard input. Fails with the sentence why it cannot be read.
pub(super) fn text(file: &Path) -> Result<String, String> {
    let name = escape(&file.display().to_string());
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("cannot read standard input: {error}"))?;
        if bytes.len() as u64 > LIMIT {
            return Err("standard input is larger than 16 MiB".into());
        }
        bytes
    } else {
        host::read_file(file, LIMIT).map_err(|error| error.to_string())?
    };
    String::from_utf8(bytes)
        .map_err(|error| format!("{name}: is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}
