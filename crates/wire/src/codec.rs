//! One framing for all topics: which schema a value was written with stands before it.
//!
//! - Avro single-object encoding: `c3 01`, the CRC-64-AVRO fingerprint of the schema, little-endian; then the datum.
//!   Source: Apache Avro specification 1.12, "Single-object encoding".
//! - Confluent framing where a schema registry is configured: `00`, the registry's id of the schema, big-endian; then the datum.
//!   Source: Confluent's documentation, "Schema Registry wire format".
//!
//! Both are read wherever their schema is known, so that a registry can be introduced or left while records are under way.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    bounds,
    schema::{self, RecordType, SchemaVersion},
};

/// The largest value that is read, in bytes: twice what topics take, since brokers judge compressed batches.
pub const VALUE_LIMIT: usize = 2 * 1_048_576;

const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];
const CONFLUENT: u8 = 0;

/// How values are framed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Codec(Option<Arc<Registry>>);

#[derive(Clone, Debug)]
struct Registry {
    by_fingerprint: BTreeMap<u64, u32>,
    by_id: BTreeMap<u32, u64>,
    is_written: bool,
}

impl Codec {
    /// Writes single-object encoding.
    pub fn single_object() -> Self {
        Self(None)
    }

    /// Writes Confluent framing, with the registry's ids of each schema by its fingerprint ([`schema::schemas`](crate::schemas)).
    ///
    /// A registry gives a schema whose documentation was reworded an id of its own, so a fingerprint may come several times: its first
    /// id is written, all are read.
    ///
    /// # Errors
    /// When an id for a schema that is written is missing.
    pub fn confluent(ids: impl IntoIterator<Item = (u64, u32)>) -> Result<Self, MissingIds> {
        let (mut by_fingerprint, mut by_id) = (BTreeMap::new(), BTreeMap::new());
        for (fingerprint, id) in ids {
            by_fingerprint.entry(fingerprint).or_insert(id);
            by_id.insert(id, fingerprint);
        }
        let without = |version: &&SchemaVersion| version.written && !by_fingerprint.contains_key(&version.fingerprint);
        let missing = schema::schemas().iter().filter(without).map(|version| version.record).collect::<Vec<_>>();
        if !missing.is_empty() {
            return Err(MissingIds { missing });
        }
        Ok(Self(Some(Arc::new(Registry { by_fingerprint, by_id, is_written: true }))))
    }

    /// Reads what it read before, and writes single-object encoding: for the time in which not everybody knows the registry's ids.
    pub fn writing_single_object(self) -> Self {
        Self(self.0.map(|registry| Arc::new(Registry { is_written: false, ..Arc::unwrap_or_clone(registry) })))
    }

    pub(crate) fn write(&self, record: RecordType, row: &impl Serialize) -> Vec<u8> {
        let version = schema::written(record);
        let mut bytes = Vec::with_capacity(256);
        match self.0.as_ref().filter(|registry| registry.is_written) {
            None => {
                bytes.extend(SINGLE_OBJECT);
                bytes.extend(version.fingerprint.to_le_bytes());
            }
            Some(registry) => {
                bytes.push(CONFLUENT);
                bytes.extend(registry.by_fingerprint[&version.fingerprint].to_be_bytes());
            }
        }
        version.writer.write_ser(&mut bytes, row).expect("rows have the shape of their schema, which tests show for every record");
        bytes
    }

    pub(crate) fn read<R: DeserializeOwned>(&self, record: RecordType, bytes: &[u8]) -> Result<R, DecodeError> {
        let (version, datum) = self.unframe(record, bytes)?;
        if version.record != record {
            return Err(DecodeError::OtherRecord { wanted: record, found: version.record });
        }
        read_version(version, schema::written(record), datum)
    }

    /// The record type of a value, for topics that hold several.
    ///
    /// # Errors
    /// As decoding the value would.
    pub fn record_type(&self, bytes: &[u8]) -> Result<RecordType, DecodeError> {
        self.unframe(RecordType::Event, bytes).map(|(version, _)| version.record)
    }

    fn unframe<'a>(&self, likely: RecordType, bytes: &'a [u8]) -> Result<(&'static SchemaVersion, &'a [u8]), DecodeError> {
        if bytes.len() > VALUE_LIMIT {
            return Err(DecodeError::TooLarge { size: bytes.len() });
        }
        let (fingerprint, datum) = if let Some((header, datum)) = bytes.strip_prefix(&SINGLE_OBJECT).and_then(<[u8]>::split_first_chunk) {
            (u64::from_le_bytes(*header), datum)
        } else if let Some((header, datum)) = bytes.strip_prefix(&[CONFLUENT]).and_then(<[u8]>::split_first_chunk) {
            let id = u32::from_be_bytes(*header);
            let known = self.0.as_ref().and_then(|registry| registry.by_id.get(&id));
            (*known.ok_or(DecodeError::UnknownId { id })?, datum)
        } else {
            return Err(DecodeError::NotFramed);
        };
        schema::by_fingerprint(likely, fingerprint).map(|version| (version, datum)).ok_or(DecodeError::UnknownSchema { fingerprint })
    }
}

/// Reads a datum of any version; a former one is resolved into today's by Avro's rules, written anew and read as any other.
fn read_version<R: DeserializeOwned>(version: &SchemaVersion, today: &SchemaVersion, mut datum: &[u8]) -> Result<R, DecodeError> {
    let malformed = |problem: String| DecodeError::Malformed { record: version.record, version: version.version, problem };
    // apache-avro's own messages quote values, which may be personal.
    let unfit = |_| malformed("text that is not UTF-8 or a number out of range".to_owned());
    bounds::check(version.schema, datum).map_err(malformed)?;
    if version.written {
        return version.reader.read_deser(&mut datum).map_err(unfit);
    }
    let resolved = version.reader.read_value(&mut datum).map_err(unfit)?;
    let mut rewritten = Vec::with_capacity(datum.len() + 64);
    today.writer.write_value_ref(&mut rewritten, &resolved).map_err(unfit)?;
    today.reader.read_deser(&mut &rewritten[..]).map_err(unfit)
}

/// A registry's ids do not cover what is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry has no id for {}; register the schemas of proto/ first", missing.iter().map(|record| record.as_str()).collect::<Vec<_>>().join(", "))]
pub struct MissingIds {
    /// The records without an id.
    pub missing: Vec<RecordType>,
}

/// Why a value is no record. No message quotes the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Larger than [`VALUE_LIMIT`].
    #[error("value of {size} bytes is over the limit of {VALUE_LIMIT} bytes")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Neither of the two framings.
    #[error("value begins neither with c3 01 and a fingerprint nor with 00 and a schema id; encode it as proto/README.md says")]
    NotFramed,
    /// A schema that this build does not have: a newer version wrote it.
    #[error("schema {fingerprint:016x} is not known to this version; a newer one writes it: upgrade this service")]
    UnknownSchema {
        /// CRC-64-AVRO of the schema.
        fingerprint: u64,
    },
    /// A registry's id that was not known at the start: of a newer version's schema, or of a registry that is not configured here.
    #[error(
        "schema id {id} is not known; set schema_registry.url to the registry that the writer uses and upgrade this service to its version, then start it again"
    )]
    UnknownId {
        /// The registry's id.
        id: u32,
    },
    /// Another record than this topic holds.
    #[error("value is a record of type {} where type {} belongs", found.as_str(), wanted.as_str())]
    OtherRecord {
        /// What was asked for.
        wanted: RecordType,
        /// What it is.
        found: RecordType,
    },
    /// Bytes that the schema does not explain.
    #[error("value is no record of type {}, version {version}: {problem}", record.as_str())]
    Malformed {
        /// The record.
        record: RecordType,
        /// The version of its schema.
        version: u32,
        /// What is wrong, and where.
        problem: String,
    },
    /// Bytes that the schema explains, with content that means nothing.
    #[error("field `{field}` of a record of type {} {problem}", record.as_str())]
    Meaningless {
        /// The record.
        record: RecordType,
        /// The field, by its name in the schema.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl DecodeError {
    /// Whether the record will never be understood: a dead letter, and on to the next.
    ///
    /// Otherwise the writer knows more than this build or its configuration does. Dropping such a record would lose it, so the
    /// service stops and says what to do.
    pub fn is_poison(&self) -> bool {
        !matches!(self, Self::UnknownSchema { .. } | Self::UnknownId { .. })
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Record, writer::datum::GenericDatumWriter};
    use serde::Deserialize;

    use super::*;

    fn version(number: u32, text: &'static str, today: Option<&'static Schema>) -> SchemaVersion {
        let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(text).unwrap()));
        SchemaVersion {
            record: RecordType::Control,
            version: number,
            fingerprint: number.into(),
            text,
            written: today.is_none(),
            schema,
            reader: GenericDatumReader::builder(schema).maybe_reader_schema(today).build().unwrap(),
            writer: GenericDatumWriter::builder(schema).build().unwrap(),
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename = "Order")]
    struct OrderRow {
        by: String,
        limit: Option<i64>,
        at: i64,
        tags: Vec<String>,
    }

    #[test]
    fn a_former_version_is_read_into_todays_row() {
        let today = version(
            2,
            r#"{"type": "record", "name": "Order", "fields": [
                {"name": "by", "type": "string"},
                {"name": "limit", "type": ["null", "long"], "default": null},
                {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}]}"#,
            None,
        );
        let former = version(
            1,
            r#"{"type": "record", "name": "Order", "fields": [
                {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                {"name": "dropped", "type": ["null", "string"], "default": null},
                {"name": "by", "type": "string"}]}"#,
            Some(today.schema),
        );
        let mut record = Record::new(former.schema).unwrap();
        record.put("at", apache_avro::types::Value::TimestampMicros(7));
        record.put("dropped", Some("gone"));
        record.put("by", "maria");
        let datum = former.writer.write_value_to_vec(record).unwrap();

        let read = read_version::<OrderRow>(&former, &today, &datum);
        assert_eq!(read, Ok(OrderRow { by: "maria".into(), limit: None, at: 7, tags: vec![] }));
        for cut in 0..datum.len() {
            assert!(read_version::<OrderRow>(&former, &today, &datum[..cut]).is_err(), "{cut} of {} bytes", datum.len());
        }
    }
}
