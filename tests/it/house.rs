//! The order of the house: a module uses those below it, and two files of one module do not use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The modules from the top down. A module may use itself and what stands below it.
const ORDER: &[&str] = &[
    "bus", "cli", "migrate", "check", "reset", "install", "apply", "start", "plan", "images", "status", "cluster",
    "environment", "service", "identity", "rke2", "report", "findings", "host", "text",
];

/// What stands in `lib.rs` itself, for all.
const OF_ALL: &[&str] = &["Context", "VERSION"];

/// A path that a file names: its parts from the root of the crate, and the line where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Import {
    line: usize,
    path: Vec<String>,
}

/// A file of `src/`: its module, from the root of the crate, and what it imports.
struct File {
    name: String,
    module: Vec<String>,
    imports: Vec<Import>,
}

/// A test, a case or a scenario says what came of each, so none is there in words alone.
#[test]
fn every_code_has_a_case() {
    fn read(path: &Path, all: &mut String) {
        if path.is_dir() {
            for it in fs::read_dir(path).unwrap() {
                read(&it.unwrap().path(), all);
            }
        } else if path.is_file() {
            all.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
    let mut all = String::new();
    for directory in ["testdata", "tests"] {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut all);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words: BTreeSet<&str> = all.split(|c| !is_name(c)).collect();
    let codes = provider_rke2::findings::code::Code::ALL.iter().map(|code| code.as_str());
    let without: Vec<&str> = codes.filter(|code| !words.contains(code)).collect();
    assert!(without.is_empty(), "no case says {without:?}");
}

#[test]
fn modules_use_what_is_below_them() {
    let mut wrong = Vec::new();
    for file in files() {
        let Some(from) = file.module.first() else { continue };
        let Some(own) = place(from) else {
            wrong.push(format!("{}: module {from} has no place in the order", file.name));
            continue;
        };
        for import in &file.imports {
            let Some(to) = import.path.first().filter(|it| !OF_ALL.contains(&it.as_str())) else { continue };
            let problem = match place(to) {
                Some(at) if at >= own => continue,
                Some(_) => format!("{from} is below {to}"),
                None => format!("{to} has no place in the order"),
            };
            wrong.push(format!("{}:{}: crate::{}: {problem}", file.name, import.line, import.path.join("::")));
        }
    }
    assert!(wrong.is_empty(), "modules import upward:\n{}", wrong.join("\n"));
}

#[test]
fn files_of_a_module_do_not_use_each_other_in_a_circle() {
    let files = files();
    let by_module: BTreeMap<&[String], &File> = files.iter().map(|file| (&file.module[..], file)).collect();
    // File by file, what it uses of its own top-level module, and where.
    let mut graph: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.module.is_empty()) {
        for import in &file.imports {
            let longest = (1..=import.path.len()).rev().find_map(|end| by_module.get(&import.path[..end]));
            let Some(used) = longest.filter(|used| used.module[0] == file.module[0] && used.name != file.name) else {
                continue;
            };
            graph.entry(&file.name).or_default().entry(&used.name).or_insert(import.line);
        }
    }
    let circles: BTreeSet<String> = graph.keys().filter_map(|file| circle(&graph, file)).collect();
    assert!(circles.is_empty(), "files use each other:\n{}", Vec::from_iter(circles).join("\n"));
}

/// The shortest way from a file back to itself, from the first of its names on; nothing if there is none.
fn circle(graph: &BTreeMap<&str, BTreeMap<&str, usize>>, start: &str) -> Option<String> {
    let mut open = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !open.is_empty() {
        let mut next = Vec::new();
        for way in open {
            for used in graph.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                if *used == start {
                    let least = way.iter().enumerate().min_by_key(|(_, name)| **name)?.0;
                    let turned: Vec<&str> = (0..=way.len()).map(|at| way[(least + at) % way.len()]).collect();
                    let steps = turned.windows(2).map(|step| format!("{}:{}", step[0], graph[step[0]][step[1]]));
                    return Some(format!("{} -> {}", steps.collect::<Vec<_>>().join(" -> "), turned[0]));
                }
                if seen.insert(*used) {
                    next.push([&way[..], &[*used]].concat());
                }
            }
        }
        open = next;
    }
    None
}

fn place(module: &str) -> Option<usize> {
    ORDER.iter().position(|it| *it == module)
}

/// The files of `src/`, without `main.rs`, which is a crate of its own.
fn files() -> Vec<File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut open) = (Vec::new(), vec![src.clone()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            let Some(module) = name.strip_suffix(".rs").filter(|it| *it != "main") else { continue };
            let module = module.strip_suffix("/mod").unwrap_or(module);
            let module: Vec<String> = module.split('/').filter(|it| *it != "lib").map(ToOwned::to_owned).collect();
            let imports = imports(&fs::read_to_string(&path).unwrap(), &module);
            files.push(File { name: format!("src/{name}"), module, imports });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(files.len() > 20);
    files
}

/// What the text of a module imports by `crate::`, `self::`, `super::` and the names of its own parts; its tests are left out.
fn imports(text: &str, module: &[String]) -> Vec<Import> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let tokens = tokens(text);
    let declared = tokens.windows(3).filter(|it| it[0].1 == "mod" && it[2].1 == ";").map(|it| it[1].1);
    let parts: BTreeSet<&str> = declared.filter(|_| !module.is_empty()).collect();
    let is_part = |name: &str| parts.contains(name);
    let mut imports = Vec::new();
    for at in 0..tokens.len() {
        let is_root = follows(&tokens, at + 1, "::")
            && (matches!(tokens[at].1, "crate" | "super" | "self") || is_part(tokens[at].1));
        let is_inside = at > 0 && matches!(tokens[at - 1].1, "::" | "$" | ".");
        // `pub(in crate::a)` says who may see something.
        let is_visibility = at > 0 && tokens[at - 1].1 == "in" && at > 1 && tokens[at - 2].1 == "(";
        // `pub use part::Name` shows what a part has; it does not use it.
        let before_use = at.checked_sub(2).filter(|_| tokens[at - 1].1 == "use").map(|at| tokens[at].1);
        let is_shown = is_part(tokens[at].1) && matches!(before_use, Some("pub" | ")"));
        if is_root && !is_inside && !is_visibility && !is_shown {
            let before = if is_part(tokens[at].1) { module } else { &[] };
            tree(&tokens, at, module, before, &mut imports);
        }
    }
    imports
}

fn follows(tokens: &[(usize, &str)], at: usize, what: &str) -> bool {
    tokens.get(at).is_some_and(|(_, token)| *token == what)
}

/// Reads a path with the groups in it, from `at` on, and gives where it ends.
fn tree(
    tokens: &[(usize, &str)],
    mut at: usize,
    module: &[String],
    before: &[String],
    found: &mut Vec<Import>,
) -> usize {
    let mut path = before.to_vec();
    let line = tokens[at].0;
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "crate" => path.clear(),
            "self" if path.is_empty() => path = module.to_vec(),
            "self" => {}
            "super" => {
                if path.is_empty() {
                    path = module.to_vec();
                }
                path.pop();
            }
            "{" => {
                at += 1;
                while !follows(tokens, at, "}") {
                    at = tree(tokens, at, module, &path, found);
                    at += usize::from(follows(tokens, at, ","));
                }
                return at + 1;
            }
            name => path.push(name.to_owned()),
        }
        at += 1;
        if !follows(tokens, at, "::") || follows(tokens, at + 1, "<") {
            break;
        }
        at += 1;
    }
    found.push(Import { line, path });
    // `as` gives another name.
    at + if follows(tokens, at, "as") { 2 } else { 0 }
}

/// Words and marks of Rust with their lines; comments and the insides of quotes are left out.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            'r' | 'b' | 'c' if raw(rest).is_some() => raw(rest).unwrap(),
            '\'' if rest[1..].starts_with('\\') => 4 + rest[3..].find('\'').unwrap(),
            '\'' if rest[1..].chars().nth(1) == Some('\'') => rest[1..].find('\'').map_or(3, |end| end.max(1) + 2),
            it if it.is_alphanumeric() || it == '_' => {
                let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
                tokens.push((line, &rest[..end]));
                end
            }
            ':' if rest.starts_with("::") => {
                tokens.push((line, "::"));
                2
            }
            it => {
                if !it.is_whitespace() {
                    tokens.push((line, &rest[..it.len_utf8()]));
                }
                it.len_utf8()
            }
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The length of a text in double quotes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text[1..].find(|it| {
        let ends = it == '"' && !is_escaped;
        is_escaped = it == '\\' && !is_escaped;
        ends
    });
    end.unwrap() + 2
}

/// The length of a raw text, or of one of bytes; nothing if it is a name.
fn raw(text: &str) -> Option<usize> {
    let open = text.find(|it| !matches!(it, 'r' | 'b' | 'c'))?;
    let hashes = text[open..].find(|it| it != '#')?;
    if open > 2 || !text[open + hashes..].starts_with('"') {
        return None;
    }
    if !text[..open].contains('r') {
        return (hashes == 0).then(|| open + quoted(&text[open..]));
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let begin = open + hashes + 1;
    Some(begin + text[begin..].find(&close)? + close.len())
}

/// What the two tests above rest on.
#[test]
fn imports_are_read_as_rust_reads_them() {
    let text = r##"//! crate::not::a comment
use std::fs;
use crate::host::Host;
use crate::{Context, plan::{self, drop_in::DropIn as Other, id}, text::*};
use super::steps::{
    swap,
};
pub(crate) const A: &str = "crate::not \" a text"; const B: char = '"'; const C: char = '\'';
pub(in crate::apply) fn one<'a>(it: &'a crate::rke2::Unit) -> char { crate::bus::answer::<u8>(r#"crate::no " "#) }
fn two() { self::three(); super::super::reset::four(b"crate::no"); $crate::five() /* crate::no */ }
mod part;
pub use part::{Thing, other::part::Deep};
use part::Used;
#[cfg(test)]
mod tests {
    use crate::tests::Only;
}
"##;
    let found = imports(text, &["apply".to_owned(), "service".to_owned()]);
    let found: Vec<String> = found.iter().map(|it| format!("{} {}", it.line, it.path.join("::"))).collect();
    assert_eq!(
        found,
        [
            "3 host::Host", "4 Context", "4 plan", "4 plan::drop_in::DropIn", "4 plan::id", "4 text::*",
            "6 apply::steps::swap", "9 rke2::Unit", "9 bus::answer", "10 apply::service::three", "10 reset::four",
            "13 apply::service::part::Used",
        ]
    );
}

#[test]
fn a_circle_is_found_and_named_once() {
    let graph = BTreeMap::from([
        ("a", BTreeMap::from([("b", 1), ("c", 2)])),
        ("b", BTreeMap::from([("c", 3)])),
        ("c", BTreeMap::from([("b", 4)])),
    ]);
    let circles: Vec<_> = graph.keys().map(|file| circle(&graph, file)).collect();
    assert_eq!(circles, [None, Some("b:3 -> c:4 -> b".to_owned()), Some("b:3 -> c:4 -> b".to_owned())]);
}
