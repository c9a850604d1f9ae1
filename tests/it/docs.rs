//! The documentation is true: each cloud-config has no findings and can be rendered, each console block prints what it says, each command has
//! the options that it is given, and each link leads somewhere.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use provider_rke2::cluster::keys;
use provider_rke2::cluster::settings::{ROOT_PATH, ROWS};
use provider_rke2::findings::code::Code;
use provider_rke2::rke2::facts;
use provider_rke2::rke2::options::{self, Class};
use serde_yaml::Value;

use crate::support::{BINARY, Node};

/// The token of the examples, which `check` knows.
const EXAMPLE: &str = "choose-a-long-random-text";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, by its path in the repository.
fn pages() -> Vec<String> {
    let names = |directory: &str| {
        let entries = fs::read_dir(repository().join(directory)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".md")).map(|name| format!("{directory}{name}")).collect::<Vec<_>>()
    };
    let mut pages: Vec<String> = ["", "docs/", "stages/", "tests/lab/"].into_iter().flat_map(names).collect();
    pages.sort();
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

fn read(page: &str) -> String {
    fs::read_to_string(repository().join(page)).unwrap()
}

/// A fenced block: its language, its lines, and the name of the file that it is, which a comment before it says.
struct Block {
    language: String,
    text: String,
    file: Option<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut file, mut open): (Option<String>, Option<(String, String, String)>) = (None, None);
    for line in page.lines() {
        let content = line.trim_start();
        match open.take() {
            Some((fence, language, text)) if content == fence => {
                blocks.push(Block { language, text, file: file.take() });
            }
            Some((fence, language, text)) => open = Some((fence, language, format!("{text}{line}\n"))),
            None if content.starts_with("```") => {
                let ticks = content.chars().take_while(|it| *it == '`').count();
                let (fence, language) = content.split_at(ticks);
                open = Some((fence.to_owned(), language.to_owned(), String::new()));
            }
            None => {
                if let Some(rest) = content.strip_prefix("<!-- file: ") {
                    file = Some(rest.split([' ', '\n']).next().unwrap().to_owned());
                } else if !content.is_empty() && !content.starts_with("-->") {
                    file = None;
                }
            }
        }
    }
    assert!(open.is_none(), "a block without an end");
    blocks
}

/// Files that a page has in a comment, because a reader does not need to see them.
fn hidden_files(page: &str) -> Vec<(String, String)> {
    let comments = page.split("<!-- file: ").skip(1).filter_map(|rest| rest.split_once("-->"));
    comments
        .filter_map(|(comment, _)| {
            comment.split_once('\n').map(|(name, text)| (name.trim().to_owned(), text.to_owned()))
        })
        .collect()
}

/// Whether a block is a cloud-config, or the part of one that names a cluster.
fn cloud_config(block: &Block) -> Option<String> {
    if block.language != "yaml" {
        return None;
    }
    let names_cluster = block.text.lines().any(|line| line.starts_with("cluster:"));
    match block.text.starts_with("#cloud-config") {
        true => Some(block.text.clone()),
        false if names_cluster => Some(format!("#cloud-config\n{}", block.text)),
        false => None,
    }
}

/// A text with a token of its own, as a reader writes one.
fn with_token(text: &str) -> String {
    text.replace(EXAMPLE, "9d41f07ac3e85b26-token-of-this-test")
}

/// What a command prints, both streams, and how it ended.
fn ran(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

#[test]
fn every_cloud_config_is_clean_and_every_other_yaml_is_yaml() {
    let mut count = 0;
    for page in pages() {
        for block in blocks(&read(&page)) {
            let Some(text) = cloud_config(&block) else {
                if block.language == "yaml" {
                    let parsed = serde_yaml::from_str::<Value>(&block.text);
                    assert!(parsed.is_ok(), "{page}: {parsed:?}\n{}", block.text);
                }
                continue;
            };
            let node = Node::new();
            // Whoever copies the token of an example is told.
            node.write("example.yaml", with_token(&text), 0o600);
            let path = node.path("example.yaml");
            for verb in [&["check", "--strict"][..], &["render"]] {
                let (is_clean, told) = ran(Command::new(BINARY).arg("--root").arg(node.root()).args(verb).arg(&path));
                assert!(is_clean, "{page}: {verb:?}:\n{text}\n{told}");
            }
            count += 1;
        }
    }
    assert!(count >= 15, "only {count} cloud-configs were found");
}

/// Runs the commands of a console block, and gives the block as it must be.
fn replay(block: &str, room: &Path) -> String {
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", room.join("bin").display());
    let mut played = String::new();
    for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1; {line}")]).current_dir(room).env_clear().env("PATH", &path);
        played.push_str(&format!("$ {line}\n{}", ran(&mut shell).1));
    }
    played
}

#[test]
fn every_console_block_prints_what_it_says() {
    let is_update = std::env::var_os("DOCS_UPDATE").is_some();
    let mut count = 0;
    for page in pages() {
        let mut text = read(&page);
        let room = Node::new();
        fs::create_dir(room.path("bin")).unwrap();
        std::os::unix::fs::symlink(BINARY, room.path("bin/agent-provider-rke2")).unwrap();
        for (name, content) in hidden_files(&text) {
            room.write(&name, with_token(&content), 0o600);
        }
        for block in blocks(&text) {
            if let Some(name) = &block.file {
                room.write(name, with_token(&block.text), 0o600);
            }
            if block.language != "console" {
                continue;
            }
            assert!(block.text.starts_with("$ "), "{page}: a console block begins with a command:\n{}", block.text);
            let played = replay(&block.text, room.root());
            if is_update {
                text = text.replace(&format!("```console\n{}```", block.text), &format!("```console\n{played}```"));
            } else {
                assert_eq!(block.text, played, "{page}: DOCS_UPDATE=1 writes it");
            }
            count += 1;
        }
        if is_update {
            fs::write(repository().join(&page), text).unwrap();
        }
    }
    assert!(count >= 2, "only {count} console blocks were found");
}

#[test]
fn every_command_has_the_options_that_it_is_given() {
    let mut seen = BTreeSet::new();
    for page in pages() {
        for block in blocks(&read(&page)).iter().filter(|block| block.language == "sh") {
            let (is_shell, told) = ran(Command::new("sh").args(["-n", "-c", &block.text]));
            assert!(is_shell, "{page}: {told}\n{}", block.text);
            for line in block.text.lines() {
                let line = line.split(" #").next().unwrap().split(['|', '>', ';']).next().unwrap();
                let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word == "sudo").collect();
                let Some((program, words)) = words.split_first() else { continue };
                let is_event = words.iter().any(|word| {
                    word.starts_with("init.") || word.starts_with("agent.") || word.starts_with("cluster.")
                });
                if !program.ends_with("agent-provider-rke2") || is_event {
                    continue;
                }
                let (is_known, told) = ran(Command::new(BINARY).args(words).arg("--help"));
                assert!(is_known, "{page}: {line}\n{told}");
                seen.extend(words.first().map(|word| (*word).to_owned()));
            }
        }
    }
    for verb in ["status", "check", "reset", "render", "apply"] {
        assert!(seen.contains(verb), "no page shows {verb}: {seen:?}");
    }
}

/// What GitHub makes of a heading.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// Text without its fenced blocks.
fn prose(page: &str) -> String {
    let mut is_code = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| slug(&line.trim_start_matches('#').replace('`', ""))).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in pages() {
        let text = prose(&read(&page));
        let directory = PathBuf::from(&page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let link = link.split_whitespace().collect::<String>();
            count += 1;
            if link.contains("://") {
                let host = link.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
                assert!(host.contains('.') && !host.contains(' '), "{page}: {link}");
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { PathBuf::from(&page) } else { directory.join(path) };
            let full = repository().join(&target);
            assert!(full.exists(), "{page}: {link}: there is no {}", target.display());
            if !anchor.is_empty() {
                let anchors = anchors(&prose(&fs::read_to_string(full).unwrap()));
                assert!(anchors.contains(anchor), "{page}: {link}: there is no such heading among {anchors:?}");
            }
        }
    }
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = read("README.md");
    for page in pages() {
        if page.starts_with("docs/") {
            assert!(readme.contains(&format!("]({page})")), "README.md does not lead to {page}");
        }
    }
    assert!(readme.lines().count() <= 70, "the README is one screen");
}

#[test]
fn the_configuration_has_every_setting_as_the_table_has_it() {
    let page = read("docs/configuration.md");
    for row in [&ROOT_PATH].into_iter().chain(ROWS) {
        let default = Some((row.default)()).filter(|it| !it.is_empty()).unwrap_or_else(|| "none".into());
        let line = format!("| `{}` | {} | {} | {default} |", row.name, row.meaning, row.accepted);
        assert!(page.lines().any(|it| it == line), "docs/configuration.md must have this line:\n{line}");
    }
}

/// A page that is made from a table: `DOCS_UPDATE=1` writes it anew.
fn made(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("DOCS_UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/{name} is not what the table says; DOCS_UPDATE=1 cargo test --test it docs:: writes it anew"
    );
}

#[test]
fn the_page_about_findings_is_what_explain_says() {
    let mut page = "# Findings\n\nThe codes of what `check`, the log and `status` say. `agent-provider-rke2 explain CODE` says the same. This page is made from \
                    `src/findings/code.rs`.\n"
        .to_owned();
    let mut codes = Code::ALL.to_vec();
    codes.sort_by_key(|code| code.as_str());
    for code in codes {
        write!(page, "\n## {}\n\n{}\n", code.as_str(), code.explain()).unwrap();
    }
    made("findings.md", &page);
}

#[test]
fn the_page_about_options_is_the_table() {
    let mut page = "# Keys, settings and options\n\nWhat the cluster section of a cloud-config may hold. `agent-provider-rke2 explain NAME` says the same, and \
                    `agent-provider-rke2 schema` gives it to editors. This page is made from the program's tables.\n\n## Keys of the cluster section\n\n\
                    | key | what | takes | without it |\n|---|---|---|---|\n"
        .to_owned();
    for row in &keys::ROWS {
        writeln!(page, "| `{}` | {} | {} | {} |", row.name, row.meaning, row.accepted, row.default).unwrap();
    }
    page += "\n## Settings of providerConfig\n\n| setting | what | takes | without it |\n|---|---|---|---|\n";
    for row in [&ROOT_PATH].into_iter().chain(ROWS) {
        writeln!(page, "| `{}` | {} | {} | {} |", row.name, row.meaning, row.accepted, (row.default)()).unwrap();
    }
    page += "\n## Options of RKE2\n";
    let (dropped, own): (Vec<_>, Vec<_>) = options::all().iter().partition(|spec| spec.class == Class::Dropped);
    for spec in own {
        write!(page, "\n### {}\n\n{}\n\n", spec.name, spec.meaning).unwrap();
        for (name, value) in facts::of(spec).into_iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(page, "* {name}: {}", value.replace('*', "\\*")).unwrap();
        }
    }
    page += "\n## Options of k3s that have no effect in RKE2\n\n| option | what to know |\n|---|---|\n";
    for spec in dropped {
        writeln!(page, "| `{}` | {} |", spec.name, spec.meaning).unwrap();
    }
    made("options.md", &page);
}
