//! JSON Schema 2020-12 of a cloud-config with a cluster section, made of the tables, for editors and pipelines.
//!
//! It takes what `check` takes, as far as a schema can say it: the text form of `config` is not looked into, and what templates become is known
//! on the node.

use serde_json::{Map, Value, json};

use super::role::Role;
use super::{keys, settings};
use crate::rke2::options::{self, Class, Kind, Spec};

/// The schema.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Kairos cloud-config with a cluster section for RKE2",
        "type": ["object", "null"],
        "properties": {"cluster": section()},
        "$defs": {
            "text": {"type": ["string", "number", "boolean", "null"]},
            "boolean": {"anyOf": [
                {"type": ["boolean", "null"]},
                {"type": "string", "pattern": "^([Tt]|[Ff]|[Yy]|[Nn]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1|)$|\\{\\{"},
                {"enum": [0, 1]},
            ]},
            "integer": {"anyOf": [
                {"type": ["integer", "null"]},
                {"type": "string", "pattern": "^[-+]?[0-9][0-9a-fA-FxXoO_]*$|^$|\\{\\{"},
            ]},
            "duration": {"anyOf": [
                {"type": "null"},
                {"type": "string", "pattern": "^[-+]?(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^[-+]?0$|^$|\\{\\{"},
                {"const": 0},
            ]},
            "texts": {"anyOf": [{"$ref": "#/$defs/text"}, {"type": "array", "items": {"$ref": "#/$defs/text"}}]},
        },
    })
}

fn text(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A schema with what a person is told of it.
fn told(mut schema: Value, title: &str, description: &str, default: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".into(), title.into());
        schema.insert("description".into(), description.into());
        if !default.is_empty() {
            schema.insert("default".into(), default.into());
        }
    }
    schema
}

fn section() -> Value {
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let mut properties = Map::new();
    for row in &keys::ROWS {
        let schema = match row.name {
            "role" => json!({"enum": roles}),
            "config" => {
                json!({"type": ["string", "object", "null"], "properties": options(true), "patternProperties": {"^[a-z0-9-]+\\+$": {}},
                "additionalProperties": false})
            }
            "providerConfig" => provider_config(),
            "env" => json!({"type": ["object", "null"], "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                "not": {"pattern": "^(RKE2_TOKEN|RKE2_URL|RKE2_CONFIG_FILE|RKE2_CLUSTER_RESET.*)$"}},
                "additionalProperties": text("text")}),
            "ca_certs" => json!({"type": ["array", "null"], "items": {"type": "string",
                "pattern": "-----BEGIN (TRUSTED )?CERTIFICATE-----|^\\s*/"}}),
            "import_local_images" => text("boolean"),
            _ => text("text"),
        };
        properties.insert(row.name.into(), told(schema, row.accepted, row.meaning, ""));
    }
    let misnamed = told(provider_config(), "the former name of providerConfig", "Write providerConfig", "");
    properties.insert("provider_options".into(), deprecated(misnamed));
    json!({
        "title": "The cluster section",
        "description": "What this node is in an RKE2 cluster; without it the provider does nothing",
        "type": ["object", "null"], "required": ["role"], "properties": properties, "additionalProperties": false,
    })
}

fn deprecated(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("deprecated".into(), true.into());
    }
    schema
}

fn provider_config() -> Value {
    let mut properties = options(false);
    for row in [&settings::ROOT_PATH].into_iter().chain(settings::ROWS) {
        properties.insert(row.name.into(), told(text("text"), row.accepted, row.meaning, &(row.default)()));
    }
    json!({"type": ["object", "null"], "properties": properties, "patternProperties": {"^[a-z0-9-]+\\+$": {}},
        "additionalProperties": false})
}

/// Each option by its names; in `providerConfig` a list is written as text.
fn options(has_lists: bool) -> Map<String, Value> {
    let mut properties = Map::new();
    for spec in options::all() {
        let plain = if has_lists || !spec.is_list() { option(spec) } else { text("text") };
        let schema = told(plain, &title(spec), &description(spec), spec.default_in(None));
        let is_old = spec.class == Class::Dropped || !spec.deprecated.is_empty();
        let schema = if is_old { deprecated(schema) } else { schema };
        for alias in spec.aliases {
            properties.insert((*alias).into(), schema.clone());
        }
        properties.insert(spec.name.into(), schema);
    }
    properties
}

fn title(spec: &Spec) -> String {
    match (spec.class, spec.is_list()) {
        (Class::Dropped, _) => "an option of k3s that has no effect in RKE2".into(),
        (_, true) => format!("a list; each item is {}", spec.kind.expected()),
        _ => spec.kind.expected().into(),
    }
}

/// What an editor shows where the pointer rests.
fn description(spec: &Spec) -> String {
    let facts = crate::rke2::facts::of(spec);
    let shown = facts.iter().filter(|(name, value)| !value.is_empty() && !matches!(*name, "takes" | "without it"));
    let shown = shown.map(|(name, value)| format!("\n{name}: {value}"));
    if spec.class == Class::Dropped {
        spec.meaning.into()
    } else {
        format!("{}\n{}", spec.meaning, shown.collect::<String>())
    }
}

fn option(spec: &Spec) -> Value {
    let words: Vec<&str> = spec.words(None).collect();
    match (spec.class, spec.kind) {
        (Class::Dropped, _) => json!({}),
        (Class::Boolean, _) => text("boolean"),
        (Class::Integer, _) => text("integer"),
        (Class::Duration, _) => text("duration"),
        (Class::Replace | Class::Append, Kind::Word) => json!({"anyOf": [{"enum": words}, text("texts")]}),
        (Class::Replace | Class::Append, _) => text("texts"),
        (Class::Owned | Class::Text | Class::Mode, Kind::Word) => json!({"anyOf": [
            {"enum": words}, {"type": "null"}, {"const": ""}, {"type": "string", "pattern": "\\{\\{"}]}),
        (Class::Owned | Class::Text | Class::Mode, _) => text("text"),
    }
}
