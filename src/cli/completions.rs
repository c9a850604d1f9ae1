//! `completions` and `man`: the command line as shells and man(1) take it, made from the definitions that parse it.

use std::fmt::Write as _;

use clap::builder::PossibleValue;
use clap::{Arg, Command, ValueEnum};

use crate::report::stdio;

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell that reads them
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// source <(agent-provider-rke2 completions bash)
    Bash,
    /// agent-provider-rke2 completions zsh >/usr/share/zsh/site-functions/_agent-provider-rke2
    Zsh,
    /// agent-provider-rke2 completions fish | source
    Fish,
}

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {}

impl Completions {
    /// Prints them for the command line as it is defined.
    pub(super) fn print(&self, command: Command) -> u8 {
        let verbs = verbs(command);
        stdio::to_stdout(&match self.shell {
            Shell::Bash => bash(&verbs),
            Shell::Zsh => zsh(&verbs),
            Shell::Fish => fish(&verbs),
        });
        0
    }
}

impl Man {
    /// Prints it.
    pub(super) fn print(command: Command) -> u8 {
        stdio::to_stdout(&man(&verbs(command)));
        0
    }
}

/// A verb with its flags.
struct Words {
    name: String,
    about: String,
    /// What stands behind it and is no flag: its name and the words that it may be.
    rest: Vec<(String, Vec<String>)>,
    flags: Vec<Flag>,
}

struct Flag {
    /// With its dashes.
    name: String,
    about: String,
    /// The name of its value; empty where it takes none.
    value: String,
    words: Vec<String>,
}

fn verbs(mut command: Command) -> Vec<Words> {
    command.build();
    let verbs = command.get_subcommands().filter(|it| it.get_name() != "help");
    let own = Words { name: String::new(), about: String::new(), rest: Vec::new(), flags: flags(&command) };
    let of_verb = |it: &Command| Words {
        name: it.get_name().to_owned(),
        about: it.get_about().map(ToString::to_string).unwrap_or_default(),
        rest: it.get_positionals().map(|arg| (value(arg), words(arg))).collect(),
        flags: flags(it),
    };
    std::iter::once(own).chain(verbs.map(of_verb)).collect()
}

fn flags(command: &Command) -> Vec<Flag> {
    let named = command.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
    let flag = |(arg, name): (&Arg, &str)| Flag {
        name: format!("--{name}"),
        about: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        value: if arg.get_action().takes_values() { value(arg) } else { String::new() },
        words: if arg.get_action().takes_values() { words(arg) } else { Vec::new() },
    };
    named.map(flag).collect()
}

fn value(arg: &Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map_or_else(|| arg.get_id().to_string(), ToString::to_string)
}

fn words(arg: &Arg) -> Vec<String> {
    arg.get_possible_values().iter().map(PossibleValue::get_name).map(ToOwned::to_owned).collect()
}

fn bash(verbs: &[Words]) -> String {
    let names: Vec<&str> = verbs.iter().map(|it| it.name.as_str()).filter(|it| !it.is_empty()).collect();
    let (mut values, mut words) = (String::new(), String::new());
    for verb in verbs {
        for flag in &verb.flags {
            if !flag.words.is_empty() {
                let _ = writeln!(values, "        '{} {}') words='{}' ;;", verb.name, flag.name, flag.words.join(" "));
            } else if !flag.value.is_empty() {
                let _ = writeln!(values, "        '{} {}') words='' ;;", verb.name, flag.name);
            }
        }
        let flags = verb.flags.iter().map(|it| it.name.as_str());
        let rest = verb.rest.iter().flat_map(|it| &it.1).map(String::as_str);
        let first: &[&str] = if verb.name.is_empty() { &names } else { &[] };
        let all: Vec<&str> = first.iter().copied().chain(rest).chain(flags).collect();
        let _ = writeln!(words, "            '{}') words='{}' ;;", verb.name, all.join(" "));
    }
    format!(
        "# Completions of agent-provider-rke2 for bash.
_agent_provider_rke2() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} verb='' word words
    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do
        case $word in {}) verb=$word; break ;; esac
    done
    case \"$verb $previous\" in
{values}        *) case $verb in
{words}        esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")
}}
complete -o default -F _agent_provider_rke2 agent-provider-rke2
",
        names.join("|")
    )
}

fn zsh(verbs: &[Words]) -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''").replace(['[', ']', ':'], " ");
    let mut list = String::new();
    let mut cases = String::new();
    for verb in verbs {
        let mut arguments = String::new();
        for flag in &verb.flags {
            let _ = write!(arguments, " '{}[{}]", flag.name, quoted(&flag.about));
            if !flag.value.is_empty() {
                let what = if flag.words.is_empty() { "_files".into() } else { format!("({})", flag.words.join(" ")) };
                let _ = write!(arguments, ":{}:{what}", flag.value);
            }
            arguments.push('\'');
        }
        for (name, words) in &verb.rest {
            let what = if words.is_empty() { "_files".into() } else { format!("({})", words.join(" ")) };
            let _ = write!(arguments, " '*:{name}:{what}'");
        }
        if verb.name.is_empty() {
            let _ = writeln!(cases, "    '') _arguments{arguments} '1:verb:->verb'; _describe verb verbs ;;");
        } else {
            let _ = writeln!(list, "    '{}:{}'", verb.name, quoted(&verb.about));
            let _ = writeln!(cases, "    {}) _arguments{arguments} ;;", verb.name);
        }
    }
    format!(
        "#compdef agent-provider-rke2
local -a verbs
verbs=(
{list})
local verb='' at
for (( at = 2; at < CURRENT; at++ )); do
    if (( ${{verbs[(I)${{words[at]}}:*]}} )); then
        verb=${{words[at]}}
        words=(\"${{words[1]}}\" \"${{(@)words[at+1,-1]}}\")
        (( CURRENT -= at - 1 ))
        break
    fi
done
case $verb in
{cases}esac
"
    )
}

fn fish(verbs: &[Words]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut script = "# Completions of agent-provider-rke2 for fish.\n".to_owned();
    for verb in verbs {
        let when = if verb.name.is_empty() {
            "__fish_use_subcommand".into()
        } else {
            format!("__fish_seen_subcommand_from {}", verb.name)
        };
        let begin = format!("complete -c agent-provider-rke2 -n '{when}'");
        if !verb.name.is_empty() {
            let _ = writeln!(
                script,
                "complete -c agent-provider-rke2 -n __fish_use_subcommand -a {} -d '{}'",
                verb.name,
                quoted(&verb.about)
            );
        }
        for flag in &verb.flags {
            let value = match (flag.value.is_empty(), flag.words.is_empty()) {
                (true, _) => String::new(),
                (false, true) => " -r".into(),
                (false, false) => format!(" -xa '{}'", flag.words.join(" ")),
            };
            let _ = writeln!(
                script,
                "{begin} -l {}{value} -d '{}'",
                flag.name.trim_start_matches('-'),
                quoted(&flag.about)
            );
        }
        for (_, words) in verb.rest.iter().filter(|it| !it.1.is_empty()) {
            let _ = writeln!(script, "{begin} -xa '{}'", words.join(" "));
        }
    }
    script
}

fn man(verbs: &[Words]) -> String {
    let plain = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let mut page = format!(
        ".TH AGENT-PROVIDER-RKE2 8 \"\" \"{}\"\n.SH NAME\nagent\\-provider\\-rke2 \\- Kairos cluster provider for RKE2\n.SH SYNOPSIS\n\
         .B agent\\-provider\\-rke2\n[\\-\\-root DIR] VERB [ARGUMENTS]\n.br\n.B agent\\-provider\\-rke2\n[\\-\\-root DIR] EVENT\n\
         .SH DESCRIPTION\nTurns the cluster section of a cloud\\-config into boot stages that make the node an RKE2 server or agent.\n\
         With one argument that has a dot in it (agent.boot) and input that is no terminal, it answers that event of the Kairos plugin bus.\n",
        env!("CARGO_PKG_VERSION")
    );
    for verb in verbs {
        if verb.name.is_empty() {
            page += ".SH OPTIONS\n";
        } else {
            let rest: Vec<String> = verb.rest.iter().map(|(name, _)| name.to_uppercase()).collect();
            let (name, rest) = (plain(&verb.name), plain(&rest.join(" ")));
            let _ = writeln!(page, ".SS {name} {rest}\n{}.", plain(&verb.about));
        }
        for flag in verb.flags.iter().filter(|it| verb.name.is_empty() || !matches!(&*it.name, "--help" | "--root")) {
            let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
            let words = if flag.words.is_empty() { String::new() } else { format!(" ({})", flag.words.join(", ")) };
            let _ = writeln!(
                page,
                ".TP\n.B {}{}\n{}{}.",
                plain(&flag.name),
                plain(&value),
                plain(&flag.about),
                plain(&words)
            );
        }
        if verb.name.is_empty() {
            page += ".SH VERBS\n";
        }
    }
    page + ".SH EXIT STATUS\n0: done, clean or ok; 1: findings, or something was refused or failed; 2: wrong usage or unreadable input.\n\
         .SH FILES\n/usr/local/cloud\\-config/cluster.kairos.yaml: the boot stages.\n.br\n/var/log/provider\\-rke2.log: what was done.\n\
         .br\n/run/provider\\-rke2: the plan of this boot.\n"
}
