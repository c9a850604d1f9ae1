//! `cluster.cluster_token`: the shared secret of the cluster.

use std::collections::BTreeMap;
use std::fmt;

use super::config::{embedded, is_text_of_config};
use super::provider;
use super::reader::{self, OtherType, Reader};
use super::role::Role;
use crate::findings::Instead;
use crate::findings::code::{Code, Severity};
use crate::findings::path::At;
use crate::rke2::Unit;
use crate::rke2::drop_in::{DropIn, Owned};
use crate::rke2::overrides::Needed;
use crate::text::odd;
use crate::text::yaml::Core;

/// The option that names a file with the token.
const FILE: &str = "token-file";

/// The shared secret of the cluster; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A secret as it is.
    pub(crate) fn new(secret: &str) -> Token {
        Token(secret.to_owned())
    }

    /// The secret itself, for the files that are meant for it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Reads the key, or the token among RKE2's options where it is missing. `options` and `env` may name a file with it.
pub(crate) fn read(
    reader: &mut Reader,
    role: Option<Role>,
    owned: &[Owned],
    options: &[&DropIn],
    env: &BTreeMap<String, String>,
) -> Option<Token> {
    let own = reader.scalar("cluster_token", "text", OtherType::IsRefused);
    let is_wrong_type = own.is_none() && reader.get("cluster_token").is_some();
    if let Some(given) = own.as_ref().filter(|given| given.scalar.core() == Core::Retyped) {
        let rest = "is a number, boolean or date without quotes, which the merge of cloud-configs may change; quote it";
        reader.findings.warn(Code::TokenNotText, given.at.clone(), rest);
    }
    let own = own.filter(|given| !given.trimmed().is_empty());
    if let (Some(given), Some(first)) =
        (&own, owned.iter().find(|it| it.name == "token" && is_text_of_config(reader, it)))
    {
        return glued(reader, first, given.trimmed());
    }
    let embedded = embedded(reader, "token", "cluster_token", own.is_none(), owned);
    let (text, at) = match (&own, embedded) {
        (Some(given), _) => (given.trimmed().to_owned(), given.at.clone()),
        (None, Some(it)) => (it.text.clone(), it.at.clone()),
        (None, None) => {
            let in_file = options.iter().any(|it| it.iter().any(|(name, _)| name == FILE));
            let in_file = in_file || env.get("RKE2_TOKEN_FILE").is_some_and(|it| !it.is_empty());
            if !in_file && !is_wrong_type {
                missing(reader, role);
            }
            return None;
        }
    };
    if text.contains("{{") {
        let rest = "holds a template, which is not evaluated in a secret; write the token itself";
        reader.findings.error(Code::OptionTemplate, at.clone(), rest);
    }
    // The line break at the end of a block is none that somebody wrote.
    let written = own.as_ref().map_or(text.as_str(), |given| given.scalar.text.trim_end_matches(['\n', '\r']));
    if let Some(what) = odd::character(written).filter(|_| !text.contains("{{")) {
        let rest = format!("has {what}; write the token alone, or choose another");
        reader.findings.error(Code::TokenCharacters, at.clone(), &rest);
    }
    if odd::is_no_secret(&text) {
        let rest = "is a placeholder or an example, not a secret; write the token of the cluster, a long random text";
        reader.findings.error(Code::Placeholder, at, rest);
    } else if let Some((severity, code, rest)) = judge(&text, role.unwrap_or(Role::Init).unit()) {
        reader.findings.push(severity, code, at, rest);
    } else if role == Some(Role::Init) && text.starts_with("K10") && !reader.findings.lenient {
        let rest = "has the full form, which names the CA of a cluster that exists, but role init makes one; write its \
                    password alone, what follows the last colon";
        reader.findings.error(Code::TokenFullOnInit, at, rest);
    } else if role.is_some_and(Role::joins) && !text.starts_with("K10") && !reader.findings.lenient {
        let rest = "does not name the CA of the cluster, so the node trusts whoever answers at its address; write the \
                    full form K10<hash>::<user>:<password> of a server's node-token";
        reader.findings.note(Code::TokenUnpinned, at, rest);
    }
    Some(Token(text))
}

/// Two tokens: the Go provider merged its drop-ins with jq, which adds texts of one key, so its clusters were founded with both in one.
fn glued(reader: &mut Reader, first: &Owned, second: &str) -> Option<Token> {
    let rest = "stands beside cluster.cluster_token; the Go provider made one token of the two, this one first, so write that text in \
                cluster_token if the cluster was founded by it, else remove this one";
    let is_refused = reader.findings.refuse_fresh(Code::TokenGlued, first.at.clone(), rest, Instead::Kept);
    (!is_refused).then(|| Token(format!("{}{second}", first.text)))
}

/// Leaves out a file with the token where the section has the token itself: RKE2 would take one of the two.
pub(crate) fn drop_files(reader: &mut Reader, config: &mut DropIn, provider: &mut DropIn) {
    let is_given =
        reader.get("cluster_token").and_then(|(_, node)| node.scalar()).is_some_and(|it| !it.text.trim().is_empty());
    for (holder, options) in [("config", config), (provider::key(&reader.section.node), provider)] {
        let before = options.len();
        options.retain(|(name, _)| !is_given || name != FILE);
        if options.len() < before {
            let rest = "is ignored, because cluster.cluster_token counts; remove it";
            reader.findings.warn(
                Code::TokenEmbedded,
                At { path: reader::path(holder).key(FILE), ..reader.at(holder) },
                rest,
            );
        }
    }
}

fn missing(reader: &mut Reader, role: Option<Role>) {
    let at = reader.at("cluster_token");
    if let Some(role) = role.filter(|role| role.joins()) {
        let what = format!("and a {} needs the token of its cluster", role.as_str());
        reader.missing(Code::TokenMissing, Needed::Token, role.unit(), at, &what);
    } else if role.is_some() {
        let rest = "is missing, so RKE2 makes one, which other nodes need to join; write one to know it beforehand";
        reader.findings.note(Code::TokenGenerated, at, rest);
    }
}

/// What is to be said about a token (k3s `pkg/clientaccess/token.go` and `pkg/util/token.go`).
fn judge(text: &str, unit: Unit) -> Option<(Severity, Code, &'static str)> {
    const SHORTEST: usize = 16;
    let malformed =
        "begins with K10 but is not K10<64 hex digits>::<user>:<password>, so RKE2 does not accept it; copy it whole";
    if let Some(rest) = text.strip_prefix("K10") {
        let credentials = match rest.split_once("::") {
            Some((hash, _)) if !hash.is_empty() && hash.len() != 64 => {
                return Some((Severity::Error, Code::TokenMalformed, malformed));
            }
            Some((_, credentials)) => credentials,
            None => rest,
        };
        let fits = is_bootstrap_token(credentials)
            || credentials.split_once(':').is_some_and(|(_, password)| !password.is_empty());
        return (!fits).then_some((Severity::Error, Code::TokenMalformed, malformed));
    }
    if is_bootstrap_token(text) && unit == Unit::Server {
        let rest = "has the form abcdef.0123456789abcdef, which RKE2 servers do not accept; choose another";
        return Some((Severity::Error, Code::TokenBootstrapForm, rest));
    }
    let rest = "is shorter than 16 characters, so it can be guessed; choose a longer one";
    (text.chars().count() < SHORTEST).then_some((Severity::Warning, Code::TokenShort, rest))
}

/// `^[a-z0-9]{6}\.[a-z0-9]{16}$`
fn is_bootstrap_token(text: &str) -> bool {
    let word = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Token::new("a-secret")), "Token(***)");
    }

    #[test]
    fn tokens_are_judged_as_rke2_parses_them() {
        let hash = "a".repeat(64);
        for (token, unit, code) in [
            ("a-long-enough-token".to_owned(), Unit::Server, None),
            ("exactly-16-chars".into(), Unit::Server, None),
            ("only-15-of-them".into(), Unit::Server, Some(Code::TokenShort)),
            ("short".into(), Unit::Agent, Some(Code::TokenShort)),
            ("abcdef.0123456789abcdef".into(), Unit::Server, Some(Code::TokenBootstrapForm)),
            ("abcdef.0123456789abcdef".into(), Unit::Agent, None),
            ("abcdeF.0123456789abcdef".into(), Unit::Server, None),
            ("abcde.0123456789abcdef0".into(), Unit::Server, None),
            (format!("K10{hash}::server:pass"), Unit::Agent, None),
            (format!("K10{hash}::abcdef.0123456789abcdef"), Unit::Agent, None),
            (format!("K10{hash}::server:"), Unit::Agent, Some(Code::TokenMalformed)),
            ("K10::server:pass".into(), Unit::Agent, None),
            ("K10abc::server:pass".into(), Unit::Agent, Some(Code::TokenMalformed)),
            ("K10-just-a-password".into(), Unit::Agent, Some(Code::TokenMalformed)),
            ("K10user:password".into(), Unit::Agent, None),
        ] {
            assert_eq!(judge(&token, unit).map(|(_, code, _)| code), code, "{token}");
        }
    }
}
