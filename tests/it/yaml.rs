//! Our YAML against what RKE2's reader and the Kairos collector made of the same texts (`testdata/recorded`).

use provider_rke2::text::yaml::{self, Core, Kind, Node, OPTIONS, Yaml11};
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
            Yaml11::Int(it) => i64::try_from(it).map_or_else(|_| u64::try_from(it).unwrap().into(), Value::from),
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
    // `!!binary` is the one tag that is not decoded: no option of RKE2 takes bytes.
    const MISMATCHES: [&str; 1] = ["!!binary aGVsbG8="];
    let mut mismatches = Vec::new();
    for case in lines("yaml11-scalars.jsonl") {
        let text = |key: &str| case[key].as_str().unwrap();
        let document = yaml::read(&format!("k: {}\n", text("in")), OPTIONS);
        let node = document.as_ref().ok().and_then(|document| document.root.get("k"));
        let read = document.as_ref().map_err(ToString::to_string).and_then(|it| json(&it.root));
        // YAML 1.1, by sigs.k8s.io/yaml.
        let fits = match (&read, text("kyaml").strip_prefix("ERR")) {
            (Ok(value), None) => same(value, &serde_json::from_str(text("kyaml")).unwrap()),
            (Err(_), Some(_)) => true,
            _ => false,
        };
        if !fits {
            mismatches.push(text("in").to_owned());
            continue;
        }
        // What gopkg.in/yaml.v3 puts into a text field, and whether it takes the scalar for text.
        let Some(scalar) = node.and_then(Node::scalar) else {
            assert_eq!(text("v3str"), "ERR", "{case}");
            continue;
        };
        let written = if scalar.core() == Core::Null { "" } else { &scalar.text };
        assert_eq!(serde_json::from_str::<Value>(text("v3str")).unwrap(), Value::from(written), "{case}");
        let core = match text("v3") {
            it if it.ends_with("(string)") => Core::Text,
            it if it.starts_with("null") => Core::Null,
            _ => Core::Retyped,
        };
        assert_eq!(scalar.core(), core, "{case}");
    }
    assert_eq!(mismatches, MISMATCHES);
}

/// What the reader of RKE2 prints of a number: Go's fmt.Sprint, from the recorded truth of its flags.
#[test]
fn numbers_are_printed_as_go_prints_them() {
    for (text, printed) in [
        ("1e10", "1e+10"),
        ("12345678901234567890123", "1.2345678901234568e+22"),
        ("1.10", "1.1"),
        ("1.0", "1"),
        (".5", "0.5"),
        ("+5", "5"),
        ("08", "8"),
        ("0123", "83"),
        ("1e5", "100000"),
        ("1e6", "1e+06"),
        ("123456789.5", "1.234567895e+08"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("yes", "true"),
        ("~", ""),
        ("' a '", "a"),
    ] {
        let document = yaml::read(text, OPTIONS).unwrap();
        assert_eq!(document.root.scalar().unwrap().yaml11().printed(), printed, "{text}");
    }
}

/// The characters that would not survive an editor.
fn unescaped(text: &str) -> String {
    text.replace("<TAB>", "\t").replace("<CR>", "\r").replace("<U+0001>", "\u{1}")
}

#[test]
fn what_a_text_may_not_be() {
    let nested = |depth| "[".repeat(depth) + "x" + &"]".repeat(depth);
    assert!(yaml::read(&nested(64), OPTIONS).is_ok());
    let deep = nested(65);
    let deep_alias = format!("- &a {}\n- [*a]\n", nested(62));
    assert!(yaml::read(&deep_alias, OPTIONS).is_ok());
    let deep_alias = format!("- &a {}\n- [*a]\n", nested(63));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n";
    let wide = format!("[{}]", "x,".repeat(100_001));
    let long = "#".repeat((1 << 20) + 1);
    for (text, line, problem) in [
        (deep.as_str(), 1, "is nested deeper than 64 levels; "),
        (&deep_alias, 2, "is nested deeper than 64 levels; "),
        (bomb, 4, "has more than 10000 values made by aliases; "),
        (&wide, 1, "has more than 100000 values; "),
        (&long, 1, "is longer than 1048576 bytes; "),
        ("a: 1\nb: *c\n", 2, "has an alias without its anchor; "),
        ("a: &a [*a]\n", 1, "has an alias inside its own anchor; "),
        ("a: 1\n<<: 2\n", 2, "has a `<<` that is not a mapping; "),
        ("a: 1\n? [b]\n: 2\n", 2, "has a key that is a list or a mapping; "),
    ] {
        let error = yaml::read(text, OPTIONS).unwrap_err();
        assert!(error.line == line && error.problem.starts_with(problem), "{}: {}", error.line, error.problem);
    }
}

/// What is no YAML to gopkg.in/yaml.v2 and v3: the line, the column, and a sentence for a person.
#[test]
fn what_is_not_yaml() {
    let first = |text: &str| match yaml::read(text, OPTIONS) {
        Ok(_) => "is read".to_owned(),
        Err(error) => {
            format!("{}:{}: {}", error.line, error.column, error.problem.replace("is not valid YAML: ", ""))
        }
    };
    let cases = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/yaml/refused.txt")).unwrap();
    let texts = cases.split("\n====\n").map(|case| case.split("\n----\n").next().unwrap());
    let told: Vec<String> = texts.map(|text| format!("{text}\n----\n{}", first(&unescaped(text)))).collect();
    let told = told.join("\n====\n") + "\n";
    if std::env::var_os("YAML_UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/yaml/refused.txt"), &told).unwrap();
    }
    assert_eq!(told, cases);
}

/// Both versions of go-yaml read these, and say the same of them.
#[test]
fn what_is_yaml_to_go() {
    for (text, value) in [
        ("a: \"it\\'s\"\n", json!({"a": "it's"})),
        ("a: {b:}\n", json!({"a": {"b:": null}})),
        ("a: !x,y z\n", json!({"a": "z"})),
        ("a: |\n  x\n  ", json!({"a": "x\n"})),
        ("a: |+\n  x\n\n", json!({"a": "x\n\n"})),
        ("a: >-\n  x\n  y\n\n  z", json!({"a": "x y\nz"})),
        ("a: \"b\\\n  c\"\n", json!({"a": "bc"})),
        ("a: 'b\n\n  c'\n", json!({"a": "b\nc"})),
        ("é: ü\n", json!({"é": "ü"})),
        ("- a: 1\n  b: 2\n-\n- c\n", json!([{"a": 1, "b": 2}, null, "c"])),
        ("a:\n- b\n- c: d\ne: f\n", json!({"a": ["b", {"c": "d"}], "e": "f"})),
        ("a: b\r\nc: d\r\n", json!({"a": "b", "c": "d"})),
        ("%YAML 1.1\n---\na: !!str 1\n...\n", json!({"a": "1"})),
        ("%TAG !e! tag:yaml.org,2002:\n---\na: !e!int \"7\"\n", json!({"a": 7})),
        ("a: \"\\x41\\u00e9\\U0001F600\\N\"\n", json!({"a": "Aé😀\u{85}"})),
    ] {
        for limits in [OPTIONS, yaml::CLOUD_CONFIG] {
            let document = yaml::read(text, limits).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(json(&document.root).as_ref(), Ok(&value), "{text:?}");
        }
    }
}

/// gopkg.in/yaml.v3 looks two tokens ahead, so it refuses a text for what stands behind its first document; v2 does not see that.
#[test]
fn how_far_a_reader_looks() {
    let text = "a: 1\n---\n@\n";
    assert_eq!(yaml::read(text, OPTIONS).unwrap().second, Some(2));
    assert_eq!(yaml::read(text, yaml::CLOUD_CONFIG).unwrap_err().line, 3);
}

/// libyaml takes time in the square of the depth for this text, before anything that reads events could stop it.
#[test]
fn nested_brackets_are_refused_while_scanning() {
    let text = "[{a: ".repeat((1 << 20) / 5);
    let error = yaml::read(&text, OPTIONS).unwrap_err();
    assert_eq!(error.problem, "is nested deeper than 64 levels; make it flatter");
}

#[test]
fn what_a_document_tells_besides_its_values() {
    let text = "\u{feff}a: &x 1\nb: &x 2\nc: *x\na: 3\n<<: {c: 9, d: 4}\n---\nsecond: 1\n";
    let document = yaml::read(text, OPTIONS).unwrap();
    let twice = yaml::Duplicate { key: "a".into(), first: 1, second: 4 };
    assert_eq!(document.duplicates, [twice]);
    assert_eq!(document.anchor_twice, Some(("x".into(), 2)));
    assert_eq!(document.second, Some(6));
    assert_eq!(json(&document.root), Ok(json!({"a": 3, "b": 2, "c": 2, "d": 4})));
    let last = yaml::read("a: |\n  text", OPTIONS).unwrap();
    assert_eq!(last.root.get("a").and_then(Node::scalar).map(|it| it.text.as_str()), Some("text"));
}
