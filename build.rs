//! Gives `--version` the git revision (without a repository it is `unknown`), and the program the files of `stages/`, RKE2's options and the flags of
//! Kubernetes as constants.
// A build script has no host::Host to go through.
#![allow(clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    stages(&here);
    options(&here);
    flags(&here);
    layout(&here);
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&here).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // A repository further up (a vendored copy) is not ours.
    let revision = Path::new(&here).join(".git").exists().then(|| git(&["rev-parse", "--short=12", "HEAD"])).flatten();
    // An image is built from a context without a repository: its builder names the revision.
    let given = env::var("PROVIDER_RKE2_REVISION").ok().filter(|revision| !revision.is_empty());
    println!("cargo:rustc-env=GIT_REVISION={}", given.or(revision).as_deref().unwrap_or("unknown"));
    println!("cargo:rerun-if-env-changed=PROVIDER_RKE2_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// Puts the functions side by side that `agent.boot` runs, in the static binaries.
fn layout(here: &str) {
    let path = format!("{here}/benches/layout.ld");
    println!("cargo:rerun-if-changed={path}");
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl") {
        println!("cargo:rustc-link-arg-bins=-T{path}");
    }
}

/// Writes the constant `STAGES`: the name of each stage, in the order of the names, and the parts that it has in a document. For tests, `TEXTS`: the
/// files themselves.
fn stages(here: &str) {
    let directory = format!("{here}/stages");
    println!("cargo:rerun-if-changed={directory}");
    let names =
        fs::read_dir(&directory).into_iter().flatten().flatten().filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    let (mut stages, mut texts) = (String::new(), String::new());
    for name in names {
        let path = format!("{directory}/{name}");
        let parts = Parts::of_stage(&read(&path));
        let _ = writeln!(stages, "    ({name:?}, &[{parts}]),");
        let _ = writeln!(texts, "    ({name:?}, include_str!({path:?})),");
    }
    let source = format!(
        "/// The boot stages, in the order in which they run: file name and parts.\n\
         pub(crate) const STAGES: &[(&str, &[Part])] = &[\n{stages}];\n\n\
         #[cfg(test)]\npub(crate) const TEXTS: &[(&str, &str)] = &[\n{texts}];\n"
    );
    write("stages.rs", &source);
}

/// How deep a stage stands in the document.
const STAGE_INDENT: usize = 6;

/// A line of a stage.
struct Line<'a> {
    /// The blanks that it begins with.
    indent: usize,
    /// What follows them.
    body: &'a str,
}

/// The parts of a stage, as Rust.
#[derive(Default)]
struct Parts {
    source: String,
    /// What stands in the document as it is; not in `source` yet.
    text: String,
}

impl Parts {
    /// The lines of a stage as they are in its file, but for comments and what is asked for.
    fn of_stage(stage: &str) -> String {
        let lines = stage.lines().map(|line| {
            let body = line.trim_start_matches(' ');
            Line { indent: line.len() - body.len(), body }
        });
        let lines: Vec<Line> = lines.filter(|line| !line.body.is_empty() && !line.body.starts_with('#')).collect();
        let mut parts = Parts::default();
        let mut rest = lines.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let deeper = after.iter().take_while(|line| line.indent > first.indent).count();
            let (item, others) = rest.split_at(deeper + 1);
            if first.body.starts_with("- ") && item.iter().any(|line| line.body.contains("@NUMBER@")) {
                let mut each = Parts::default();
                for line in item {
                    each.add(line, "");
                }
                parts.push(&format!("Part::Each(&[{}])", each.done()));
                rest = others;
            } else {
                parts.add(first, if rest.len() == lines.len() { "- " } else { "" });
                rest = after;
            }
        }
        parts.done()
    }

    /// Adds a line. Where something is asked for, it holds one text in double quotes, at its end, which Rust reads as JSON does.
    fn add(&mut self, line: &Line, dash: &str) {
        let indent = STAGE_INDENT + line.indent;
        self.text += &" ".repeat(indent - dash.len());
        self.text += dash;
        match line.body.contains('@').then(|| line.body.split_once(" \"")).flatten() {
            None => self.text += line.body,
            Some((before, quoted)) => {
                self.text += before;
                // The lines of a block stand two deeper than its key, or than the dash that it is an item of.
                let deeper = if before.starts_with("- ") { 4 } else { 2 };
                self.push(&format!("Part::Asks {{ text: \"{quoted}, indent: {} }}", indent + deeper));
            }
        }
        self.text.push('\n');
    }

    fn push(&mut self, part: &str) {
        self.end_text();
        let _ = write!(self.source, "{part}, ");
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            let _ = write!(self.source, "Part::Text({:?}), ", std::mem::take(&mut self.text));
        }
    }

    fn done(mut self) -> String {
        self.end_text();
        self.source
    }
}

/// Writes the constants `SPECS`, `NAMES` and `SECRETS` from `src/rke2/options.tsv`, whose first lines explain its columns.
fn options(here: &str) {
    let path = format!("{here}/src/rke2/options.tsv");
    println!("cargo:rerun-if-changed={path}");
    let table = read(&path);
    let (mut specs, mut names, mut secrets) = (String::new(), Vec::new(), Vec::new());
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, class, roles, marks, aliases, kind, allowed, default, since, deprecated, env, meaning] = columns[..]
        else {
            panic!("{path}: expected twelve columns: {line}");
        };
        assert!(columns.iter().all(|column| !column.is_empty()), "{path}: empty column: {line}");
        let words = |column: &'static str, text| words(text).unwrap_or_else(|| panic!("{path}: {column}: {line}"));
        let marks = words("marks", marks);
        let known = |mark: &&str| matches!(*mark, "comma" | "secret" | "critical");
        assert!(marks.iter().all(known), "{path}: marks: {line}");
        let has = |mark| marks.contains(&mark);
        let (class, roles) = (capital(class), capital(roles));
        let kind = if kind == "-" { "Text".to_owned() } else { capital(kind) };
        let [allowed, default, since, deprecated] =
            [allowed, default, since, deprecated].map(|text| if text == "-" { "" } else { text });
        let _ = writeln!(
            specs,
            "    Spec {{ name: {name:?}, class: Class::{class}, roles: Roles::{roles}, comma_split: {}, secret: {}, critical: {}, \
             aliases: &{:?}, kind: Kind::{kind}, allowed: {allowed:?}, default: {default:?}, since: {since:?}, \
             deprecated: {deprecated:?}, env: &{:?}, meaning: {meaning:?} }},",
            has("comma"),
            has("secret"),
            has("critical"),
            words("aliases", aliases),
            words("env", env),
        );
        names.push(name);
        if has("secret") {
            secrets.push(name);
        }
    }
    let source = format!(
        "const SPECS: &[Spec] = &[\n{specs}];\n\nconst NAMES: &[&str] = &{names:?};\n\nconst SECRETS: &[&str] = &{secrets:?};\n"
    );
    write("options.rs", &source);
}

/// Writes the constant `ROWS` from `src/rke2/flags.tsv`, whose first lines explain its columns.
fn flags(here: &str) {
    let path = format!("{here}/src/rke2/flags.tsv");
    println!("cargo:rerun-if-changed={path}");
    let table = read(&path);
    let mut rows = String::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, form, programs, first, last] = columns[..] else {
            panic!("{path}: expected five columns: {line}");
        };
        let version = |text, none| if text == "-" { none } else { text };
        let (form, first, last) = (capital(form), version(first, "0"), version(last, "u8::MAX"));
        let of = ["k", "a", "c", "s", "p"].map(|letter| programs.contains(letter));
        let _ = writeln!(
            rows,
            "    Row {{ name: {name:?}, form: Form::{form}, of: {of:?}, first: {first}, last: {last} }},"
        );
    }
    write("flags.rs", &format!("const ROWS: &[Row] = &[\n{rows}];\n"));
}

/// The words of a column; `None` if one of them is empty.
fn words(column: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = if column == "-" { Vec::new() } else { column.split(',').collect() };
    words.iter().all(|word| !word.is_empty()).then_some(words)
}

/// The name of an enum's variant.
fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn write(name: &str, source: &str) {
    let written = env::var("OUT_DIR").map(|out| fs::write(format!("{out}/{name}"), source));
    assert!(matches!(written, Ok(Ok(()))), "OUT_DIR must be writable");
}
