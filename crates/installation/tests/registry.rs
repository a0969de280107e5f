//! The framing that a schema registry gives, against one that speaks Confluent's API in memory.

#[cfg(test)]
#[path = "registry/stub.rs"]
mod stub;

use cartwheel_installation::{
    SchemaRegistryConfig,
    registry::{RegistryError, codec, subjects},
};
use cartwheel_runtime::{admin::Readiness, clock::Clock, config::Secret, service::reach};
use cartwheel_wire::{Codec, ControlRecord, ControlScope, Topics, schemas};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use stub::{Mood, Stub};

fn topics() -> Topics {
    Topics::new("cartwheel", 1, 8)
}

fn control() -> ControlRecord {
    ControlRecord {
        scope: ControlScope::Shop("acme".to_owned()),
        stopped: true,
        rate: None,
        by: "maria".to_owned(),
        reason: "wrong prices".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    }
}

/// The id before a value in Confluent framing.
fn id_of(value: &[u8]) -> u32 {
    assert_eq!(value[0], 0, "a zero byte");
    u32::from_be_bytes([value[1], value[2], value[3], value[4]])
}

#[tokio::test]
async fn every_schema_is_registered_once_and_a_reader_finds_it_by_the_id_before_a_record() {
    let stub = Stub::start().await;
    let config = SchemaRegistryConfig::at(stub.url());
    let framing = codec(&config, &topics()).await.unwrap();
    let names: Vec<_> = stub.subjects().into_keys().collect();
    let mut expected: Vec<_> = subjects(&topics()).into_iter().map(|(subject, _)| subject).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(names.contains(&"cartwheel.events-value".to_owned()), "{names:?}");
    assert!(names.contains(&"cartwheel.campaigns-cartwheel.Revision".to_owned()), "{names:?}");
    assert_eq!(stub.ids(), schemas().len(), "both lanes of sends share one schema and hence one id");

    // Another service, and another start, write and read the same.
    let value = control().encode(&framing);
    let again = codec(&config, &topics()).await.unwrap();
    assert_eq!(control().encode(&again), value);
    assert_eq!(ControlRecord::decode(&again, &value), Ok(control()));
    assert_eq!(stub.registrations(), subjects(&topics()).len(), "what is there is not registered again");

    // A reader that knows nothing of Cartwheel: the schema by the id over HTTP, the datum by that schema alone.
    let schema: Value = reqwest::get(format!("{}schemas/ids/{}", stub.url(), id_of(&value))).await.unwrap().json().await.unwrap();
    let schema = apache_avro::Schema::parse_str(schema["schema"].as_str().unwrap()).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    let apache_avro::types::Value::Record(fields) = reader.read_value(&mut &value[5..]).unwrap() else { panic!("a record") };
    let reason = fields.iter().find(|(name, _)| name == "reason").map(|(_, value)| value.clone());
    assert_eq!(reason, Some(apache_avro::types::Value::String("wrong prices".to_owned())));
}

#[tokio::test]
async fn a_schema_with_other_words_of_documentation_is_the_same_schema_under_one_more_id() {
    let stub = Stub::start().await;
    let control_schema = schemas().iter().find(|schema| schema.record.as_str() == "control").unwrap();
    let reworded = control_schema.text.replacen("\"doc\": \"", "\"doc\": \"As before: ", 1);
    assert_ne!(reworded, control_schema.text);
    let older = stub.hold("cartwheel.controls-value", &reworded);
    let younger = stub.hold("cartwheel.controls-value", control_schema.text);
    let framing = codec(&SchemaRegistryConfig::at(stub.url()), &topics()).await.unwrap();
    let value = control().encode(&framing);
    assert_eq!(id_of(&value), older, "all services write the oldest id, whatever words they ship");
    let mut by_another = value;
    by_another[1..5].copy_from_slice(&younger.to_be_bytes());
    assert_eq!(ControlRecord::decode(&framing, &by_another), Ok(control()));
}

#[tokio::test]
async fn a_version_that_only_a_newer_build_ships_is_passed_over_at_the_start_and_is_no_poison_when_met() {
    let stub = Stub::start().await;
    let newer = stub.hold("cartwheel.controls-value", r#"{"type": "record", "name": "Control", "namespace": "cartwheel", "fields": []}"#);
    let framing = codec(&SchemaRegistryConfig::at(stub.url()), &topics()).await.unwrap();
    let mut value = control().encode(&framing);
    value[1..5].copy_from_slice(&newer.to_be_bytes());
    let error = ControlRecord::decode(&framing, &value).unwrap_err();
    assert!(!error.is_poison() && error.to_string().contains("upgrade this service"), "{error}");
}

#[tokio::test]
async fn look_up_alone_registers_nothing_and_names_everything_that_is_missing() {
    let stub = Stub::start().await;
    let config = SchemaRegistryConfig { register: false, ..SchemaRegistryConfig::at(stub.url()) };
    let error = codec(&config, &topics()).await.unwrap_err().to_string();
    for (subject, record) in subjects(&topics()) {
        let missing = format!("proto/history/{}.1.avsc under subject {subject}", record.as_str());
        assert!(error.contains(&missing), "{missing:?} is not in {error}");
    }
    assert_eq!(stub.registrations(), 0);
    codec(&SchemaRegistryConfig::at(stub.url()), &topics()).await.unwrap();
    let registered = stub.registrations();
    let framing = codec(&config, &topics()).await.unwrap();
    assert_eq!(control().encode(&framing)[0], 0);
    assert_eq!(stub.registrations(), registered);
}

#[tokio::test]
async fn a_registry_is_brought_to_an_installation_under_way_in_two_rolls() {
    let stub = Stub::start().await;
    let second = codec(&SchemaRegistryConfig::at(stub.url()), &topics()).await.unwrap();
    let first = SchemaRegistryConfig { write: false, ..SchemaRegistryConfig::at(stub.url()) };
    let first = codec(&first, &topics()).await.unwrap();
    let before = Codec::single_object();
    let [by_first, by_second] = [&first, &second].map(|framing| control().encode(framing));
    assert_eq!(ControlRecord::decode(&before, &by_first), Ok(control()), "not yet rolled, it reads what the first roll writes");
    assert_eq!(ControlRecord::decode(&first, &by_second), Ok(control()), "the first roll reads what the second writes");
    assert!(ControlRecord::decode(&before, &by_second).is_err());
}

#[tokio::test]
async fn what_is_wrong_with_a_registry_is_said_with_what_to_do() {
    let stub = Stub::start().await;
    let config = SchemaRegistryConfig {
        username: "cartwheel".to_owned(),
        password: Secret::new("swordfish"),
        ..SchemaRegistryConfig::at(stub.url())
    };
    stub.set(Mood::Guarded("cartwheel:another".to_owned()));
    let unknown = codec(&config, &topics()).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::Refused { .. }), "{unknown:?}");
    assert!(unknown.to_string().contains("(401 Unauthorized); set schema_registry.username"), "{unknown}");
    assert!(!format!("{unknown} {unknown:?}").contains("swordfish"));
    stub.set(Mood::Guarded("cartwheel:swordfish".to_owned()));
    codec(&config, &topics()).await.unwrap();

    let stub = Stub::start().await;
    let config = SchemaRegistryConfig::at(stub.url());
    stub.hold("cartwheel.events-value", "\"string\"");
    stub.set(Mood::Incompatible);
    let incompatible = codec(&config, &topics()).await.unwrap_err().to_string();
    assert!(incompatible.contains("proto/history/event.1.avsc under subject cartwheel.events-value"), "{incompatible}");
    assert!(incompatible.contains("409 Conflict") && incompatible.contains("installation.prefix"), "{incompatible}");

    for (mood, expected) in [
        (Mood::Away, "does not answer"),
        (Mood::OtherSite, "set schema_registry.url to one that speaks Confluent's API"),
        (Mood::Redirects, "set schema_registry.url"),
        (Mood::Endless, "more than 2097152 bytes"),
    ] {
        let shown = format!("{mood:?}");
        stub.set(mood);
        let error = codec(&config, &topics()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{shown}: {error}");
    }
    let nobody = codec(&SchemaRegistryConfig::at("http://127.0.0.1:1"), &topics()).await.unwrap_err();
    assert!(matches!(nobody, RegistryError::Away { .. }) && nobody.to_string().contains("refused"), "{nobody}");
}

#[tokio::test]
async fn a_service_waits_for_its_registry_and_is_not_ready_meanwhile() {
    let stub = Stub::start().await;
    stub.set(Mood::Away);
    let (readiness, config, topics) = (Readiness::new(), SchemaRegistryConfig::at(stub.url()), topics());
    let condition = readiness.condition("schema registry");
    let mut tries = 0;
    let (clock, stop) = (Clock::system(), CancellationToken::new());
    let framing = reach(&condition, &clock, &stop, || {
        tries += 1;
        if tries == 2 {
            assert!(readiness.unmet()["schema registry"].contains("does not answer"));
            stub.set(Mood::Well);
        }
        codec(&config, &topics)
    });
    assert_eq!(control().encode(&framing.await.unwrap())[0], 0);
    assert!(readiness.is_ready() && tries == 2);
}

#[tokio::test]
async fn without_a_registry_nobody_is_asked() {
    let framing = codec(&SchemaRegistryConfig::at(""), &topics()).await.unwrap();
    assert_eq!(control().encode(&framing), control().encode(&Codec::single_object()));
}
