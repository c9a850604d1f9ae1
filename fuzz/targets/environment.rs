//! The environment file says to systemd's reader what was meant.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use provider_rke2::environment;

fuzz_target!(|text: &str| {
    // What the cloud-config's `env` allows: names of the shell, values without control characters.
    let is_name = |it: &str| {
        !it.is_empty()
            && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !it.as_bytes()[0].is_ascii_digit()
    };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.filter(|(name, value)| is_name(name) && !value.chars().any(char::is_control));
    let variables: BTreeMap<String, String> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let text = environment::text(&variables);
    assert_eq!(systemd(&text), variables, "{text}");
});

/// What systemd makes of the file (`parse_env_file_internal` in src/basic/env-file.c), as far as quoted values go.
fn systemd(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with(['#', ';', '\n']) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let (name, value) = rest.split_once('=').expect("a line has a name");
        let mut characters = value.strip_prefix('"').expect("a value in quotes").char_indices();
        let mut meant = String::new();
        let end = loop {
            match characters.next().expect("a quote that is closed") {
                (at, '"') => break at,
                // In double quotes a backslash takes the meaning of these away, and stays before all else.
                (_, '\\') => match characters.next().expect("something behind a backslash") {
                    (_, it @ ('"' | '\\' | '`' | '$')) => meant.push(it),
                    (_, '\n') => {}
                    (_, it) => meant.extend(['\\', it]),
                },
                (_, it) => meant.push(it),
            }
        };
        variables.insert(name.to_owned(), meant);
        rest = value[end + 2..].strip_prefix('\n').expect("a value ends with its line");
    }
    variables
}
