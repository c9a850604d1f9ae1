//! The launcher of the benchmark: runs programs one after the other, and says how long each took and its peak memory.
//!
//! A line on stdin is one run, its fields separated by tabs: the file that the run is to write, the file to give it
//! as stdin, the program, its arguments. A line on stdout is its result: nanoseconds from before the fork until the
//! process is gone, peak memory in KiB, the size in bytes of the file written. The first run that fails ends it all.
//!
//! It is static and small because the kernel carries the peak memory of a parent over fork and exec into the child
//! (`setmax_mm_hiwater_rss` in fs/exec.c): what is launched from a big process seems big. Both programs of a pair
//! have this one parent, so that starting a process costs them the same.
//! Compiled by `benches/support/mod.rs`, no part of the package.
use std::{
    env,
    ffi::c_long,
    fs::{self, File},
    io::{self, BufRead, Error, ErrorKind, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

unsafe extern "C" {
    fn wait4(pid: i32, status: *mut i32, options: i32, usage: *mut [c_long; USAGE]) -> i32;
}

/// More longs than any libc's `struct rusage` has.
const USAGE: usize = 64;
/// Two `struct timeval` come before `ru_maxrss`.
const MAXRSS: usize = 4;

fn main() -> Result<(), Error> {
    if env::args().len() > 1 {
        return Err(Error::other("usage: launcher <RUNS"));
    }
    for line in io::stdin().lock().lines() {
        let result = run(&line?)?;
        io::stdout().write_all(result.as_bytes())?;
    }
    Ok(())
}

fn run(line: &str) -> Result<String, Error> {
    let mut fields = line.split('\t');
    let (Some(written), Some(input), Some(program)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Error::other("a run is: written, input, program, arguments"));
    };
    remove(Path::new(written))?;
    let mut command = Command::new(program);
    command.args(fields).env_clear().stdin(File::open(input)?).stdout(Stdio::null());

    let mut status = 0;
    let mut usage = [0; USAGE];
    let start = Instant::now();
    let child = command.spawn()?;
    // SAFETY: both pointers are valid for the call, and `usage` is longer than what the kernel and libc write.
    let waited = unsafe { wait4(child.id().cast_signed(), &raw mut status, 0, &raw mut usage) };
    let time = start.elapsed();

    if waited < 0 {
        return Err(Error::last_os_error());
    }
    if status != 0 {
        return Err(Error::other(format!("wait status {status} of: {line}")));
    }
    let size = fs::metadata(written).map_err(|error| Error::other(format!("{written}: {error}, after: {line}")))?.len();
    Ok(format!("{}\t{}\t{size}\n", time.as_nanos(), usage[MAXRSS]))
}

/// Removes the file, and waits until that is on the disk: no run pays for what the one before it left behind.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
