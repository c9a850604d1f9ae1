//! `node.json`: what this node became, kept outside the data directory, so that it is known when the data is gone.
//!
//! Another version of this program may have written it, an older or a newer one: what this one does not know is kept as it is.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::critical::Critical;
use super::disk::FileSystem;
use crate::host::{Error, Host};
use crate::rke2::Unit;
use crate::rke2::version::Version;
use crate::text::collected;

/// The directory of what this program remembers of a node.
pub(crate) const DIRECTORY: &str = "/usr/local/lib/provider-rke2";

/// Where it is.
pub(crate) const PATH: &str = "/usr/local/lib/provider-rke2/node.json";

/// The form of the file that this version writes.
const FORM: u64 = 1;

/// How much of it is read.
const LIMIT: u64 = 1 << 20;

/// How many configurations count as installed by this program: the last, and one that was about to be when the power failed.
const CONFIGS: usize = 2;

/// What this node became.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// What it runs.
    pub unit: Unit,
    /// Where RKE2 holds its state.
    pub data_dir: String,
    /// What that lies on.
    pub file_system: Option<FileSystem>,
    /// The critical options of a server; none if they are not known.
    pub options: Option<Critical>,
    /// Goes into every hash of what is secret.
    pub salt: String,
    /// The hash of the token's password.
    pub token: Option<String>,
    /// The hash of the certificate of the cluster's CA.
    pub ca: Option<String>,
    /// The hashes of the last config.yaml that this program has installed.
    pub configs: Vec<String>,
    /// The highest version of RKE2 that was started here.
    pub started: Option<Version>,
    /// The version that was started last.
    pub last: Option<Version>,
    /// The highest version of RKE2 that was ready here.
    pub ready: Option<Version>,
    /// Whether RKE2 was ready here once.
    pub was_ready: bool,
    /// Lines of `providerConfig.accept` that something was allowed by, which has not been ready yet.
    pub accepting: Vec<String>,
    /// Lines that were used, and are not honoured again.
    pub accepted: Vec<String>,
    /// What this version does not know.
    others: Map<String, Value>,
}

impl Record {
    /// A record of a node that nothing is known of yet.
    pub(crate) fn new(host: &Host, unit: Unit, data_dir: &str) -> Record {
        Record {
            unit,
            data_dir: data_dir.to_owned(),
            file_system: None,
            options: None,
            salt: hex(&host.random()),
            token: None,
            ca: None,
            configs: Vec::new(),
            started: None,
            last: None,
            ready: None,
            was_ready: false,
            accepting: Vec::new(),
            accepted: Vec::new(),
            others: Map::new(),
        }
    }

    /// Reads it; none if there is none. Fails with a sentence if it cannot be read.
    pub(crate) fn read(host: &Host) -> Result<Option<Record>, String> {
        let bytes = match host.read(PATH, LIMIT) {
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(bytes) => bytes,
        };
        let record = serde_json::from_slice(&bytes).ok().and_then(Record::of);
        record.map(Some).ok_or_else(|| format!("{PATH}: is not a record of this node"))
    }

    /// Reads the fields, each for itself; unit and data directory must be there.
    fn of(mut others: Map<String, Value>) -> Option<Record> {
        let mut take = |key: &str| others.remove(key).unwrap_or_default();
        let text = |value: Value| value.as_str().map(str::to_owned);
        let texts = |value: Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(|it| it.as_str().map(str::to_owned)).collect()
        };
        let options = |value: Value| -> Option<Critical> {
            let pairs = value.as_object()?.iter();
            Some(collected(pairs.filter_map(|(name, it)| Some((name.clone(), it.as_str()?.to_owned())))))
        };
        let version = |value: Value| value.as_str()?.parse().ok();
        let file_system = |value: Value| {
            let field = |key: &str| value.get(key)?.as_str().map(str::to_owned);
            Some(FileSystem { mount: field("mount")?, kind: field("type")?, uuid: field("uuid") })
        };
        Some(Record {
            unit: Unit::of(take("unit").as_str()?)?,
            data_dir: text(take("data_dir")).filter(|path| path.starts_with('/'))?,
            file_system: file_system(take("file_system")),
            options: options(take("options")),
            salt: text(take("salt")).unwrap_or_default(),
            token: text(take("token")),
            ca: text(take("ca")),
            configs: texts(take("configs")),
            started: version(take("started")),
            last: version(take("last")),
            ready: version(take("ready")),
            was_ready: take("was_ready") == Value::Bool(true),
            accepting: texts(take("accepting")),
            accepted: texts(take("accepted")),
            others,
        })
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut all = self.others.clone();
        // A newer version has written the rest of it for itself.
        let form = all.get("form").and_then(Value::as_u64).unwrap_or_default().max(FORM);
        let mut put = |key: &str, value: Value| match value {
            Value::Null => None,
            value => all.insert(key.to_owned(), value),
        };
        put("form", json!(form));
        put("unit", json!(self.unit.name()));
        put("data_dir", json!(self.data_dir));
        let file_system = |it: &FileSystem| match &it.uuid {
            Some(uuid) => json!({"mount": it.mount, "type": it.kind, "uuid": uuid}),
            None => json!({"mount": it.mount, "type": it.kind}),
        };
        put("file_system", json!(self.file_system.as_ref().map(file_system)));
        put("options", json!(self.options));
        put("salt", json!(self.salt));
        put("token", json!(self.token));
        put("ca", json!(self.ca));
        put("configs", json!(self.configs));
        put("started", json!(self.started));
        put("last", json!(self.last));
        put("ready", json!(self.ready));
        put("was_ready", json!(self.was_ready));
        put("accepting", json!(self.accepting));
        put("accepted", json!(self.accepted));
        all
    }

    /// Writes it, whole or not at all.
    pub(crate) fn write(&self, host: &Host) -> Result<(), Error> {
        host.make_dir(DIRECTORY, 0o700)?;
        let mut text = serde_json::to_string_pretty(&self.to_json()).unwrap_or_default();
        text.push('\n');
        host.install(PATH, text.as_bytes(), 0o600).map(drop)
    }

    /// The hash of a secret, or of a text with one in it.
    pub(crate) fn hash(&self, text: &[u8]) -> String {
        hash(&[self.salt.as_bytes(), text])
    }

    /// Whether the token is another one; of a token only the password counts, the short and the long form are equal (k3s
    /// `pkg/clientaccess/token.go`). False if either is not known.
    pub(crate) fn has_other_token(&self, token: Option<&str>) -> bool {
        matches!((&self.token, token), (Some(known), Some(token)) if *known != self.hash(password(token).as_bytes()))
    }

    /// Takes in a token.
    pub(crate) fn set_token(&mut self, token: &str) {
        self.token = Some(self.hash(password(token).as_bytes()));
    }

    /// Takes in a config.yaml that is about to be installed.
    pub(crate) fn add_config(&mut self, text: &[u8]) {
        let hash = self.hash(text);
        self.configs.retain(|it| *it != hash);
        self.configs.push(hash);
        let surplus = self.configs.len().saturating_sub(CONFIGS);
        self.configs.drain(..surplus);
    }

    /// Whether a config.yaml was installed by this program last.
    pub(crate) fn knows_config(&self, text: &[u8]) -> bool {
        self.configs.is_empty() || self.configs.contains(&self.hash(text))
    }
}

/// The hash of texts one after the other, in hexadecimal.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    hex(&sha.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What of a token is secret, the same in its two forms: all of the short one, what follows the user in `K10<hash>::<user>:<password>`.
/// A full one without a user has the password alone (k3s `pkg/clientaccess/token.go`).
pub(crate) fn password(token: &str) -> &str {
    let long = token.strip_prefix("K10").and_then(|rest| rest.split_once("::"));
    long.map_or(token, |(_, rest)| rest.split_once(':').map_or(rest, |(_, password)| password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_token_the_password_counts() {
        assert_eq!(password("K10abc::server:secret"), "secret");
        assert_eq!(password("K10abc::server:se:cret"), "se:cret");
        assert_eq!(password("secret"), "secret");
        assert_eq!(password("K10abc::secret"), "secret");
        assert_eq!(password("K10abc"), "K10abc");
    }

    #[test]
    fn what_another_version_wrote_stays() {
        let text =
            r#"{"form": 7, "unit": "rke2-server", "data_dir": "/x", "salt": "s", "later": {"a": [1]}, "started": 3}"#;
        let record = Record::of(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!((record.unit, record.started.clone()), (Unit::Server, None));
        let all = record.to_json();
        assert_eq!((&all["form"], &all["later"]), (&json!(7), &json!({"a": [1]})));
        assert_eq!(Record::of(all), Some(record));
        for torn in [
            r#"{"unit": "rke2-server"}"#,
            r#"{"unit": "k3s", "data_dir": "/x"}"#,
            r#"{"unit": "rke2-agent", "data_dir": "x"}"#,
        ] {
            assert_eq!(Record::of(serde_json::from_str(torn).unwrap()), None, "{torn}");
        }
    }
}
