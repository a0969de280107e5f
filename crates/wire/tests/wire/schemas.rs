//! The schemas of `proto/`: documented, frozen once shipped, and readable by today's.

use std::{collections::BTreeMap, fs, path::Path};

use apache_avro::{Schema, schema_compatibility::SchemaCompatibility};
use cartwheel_wire::{DEFAULT_PARTITIONS, DEFAULT_PREFIX, RecordType, TopicChoices, Topics, schemas};
use serde_json::Value;

const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");

/// The files of a folder of `proto/` by name without ending.
fn files(folder: &str) -> BTreeMap<String, String> {
    let files = fs::read_dir(Path::new(PROTO).join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let schemas = files.filter(|path| path.extension().is_some_and(|ending| ending == "avsc"));
    schemas.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect()
}

fn fingerprint(text: &str) -> String {
    format!("{:016x}", cartwheel_wire::fingerprint(text).unwrap())
}

#[test]
fn a_schema_does_not_change_without_its_former_version_in_history() {
    let history = files("history");
    for (name, text) in files("") {
        let fingerprint = fingerprint(&text);
        let versions = history.iter().filter(|(version, _)| version.rsplit_once('.').is_some_and(|(of, _)| of == name)).collect::<Vec<_>>();
        assert!(
            versions.iter().any(|(_, text)| self::fingerprint(text) == fingerprint),
            "proto/{name}.avsc is not in proto/history: keep the former version there, copy this one to \
             proto/history/{name}.{}.avsc, and follow \"Changing a schema\" in proto/README.md",
            versions.len() + 1,
        );
        if let Some(record) = RecordType::ALL.iter().find(|record| record.as_str() == name) {
            let known = schemas().iter().filter(|schema| schema.record == *record).count();
            assert_eq!(known, versions.len(), "every version of {name} is read: list it in crates/wire/src/schema.rs");
        }
    }
}

#[test]
fn a_version_that_shipped_is_never_changed() {
    let frozen = fs::read_to_string(Path::new(PROTO).join("history/fingerprints.tsv")).unwrap();
    let frozen = frozen.lines().filter_map(|line| line.split_once('\t')).collect::<BTreeMap<_, _>>();
    let history = files("history");
    for (name, text) in &history {
        let fingerprint = fingerprint(text);
        assert_eq!(
            frozen.get(name.as_str()),
            Some(&fingerprint.as_str()),
            "proto/history/{name}.avsc: a new version has a line `{name}\t{fingerprint}` in fingerprints.tsv, an old one does not change"
        );
    }
    assert_eq!(frozen.len(), history.len(), "a version that shipped is never removed");
}

#[test]
fn todays_schemas_read_what_every_former_version_wrote() {
    for former in schemas() {
        let today = schemas().iter().find(|schema| schema.record == former.record && schema.written).unwrap();
        let [writer, reader] = [former, today].map(|schema| Schema::parse_str(schema.text).unwrap());
        SchemaCompatibility::can_read(&writer, &reader).unwrap_or_else(|problem| panic!("{today:?} does not read {former:?}: {problem}"));
    }
}

#[test]
fn every_record_and_field_is_documented_and_moments_name_their_unit() {
    let mut fields = 0;
    for (name, text) in files("") {
        walk(&serde_json::from_str(&text).unwrap(), &mut |record, field| {
            let doc = field["doc"].as_str().unwrap_or_default();
            let place = format!("{name}: {}.{}", record["name"], field["name"]);
            assert!(doc.len() > 10 && doc.ends_with('.'), "{place} is not documented");
            assert!(record["doc"].as_str().is_some_and(|doc| doc.len() > 20), "{place}: its record is not documented");
            let kind = field["type"].get(1).unwrap_or(&field["type"]);
            assert_eq!(kind["logicalType"] == "timestamp-micros", doc.contains("microseconds since 1970 UTC"), "{place}");
            // What is added later needs a default, and what may be missing has one.
            assert!(!field["type"].to_string().starts_with("[\"null\"") || field.get("default") == Some(&Value::Null), "{place}");
            assert!(field.get("aliases").is_none(), "{place}: apache-avro does not resolve aliases of fields");
            fields += 1;
        });
    }
    assert!(fields > 100, "{fields}");
}

#[test]
fn r95_personal_data_stands_only_where_it_must() {
    let mut personal = Vec::new();
    for (name, text) in files("") {
        walk(&serde_json::from_str(&text).unwrap(), &mut |_, field| {
            let doc = field["doc"].as_str().unwrap_or_default();
            if doc.ends_with("Personal data.") || doc.ends_with("hold personal data.") {
                personal.push(format!("{name} {}", field["name"].as_str().unwrap()));
            }
            let bare = ["address", "phone", "email", "text", "number"].contains(&field["name"].as_str().unwrap());
            assert!(!bare || !["delivery", "decision"].contains(&name.as_str()), "{name} has a field for a number or a text");
        });
    }
    let known = ["customer state", "event properties", "event traits", "event value", "event state", "send address", "send text"];
    assert_eq!(personal, known, "a field with personal data changes the table of README.md and the retention of its topic");
}

#[test]
fn the_asyncapi_document_names_every_topic_and_every_schema() {
    let document = fs::read_to_string(Path::new(PROTO).join("asyncapi.yaml")).unwrap();
    for plan in Topics::new(DEFAULT_PREFIX, 1, DEFAULT_PARTITIONS).specs(&TopicChoices::default()) {
        let channel = document.split("\n    address: ").find(|channel| channel.lines().next() == Some(&plan.name));
        let channel = channel.unwrap_or_else(|| panic!("{} is no channel", plan.name));
        assert!(channel.contains(&format!("partitions: {}\n", plan.partitions.number(DEFAULT_PARTITIONS))), "{}", plan.name);
        let policy = plan.settings.iter().find(|(name, _)| *name == "cleanup.policy").unwrap().1.replace(',', ", ");
        assert!(channel.contains(&format!("cleanup.policy: [{policy}]\n")), "{}", plan.name);
    }
    for name in files("").keys() {
        assert!(document.contains(&format!("$ref: ./{name}.avsc\n")), "{name}");
    }
}

/// Calls `see` with each field of each record, the nested ones too.
fn walk(schema: &Value, see: &mut impl FnMut(&Value, &Value)) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| walk(branch, see)),
        Value::Object(_) => {
            for field in schema["fields"].as_array().into_iter().flatten() {
                see(schema, field);
                walk(&field["type"], see);
            }
            for part in ["items", "values", "type"] {
                walk(&schema[part], see);
            }
        }
        _ => {}
    }
}
