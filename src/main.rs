//! `agent-provider-rke2`: an event of the plugin bus, or a verb of the command line.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use provider_rke2::bus::Deadline;
use provider_rke2::host::{self, Host};
use provider_rke2::report::stdio;
use provider_rke2::{Context, VERSION, bus, cli};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    host::forbid_core_dumps();
    // A panic's message may quote what it was working on; only its place is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |it| format!(" at {}:{}", it.file(), it.line()));
        stdio::to_stderr(&format!("agent-provider-rke2: panicked{place}"));
    }));
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let program = Host::program(arguments.first().map(std::ffi::OsString::as_os_str));
    match cli::event(&arguments) {
        Some((root, name)) => {
            serve(&root, &name, &program);
            ExitCode::SUCCESS
        }
        None => cli::run(std::mem::take(&mut arguments), &program),
    }
}

/// Answers one event. Whatever happens, stdout gets one JSON line.
fn serve(root: &Path, name: &str, program: &str) {
    #[allow(clippy::exit, clippy::disallowed_methods, reason = "nothing else ends a process whose main thread hangs")]
    let end = || std::process::exit(0);
    bus::answer(io::stdout(), &Deadline::after(bus::BOUND), end, |deadline| match Host::new(root) {
        Ok(host) => {
            let context = Context { host: &host, program, version: VERSION };
            bus::handle(name, io::stdin(), &context, deadline)
        }
        Err(error) => bus::Response { error: error.to_string(), ..bus::Response::default() },
    });
}
