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

/// Values of every kind, some of which fit a place by chance.
fn values() -> Vec<Value> {
    let texts = ["", "x", "X y", "30m", "030m", "200y", "30m of silence", "09:00", "event.due_on"].map(|text| json!(text));
    let others = [
        json!(null),
        json!(true),
        json!(3),
        json!(0),
        json!(1.5),
        json!([]),
        json!({}),
        json!(["x", "x"]),
        json!([["x"]]),
        json!({ "x": "y" }),
    ];
    texts.into_iter().chain(others).collect()
}

/// Keys of other places.
const KEYS: [&str; 8] = ["if", "at", "each", "http", "A b", "a_b", "en", "EN"];

/// The JSON pointers of every place of a document.
fn places(value: &Value, here: String, places: &mut Vec<String>) {
    match value {
        Value::Array(items) => (0..).zip(items).for_each(|(at, item)| self::places(item, format!("{here}/{at}"), places)),
        Value::Object(entries) => {
            for (key, item) in entries {
                self::places(item, format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        _ => {}
    }
    places.push(here);
}

/// One change of one place: another value, an element or a key more, less or renamed. `None` where that makes no sense.
fn changed(document: &Value, place: &str, change: usize) -> Option<Value> {
    let mut document = document.clone();
    let target = document.pointer_mut(place)?;
    let values = values();
    if let Some(value) = values.get(change) {
        *target = value.clone();
        return Some(document);
    }
    let change = change - values.len();
    match target {
        Value::Array(items) if !items.is_empty() => match change {
            0 => drop(items.remove(0)),
            1 => items.push(items[0].clone()),
            _ => return None,
        },
        Value::Object(entries) => match KEYS.get(change) {
            Some(key) => drop(entries.insert((*key).to_owned(), json!("x"))),
            None => {
                let at = change - KEYS.len();
                let key = entries.keys().nth(at / 2)?.clone();
                let value = entries.shift_remove(&key)?;
                if at.is_multiple_of(2) {
                    entries.insert(format!("{key}x"), value);
                }
            }
        },
        _ => return None,
    }
    Some(document)
}

/// Enough to change every place of a campaign in some way; more would take minutes.
const CHANGES_OF_A_FILE: usize = 200;

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
        let mut places = Vec::new();
        self::places(&document, String::new(), &mut places);
        let changes = (0..40).flat_map(|change| places.iter().map(move |place| (place, change)));
        // A step that shares no place between kinds of change meets every place.
        let least = (places.len() * 40).div_ceil(CHANGES_OF_A_FILE).max(2);
        let step = (least..).find(|step| !places.len().is_multiple_of(*step)).unwrap_or(least);
        let changes = changes.step_by(step).filter_map(|(place, change)| changed(&document, place, change));
        for change in [document.clone()].into_iter().chain(changes) {
            if !change.is_object() {
                continue;
            }
            let findings = form(&example.path, &Node::of_json(&change));
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
