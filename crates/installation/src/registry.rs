//! The schema registry: where readers who are not Cartwheel find the schemas of `proto/` by the ids that stand before records.
//!
//! # Contract
//!
//! [`codec`] asks the registry once, at the start, and makes the framing of all records from its answers: every version of every schema
//! that its subjects hold is read by its id, and each version that this build ships is registered where it is missing. Subjects are
//! named by Confluent's TopicNameStrategy, `TOPIC-value`; the topic of campaigns holds records of two types, which no compatibility rule
//! of one subject could judge, so its subjects follow TopicRecordNameStrategy, `TOPIC-cartwheel.RECORD`. Keys are plain text and have no
//! subject.
//!
//! Schemas are told by their fingerprint, not by their text: one that somebody registered with other words of documentation is the
//! same schema under one more id. The id that is written is that of a subject's oldest version, so that all services write the same.
//!
//! # If we crash
//! Nothing but registrations is ever written, and to register a schema again gives its former id.
//!
//! # Ids that are not known
//! Ids are asked for only at the start. A service that meets a younger one does not set the record aside as damaged
//! ([`DecodeError::is_poison`](cartwheel_wire::DecodeError::is_poison)): it stays at the record, says so, and goes on once it is
//! upgraded and started again.
//!
//! Source of the API: Confluent's documentation, "Schema Registry API Reference".

mod client;
mod config;

use std::sync::Arc;

use cartwheel_wire::{Codec, MissingIds, RecordType, SchemaVersion, Topics, fingerprint, schemas};

use self::client::Client;
pub use self::config::SchemaRegistryConfig;

/// Why a registry gives no framing. All but [`RegistryError::Client`] may pass: ask again.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It does not answer, or not now.
    #[error("schema registry at {url} does not answer: {reason}")]
    Away {
        /// Where it is.
        url: String,
        /// What happened instead.
        reason: String,
    },
    /// The account is unknown or may not do this.
    #[error(
        "schema registry at {url} refuses to {asked}: {answer}; set schema_registry.username and schema_registry.password to an account that may"
    )]
    Refused {
        /// Where it is.
        url: String,
        /// What was asked.
        asked: String,
        /// What it said.
        answer: String,
    },
    /// The subject holds something else.
    #[error(
        "schema registry does not take {schema} under subject {subject}: {answer}; if something else uses the subject, set another installation.prefix, else delete the subject in the registry"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// The schema's file.
        schema: String,
        /// What it said.
        answer: String,
    },
    /// Schemas are missing and may not be registered.
    #[error("schema registry lacks {}; register them, or set schema_registry.register = true", missing.join(", "))]
    Unregistered {
        /// Which schemas, under which subjects.
        missing: Vec<String>,
    },
    /// What answers is no schema registry, or not one that speaks this API.
    #[error(
        "schema registry at {url} was asked to {asked} and answered {answer}; set schema_registry.url to one that speaks Confluent's API"
    )]
    Unexpected {
        /// Where it is.
        url: String,
        /// What was asked.
        asked: String,
        /// What it answered.
        answer: String,
    },
    /// Ids do not cover what is written.
    #[error(transparent)]
    Missing(#[from] MissingIds),
    /// No client can be made of the configuration.
    #[error("could not make a client for the schema registry: {0}; change schema_registry.url")]
    Client(String),
}

/// The subjects of an installation, each with the record that it holds.
pub fn subjects(topics: &Topics) -> Vec<(String, RecordType)> {
    let alone: [(&Arc<str>, RecordType); 8] = [
        (&topics.events, RecordType::Event),
        (&topics.timers, RecordType::Timer),
        (&topics.sends_transactional, RecordType::Send),
        (&topics.sends_promotional, RecordType::Send),
        (&topics.deliveries, RecordType::Delivery),
        (&topics.decisions, RecordType::Decision),
        (&topics.controls, RecordType::Control),
        (&topics.dead_letters, RecordType::DeadLetter),
    ];
    let together = [(RecordType::CampaignFile, "cartwheel.CampaignFile"), (RecordType::Revision, "cartwheel.Revision")];
    let together = together.map(|(record, name)| (format!("{}-{name}", topics.campaigns), record));
    alone.map(|(topic, record)| (format!("{topic}-value"), record)).into_iter().chain(together).collect()
}

/// The framing of an installation's records: single-object encoding where no registry is configured, else with the registry's ids.
///
/// One try; [`Installation::codec`](crate::Installation::codec) waits for a registry that is away.
///
/// # Errors
/// What is wrong with the registry, and what to do.
pub async fn codec(config: &SchemaRegistryConfig, topics: &Topics) -> Result<Codec, RegistryError> {
    if config.url.is_empty() {
        return Ok(Codec::single_object());
    }
    let client = Client::new(config)?;
    let (mut ids, mut missing) = (Vec::new(), Vec::new());
    for (subject, record) in subjects(topics) {
        let held = held(&client, &subject).await?;
        for version in versions(record) {
            let known = held.iter().any(|(fingerprint, _)| *fingerprint == version.fingerprint);
            match (known, config.register) {
                (true, _) => {}
                (false, true) => {
                    let id = client.register(&subject, &file(version), version.text).await?;
                    tracing::info!(subject, schema = file(version), id, "registered a schema");
                    ids.push((version.fingerprint, id));
                }
                (false, false) => missing.push(format!("{} under subject {subject}", file(version))),
            }
        }
        ids.extend(held);
    }
    if !missing.is_empty() {
        return Err(RegistryError::Unregistered { missing });
    }
    let codec = Codec::confluent(ids)?;
    Ok(if config.write { codec } else { codec.writing_single_object() })
}

/// The schemas that a subject holds, oldest first: fingerprint and id. What this build cannot read as a schema has no fingerprint.
async fn held(client: &Client, subject: &str) -> Result<Vec<(u64, u32)>, RegistryError> {
    let mut held = Vec::new();
    for number in client.versions(subject).await? {
        let version = client.version(subject, number).await?;
        held.extend(fingerprint(&version.schema).map(|fingerprint| (fingerprint, version.id)));
    }
    Ok(held)
}

/// Every version of a record's schema, oldest first: a registry judges each by those before it.
fn versions(record: RecordType) -> Vec<&'static SchemaVersion> {
    let mut versions: Vec<_> = schemas().iter().filter(|version| version.record == record).collect();
    versions.sort_by_key(|version| version.version);
    versions
}

/// Where the repository has a version.
fn file(version: &SchemaVersion) -> String {
    format!("proto/history/{}.{}.avsc", version.record.as_str(), version.version)
}
