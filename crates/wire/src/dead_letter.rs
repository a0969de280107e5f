//! Records of `cartwheel.dead-letters`: what could not be understood or carried out.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Codec, DecodeError},
    row::{Fields, Text, long},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::DeadLetter;

/// Something that was set aside. May hold personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from.
    pub source: DeadLetterSource,
    /// The shop's id, where it is known.
    pub shop: Option<String>,
    /// Why, in a word that reports count by.
    pub reason: String,
    /// Why, for people, and what to do; no personal data.
    pub message: String,
    /// When it was set aside. Kept to the microsecond.
    pub at: Timestamp,
    /// The size of what came, in bytes.
    pub size: u64,
    /// What came; only its beginning where `size` says more.
    pub bytes: Bytes,
}

/// Where a dead letter came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterSource {
    /// A record of a topic.
    Topic {
        /// The topic's full name.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
    },
    /// An HTTP request.
    Http {
        /// The path, without query.
        endpoint: String,
    },
}

impl DeadLetter {
    /// The most bytes that are kept: what topics take, less room for the rest of the record.
    pub const BYTES_LIMIT: usize = 900 * 1024;

    /// A dead letter of these bytes; of more than [`DeadLetter::BYTES_LIMIT`] the beginning is kept.
    pub fn new(source: DeadLetterSource, shop: Option<String>, reason: &str, message: String, at: Timestamp, bytes: Bytes) -> Self {
        let size = bytes.len() as u64;
        let bytes = bytes.slice(..bytes.len().min(Self::BYTES_LIMIT));
        Self { source, shop, reason: reason.to_owned(), message, at, size, bytes }
    }

    /// The record's key in the topic: `topic/partition@offset`, or `http` and the path.
    pub fn key(&self) -> String {
        match &self.source {
            DeadLetterSource::Topic { topic, partition, offset } => format!("{topic}/{partition}@{offset}"),
            DeadLetterSource::Http { endpoint } => format!("http {endpoint}"),
        }
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let (topic, partition, offset, endpoint) = match &self.source {
            DeadLetterSource::Topic { topic, partition, offset } => (Some(topic), Some(*partition), Some(long(*offset)), None),
            DeadLetterSource::Http { endpoint } => (None, None, None, Some(endpoint)),
        };
        codec.write(
            TYPE,
            &DeadLetterRow {
                topic: topic.map(|topic| topic.as_str().into()),
                partition,
                offset,
                endpoint: endpoint.map(|endpoint| endpoint.as_str().into()),
                shop: self.shop.as_deref().map(Text::from),
                reason: self.reason.as_str().into(),
                message: self.message.as_str().into(),
                at: self.at.as_microsecond(),
                size: long(self.size),
                bytes: self.bytes.clone(),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no dead letter; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(TYPE);
        let row = codec.read::<DeadLetterRow<'static>>(TYPE, bytes)?;
        let source = match (row.topic, row.endpoint) {
            (Some(topic), None) => DeadLetterSource::Topic {
                topic: topic.into_owned(),
                partition: fields.there("partition", row.partition)?,
                offset: fields.offset("offset", fields.there("offset", row.offset)?)?,
            },
            (None, Some(endpoint)) => DeadLetterSource::Http { endpoint: endpoint.into_owned() },
            _ => return Err(fields.wrong("topic", "and `endpoint` must not both be there, nor both be missing")),
        };
        Ok(Self {
            source,
            shop: row.shop.map(Text::into_owned),
            reason: row.reason.into_owned(),
            message: row.message.into_owned(),
            at: fields.moment("at", row.at)?,
            size: fields.offset("size", row.size)?,
            bytes: row.bytes,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "DeadLetter")]
struct DeadLetterRow<'a> {
    topic: Option<Text<'a>>,
    partition: Option<u32>,
    offset: Option<i64>,
    endpoint: Option<Text<'a>>,
    shop: Option<Text<'a>>,
    reason: Text<'a>,
    message: Text<'a>,
    at: i64,
    size: i64,
    bytes: Bytes,
}
