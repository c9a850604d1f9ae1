//! Gives `--version` the git revision (without a repository it is `unknown`), and the program the files of `stages/` and RKE2's options as constants.
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

/// Writes the constant `STAGES`: file name and text of each stage, in the order of the names.
fn stages(here: &str) {
    let directory = format!("{here}/stages");
    println!("cargo:rerun-if-changed={directory}");
    let names =
        fs::read_dir(&directory).into_iter().flatten().flatten().filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    let mut source = "/// The boot stages, in the order in which they run: file name and text.\n\
                      pub(crate) const STAGES: &[(&str, &str)] = &[\n"
        .to_owned();
    for name in names {
        let _ = writeln!(source, "    ({name:?}, include_str!({:?})),", format!("{directory}/{name}"));
    }
    source += "];\n";
    write("stages.rs", &source);
}

/// Writes the constants `SPECS`, `NAMES` and `SECRETS` from `src/rke2/options.tsv`, whose first lines explain its columns.
fn options(here: &str) {
    let path = format!("{here}/src/rke2/options.tsv");
    println!("cargo:rerun-if-changed={path}");
    let table = fs::read_to_string(&path).unwrap_or_default();
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

fn write(name: &str, source: &str) {
    let written = env::var("OUT_DIR").map(|out| fs::write(format!("{out}/{name}"), source));
    assert!(matches!(written, Ok(Ok(()))), "OUT_DIR must be writable");
}
