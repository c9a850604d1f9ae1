//! The door where there is no machine behind it: WebAssembly in a browser.
//!
//! No [`Host`] can be made, so what asks one compiles and never runs. What needs none is the same everywhere.

mod error;
pub(crate) mod owned;
mod read_at;

use std::io;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use copy::Original;
pub use error::Error;

/// A machine, of which there is none.
#[derive(Debug)]
pub enum Host {}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The name, as the kernel has it.
    pub name: String,
    /// The address with the length of its network.
    pub address: IpNet,
    /// How long it has had it; nothing if the kernel does not tell.
    pub age: Option<Duration>,
}

/// What the code above asks a machine, by name, with what it gives and takes.
macro_rules! never {
    ($($name:ident($($argument:ty),*) -> $answer:ty;)*) => {
        impl Host {
            $(pub(crate) fn $name(&self $(, _: $argument)*) -> $answer {
                match *self {}
            })*
        }
    };
}

never! {
    exists(&str) -> bool;
    file(&str) -> Result<Original, Error>;
    holds(&str, &[u8]) -> bool;
    identity(&str) -> Option<(u64, u64)>;
    install(&str, &[u8], u32) -> Result<bool, Error>;
    is_dir(&str) -> bool;
    is_real() -> bool;
    is_same_file(&str, &str) -> bool;
    is_symlink(&str) -> bool;
    is_there(&str) -> bool;
    list(&str) -> Result<Vec<String>, Error>;
    make_dir(&str, u32) -> Result<(), Error>;
    put(&str, &[u8], u32) -> Result<bool, Error>;
    random() -> [u8; 16];
    read(&str, u64) -> Result<Vec<u8>, Error>;
    real_path(&str) -> Option<String>;
    remove(&str) -> Result<bool, Error>;
    run(&str, &[&str], Duration) -> Result<String, Error>;
}

impl Host {
    /// Fails: there is no machine.
    pub fn new(root: &Path) -> Result<Host, Error> {
        Err(nothing("use the root", root))
    }
}

/// Fails: there are no files, and what a person hands over comes by standard input.
pub(crate) fn read_file(path: &Path, _: u64) -> Result<Vec<u8>, Error> {
    Err(nothing("read", path))
}

/// Nothing there makes a write wait.
pub(crate) fn is_writable<T>(_: &T, _: Duration) -> bool {
    true
}

fn nothing(doing: &'static str, path: &Path) -> Error {
    Error::os(doing, &path.to_string_lossy(), io::ErrorKind::Unsupported)
}

/// Large files.
pub(crate) mod copy {
    use std::io;

    pub use super::read_at::ReadAt;

    /// A file, of which there is none.
    pub(crate) enum Original {}

    /// What tells it from another.
    pub(crate) type Identity = ();

    impl Original {
        pub(crate) fn identity(&self) -> Identity {
            match *self {}
        }
    }

    impl ReadAt for Original {
        fn size(&self) -> u64 {
            match *self {}
        }

        fn read_at(&mut self, _: &mut [u8], _: u64) -> io::Result<usize> {
            match *self {}
        }
    }
}

/// What is mounted.
pub(crate) mod mounts {
    /// A mount.
    pub(crate) struct Mount {
        pub point: String,
        pub kind: String,
        pub source: String,
    }

    /// Nothing is.
    pub(crate) fn parse(_: &[u8]) -> Vec<Mount> {
        Vec::new()
    }
}
