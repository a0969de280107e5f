//! Records of `cartwheel.timers`.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Codec, DecodeError},
    row::{Fields, Text},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::Timer;

/// Any record, to append anywhere at a moment. The key in the topic is the id; a tombstone cancels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerRecord {
    /// The timer's id; never used again by a later arming (rule P2).
    pub id: String,
    /// When to append it; never earlier. Kept to the microsecond.
    pub due: Timestamp,
    /// The topic to append to.
    pub topic: String,
    /// The partition to append to.
    pub partition: u32,
    /// The key to append.
    pub key: Option<Bytes>,
    /// The headers to append, in order; names may repeat.
    pub headers: Vec<(String, Bytes)>,
    /// The value to append; none appends a tombstone.
    pub value: Option<Bytes>,
}

impl TimerRecord {
    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let header = |(name, value): &(String, Bytes)| HeaderRow { name: name.clone().into(), value: value.clone() };
        codec.write(
            TYPE,
            &TimerRow {
                id: self.id.as_str().into(),
                due: self.due.as_microsecond(),
                topic: self.topic.as_str().into(),
                partition: self.partition,
                key: self.key.clone(),
                headers: self.headers.iter().map(header).collect(),
                value: self.value.clone(),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no timer; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let row = codec.read::<TimerRow<'static>>(TYPE, bytes)?;
        Ok(Self {
            id: row.id.into_owned(),
            due: Fields(TYPE).moment("due", row.due)?,
            topic: row.topic.into_owned(),
            partition: row.partition,
            key: row.key,
            headers: row.headers.into_iter().map(|header| (header.name.into_owned(), header.value)).collect(),
            value: row.value,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Timer")]
struct TimerRow<'a> {
    id: Text<'a>,
    due: i64,
    topic: Text<'a>,
    partition: u32,
    key: Option<Bytes>,
    headers: Vec<HeaderRow<'a>>,
    value: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Header")]
struct HeaderRow<'a> {
    name: Text<'a>,
    value: Bytes,
}
