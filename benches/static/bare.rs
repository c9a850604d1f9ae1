//! The bare program of the benchmark: the least that a file which survives a power cut costs.
//!
//! `bare PATH SIZE` writes SIZE bytes to a fresh file beside PATH, fsyncs it, renames it to PATH and fsyncs the
//! directory. Compiled by `benches/agent_boot.rs`, no part of the package.
use std::{
    env,
    fs::{self, OpenOptions},
    io::{Error, Write},
    path::PathBuf,
};

fn main() -> Result<(), Error> {
    let mut arguments = env::args().skip(1);
    let (Some(path), Some(Ok(size))) = (arguments.next(), arguments.next().map(|size| size.parse::<usize>())) else {
        return Err(Error::other("usage: bare PATH SIZE"));
    };
    let path = PathBuf::from(path);
    let directory = path.parent().ok_or_else(|| Error::other("PATH has no directory"))?;
    let temporary = path.with_extension("new");

    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    file.write_all(&vec![b'#'; size])?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, &path)?;
    OpenOptions::new().read(true).open(directory)?.sync_all()
}
