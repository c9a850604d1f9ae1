//! The command line for the page: `worker.js` runs it as `agent-provider-rke2 VERB…`, with a cloud-config as standard input.
//!
//! It is WASI, so that standard streams and arguments are those of any program, and nothing here is unsafe.

use std::process::ExitCode;

fn main() -> ExitCode {
    provider_rke2::cli::run(std::env::args_os().collect(), "agent-provider-rke2")
}
