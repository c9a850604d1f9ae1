//! The command line: what a person, a boot stage or a unit runs.

mod apply;
mod check;
mod completions;
mod diff;
mod explain;
mod guard;
mod input;
mod migrate;
mod prestart;
mod record;
mod render;
mod reset;
mod schema;
mod simulate;
mod status;
mod verb;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::host::{Host, reason};
use crate::report::stdio;
use crate::{Context, VERSION};
use verb::{FAILED, UNREADABLE, Verb as _, fail, tell};

/// Kairos cluster provider for RKE2: turns the cluster section of a cloud-config into boot stages.
///
/// With one argument that has a dot in it (agent.boot) and input that is no terminal, it answers that event of the Kairos plugin bus.
#[derive(Debug, Parser)]
#[command(name = "agent-provider-rke2", version = VERSION, arg_required_else_help = true)]
struct Arguments {
    /// Puts every path on the node below DIR; nothing outside is touched and no process is started
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Prints the document that agent.boot would write for a cloud-config, secrets masked
    Render(render::Render),
    /// Says what is wrong with cloud-configs, with line, code and what to do
    Check(check::Check),
    /// Says what a code, a key, a setting or an option of RKE2 means
    Explain(explain::Explain),
    /// Prints the JSON Schema of a cloud-config with a cluster section, for editors
    Schema(schema::Schema),
    /// Plans and applies a cloud-config in an empty directory, secrets masked, and lists what came to be
    Simulate(simulate::Simulate),
    /// Says what changes on a node between two cloud-configs, whether RKE2 restarts, and what a guard would say
    Diff(diff::Diff),
    /// Makes a cloud-config with a cluster section of one for the Go provider, k3s, kubeadm or plain RKE2, and says each change
    Migrate(migrate::Migrate),
    /// Takes a step of the boot stages on the node, or all of them in order
    Apply(apply::Apply),
    /// Called by the unit before each start: waits for what must wait, keeps what RKE2 is about to read
    Prestart(prestart::Prestart),
    /// The unit's condition: exit status 1 if RKE2 would found a second cluster, or do other harm that nobody can undo
    Guard(guard::Guard),
    /// Called by the unit once RKE2 is ready: keeps what this node became
    Record(record::Record),
    /// Says what this node is, and why
    Status(status::Status),
    /// Takes RKE2's state off this node and leaves all else; the cluster is not told
    Reset(reset::Reset),
    /// Prints the completions for a shell
    Completions(completions::Completions),
    /// Prints the manual page
    Man(completions::Man),
}

/// The root and name of an event, if that is what the arguments are: `[--root DIR] NAME` with a dot in the name, and standard input
/// that is no terminal.
pub fn event(arguments: &[OsString]) -> Option<(PathBuf, String)> {
    let (root, name) = match arguments.get(1..)? {
        [name] => (PathBuf::from("/"), name),
        [option, root, name] if option == "--root" => (root.into(), name),
        [option, name] => (option.to_str()?.strip_prefix("--root=")?.into(), name),
        _ => return None,
    };
    // A name that is no text is one of the many that do not concern us.
    let name = name.to_string_lossy();
    let is_event = name.contains('.') && !name.starts_with('-') && !io::stdin().is_terminal();
    is_event.then(|| (root, name.into_owned()))
}

/// What is typed like the name of an event, where no event can come.
fn named_event(arguments: &[OsString]) -> Option<String> {
    let name = match arguments.get(1..)? {
        [option, _, name, ..] if option == "--root" => name,
        [option, name, ..] if option.as_encoded_bytes().starts_with(b"--root=") => name,
        arguments => arguments.first()?,
    };
    let name = name.to_str()?;
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase());
    (name.contains('.') && name.split('.').all(is_name)).then(|| name.to_owned())
}

fn how_events_are_sent(name: &str) -> String {
    format!(
        "{name}: is the name of an event, which is sent on standard input; write \
         `agent-provider-rke2 {name} <FILE` with {{\"data\": \"…\"}} in the file"
    )
}

/// Runs a verb. The exit status is 0 for done and clean, 1 for findings and refusals, 2 for wrong usage and unreadable input.
pub fn run(arguments: Vec<OsString>, program: &str) -> ExitCode {
    let arguments_name_event = named_event(&arguments);
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            if let Some(name) = arguments_name_event {
                tell(&how_events_are_sent(&name));
            }
            let status = u8::try_from(error.exit_code()).unwrap_or(UNREADABLE);
            match error.print() {
                Err(error) if status == 0 && stdio::is_loss(&error) => return ExitCode::from(lost(&error)),
                _ => return ExitCode::from(status),
            }
        }
    };
    let host = match Host::new(arguments.root.as_deref().unwrap_or(Path::new("/"))) {
        Ok(host) => host,
        Err(error) => return ExitCode::from(fail(&error.to_string())),
    };
    let context = Context { host: &host, program, version: VERSION };
    let status = match arguments.verb {
        Verb::Render(verb) => verb.run(arguments.root.is_some().then_some(&host)),
        Verb::Check(verb) => verb.run(Some(&host)),
        Verb::Explain(verb) => verb.run(),
        Verb::Schema(verb) => verb.run(&context),
        Verb::Simulate(verb) => verb.run(&context),
        Verb::Diff(verb) => verb.run(&context),
        Verb::Migrate(verb) => verb.run(&context),
        Verb::Apply(verb) => verb.run(&context),
        Verb::Prestart(verb) => verb.run(&context),
        Verb::Guard(verb) => verb.run(&context),
        Verb::Record(verb) => verb.run(&context),
        Verb::Status(verb) => verb.run(&context),
        Verb::Reset(verb) => verb.run(&context),
        Verb::Completions(verb) => verb.print(Arguments::command()),
        Verb::Man(_) => completions::Man::print(Arguments::command()),
    };
    ExitCode::from(stdio::lost().map_or(status, |error| lost(error).max(status)))
}

/// Tells that not all of what was to be printed is where it was to go; gives the exit status.
fn lost(error: &io::Error) -> u8 {
    tell(&format!("cannot write to standard output: {}", reason(error)));
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Arguments::command().debug_assert();
    }
}
