//! What the table of options says of one, in words.

use super::options::{Class, Roles, Spec};

/// What the table says of an option, each with its name; empty where it says nothing.
pub fn of(spec: &Spec) -> [(&'static str, String); 11] {
    let yes = |is, text: &str| if is { text.to_owned() } else { String::new() };
    let expected = spec.kind.expected();
    let words: Vec<&str> = spec.words(None).collect();
    let (least, most) = spec.numbers();
    let number = |limit: Option<i128>| limit.map_or_else(String::new, |it| it.to_string());
    let allowed = match spec.allowed.contains("..") {
        true => format!("{} to {}", number(least), number(most)).trim().to_owned(),
        false => words.join(", "),
    };
    let kind = if spec.is_list() { format!("a list; each item is {expected}") } else { expected.to_owned() };
    let merge = match spec.class {
        Class::Owned => "the cluster section's own key counts, whatever other files say",
        Class::Append => "the items of all files, in their order",
        _ => "the last file that names it wins",
    };
    let roles = match spec.roles {
        Roles::Server => "servers",
        Roles::Agent => "agents",
        Roles::Both => "servers and agents",
    };
    let since = match spec.since.strip_prefix("<=") {
        Some(version) => format!("RKE2 {version} or before"),
        None => spec.since.replace('|', ", "),
    };
    [
        ("takes", kind),
        ("allowed", allowed),
        ("without it", spec.default_in(None).to_owned()),
        ("files", merge.to_owned()),
        ("commas", yes(spec.comma_split, "one text may hold several items, separated by commas")),
        ("nodes", roles.to_owned()),
        ("since", since),
        ("deprecated", spec.deprecated.to_owned()),
        ("variable", spec.env.join(", ")),
        ("secret", yes(spec.secret, "never shown")),
        ("critical", yes(spec.critical, "all servers of a cluster must agree on it")),
    ]
}
