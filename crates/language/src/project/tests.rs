use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::findings::Kind;
use crate::yaml::Content;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn file(path: &Path) -> SourceFile {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = path.file_name().expect("a name").to_string_lossy();
    SourceFile { path: name.into_owned(), text }
}

fn files(folder: &Path) -> Vec<SourceFile> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| file(path)).collect()
}

/// The example files of the language and of the shipped shop.
fn examples() -> Vec<SourceFile> {
    let language = root().join("tests/language");
    let shipped = root().join("../../campaigns");
    let mut examples = vec![file(&language.join("shop.yaml")), file(&shipped.join("shop.yaml"))];
    examples.extend(files(&language.join("campaigns")));
    examples.extend(files(&shipped.join("campaigns")));
    examples
}

/// What the reader of one file says, without any check against other files.
fn form(path: &str, root: &Node) -> Findings {
    let mut findings = Findings::default();
    let mut file = File { findings: findings.of_file(path) };
    let is_shop = matches!(&root.content, Content::Map(entries) if entries.iter().any(|(key, _)| key.name == "shop"));
    if is_shop {
        read::shop(&mut file, root);
    } else {
        read::campaign(&mut file, path, root);
    }
    findings
}

fn json_of(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Boolean(value) => json!(value),
        Content::Number(spelling) => serde_json::from_str(spelling).expect("a number"),
        Content::Text(text) => json!(text.value),
        Content::List(items) => items.iter().map(json_of).collect(),
        Content::Map(entries) => entries.iter().map(|(key, value)| (key.name.clone(), json_of(value))).collect(),
    }
}

/// Every value that a change of one place makes of a document.
fn changed(value: &Value) -> Vec<Value> {
    let mut all: Vec<Value> = [
        json!(null),
        json!(true),
        json!(3),
        json!(0),
        json!(1.5),
        json!("x"),
        json!("X y"),
        json!("30m"),
        json!("030m"),
        json!("200y"),
        json!("30m of silence"),
        json!("09:00"),
        json!("event.due_on"),
        json!(""),
        json!([]),
        json!({}),
        json!(["x", "x"]),
        json!([["x"]]),
        json!({ "x": "y" }),
    ]
    .into();
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for other in changed(item) {
                    let mut items = items.clone();
                    items[at] = other;
                    all.push(Value::Array(items));
                }
                let mut fewer = items.clone();
                fewer.remove(at);
                all.push(Value::Array(fewer));
            }
            all.extend(items.first().map(|first| items.iter().chain([first]).cloned().collect()));
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                for other in changed(item) {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), other);
                    all.push(Value::Object(entries));
                }
                let mut fewer = entries.clone();
                fewer.shift_remove(key);
                all.push(Value::Object(fewer.clone()));
                fewer.insert(format!("{key}x"), item.clone());
                all.push(Value::Object(fewer));
            }
            for more in ["if", "at", "each", "http", "A b", "a_b", "en", "EN"] {
                let mut entries = entries.clone();
                entries.insert(more.to_owned(), json!("x"));
                all.push(Value::Object(entries));
            }
        }
        _ => {}
    }
    all
}

/// Enough to change every place of a campaign in some way; more would take minutes.
const CHANGES_OF_A_FILE: usize = 150;

#[test]
fn the_reader_and_the_published_schema_agree_on_every_change_of_one_place() {
    let schema: Value = serde_json::from_str(include_str!("../schema.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let (mut valid, mut invalid) = (0, 0);
    for example in examples() {
        let (root, mistakes) = yaml::parse(&example.text);
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", example.path);
        let document = json_of(&root.expect("a tree"));
        assert!(validator.is_valid(&document), "{} is not valid by the schema", example.path);
        let changes = changed(&document);
        let step = changes.len().div_ceil(CHANGES_OF_A_FILE);
        for change in [document.clone()].into_iter().chain(changes.into_iter().step_by(step)) {
            let findings = form(&example.path, &Node::of_json(&change));
            if !change.is_object() {
                continue;
            }
            if validator.is_valid(&change) {
                valid += 1;
                let form = findings.kinds().find(|(kind, _)| *kind == Kind::Form);
                assert!(form.is_none(), "the schema allows what the reader refuses: {form:?}\n{change}");
            } else {
                invalid += 1;
                assert!(findings.refused(), "the reader takes what the schema refuses: {change}");
            }
        }
    }
    assert!(valid > 300 && invalid > 3_000, "{valid} valid and {invalid} invalid documents are too few");
}

#[test]
fn what_the_language_has_and_this_version_has_not_is_refused_by_name() {
    for example in examples() {
        let (root, _) = yaml::parse(&example.text);
        for (kind, problem) in form(&example.path, &root.expect("a tree")).kinds() {
            assert_eq!(kind, Kind::NotYet, "{problem}");
            assert!(problem.message.ends_with("is not supported by this version"), "{problem}");
        }
    }
}
