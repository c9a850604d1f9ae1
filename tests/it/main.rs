//! What the program promises, one file for each promise or subject, and one harness for all (`support`). Inputs lie in `testdata/`, with
//! the whole expected output beside them. What a test must have for itself (a mount namespace, an environment, a umask, a limit) it gives
//! to a child, because all tests run in one process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]
#![allow(clippy::format_collect, clippy::format_push_string, reason = "short generators of input")]

mod before_upgrade;
mod bus;
mod checks;
mod cli;
mod corpus;
mod costs;
mod docs;
mod environment;
mod events;
mod faults;
mod guards;
mod hazards;
mod host;
mod house;
mod images;
mod install;
mod installed;
mod lab;
mod log;
mod merge;
mod merge_properties;
mod migrate;
mod migrating;
mod people;
mod properties;
mod recorded_options;
mod rehearsal;
mod reset;
mod scripts;
mod secrets;
mod service;
mod situations;
mod status;
mod support;
mod trust;
mod values;
mod words;
mod yaml;
