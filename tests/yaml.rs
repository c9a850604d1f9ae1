//! Our YAML against what RKE2's reader and the Kairos collector made of the same texts (`testdata/recorded`).

use provider_rke2::yaml::{self, Core, Kind, Node, OPTIONS, Yaml11};
use serde_json::{Map, Number, Value, json};

fn recorded(name: &str) -> String {
    std::fs::read_to_string(format!("{}/testdata/recorded/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn lines(name: &str) -> Vec<Value> {
    recorded(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The JSON that sigs.k8s.io/yaml makes of a YAML 1.1 reading: the last of equal keys wins, keys are text, never null.
fn json(node: &Node) -> Result<Value, String> {
    Ok(match &node.kind {
        Kind::Scalar(scalar) => match scalar.yaml11() {
            Yaml11::Null => Value::Null,
            Yaml11::Bool(it) => it.into(),
            Yaml11::Int(it) => i64::try_from(it).map(Value::from).unwrap_or_else(|_| u64::try_from(it).unwrap().into()),
            Yaml11::Float(it) => Number::from_f64(it).map(Value::Number).ok_or("not finite")?,
            Yaml11::Text(it) => it.into(),
        },
        Kind::List(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Kind::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = match key.scalar.yaml11() {
                    Yaml11::Null => return Err("a key is null".into()),
                    Yaml11::Float(it) => it.to_string(),
                    Yaml11::Text(it) => it,
                    it => it.printed(),
                };
                map.insert(key, json(value)?);
            }
            Value::Object(map)
        }
    })
}
/// Equal, numbers by value: `1` and `1.0` are one number in JSON.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn documents_read_as_rke2_reads_them() {
    let mut mismatches = Vec::new();
    for (number, case) in lines("yaml11-documents.jsonl").iter().enumerate() {
        let text = case["in"].as_str().unwrap();
        let read = yaml::read(text, OPTIONS).map_err(|it| it.to_string()).and_then(|it| json(&it.root));
        let fits = match (&read, case.get("value")) {
            (Ok(value), Some(expected)) => same(value, expected),
            (Err(_), None) => true,
            _ => false,
        };
        if !fits {
            mismatches.push(format!("{}: {text:?}\n  ours: {read:?}\n  theirs: {case}", number + 1));
        }
    }
    assert!(mismatches.is_empty(), "{}\n{}", mismatches.len(), mismatches.join("\n"));
}

#[test]
fn scalars_read_as_recorded() {
    for case in lines("yaml11-scalars.jsonl") {
        let text = case["in"].as_str().unwrap();
        let document = yaml::read(&format!("k: {text}\n"), OPTIONS);
        eprintln!("{case} {:?}", document.map(|it| (json(&it.root), it.root.get("k").and_then(Node::scalar).map(|it|(it.text.clone(),it.core())))));
    }
    panic!();
}
